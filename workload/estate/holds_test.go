package estate_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juju/names/v6"

	"jimm/workload/estate"
)

// flaky are permissions that can fail.
type flaky struct {
	estate.Permissions
	down   atomic.Bool
	failed atomic.Int64
}

func (f *flaky) CheckEach(ctx context.Context, u estate.User, questions []estate.Question) ([]bool, error) {
	if f.down.Load() {
		f.failed.Add(1)
		return nil, errors.New("OpenFGA is down")
	}
	return f.Permissions.CheckEach(ctx, u, questions)
}

func TestAHoldEndsWithAnythingItClaims(t *testing.T) {
	w := twoGenerations(t)
	m := w.create(alice, "shop", "c41")
	permissions := &flaky{Permissions: estate.Announce(w.Permissions, w.store)}
	w.Permissions = permissions
	var ahead atomic.Int64
	w.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() { defer close(done); w.KeepFresh(ctx, estate.Freshness{}) }()
	t.Cleanup(func() { cancel(); <-done })

	shop := "model-" + m.UUID
	holdOf := func(u estate.User, claims estate.Claims) (*estate.Hold, chan struct{}) {
		t.Helper()
		route, err := w.Route(w.ctx, u, m.UUID)
		must(t, err)
		lost := make(chan struct{})
		h := w.Hold(u, route, route.Claims, func() { close(lost) })
		t.Cleanup(h.Release)
		h.Claim(claims)
		return h, lost
	}
	hold := func(claims estate.Claims) (*estate.Hold, chan struct{}) { return holdOf(bob, claims) }
	isLost := func(lost chan struct{}) {
		t.Helper()
		select {
		case <-lost:
		case <-w.ctx.Done():
			t.Fatal("the hold stands")
		}
	}
	stands := func(lost chan struct{}) {
		t.Helper()
		must(t, w.RemoveRelations(w.ctx, admin, []estate.Relationship{rel("user-bob@example.com", "reader", shop)}))
		// When a later change has been dealt with, and one after that, so has this.
		for range 2 {
			w.relate(rel("user-carol@example.com", "reader", shop))
			_, later := holdOf(estate.User{Name: "carol@example.com"}, nil)
			must(t, w.RemoveRelations(w.ctx, admin, []estate.Relationship{rel("user-carol@example.com", "reader", shop)}))
			isLost(later)
		}
		w.relate(rel("user-bob@example.com", "reader", shop))
		select {
		case <-lost:
			t.Error("the hold ended")
		default:
		}
	}
	cloud := names.NewCloudTag("lab").String()

	t.Run("wider claims", func(t *testing.T) {
		w.relate(rel("user-bob@example.com", "writer", shop), rel("user-bob@example.com", "reader", shop), rel("user-bob@example.com", "administrator", "cloud-lab"))
		_, lost := hold(estate.Claims{cloud: estate.AccessAdmin})
		stands(lost)
		must(t, w.ModifyCloudAccess(w.ctx, admin, "lab", estate.AccessChange{User: bob.Name, Access: "admin"}))
		isLost(lost)
	})
	t.Run("a claim that never was", func(t *testing.T) {
		_, lost := hold(estate.Claims{cloud: estate.AccessAdmin})
		isLost(lost)
	})
	t.Run("a change between the route and the hold", func(t *testing.T) {
		w.relate(rel("user-bob@example.com", "writer", shop))
		_, before := hold(nil)
		route, err := w.Route(w.ctx, bob, m.UUID)
		must(t, err)
		must(t, w.RemoveRelations(w.ctx, admin, []estate.Relationship{rel("user-bob@example.com", "writer", shop)}))
		isLost(before) // so it was heard
		lost := make(chan struct{})
		h := w.Hold(bob, route, route.Claims, func() { close(lost) })
		defer h.Release()
		isLost(lost)
	})
	t.Run("none that was released", func(t *testing.T) {
		h, lost := hold(nil)
		h.Release()
		stands(lost)
	})
	t.Run("nobody can say for a minute", func(t *testing.T) {
		_, lost := hold(nil)
		permissions.down.Store(true)
		defer permissions.down.Store(false)
		must(t, permissions.Write(w.ctx, []estate.Tuple{{Subject: bob.Subject(), Relation: estate.Administrator, Object: estate.Object{Kind: estate.KindModel, ID: m.UUID}}}, nil))
		eventually(t, "it is tried again", func() bool { return permissions.failed.Load() >= 2 })
		select {
		case <-lost:
			t.Fatal("it ended at once")
		default:
		}
		ahead.Store(int64(2 * time.Minute))
		isLost(lost)
	})
}
