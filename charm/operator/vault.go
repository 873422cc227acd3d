package operator

import (
	"net/netip"
	"slices"

	"jimm/charm/relation"
)

// mountSuffix ends the name of the mount that Vault's charm makes.
const mountSuffix = "jimm"

// vaultEgress are the subnets that this unit connects to Vault from, in an order
// that does not depend on chance: Vault makes new credentials when it changes.
func (s *Snapshot) vaultEgress() []string {
	var subnets []string
	if address, err := netip.ParseAddr(s.Address); err == nil {
		subnets = append(subnets, netip.PrefixFrom(address, address.BitLen()).String())
	}
	for _, text := range s.Egress {
		if subnet, err := netip.ParsePrefix(text); err == nil {
			subnets = append(subnets, subnet.Masked().String())
		}
	}
	slices.Sort(subnets)
	return slices.Compact(subnets)
}

func (p *planner) planVault() {
	if p.options.SecretsInPostgres {
		p.set("JIMM_SECRET_STORAGE", "sealed")
	}
	const component = endpointVault
	r, ok := p.one(component)
	if !ok {
		if p.peer().Vault && !p.options.SecretsInPostgres {
			p.wrong(component, "credentials are in a Vault that is not related any more; integrate it again; if it is lost, juju config %[1]s postgres-secret-storage=true and juju run %[1]s/leader move-secrets forget=true", p.Event.App)
		}
		return
	}
	nonce := p.key(keyNonce)
	for _, r := range p.on(component) {
		p.app(r, relation.VaultRequest{MountSuffix: mountSuffix}.Bag())
		if nonce == "" {
			p.keep(r)
			continue
		}
		p.unit(r, relation.VaultUnit{Nonce: nonce, Egress: p.vaultEgress()}.Bag())
	}
	answer, err := relation.ParseVaultAnswer(r.Theirs)
	if p.options.SecretsInPostgres && (err != nil || answer.URL == "" || answer.Mount == "" || answer.Credentials[nonce] == "") {
		return // there is nothing to be had of it
	}
	if err != nil {
		p.wrong(component, "%s sends what cannot be used: %v", r.App, err)
		return
	}
	id := answer.Credentials[nonce]
	if nonce == "" {
		return
	}
	if answer.URL == "" || answer.Mount == "" || id == "" {
		p.wait(component, "waiting for %s to let this unit in; Vault must be unsealed and its charm authorized", r.App)
		return
	}
	content, ok := p.secret(component, id)
	if !ok {
		return
	}
	role := relation.ParseVaultRole(content)
	if role.RoleID == "" || role.SecretID == "" {
		p.wrong(component, "the secret of %s has no role-id or role-secret-id", r.App)
		return
	}
	p.set("VAULT_ADDR", answer.URL)
	p.set("VAULT_PATH", answer.Mount)
	p.set("VAULT_CACERT_BYTES", answer.CA)
	p.secretly("VAULT_ROLE_ID", role.RoleID)
	p.secretly("VAULT_ROLE_SECRET_ID", role.SecretID)
	if p.options.SecretsInPostgres {
		return // Vault is for what has to be moved out of it
	}
	if peer, ok := p.one(endpointPeer); ok {
		p.app(peer, relation.Bag{"vault": "true"})
	}
}
