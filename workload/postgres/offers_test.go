package postgres_test

import (
	"testing"
	"time"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/postgres"
)

const offerUUID = "f0000000-0000-4000-8000-000000000001"

func hosted(m estate.Model) estate.Offer {
	return estate.Offer{
		ID: "offer-1", Name: "hosted", State: estate.OfferCreating, Admins: []string{alice}, Public: true,
		Model:     estate.Model{ID: m.ID, UUID: m.UUID, Owner: m.Owner, Name: m.Name, State: m.State, ControllerUUID: m.ControllerUUID},
		CreatedAt: noon, UpdatedAt: noon,
	}
}

func offerDetails(description string) params.ApplicationOfferAdminDetailsV5 {
	return params.ApplicationOfferAdminDetailsV5{
		ApplicationOfferDetailsV5: params.ApplicationOfferDetailsV5{
			OfferUUID: offerUUID, OfferName: "hosted", ApplicationDescription: description,
			Endpoints: []params.RemoteEndpoint{{Name: "sql", Role: "provider", Interface: "mysql"}},
		},
		ApplicationName: "db", CharmURL: "ch:amd64/db-1",
	}
}

func TestAnOfferLivesFromIntentToConfirmedEnd(t *testing.T) {
	s, clock := newStore(t)
	prepareModels(t, s)
	m := insertLive(t, s, 1)
	want := hosted(m)
	expect := func(step string) {
		t.Helper()
		got, err := s.OfferByName(t.Context(), m.Owner, m.Name, want.Name)
		check(t, err)
		equal(t, step, got, want)
	}
	check(t, s.InsertOffer(t.Context(), want))
	expect("inserted")
	wantCode(t, s.ReviveOffer(t.Context(), offerUUID), estate.CodeNotFound)
	wantCode(t, s.DyingOffer(t.Context(), offerUUID, false), estate.CodeNotFound)

	clock.advance(time.Second)
	check(t, s.CompleteOffer(t.Context(), want.ID, offerUUID, offerDetails("first")))
	want.State, want.UUID, want.Details, want.UpdatedAt = estate.OfferLive, offerUUID, offerDetails("first"), clock.Now()
	expect("completed")
	check(t, s.CompleteOffer(t.Context(), want.ID, offerUUID, offerDetails("first")))
	wantCode(t, s.CompleteOffer(t.Context(), want.ID, "f0000000-0000-4000-8000-000000000002", offerDetails("")), estate.CodeNotFound)
	wantCode(t, s.DeleteOffer(t.Context(), want.ID, estate.OfferCreating), estate.CodeNotFound)

	clock.advance(time.Second)
	check(t, s.SaveOffer(t.Context(), offerUUID, offerDetails("second \x00")))
	want.Details = offerDetails("second \uFFFD")
	expect("saved, which is no change of the offer")

	clock.advance(time.Second)
	check(t, s.DyingOffer(t.Context(), offerUUID, true))
	want.State, want.Force, want.UpdatedAt = estate.OfferDying, true, clock.Now()
	expect("dying")
	check(t, s.SaveOffer(t.Context(), offerUUID, offerDetails("third")))
	expect("dying, of which nothing is saved")

	clock.advance(time.Second)
	check(t, s.ReviveOffer(t.Context(), offerUUID))
	want.State, want.Force, want.UpdatedAt = estate.OfferLive, false, clock.Now()
	expect("revived")
	got, err := s.Offer(t.Context(), offerUUID)
	check(t, err)
	equal(t, "by UUID", got, want)

	check(t, s.DyingOffer(t.Context(), offerUUID, false))
	check(t, s.DeleteOffer(t.Context(), want.ID, estate.OfferDying))
	_, err = s.Offer(t.Context(), offerUUID)
	wantCode(t, err, estate.CodeNotFound)
}

