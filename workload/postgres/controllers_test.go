package postgres_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/postgres"
)

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func blue() estate.Controller {
	return estate.Controller{
		UUID: "c0000000-0000-4000-8000-000000000001", Name: "blue", State: estate.ControllerAdding,
		PublicAddress: "blue.example.com:443", Addresses: []string{"10.0.0.1:17070", "[fd00::1]:17070"},
		CACertificate: "-----BEGIN CERTIFICATE-----", TLSHostname: "juju-apiserver", AgentVersion: "3.6.11",
		Cloud: "aws", Region: "eu-west-1", CreatedAt: noon, UpdatedAt: noon,
	}
}

func green() estate.Controller {
	c := blue()
	c.UUID, c.Name, c.State = "c0000000-0000-4000-8000-000000000002", "green", estate.ControllerLive
	return c
}

func names(controllers []estate.Controller) string {
	var all []string
	for _, c := range controllers {
		all = append(all, c.Name)
	}
	return strings.Join(all, ",")
}

func TestAControllerComesBackAsItWasSaved(t *testing.T) {
	s, _ := newStore(t)
	bare := estate.Controller{UUID: "c3", Name: "bare", State: estate.ControllerLive, CreatedAt: noon, UpdatedAt: noon}
	for _, c := range []estate.Controller{blue(), bare} {
		check(t, s.InsertController(t.Context(), c))
		got, err := s.Controller(t.Context(), c.UUID)
		check(t, err)
		equal(t, "by UUID", got, c)
		got, err = s.ControllerByName(t.Context(), c.Name)
		check(t, err)
		equal(t, "by name", got, c)
	}
}

func TestControllerNamesAndUUIDsAreTakenOnce(t *testing.T) {
	s, _ := newStore(t)
	check(t, s.InsertController(t.Context(), blue()))
	sameName, sameUUID := green(), green()
	sameName.Name, sameUUID.UUID = blue().Name, blue().UUID
	for name, c := range map[string]estate.Controller{"name": sameName, "UUID": sameUUID} {
		err := s.InsertController(t.Context(), c)
		wantCode(t, err, estate.CodeAlreadyExists)
		if !strings.Contains(err.Error(), "this "+name) {
			t.Errorf("error %q does not say that the %s is taken", err, name)
		}
	}
}

func TestAControllerChangesStateOnlyFromTheOneItIsIn(t *testing.T) {
	s, clock := newStore(t)
	check(t, s.InsertController(t.Context(), blue()))
	wantCode(t, s.SetControllerState(t.Context(), blue().UUID, estate.ControllerLive, estate.ControllerRemoving), estate.CodeNotFound)
	wantCode(t, s.SetControllerState(t.Context(), "no such", estate.ControllerAdding, estate.ControllerLive), estate.CodeNotFound)
	wantCode(t, s.SetControllerState(t.Context(), blue().UUID, estate.ControllerAdding, "sleeping"), estate.CodeNotValid)
	clock.advance(time.Minute)
	check(t, s.SetControllerState(t.Context(), blue().UUID, estate.ControllerAdding, estate.ControllerLive))
	want := blue()
	want.State, want.UpdatedAt = estate.ControllerLive, noon.Add(time.Minute)
	got, err := s.Controller(t.Context(), want.UUID)
	check(t, err)
	equal(t, "controller", got, want)
}

func TestUpdatingAControllerLeavesItsNameAndState(t *testing.T) {
	s, clock := newStore(t)
	check(t, s.InsertController(t.Context(), blue()))
	clock.advance(time.Minute)
	changed := estate.Controller{
		UUID: blue().UUID, Name: "renamed", State: estate.ControllerRemoving, AgentVersion: "4.1",
		Deprecated: true, UnavailableSince: noon.Add(time.Second), Addresses: []string{"10.0.0.2:17070"},
	}
	check(t, s.UpdateController(t.Context(), changed))
	check(t, s.SetUnavailable(t.Context(), changed.UUID, changed.UnavailableSince))
	want := changed
	want.Name, want.State, want.Cloud, want.Region = "blue", estate.ControllerAdding, "aws", "eu-west-1"
	want.CreatedAt, want.UpdatedAt = noon, noon.Add(time.Minute)
	got, err := s.Controller(t.Context(), blue().UUID)
	check(t, err)
	equal(t, "controller", got, want)
	changed.UUID = "no such"
	wantCode(t, s.UpdateController(t.Context(), changed), estate.CodeNotFound)
	wantCode(t, s.SetUnavailable(t.Context(), changed.UUID, noon), estate.CodeNotFound)
}

func TestControllersAreListedByStateAndName(t *testing.T) {
	s, _ := newStore(t)
	zebra := green()
	zebra.UUID, zebra.Name = "c9", "Zebra"
	for _, c := range []estate.Controller{green(), blue(), zebra} {
		check(t, s.InsertController(t.Context(), c))
	}
	for want, states := range map[string][]estate.ControllerState{
		"Zebra,green":      nil,
		"blue":             {estate.ControllerAdding, estate.ControllerRemoving},
		"Zebra,blue,green": {estate.ControllerAdding, estate.ControllerLive},
	} {
		got, err := s.Controllers(t.Context(), states...)
		check(t, err)
		equal(t, "controllers", names(got), want)
	}
}

