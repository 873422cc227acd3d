package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/juju/juju/core/life"
	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/postgres"
)

const alice = "alice@example.com"

// prepareModels makes what a model refers to: alice, and the live controller
// green with the cloud aws.
func prepareModels(t testing.TB, s *postgres.Store) {
	t.Helper()
	check(t, s.EnsureIdentity(t.Context(), alice))
	check(t, s.InsertController(t.Context(), green()))
	check(t, s.SaveClouds(t.Context(), green().UUID, []estate.Cloud{aws()}, []estate.RegionController{
		serves("aws", "eu-west-1", green().UUID, estate.RegionDeployed),
	}))
}

func production() estate.Model {
	return estate.Model{
		ID: "id-1", Owner: alice, Name: "production", State: estate.ModelCreating, ControllerUUID: green().UUID,
		Cloud: "aws", Region: "eu-west-1", CreatedAt: noon, UpdatedAt: noon,
	}
}

const productionUUID = "d0000000-0000-4000-8000-000000000001"

// insertLive makes a model that is live.
func insertLive(t testing.TB, s *postgres.Store, n int) estate.Model {
	t.Helper()
	m := production()
	m.ID, m.Name, m.State, m.Type = fmt.Sprintf("id-%d", n), fmt.Sprintf("model-%04d", n), estate.ModelLive, "iaas"
	m.UUID = fmt.Sprintf("d0000000-0000-4000-8000-%012d", n)
	check(t, s.InsertModel(t.Context(), m))
	return m
}

func modelNames(models []estate.Model) string {
	var all []string
	for _, m := range models {
		all = append(all, m.Name)
	}
	return strings.Join(all, ",")
}

func TestAModelLivesFromIntentToConfirmedEnd(t *testing.T) {
	s, clock := newStore(t)
	prepareModels(t, s)
	check(t, s.InsertController(t.Context(), blue()))
	want := production()
	expect := func(step string) {
		t.Helper()
		got, err := s.ModelByName(t.Context(), want.Owner, want.Name)
		check(t, err)
		equal(t, step, got, want)
	}
	check(t, s.InsertModel(t.Context(), want))
	expect("inserted")

	clock.advance(time.Second)
	check(t, s.PlaceModel(t.Context(), want.ID, blue().UUID, "aws/"+alice+"/work", "us-east-1"))
	want.ControllerUUID, want.Credential, want.Region, want.UpdatedAt = blue().UUID, "aws/"+alice+"/work", "us-east-1", clock.Now()
	expect("placed")
	wantCode(t, s.PlaceModel(t.Context(), want.ID, "no such", "", ""), estate.CodeNotFound)

	clock.advance(time.Second)
	check(t, s.CompleteModel(t.Context(), want.ID, productionUUID, "iaas"))
	want.State, want.UUID, want.Type, want.UpdatedAt = estate.ModelLive, productionUUID, "iaas", clock.Now()
	expect("completed")
	wantCode(t, s.PlaceModel(t.Context(), want.ID, green().UUID, "", ""), estate.CodeModelNotFound)

	clock.advance(time.Second)
	force, wait := true, time.Minute
	destroy := params.DestroyModelParams{ModelTag: "model-" + productionUUID, Force: &force, MaxWait: &wait}
	check(t, s.DyingModel(t.Context(), productionUUID, destroy))
	want.State, want.Destroy, want.UpdatedAt = estate.ModelDying, &destroy, clock.Now()
	expect("dying")
	// A sweep that completes the creation late does not bring it back to life.
	check(t, s.CompleteModel(t.Context(), want.ID, productionUUID, "iaas"))
	expect("dying, completed once more")

	clock.advance(time.Second)
	check(t, s.ReviveModel(t.Context(), productionUUID))
	wantCode(t, s.ReviveModel(t.Context(), productionUUID), estate.CodeModelNotFound)
	want.State, want.Destroy, want.UpdatedAt = estate.ModelLive, nil, clock.Now()
	expect("revived")

	clock.advance(time.Second)
	check(t, s.SaveModelGone(t.Context(), productionUUID, noon))
	check(t, s.SaveModelCredential(t.Context(), productionUUID, ""))
	want.GoneSince, want.Credential, want.UpdatedAt = noon, "", clock.Now()
	expect("gone")
	check(t, s.SaveModelGone(t.Context(), productionUUID, time.Time{}))
	want.GoneSince = time.Time{}
	expect("there again")

	check(t, s.DyingModel(t.Context(), productionUUID, destroy))
	wantCode(t, s.DeleteModel(t.Context(), want.ID, estate.ModelCreating), estate.CodeModelNotFound)
	check(t, s.DeleteModel(t.Context(), want.ID, estate.ModelDying))
	_, err := s.Model(t.Context(), productionUUID)
	wantCode(t, err, estate.CodeModelNotFound)
}