func TestTheURLOfAnOfferIsUniqueInTheEstate(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	first, second := insertLive(t, s, 1), insertLive(t, s, 2)
	check(t, s.InsertOffer(t.Context(), hosted(first)))
	again := hosted(first)
	again.ID = "offer-2"
	wantCode(t, s.InsertOffer(t.Context(), again), estate.CodeAlreadyExists)
	elsewhere := hosted(second)
	elsewhere.ID = "offer-3"
	check(t, s.InsertOffer(t.Context(), elsewhere))
	check(t, s.CompleteOffer(t.Context(), "offer-1", offerUUID, offerDetails("")))
	wantCode(t, s.CompleteOffer(t.Context(), "offer-3", offerUUID, offerDetails("")), estate.CodeAlreadyExists)
	nowhere := hosted(first)
	nowhere.ID, nowhere.Model.ID = "offer-4", "no such"
	wantCode(t, s.InsertOffer(t.Context(), nowhere), estate.CodeNotFound)
	strange := hosted(first)
	strange.ID, strange.Name, strange.State = "offer-5", "strange", "strange"
	wantCode(t, s.InsertOffer(t.Context(), strange), estate.CodeNotValid)
}

func TestAModelDoesNotGoBeforeItsOffers(t *testing.T) {
	s, _ := newStore(t)
	prepareModels(t, s)
	m := insertLive(t, s, 1)
	check(t, s.InsertOffer(t.Context(), hosted(m)))
	wantCode(t, s.DeleteModel(t.Context(), m.ID, estate.ModelLive), estate.CodeStillAlive)
	check(t, s.DeleteOffer(t.Context(), "offer-1", estate.OfferCreating))
	check(t, s.DeleteModel(t.Context(), m.ID, estate.ModelLive))
}

func TestOffersAreListedByModelControllerAndAge(t *testing.T) {
	s, clock := newStore(t)
	prepareModels(t, s)
	first, second := insertLive(t, s, 1), insertLive(t, s, 2)
	insert := func(m estate.Model, id, name, uuid string) {
		o := hosted(m)
		o.ID, o.Name = id, name
		check(t, s.InsertOffer(t.Context(), o))
		if uuid != "" {
			check(t, s.CompleteOffer(t.Context(), id, uuid, offerDetails("")))
		}
	}
	const other = "f0000000-0000-4000-8000-000000000002"
	insert(second, "a", "one", offerUUID)
	insert(first, "b", "two", other)
	insert(first, "c", "being-made", "")
	check(t, s.SaveSummaries(t.Context(), green().UUID, []params.ModelSummary{{UUID: first.UUID, Name: "there", Qualifier: "admin"}}))
	expect := func(what, want string, offers []estate.Offer, err error) {
		t.Helper()
		check(t, err)
		got := ""
		for _, o := range offers {
			got += o.Model.Name + "." + o.Name + " "
		}
		equal(t, what, got, want)
	}
	list, err := s.Offers(t.Context(), nil)
	expect("all", "model-0001.two model-0002.one ", list, err)
	if m := list[0].Model; m.Summary.Name != "there" || m.Summary.Qualifier != "admin" {
		t.Errorf("its controller's name for the model is %q of %q", m.Summary.Name, m.Summary.Qualifier)
	}
	list, err = s.Offers(t.Context(), []string{offerUUID, "unknown"})
	expect("some", "model-0002.one ", list, err)
	list, err = s.Offers(t.Context(), []string{})
	expect("none", "", list, err)
	list, err = s.OffersOf(t.Context(), first.ID)
	expect("a model's", "model-0001.being-made model-0001.two ", list, err)
	list, err = s.OffersOn(t.Context(), green().UUID)
	expect("a controller's", "model-0001.being-made model-0001.two model-0002.one ", list, err)
	list, err = s.StaleOffers(t.Context(), estate.OfferCreating, noon.Add(time.Minute))
	expect("stale ones", "model-0001.being-made ", list, err)
	list, err = s.StaleOffers(t.Context(), estate.OfferCreating, noon)
	expect("stale ones, too early", "", list, err)
	clock.advance(time.Minute)
	check(t, s.DyingOffer(t.Context(), other, false))
	list, err = s.StaleOffers(t.Context(), estate.OfferDying, clock.Now().Add(time.Second))
	expect("stale dying ones", "model-0001.two ", list, err)
}

var _ estate.OfferStore = (*postgres.Store)(nil)
