package config

import (
	"net/url"
	"strings"

	"jimm/workload/secrets"
)

// Vault are the settings of HashiCorp Vault; without an address it is not used.
type Vault struct {
	Address, Namespace, Mount string
	RoleID, SecretID          string
	// SecretIDFile is read again at each login.
	SecretIDFile   string
	CACertificates string
}

func (v *variables) vault() Vault {
	c := Vault{
		Address: v.text("VAULT_ADDR", ""), Namespace: v.text("VAULT_NAMESPACE", ""),
		Mount: v.text("VAULT_PATH", ""), RoleID: v.secret("VAULT_ROLE_ID"), SecretID: v.secret("VAULT_ROLE_SECRET_ID"),
		CACertificates: v.text("VAULT_CACERT_BYTES", ""),
	}
	c.SecretIDFile = v.env["VAULT_ROLE_SECRET_ID_FILE"]
	if c.SecretIDFile == "" {
		c.SecretIDFile = v.file["VAULT_ROLE_SECRET_ID_FILE"]
	}
	if c.SecretIDFile != "" {
		c.SecretID = ""
	}
	if c.Address == "" {
		return c
	}
	if u, err := url.Parse(c.Address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		v.fail("VAULT_ADDR", "must be a URL with its scheme, not %q", c.Address)
	}
	if strings.Trim(c.Mount, "/") == "" {
		v.fail("VAULT_PATH", "is missing: set it to the path of a KV secrets engine of version 2")
	}
	if c.RoleID == "" {
		v.fail("VAULT_ROLE_ID", "is missing: set it to the role id of JIMM's AppRole")
	}
	if c.SecretID == "" && c.SecretIDFile == "" {
		v.fail("VAULT_ROLE_SECRET_ID", "is missing: set it to a secret id of JIMM's AppRole, or VAULT_ROLE_SECRET_ID_FILE to a file with one")
	}
	return c
}

// secretPlace is where the secrets are said to be: Vault, where there is one.
func (v *variables) secretPlace(vault Vault) secrets.Place {
	place := secrets.Sealed
	if vault.Address != "" {
		place = secrets.Vault
	}
	switch name := secrets.Place(v.text("JIMM_SECRET_STORAGE", string(place))); name {
	case secrets.Sealed:
		return name
	case secrets.Vault:
		if vault.Address == "" {
			v.fail("VAULT_ADDR", "is missing: JIMM_SECRET_STORAGE says that secrets are in Vault")
		}
		return name
	default:
		v.fail("JIMM_SECRET_STORAGE", "must be vault or sealed, not %q", string(name))
		return place
	}
}