func TestChangesOfAModelThatIsNotThereSayModelNotFound(t *testing.T) {
	s, _ := newStore(t)
	ctx := t.Context()
	for name, err := range map[string]error{
		"PlaceModel":          s.PlaceModel(ctx, "x", "x", "", ""),
		"CompleteModel":       s.CompleteModel(ctx, "x", "x", "iaas"),
		"DyingModel":          s.DyingModel(ctx, "x", params.DestroyModelParams{}),
		"ReviveModel":         s.ReviveModel(ctx, "x"),
		"DeleteModel":         s.DeleteModel(ctx, "x", estate.ModelDying),
		"SaveModelGone":       s.SaveModelGone(ctx, "x", noon),
		"SaveModelCredential": s.SaveModelCredential(ctx, "x", ""),
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, err, estate.CodeModelNotFound) })
	}
	_, err := s.ModelByName(ctx, alice, "x")
	wantCode(t, err, estate.CodeModelNotFound)
}

func TestAnOwnerHasAModelNameOnce(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	check(t, s.InsertModel(t.Context(), production()))
	again := production()
	again.ID = "id-2"
	wantCode(t, s.InsertModel(t.Context(), again), estate.CodeAlreadyExists)
	check(t, s.EnsureIdentity(t.Context(), "bob@example.com"))
	again.Owner = "bob@example.com"
	check(t, s.InsertModel(t.Context(), again))
	// Models that are being created have no UUID, all of them; then each its own.
	check(t, s.CompleteModel(t.Context(), "id-1", productionUUID, "iaas"))
	wantCode(t, s.CompleteModel(t.Context(), "id-2", productionUUID, "iaas"), estate.CodeAlreadyExists)
}

func TestAModelNeedsItsOwnerControllerAndCloud(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	for name, c := range map[string]struct {
		change func(*estate.Model)
		code   string
	}{
		"owner":                    {func(m *estate.Model) { m.Owner = "nobody@example.com" }, estate.CodeUserNotFound},
		"controller":               {func(m *estate.Model) { m.ControllerUUID = "no such" }, estate.CodeNotFound},
		"cloud":                    {func(m *estate.Model) { m.Cloud = "no such" }, estate.CodeNotFound},
		"state":                    {func(m *estate.Model) { m.State = "sleeping" }, estate.CodeNotValid},
		"UUID once it is no draft": {func(m *estate.Model) { m.State = estate.ModelLive }, estate.CodeNotValid},
	} {
		t.Run(name, func(t *testing.T) {
			m := production()
			c.change(&m)
			wantCode(t, s.InsertModel(t.Context(), m), c.code)
		})
	}
}

func TestModelsAreListed(t *testing.T) {
	s, clock := newStore(t)
	prepareModels(t, s)
	check(t, s.InsertController(t.Context(), blue()))
	check(t, s.InsertModel(t.Context(), production())) // creating
	two, one, three := insertLive(t, s, 2), insertLive(t, s, 11), insertLive(t, s, 3)
	check(t, s.SaveModelCredential(t.Context(), three.UUID, work().Path()))
	clock.advance(time.Hour)
	check(t, s.DyingModel(t.Context(), two.UUID, params.DestroyModelParams{}))
	elsewhere := production()
	elsewhere.ID, elsewhere.Name, elsewhere.ControllerUUID = "id-e", "elsewhere", blue().UUID
	check(t, s.InsertModel(t.Context(), elsewhere))

	for name, c := range map[string]struct {
		list func() ([]estate.Model, error)
		want string
	}{
		"all that were made": {func() ([]estate.Model, error) { return s.Models(t.Context(), nil) }, "model-0002,model-0003,model-0011"},
		"by UUID":            {func() ([]estate.Model, error) { return s.Models(t.Context(), []string{one.UUID, "no such", two.UUID}) }, "model-0002,model-0011"},
		"no UUIDs":           {func() ([]estate.Model, error) { return s.Models(t.Context(), []string{}) }, ""},
		"on a controller":    {func() ([]estate.Model, error) { return s.ModelsOn(t.Context(), green().UUID) }, "model-0002,model-0003,model-0011,production"},
		"with a credential":  {func() ([]estate.Model, error) { return s.ModelsUsing(t.Context(), work().Path()) }, "model-0003"},
		"without credential": {func() ([]estate.Model, error) { return s.ModelsUsing(t.Context(), "") }, ""},
		"stale drafts": {func() ([]estate.Model, error) {
			return s.StaleModels(t.Context(), estate.ModelCreating, noon.Add(time.Minute))
		}, "elsewhere,production"},
		"stale dying": {func() ([]estate.Model, error) {
			return s.StaleModels(t.Context(), estate.ModelDying, noon.Add(time.Minute))
		}, ""},
		"stale dying, later": {func() ([]estate.Model, error) {
			return s.StaleModels(t.Context(), estate.ModelDying, noon.Add(2*time.Hour))
		}, "model-0002"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.list()
			check(t, err)
			if name == "stale drafts" { // of one age: in any order
				if len(got) != 2 {
					t.Errorf("got %s, want %s", modelNames(got), c.want)
				}
				return
			}
			equal(t, "models", modelNames(got), c.want)
		})
	}
}

