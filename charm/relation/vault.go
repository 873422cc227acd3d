package relation

import (
	"net/netip"
	"strings"
)

// VaultRequest is what the requirer of vault-kv writes: the suffix into its
// application databag, the rest into that of each unit.
type VaultRequest struct {
	// MountSuffix ends the name of the KV mount.
	MountSuffix string
}

// Bag encodes the application's part.
func (r VaultRequest) Bag() Bag { return Bag{"mount_suffix": r.MountSuffix} }

// VaultUnit is a unit's part of the request.
type VaultUnit struct {
	// Nonce tells the units apart; the answer's credentials are by nonce.
	Nonce string
	// Egress are the subnets that the unit's connections come from. Vault makes
	// new credentials when this list changes, also when just its order does.
	Egress []string
}

// Bag encodes the unit's part.
func (u VaultUnit) Bag() Bag {
	bag := Bag{}
	put(bag, "nonce", u.Nonce)
	put(bag, "egress_subnet", strings.Join(u.Egress, ","))
	return bag
}

// ParseVaultUnit decodes it.
func ParseVaultUnit(bag Bag) (u VaultUnit, err error) {
	if u.Nonce, err = word("nonce", bag["nonce"]); err != nil {
		return u, err
	}
	for subnet := range strings.SplitSeq(bag["egress_subnet"], ",") {
		if subnet = strings.TrimSpace(subnet); subnet == "" {
			continue
		}
		if _, err := netip.ParsePrefix(subnet); err != nil {
			return u, invalid("egress_subnet", bag["egress_subnet"], "a list of subnets")
		}
		u.Egress = append(u.Egress, subnet)
	}
	return u, nil
}

// VaultAnswer is what the provider writes into its application databag.
type VaultAnswer struct {
	URL, CA, Mount string
	// Credentials are ids of secrets with a VaultRole, by nonce of the unit.
	Credentials map[string]string
}

// Bag encodes the answer.
func (a VaultAnswer) Bag() Bag {
	bag := Bag{}
	put(bag, "vault_url", a.URL)
	put(bag, "ca_certificate", a.CA)
	put(bag, "mount", a.Mount)
	if a.Credentials != nil {
		putJSON(bag, "credentials", a.Credentials)
	}
	return bag
}

// ParseVaultAnswer decodes it. An answer that is not complete yet is no error.
func ParseVaultAnswer(bag Bag) (a VaultAnswer, err error) {
	if a.URL, err = address("vault_url", bag["vault_url"], "https", "http"); err != nil {
		return a, err
	}
	if a.CA, err = certificates("ca_certificate", bag["ca_certificate"]); err != nil {
		return a, err
	}
	if a.Mount, err = word("mount", bag["mount"]); err != nil {
		return a, err
	}
	if err := getJSON(bag, "credentials", "a JSON object of secret ids", &a.Credentials); err != nil {
		return a, err
	}
	for _, id := range a.Credentials {
		if _, err := secretID("credentials", id); err != nil {
			return a, err
		}
	}
	return a, nil
}

// VaultRole is the content of the secret of a unit's credentials.
type VaultRole struct{ RoleID, SecretID string }

// Bag encodes the secret.
func (r VaultRole) Bag() Bag { return Bag{"role-id": r.RoleID, "role-secret-id": r.SecretID} }

// ParseVaultRole decodes it.
func ParseVaultRole(bag Bag) VaultRole {
	return VaultRole{RoleID: bag["role-id"], SecretID: bag["role-secret-id"]}
}
