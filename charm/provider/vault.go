package provider

import (
	"context"
	"fmt"
	"strings"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// Vault answers vault-kv on the endpoint vault-kv, as vault-k8s does.
type Vault struct {
	URL, CA string
	// Sealed answers nobody, as before Vault is unsealed and its charm authorized.
	Sealed bool
	// Role makes an AppRole for a unit that may connect from the subnets, or finds
	// it; other subnets make other credentials.
	Role func(ctx context.Context, mount, unit string, egress []string) (relation.VaultRole, error)
}

// Handle is the charm.
func (v *Vault) Handle(ctx context.Context, tools hook.Tools, event hook.Event) error {
	if v.Sealed {
		return status(ctx, tools, "blocked", "Please unseal Vault")
	}
	return leader(ctx, tools, event, "vault-kv", func(l link) error {
		bag, err := l.theirs(ctx)
		if err != nil || bag["mount_suffix"] == "" {
			return err
		}
		answer := relation.VaultAnswer{URL: v.URL, CA: v.CA, Mount: fmt.Sprintf("charm-%s-%s", l.app, bag["mount_suffix"]), Credentials: map[string]string{}}
		units, err := l.units(ctx)
		if err != nil {
			return err
		}
		for name, bag := range units {
			unit, err := relation.ParseVaultUnit(bag)
			if err != nil {
				return err
			}
			if unit.Nonce == "" || len(unit.Egress) == 0 {
				continue
			}
			role, err := v.Role(ctx, answer.Mount, name, unit.Egress)
			if err != nil {
				return err
			}
			label := "vault-kv-" + strings.ReplaceAll(name, "/", "-")
			if answer.Credentials[unit.Nonce], err = l.secret(ctx, label, role.Bag()); err != nil {
				return err
			}
		}
		return l.answer(ctx, answer.Bag())
	})
}
