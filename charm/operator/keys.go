package operator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// The labels of our own secrets. Those of the Python charm have its labels and
// fields, so that they live on after a refresh.
const (
	keyIdentity = "identity"    // JIMM's UUID
	keySession  = "session_key" // signs clients' logins
	keySealing  = "sealing_key" // seals secrets in PostgreSQL
	keyNonce    = "nonce"       // this unit's name for itself towards Vault
	keyTLS      = "tls_key"     // this unit's private key for TLS
)

// Making is a secret to be made, or renewed.
type Making struct {
	Label, Owner string
	// Replace gives an existing one, of this id, a new revision.
	Replace string
}

type keyKind struct {
	field, owner string
	generate     func() (string, error)
}

// keyKinds are the secrets of our own, by label.
var keyKinds = map[string]keyKind{
	keyIdentity: {"uuid", hook.OwnerApp, randomUUID},
	keySession:  {"sessionkey", hook.OwnerApp, func() (string, error) { return base64.StdEncoding.EncodeToString(random(64)), nil }},
	keySealing:  {"sealingkey", hook.OwnerApp, func() (string, error) { return base64.StdEncoding.EncodeToString(random(32)), nil }},
	keyNonce:    {"nonce", hook.OwnerUnit, func() (string, error) { return hex.EncodeToString(random(16)), nil }},
	keyTLS:      {"privatekey", hook.OwnerUnit, privateKey},
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func randomUUID() (string, error) {
	b := random(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

func privateKey() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// generate makes the content of one of our secrets.
func generate(label string) (relation.Bag, error) {
	kind := keyKinds[label]
	value, err := kind.generate()
	if err != nil {
		return nil, fmt.Errorf("cannot generate %s: %w", label, err)
	}
	return relation.Bag{kind.field: value}, nil
}

// key reads one of our own secrets, or has it made. The workload gets it only
// by a later hook: a hook that fails takes back what it has made, and data that
// are sealed with a lost key would be lost, too.
func (p *planner) key(label string) string {
	kind := keyKinds[label]
	s, found := p.Keys[label]
	switch {
	case s.Problem != "":
		p.wait("secrets", "waiting until Juju gives the secret %s: %s", label, s.Problem)
	case !found && (kind.owner == hook.OwnerUnit || p.Leader):
		p.plan.Make = append(p.plan.Make, Making{Label: label, Owner: kind.owner})
		p.wait("secrets", "%s is made; it is used from the next event on", label)
	case !found:
		p.wait("secrets", "waiting for the leader to make %s", label)
	case s.Content[kind.field] == "":
		p.wrong("secrets", "the secret %s has no %s: give it back the revision before", label, kind.field)
	default:
		return s.Content[kind.field]
	}
	return ""
}

// nonce is this unit's, empty if it has none yet.
func (s *Snapshot) nonce() string { return s.Keys[keyNonce].Content[keyKinds[keyNonce].field] }

func (p *planner) planKeys() {
	uuid := p.options.UUID
	if uuid == "" {
		uuid = p.key(keyIdentity)
	}
	p.set("JIMM_UUID", uuid)
	p.secretly("JIMM_SESSION_SECRET_KEY", p.key(keySession))
	p.secretly("JIMM_SECRET_STORAGE_KEYS", p.key(keySealing))
}

// planPeer tells the other units which secrets there are.
func (p *planner) planPeer() {
	r, ok := p.one(endpointPeer)
	if !ok {
		return
	}
	peer := p.peer()
	peer.Secrets = map[string]string{}
	for _, label := range slices.Sorted(maps.Keys(keyKinds)) {
		if id := p.Keys[label].ID; keyKinds[label].owner == hook.OwnerApp && id != "" {
			peer.Secrets[label] = id
		}
	}
	if p.options.SecretsInPostgres {
		peer.Vault = false
	}
	p.app(r, peer.Bag())
}
