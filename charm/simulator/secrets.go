package simulator

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"jimm/charm/relation"
)

// secret is one of an application or a unit.
type secret struct {
	id string
	// owner is the name of an application or a unit; empty for a user's.
	owner, label string
	revisions    map[int]relation.Bag
	latest       int
	// grants are the applications that may read, by relation; users have granted
	// to others.
	grants map[int]string
	users  map[string]bool
	// consumers has the revision that each unit stays with.
	consumers map[string]int
}

// secretKey is what Juju wants of a key in a secret.
var secretKey = regexp.MustCompile(`^([a-z](?:-?[a-z0-9]){2,})$`)

// secretLimit is how many bytes a secret may have.
const secretLimit = 1 << 20

func (m *Model) newSecretID() string {
	const alphabet = "0123456789abcdefghijklmnopqrstuv"
	id := []byte("d")
	for len(id) < 20 {
		id = append(id, alphabet[m.rand.IntN(len(alphabet))])
	}
	return string(id)
}

// AddUserSecret makes a secret of a user, granted to an application, and gives
// its id.
func (m *Model) AddUserSecret(content relation.Bag, app string) string {
	s := &secret{
		id: m.newSecretID(), revisions: map[int]relation.Bag{1: content}, latest: 1, grants: map[int]string{},
		users: map[string]bool{app: true}, consumers: map[string]int{},
	}
	m.secrets[s.id] = s
	return "secret:" + s.id
}

// parseSecretID takes the forms that Juju takes.
func parseSecretID(text string) (string, bool) {
	id, found := strings.CutPrefix(text, "secret:")
	if !found {
		id = text
	}
	if rest, long := strings.CutPrefix(id, "//"); long {
		_, id, _ = strings.Cut(rest, "/")
	}
	return id, regexp.MustCompile(`^[0-9a-z]{20}$`).MatchString(id)
}

func (s *secret) ownedBy(u *Unit) bool { return s.owner == u.Name || s.owner == u.app.Name }

func (s *secret) readableBy(u *Unit) bool {
	return s.ownedBy(u) || s.users[u.app.Name] || slices.Contains(slices.Collect(maps.Values(s.grants)), u.app.Name)
}

func (u *Unit) secretEvents() []pending {
	var events []pending
	for _, id := range slices.Sorted(maps.Keys(u.model.secrets)) {
		s := u.model.secrets[id]
		if tracked, reads := s.consumers[u.Name]; reads && tracked < s.latest && u.seen.secrets[id] < s.latest {
			latest := s.latest
			events = append(events, pending{hook: "secret-changed", secret: "secret:" + id, done: func() { u.seen.secrets[id] = latest }})
		}
		if s.owner != u.Name && (s.owner != u.app.Name || u.app.leader != u) {
			continue
		}
		for revision := range s.revisions {
			key := id + "/" + strconv.Itoa(revision)
			if revision == s.latest || u.seen.removals[key] || slices.Contains(slices.Collect(maps.Values(s.consumers)), revision) {
				continue
			}
			events = append(events, pending{hook: "secret-remove", secret: "secret:" + id, revision: strconv.Itoa(revision), done: func() { u.seen.removals[key] = true }})
		}
	}
	return events
}

// SecretValues are the contents of all secrets, of all revisions, but for the
// labels named: what must not be in a log.
func (m *Model) SecretValues(but ...string) []string {
	var values []string
	for _, s := range m.secrets {
		if slices.Contains(but, s.label) {
			continue
		}
		for _, content := range s.revisions {
			values = append(values, slices.Collect(maps.Values(content))...)
		}
	}
	return values
}

// Secret gives the latest content of an application's or unit's secret.
func (m *Model) Secret(owner, label string) (relation.Bag, bool) {
	for _, s := range m.secrets {
		if s.owner == owner && s.label == label {
			return maps.Clone(s.revisions[s.latest]), true
		}
	}
	return nil, false
}

func checkSecret(content relation.Bag) error {
	size := 0
	for key, value := range content {
		if !secretKey.MatchString(key) {
			return fmt.Errorf("key %q not valid", key)
		}
		size += len(value)
	}
	if size > secretLimit {
		return fmt.Errorf("secret content size %d exceeds limit of %d bytes", size, secretLimit)
	}
	return nil
}
