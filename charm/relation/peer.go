package relation

import "strings"

// Peer is what the leader tells the other units in JIMM's peer relation.
type Peer struct {
	// Secrets are the ids of the application's own secrets, by label. That one
	// appears is also what wakes the other units.
	Secrets map[string]string
	// Admins are who the action set-admin has named.
	Admins []string
	// Vault tells that JIMM's credentials are in a Vault: without one it would
	// not find them.
	Vault bool
}

// Bag encodes it.
func (p Peer) Bag() Bag {
	bag := Bag{}
	if len(p.Secrets) > 0 {
		putJSON(bag, "secrets", p.Secrets)
	}
	put(bag, "admins", strings.Join(p.Admins, " "))
	if p.Vault {
		bag["vault"] = "true"
	}
	return bag
}

// ParsePeer decodes it.
func ParsePeer(bag Bag) (p Peer, err error) {
	p.Admins, p.Vault = strings.Fields(bag["admins"]), bag["vault"] == "true"
	return p, getJSON(bag, "secrets", "a JSON object of secret ids", &p.Secrets)
}