func summaryOf(m estate.Model, info string) params.ModelSummary {
	return params.ModelSummary{
		UUID: m.UUID, Name: m.Name, Qualifier: m.Owner, Type: "iaas", Life: life.Alive,
		CloudTag: "cloud-aws", Status: params.EntityStatus{Status: "available", Info: info, Since: &noon},
		Counts: []params.ModelEntityCount{{Entity: params.Machines, Count: 3}},
	}
}

func TestSummariesAreSavedForTheControllersOwnModels(t *testing.T) {
	s, clock := newStore(t)
	prepareModels(t, s)
	check(t, s.InsertController(t.Context(), blue()))
	mine, other := insertLive(t, s, 1), insertLive(t, s, 2)
	stranger := mine
	stranger.UUID = "not-ours"
	clock.advance(time.Hour)
	check(t, s.SaveSummaries(t.Context(), green().UUID, []params.ModelSummary{
		summaryOf(stranger, ""), summaryOf(mine, "tea\x00time"),
	}))
	// A controller that it has left still lists it.
	check(t, s.SaveSummaries(t.Context(), blue().UUID, []params.ModelSummary{summaryOf(mine, "old")}))
	check(t, s.SaveSummaries(t.Context(), blue().UUID, nil))

	got, err := s.Model(t.Context(), mine.UUID)
	check(t, err)
	want := mine
	want.Summary = summaryOf(mine, "tea\uFFFDtime")
	equal(t, "model with a summary", got, want)
	got, err = s.Model(t.Context(), other.UUID)
	check(t, err)
	equal(t, "model without", got, other)
}

func TestRefreshesOfOneControllerDoNotBlockEachOther(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	var forward, backward []params.ModelSummary
	for i := range 50 {
		m := insertLive(t, s, i)
		forward = append(forward, summaryOf(m, "forward"))
		backward = append([]params.ModelSummary{summaryOf(m, "backward")}, backward...)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 10 {
				list := forward
				if i%2 == 1 {
					list = backward
				}
				if err := s.SaveSummaries(t.Context(), green().UUID, list); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkStore(b *testing.B) {
	s, _ := newStore(b)
	prepareModels(b, s)
	var uuids []string
	var summaries []params.ModelSummary
	for i := range 1000 {
		m := insertLive(b, s, i)
		uuids = append(uuids, m.UUID)
		summaries = append(summaries, summaryOf(m, "ready"))
	}
	check(b, s.SaveSummaries(b.Context(), green().UUID, summaries))
	b.Run("Model", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Model(b.Context(), uuids[500]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Models of 1000", func(b *testing.B) {
		for b.Loop() {
			if got, err := s.Models(b.Context(), uuids); err != nil || len(got) != 1000 {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("SaveSummaries of 1000 unchanged", func(b *testing.B) {
		for b.Loop() {
			check(b, s.SaveSummaries(b.Context(), green().UUID, summaries))
		}
	})
	events := make([]estate.AuditEvent, 500)
	for i := range events {
		events[i] = estate.AuditEvent{Time: noon, ConversationID: "0123456789abcdef", MessageID: uint64(i), Facade: "Application",
			Method: "Deploy", Version: 20, User: alice, Model: productionUUID, Params: []byte(`{"redacted":true}`)}
	}
	b.Run("SaveAuditEvents of 500", func(b *testing.B) {
		for b.Loop() {
			check(b, s.SaveAuditEvents(b.Context(), events))
		}
	})
}
