package postgres_test

import (
	"fmt"
	"testing"

	"jimm/workload/estate"
)

func TestResourcesAreListedByKindAndName(t *testing.T) {
	s, _ := newStore(t)
	self := estate.Resource{Object: estate.Object{Kind: estate.KindController, ID: "self"}, Name: "jimm"}
	names := func(f estate.ResourceFilter, limit, offset int) string {
		t.Helper()
		page, total, err := s.Resources(t.Context(), self, f, limit, offset)
		check(t, err)
		text := fmt.Sprint(total)
		for _, r := range page {
			text += fmt.Sprintf(" %s:%s<%s", r.Object.Kind, r.Name, r.ParentName)
		}
		return text
	}
	if got, want := names(estate.ResourceFilter{}, 10, 0), "1 controller:jimm<"; got != want {
		t.Errorf("an empty estate has %q, want %q", got, want)
	}

	prepareModels(t, s)
	m := insertLive(t, s, 1)
	creating := production()
	creating.ID = "id-2"
	check(t, s.InsertModel(t.Context(), creating)) // not a thing yet
	check(t, s.InsertOffer(t.Context(), hosted(m)))
	check(t, s.CompleteOffer(t.Context(), "offer-1", offerUUID, offerDetails("")))
	const (
		offer      = " applicationoffer:alice@example.com/model-0001.hosted<alice@example.com/model-0001"
		cloud      = " cloud:aws<"
		controller = " controller:green<jimm controller:jimm<"
		model      = " model:alice@example.com/model-0001<green"
	)
	for _, c := range []struct {
		name          string
		filter        estate.ResourceFilter
		limit, offset int
		want          string
	}{
		{"all", estate.ResourceFilter{}, 10, 0, "5" + offer + cloud + controller + model},
		{"a page", estate.ResourceFilter{}, 1, 1, "5" + cloud},
		{"a page after the last", estate.ResourceFilter{}, 10, 10, "5"},
		{"of a kind", estate.ResourceFilter{Kind: estate.KindController}, 10, 0, "2" + controller},
		{"with a part of a name", estate.ResourceFilter{Name: "0001"}, 10, 0, "2" + offer + model},
		{"with what is a pattern elsewhere", estate.ResourceFilter{Name: "%"}, 10, 0, "0"},
	} {
		if got := names(c.filter, c.limit, c.offset); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestIdentitiesAreListedByName(t *testing.T) {
	s, _ := newStore(t)
	check(t, s.SaveLogin(t.Context(), "bob@example.com", "Robert Smith", noon))
	check(t, s.EnsureIdentity(t.Context(), "alice@example.com"))
	check(t, s.EnsureIdentity(t.Context(), "ci@serviceaccount"))
	for _, c := range []struct {
		match         string
		limit, offset int
		want          string
	}{
		{"", 10, 0, "3 [alice@example.com bob@example.com ci@serviceaccount]"},
		{"", 1, 1, "3 [bob@example.com]"},
		{"Smith", 10, 0, "1 [bob@example.com]"},
		{"example", 10, 0, "2 [alice@example.com bob@example.com]"},
		{"_", 10, 0, "0 []"},
	} {
		page, total, err := s.Identities(t.Context(), c.match, c.limit, c.offset)
		check(t, err)
		names := []string{}
		for _, i := range page {
			names = append(names, i.Name)
		}
		if got := fmt.Sprint(total, names); got != c.want {
			t.Errorf("%q: got %s, want %s", c.match, got, c.want)
		}
	}
	found, err := s.IdentitiesNamed(t.Context(), []string{"bob@example.com", "nobody@example.com"})
	check(t, err)
	if len(found) != 1 || found[0].DisplayName != "Robert Smith" || !found[0].LastLogin.Equal(noon) {
		t.Errorf("found %+v", found)
	}
}
