package estate

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// changeChannel is where all units hear of changes: from the database itself of
// those of models and controllers (postgres/migrations/005_stream.sql), and
// from whoever writes tuples of those.
const changeChannel = "estate"

// change is what a unit hears. Its zero value stands for anything at all.
type change struct {
	// Models are UUIDs of models that changed, came or went.
	Models []string `json:"models,omitempty"`
	// Controllers should be asked at once about their models.
	Controllers []string `json:"controllers,omitempty"`
	// Fleet is set when controllers came, went, or changed their state.
	Fleet bool `json:"fleet,omitempty"`
	// All is set when anything may have changed in any model.
	All bool `json:"all,omitempty"`

	// Shared are the models, by UUID, to which a user's access changed; those
	// of the empty name may concern anyone.
	Shared map[string][]string `json:"shared,omitempty"`
	// Objects are tags of clouds and offers in the same way.
	Objects map[string][]string `json:"objects,omitempty"`
	// Users may have got or lost any model, and with Access all users.
	Users  []string `json:"users,omitempty"`
	Access bool     `json:"access,omitempty"`
}

func readChange(payload string) change {
	var c change
	if payload == "" || json.Unmarshal([]byte(payload), &c) != nil {
		return change{All: true, Fleet: true, Access: true}
	}
	return c
}

// accessChange is what a change of tuples means to those who watch models.
func accessChange(tuples []Tuple) change {
	var c change
	for _, t := range tuples {
		user := ""
		if t.Subject.Kind == KindUser && t.Subject.ID != EveryoneID {
			user = t.Subject.ID
		}
		switch t.Object.Kind {
		case KindModel:
			if t.Relation == InController {
				continue // the model itself is announced, when it is complete
			}
			if c.Shared == nil {
				c.Shared = map[string][]string{}
			}
			if !slices.Contains(c.Shared[user], t.Object.ID) {
				c.Shared[user] = append(c.Shared[user], t.Object.ID)
			}
		case KindCloud, KindOffer:
			if t.Relation == InController || t.Relation == InModel {
				continue
			}
			tag := Tag{Kind: t.Object.Kind, ID: t.Object.ID}.String()
			if c.Objects == nil {
				c.Objects = map[string][]string{}
			}
			if !slices.Contains(c.Objects[user], tag) {
				c.Objects[user] = append(c.Objects[user], tag)
			}
		case KindController, KindGroup, KindIdPGroup, KindRole:
			if user == "" {
				c.Access = true
			} else if !slices.Contains(c.Users, user) {
				c.Users = append(c.Users, user)
			}
		}
	}
	return c
}

func (c change) concernsAccess() bool {
	return c.Access || len(c.Users) > 0 || len(c.Shared) > 0 || len(c.Objects) > 0
}

// payloadLimit is what PostgreSQL takes, in bytes.
const payloadLimit = 7900

// Announce makes Permissions that tell all units of what is written, so that
// their watchers need not wait until they see it in OpenFGA.
func Announce(p Permissions, s Signals) Permissions { return announcing{p, s} }

type announcing struct {
	Permissions
	signals Signals
}

func (a announcing) Write(ctx context.Context, add, remove []Tuple) error {
	err := a.Permissions.Write(ctx, add, remove)
	// Also after an error: the first of several transactions may be there.
	c := accessChange(append(slices.Clone(add), remove...))
	if !c.concernsAccess() {
		return err
	}
	payload, encodeErr := json.Marshal(c)
	if encodeErr != nil || len(payload) > payloadLimit {
		payload = []byte(`{"access":true}`)
	}
	// Who misses it finds the change in OpenFGA, a second later.
	_ = a.signals.Notify(context.WithoutCancel(ctx), changeChannel, string(payload))
	return err
}

// stream hands what a unit hears to those in it who want to know.
type stream struct {
	mu       sync.Mutex
	watchers map[*ModelWatcher]struct{}
	// keepers are, by UUID, those who keep up with a controller here.
	keepers map[string]*keeper
	// replan wakes who shares the controllers out, if anybody does here.
	replan chan struct{}
	// watching wakes who looks for changes in OpenFGA.
	watching chan struct{}
}

func (s *stream) hear(c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers {
		w.hear(c)
	}
	for _, uuid := range c.Controllers {
		if k := s.keepers[uuid]; k != nil {
			k.nudge()
		}
	}
	if c.Fleet {
		wake(s.replan)
	}
}

// wakeWatching wakes who looks for changes in OpenFGA.
func (s *stream) wakeWatching() {
	s.mu.Lock()
	defer s.mu.Unlock()
	wake(s.watching)
}

func (s *stream) watched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.watchers) > 0
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// listen hears what all units say until ctx ends.
func (e *Estate) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := e.Store.Listen(ctx, changeChannel, func(payload string) { e.hear(readChange(payload)) })
		if ctx.Err() == nil {
			e.Log.ErrorContext(ctx, "cannot listen to other units", "error", err)
			pause(ctx, time.Second)
		}
	}
}

// hear hands a change to those in this process whom it may concern.
func (e *Estate) hear(c change) {
	e.stream.hear(c)
	e.holds.hear(c)
}

// readAccess looks for changes made in OpenFGA, by whomever, while anyone here
// watches models, or has a connection to one.
func (e *Estate) readAccess(ctx context.Context, every time.Duration) {
	continuation := ""
	for ctx.Err() == nil {
		if !e.stream.watched() && e.holds.count() == 0 {
			continuation = ""
			select {
			case <-ctx.Done():
			case <-e.stream.watching:
			}
			continue
		}
		tuples, next, err := e.Permissions.Changes(ctx, continuation)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			e.Log.WarnContext(ctx, "cannot read the changes of permissions", "error", err)
			// Where we stopped may not be there any more: look at everything.
			continuation = ""
			e.hear(change{Access: true})
		default:
			continuation = next
			if c := accessChange(tuples); c.concernsAccess() {
				e.hear(c)
			}
		}
		if len(tuples) == 0 || err != nil {
			pause(ctx, every)
		}
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