func TestAControllerWithModelsCannotBeDeleted(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	check(t, s.InsertModel(t.Context(), production()))
	wantCode(t, s.DeleteController(t.Context(), green().UUID), estate.CodeStillAlive)
	check(t, s.DeleteModel(t.Context(), production().ID, estate.ModelCreating))
	check(t, s.DeleteController(t.Context(), green().UUID))
	wantCode(t, s.DeleteController(t.Context(), green().UUID), estate.CodeNotFound)
	_, err := s.Controller(t.Context(), green().UUID)
	wantCode(t, err, estate.CodeNotFound)
	serving, err := s.RegionControllers(t.Context(), "aws", "")
	check(t, err)
	equal(t, "who serves aws", len(serving), 0)
}

// Every text that a client can choose, in every call that takes it.
func TestTextsThatNoColumnTakesGiveACodedError(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	ctx := t.Context()
	calls := map[string]func(text string) error{
		"InsertController name": func(x string) error { c := blue(); c.Name = x; return s.InsertController(ctx, c) },
		"InsertController uuid": func(x string) error { c := blue(); c.UUID = x; return s.InsertController(ctx, c) },
		"SaveClouds name":       func(x string) error { return s.SaveClouds(ctx, green().UUID, []estate.Cloud{{Name: x}}, nil) },
		"SaveClouds region": func(x string) error {
			return s.SaveClouds(ctx, green().UUID, nil, []estate.RegionController{{Cloud: "aws", Region: x}})
		},
		"SaveCredential name": func(x string) error { c := work(); c.Name = x; return s.SaveCredential(ctx, c) },
		"InsertModel name":    func(x string) error { m := production(); m.Name = x; return s.InsertModel(ctx, m) },
		"InsertModel id":      func(x string) error { m := production(); m.ID = x; return s.InsertModel(ctx, m) },
		"EnsureIdentity":      func(x string) error { return s.EnsureIdentity(ctx, x) },
		"SaveLogin":           func(x string) error { return s.SaveLogin(ctx, x, "", noon) },
	}
	texts := map[string]struct{ text, code string }{
		"a NUL":               {"a\x00b", estate.CodeBadRequest},
		"not UTF-8":           {"a\xff", estate.CodeBadRequest},
		"a control character": {"a\nb", estate.CodeNotValid},
		"an escape":           {"a\x1b[2J", estate.CodeNotValid},
		"10 kB":               {strings.Repeat("x", 10_000), estate.CodeNotValid},
		"nothing":             {"", estate.CodeNotValid},
	}
	for call, f := range calls {
		for kind, text := range texts {
			t.Run(call+" with "+kind, func(t *testing.T) {
				err := f(text.text)
				wantCode(t, err, text.code)
				if err != nil && (strings.Contains(err.Error(), "SQLSTATE") || len(err.Error()) > 300) {
					t.Errorf("not a text for a client: %q", err)
				}
			})
		}
	}
	// Nothing is there under a text that cannot be stored.
	lookups := map[string]func(text string) error{
		"Controller":       func(x string) error { _, err := s.Controller(ctx, x); return err },
		"ControllerByName": func(x string) error { _, err := s.ControllerByName(ctx, x); return err },
		"Cloud":            func(x string) error { _, err := s.Cloud(ctx, x); return err },
		"Credential":       func(x string) error { _, err := s.Credential(ctx, x, x, x); return err },
		"Model":            func(x string) error { _, err := s.Model(ctx, x); return err },
		"ModelByName":      func(x string) error { _, err := s.ModelByName(ctx, x, x); return err },
		"Identity":         func(x string) error { _, err := s.Identity(ctx, x); return err },
		"DeleteCloud":      func(x string) error { return s.DeleteCloud(ctx, x) },
		"DeleteController": func(x string) error { return s.DeleteController(ctx, x) },
		"DyingModel":       func(x string) error { return s.DyingModel(ctx, x, params.DestroyModelParams{}) },
	}
	for call, f := range lookups {
		for kind, text := range texts {
			t.Run(call+" with "+kind, func(t *testing.T) {
				err := f(text.text)
				if estate.CodeOf(err) == "" {
					t.Errorf("error %v has no code", err)
				}
			})
		}
	}
}

func TestADatabaseErrorIsNoClientsFault(t *testing.T) {
	s, _ := newStore(t)
	_, err := s.Pool().Exec(t.Context(), "drop table models cascade")
	check(t, err)
	_, err = s.Model(t.Context(), "x")
	var pgErr *pgconn.PgError
	if estate.CodeOf(err) != "" || !errors.As(err, &pgErr) {
		t.Errorf("error %v has code %q", err, estate.CodeOf(err))
	}
}

var _ estate.Store = (*postgres.Store)(nil)
