package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// Vault answers vault-kv on the endpoint vault-kv, as vault-k8s does.
type Vault struct {
	URL, CA string
	// Sealed, if set, tells whether Vault is: then nobody is answered.
	Sealed func(ctx context.Context) (bool, error)
	// Role makes an AppRole for a unit that may connect from the subnets, or finds
	// it; other subnets than those of the credentials that it has make others.
	Role func(ctx context.Context, mount, unit string, egress []string, has relation.VaultRole) (relation.VaultRole, error)
}

// Handle is the charm.
func (v *Vault) Handle(ctx context.Context, tools hook.Tools, event hook.Event) error {
	if v.Sealed != nil {
		if sealed, err := v.Sealed(ctx); err != nil || sealed {
			return errors.Join(err, status(ctx, tools, "blocked", "Please unseal Vault"))
		}
	}
	return leader(ctx, tools, event, "vault-kv", func(l link) error {
		bag, err := l.theirs(ctx)
		if err != nil || bag["mount_suffix"] == "" {
			return err
		}
		// Those of units that have gone stay.
		ours, err := tools.RelationAppData(ctx, l.id, event.App)
		if err != nil {
			return err
		}
		answer, err := relation.ParseVaultAnswer(ours)
		if err != nil {
			return err
		}
		answer.URL, answer.CA, answer.Mount = v.URL, v.CA, fmt.Sprintf("charm-%s-%s", l.app, bag["mount_suffix"])
		if answer.Credentials == nil {
			answer.Credentials = map[string]string{}
		}
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
			label := "vault-kv-" + strings.ReplaceAll(name, "/", "-")
			content, err := tools.LabelledSecret(ctx, label)
			if err != nil && !hook.IsNotFound(err) {
				return err
			}
			role, err := v.Role(ctx, answer.Mount, strings.ReplaceAll(name, "/", "-"), unit.Egress, relation.ParseVaultRole(content))
			if err != nil {
				return err
			}
			if answer.Credentials[unit.Nonce], err = l.secret(ctx, label, role.Bag()); err != nil {
				return err
			}
		}
		return l.answer(ctx, answer.Bag())
	})
}
