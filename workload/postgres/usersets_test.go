package postgres_test

import (
	"testing"
	"time"

	"jimm/workload/estate"
)

func TestAGroupLivesUntilItIsRemoved(t *testing.T) {
	s, clock := newStore(t)
	g := estate.Userset{Kind: estate.KindGroup, UUID: "a0000000-0000-4000-8000-000000000001", Name: "engineering", State: estate.UsersetLive, CreatedAt: noon, UpdatedAt: noon}
	check(t, s.InsertUserset(t.Context(), g))
	got, err := s.Userset(t.Context(), estate.KindGroup, g.UUID)
	check(t, err)
	equal(t, "by UUID", got, g)
	_, err = s.Userset(t.Context(), estate.KindRole, g.UUID)
	wantCode(t, err, estate.CodeNotFound)

	other := g
	other.UUID = "a0000000-0000-4000-8000-000000000002"
	wantCode(t, s.InsertUserset(t.Context(), other), estate.CodeAlreadyExists)
	other.Name = "operations"
	check(t, s.InsertUserset(t.Context(), other))
	wantCode(t, s.RenameUserset(t.Context(), estate.KindGroup, other.UUID, "engineering"), estate.CodeAlreadyExists)

	clock.advance(time.Second)
	check(t, s.RenameUserset(t.Context(), estate.KindGroup, g.UUID, "builders"))
	g.Name, g.UpdatedAt = "builders", clock.Now()
	got, err = s.UsersetByName(t.Context(), estate.KindGroup, "builders")
	check(t, err)
	equal(t, "renamed", got, g)

	wantCode(t, s.DeleteUserset(t.Context(), g.UUID), estate.CodeNotFound)
	check(t, s.RemovingUserset(t.Context(), estate.KindGroup, g.UUID))
	wantCode(t, s.RemovingUserset(t.Context(), estate.KindGroup, g.UUID), estate.CodeNotFound)
	_, err = s.UsersetByName(t.Context(), estate.KindGroup, "builders")
	wantCode(t, err, estate.CodeNotFound)
	g.State = estate.UsersetRemoving
	removing, err := s.RemovingUsersets(t.Context(), clock.Now().Add(time.Second))
	check(t, err)
	equal(t, "removing", removing, []estate.Userset{g})
	if early, err := s.RemovingUsersets(t.Context(), clock.Now()); err != nil || len(early) > 0 {
		t.Errorf("removing before now: %v, %v", early, err)
	}
	found, err := s.UsersetsByUUID(t.Context(), []string{g.UUID, other.UUID})
	check(t, err)
	equal(t, "live ones", found, []estate.Userset{other})

	check(t, s.RenameUserset(t.Context(), estate.KindGroup, other.UUID, "builders")) // the name is free
	check(t, s.DeleteUserset(t.Context(), g.UUID))
	wantCode(t, s.DeleteUserset(t.Context(), g.UUID), estate.CodeNotFound)
	all, total, err := s.Usersets(t.Context(), estate.KindGroup, "", 0, 0)
	check(t, err)
	if len(all) != 1 || total != 1 || all[0].Name != "builders" {
		t.Errorf("left are %d: %v", total, all)
	}
}
