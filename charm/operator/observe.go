package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// observe looks at everything. An error is of a hook tool without whose answer
// nothing can be said.
func (c *Charm) observe(ctx context.Context, event hook.Event) (*Snapshot, error) {
	s := &Snapshot{Event: event, Now: c.now(), Keys: map[string]Secret{}, Secrets: map[string]Secret{}}
	var err error
	// Asked once: leadership may change between two answers.
	if s.Leader, err = c.Tools.IsLeader(ctx); err != nil {
		return nil, err
	}
	if s.Options, err = c.Tools.Config(ctx); err != nil {
		return nil, err
	}
	for _, endpoint := range endpoints {
		ids, err := c.Tools.RelationIDs(ctx, endpoint.name)
		if err != nil {
			return nil, err
		}
		for _, id := range sorted(ids) {
			// Until Juju 3 a relation is listed in its last hook.
			if event.Breaks(id) {
				continue
			}
			r := Relation{ID: id, Endpoint: endpoint.name, Units: map[string]relation.Bag{}}
			if endpoint.ours {
				if r.OurUnit, err = c.Tools.RelationUnitData(ctx, id, event.Unit); err != nil {
					return nil, err
				}
			}
			if s.Leader || endpoint.name == endpointPeer {
				if r.Ours, err = c.Tools.RelationAppData(ctx, id, event.App); err != nil {
					return nil, err
				}
			}
			if endpoint.theirs {
				if err := c.observeApp(ctx, &r); err != nil {
					return nil, err
				}
			}
			if endpoint.units {
				if err := c.observeUnits(ctx, &r); err != nil {
					return nil, err
				}
			}
			s.Relations = append(s.Relations, r)
		}
	}
	network, err := c.Tools.Network(ctx, endpointPeer)
	if err != nil {
		return nil, err
	}
	s.Address = network.Bind()
	if len(s.on(endpointVault)) > 0 {
		if network, err = c.Tools.Network(ctx, endpointVault); err != nil {
			return nil, err
		}
		s.Egress = network.EgressSubnets
	}
	if s.Ports, err = c.Tools.Ports(ctx); err != nil {
		return nil, err
	}
	for _, label := range s.keysInUse() {
		if key, found := c.observeKey(ctx, s, label); found {
			s.Keys[label] = key
		}
	}
	for _, id := range s.secretIDs() {
		content, err := c.Tools.Secret(ctx, id)
		s.Secrets[id] = Secret{ID: id, Content: content, Problem: problem(err)}
	}
	s.Container = c.Workload.Observe(ctx)
	return s, nil
}

// sorted puts relation ids into the order of their numbers.
func sorted(ids []string) []string {
	number := func(id string) int {
		var n int
		_, after, _ := strings.Cut(id, ":")
		_, _ = fmt.Sscanf(after, "%d", &n)
		return n
	}
	for i := range ids {
		for j := i; j > 0 && number(ids[j-1]) > number(ids[j]); j-- {
			ids[j-1], ids[j] = ids[j], ids[j-1]
		}
	}
	return ids
}

func (c *Charm) observeApp(ctx context.Context, r *Relation) (err error) {
	if r.App, err = c.Tools.RelationApp(ctx, r.ID); err != nil {
		return err
	}
	r.Theirs, err = c.Tools.RelationAppData(ctx, r.ID, r.App)
	return err
}

func (c *Charm) observeUnits(ctx context.Context, r *Relation) error {
	units, err := c.Tools.RelationUnits(ctx, r.ID)
	if err != nil {
		return err
	}
	for _, unit := range units {
		if r.Units[unit], err = c.Tools.RelationUnitData(ctx, r.ID, unit); err != nil {
			return err
		}
	}
	return nil
}

// keysInUse are the labels of the secrets that this unit reads.
func (s *Snapshot) keysInUse() []string {
	labels := []string{keyIdentity, keySession, keySealing}
	if len(s.on(endpointVault)) > 0 {
		labels = append(labels, keyNonce)
	}
	if len(s.on(endpointCertificates)) > 0 {
		labels = append(labels, keyTLS)
	}
	return labels
}

// observeKey reads one of our own secrets. Only a clear "not found" means that it
// is not there: making another one in place of one that cannot be read would
// lose it.
func (c *Charm) observeKey(ctx context.Context, s *Snapshot, label string) (Secret, bool) {
	content, err := c.Tools.LabelledSecret(ctx, label)
	if hook.IsNotFound(err) {
		return Secret{}, false
	}
	key := Secret{Content: content, Problem: problem(err)}
	if known := s.peer().Secrets[label]; known != "" {
		key.ID = known
		return key, true
	}
	if err == nil && (s.Leader || keyKinds[label].owner == hook.OwnerUnit) {
		if key.ID, err = c.Tools.LabelledSecretID(ctx, label); err != nil && !hook.IsNotFound(err) {
			key.Problem = problem(err)
		}
	}
	return key, true
}

// problem is what a tool said, on one line.
func problem(err error) string {
	if err == nil {
		return ""
	}
	var failed *hook.Error
	if errors.As(err, &failed) {
		return oneLine(failed.Error())
	}
	return oneLine(err.Error())
}

func (c *Charm) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}
