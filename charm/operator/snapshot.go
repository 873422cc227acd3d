package operator

import (
	"time"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// Snapshot is all that a plan depends on.
type Snapshot struct {
	Event  hook.Event
	Now    time.Time
	Leader bool
	// Options are the charm's options as config-get has them.
	Options map[string]any
	// Relations are those that exist, without one that is breaking.
	Relations []Relation
	// Keys are the secrets that are ours, by label. Those that do not exist are
	// not in it.
	Keys map[string]Secret
	// Secrets are those of others, by the id that a databag or an option names.
	Secrets map[string]Secret
	// Address is this unit's own, Egress where its connections come from.
	Address string
	Egress  []string
	// Ports are those that are open.
	Ports     []string
	Container Container
}

// Relation is one relation of ours.
type Relation struct {
	// ID is Juju's (database:7), Endpoint ours.
	ID, Endpoint string
	// App is the application at the other side, Theirs its databag, Units those of its
	// units: as far as the table of endpoints has them.
	App    string
	Theirs relation.Bag
	Units  map[string]relation.Bag
	// Ours is the databag of our application; only the leader sees it, but that
	// of a peer relation everyone. OurUnit is this unit's, by the same table.
	Ours, OurUnit relation.Bag
}

// Secret is one that we have tried to read.
type Secret struct {
	// ID is known of our own, and only where we may change them.
	ID      string
	Content relation.Bag
	// Problem says why it could not be read.
	Problem string
}

// Container is JIMM's container, as Pebble shows it.
type Container struct {
	// Problem says why Pebble cannot be asked; then all else is empty.
	Problem string
	// Services, Checks and LogTargets are of Pebble's plan, by name.
	Services, Checks, LogTargets map[string]any
	// Service is the state of JIMM's service: active, backoff, error, inactive, or
	// empty if there is none. Health is that of its check: up, down or empty.
	Service, Health string
	// Files are the sizes of what is below filesDir, by path.
	Files map[string]int64
}

// on gives the relations of an endpoint.
func (s *Snapshot) on(endpoint string) []Relation {
	var found []Relation
	for _, r := range s.Relations {
		if r.Endpoint == endpoint {
			found = append(found, r)
		}
	}
	return found
}

// one gives the relation of an endpoint that has a limit of one. While one
// replaces another there may be two: the newer one counts.
func (s *Snapshot) one(endpoint string) (Relation, bool) {
	all := s.on(endpoint)
	if len(all) == 0 {
		return Relation{}, false
	}
	return all[len(all)-1], true
}

// peer is what the leader has told all units.
func (s *Snapshot) peer() relation.Peer {
	r, _ := s.one(endpointPeer)
	p, err := relation.ParsePeer(r.Ours)
	if err != nil {
		return relation.Peer{}
	}
	return p
}
