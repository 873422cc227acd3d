package estate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-macaroon-bakery/macaroon-bakery/v3/bakery"
	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/estate"
	"jimm/workload/sim"
)

// shop is an estate with a model of alice's on a controller of each generation,
// with the application db, which provides sql.
func shop(t *testing.T) *world {
	w := twoGenerations(t)
	for _, controller := range []string{"c36", "c41"} {
		info := w.create(alice, "shop-"+controller, controller)
		must(t, w.sims[controller].Provide(info.UUID, "db", map[string]string{"sql": "mysql", "admin": "mysql-root"}))
	}
	return w
}

// eachGeneration runs a test for a shop on either controller.
func eachGeneration(t *testing.T, test func(t *testing.T, w *world, controller string)) {
	for _, controller := range []string{"c36", "c41"} {
		t.Run("on "+controller, func(t *testing.T) { test(t, shop(t), controller) })
	}
}

func (w *world) shopUUID(controller string) string {
	w.Helper()
	m, err := w.store.ModelByName(w.ctx, alice.Name, "shop-"+controller)
	must(w.T, err)
	return m.UUID
}

func (w *world) offer(controller, name string) error {
	return w.MakeOffer(w.ctx, alice, estate.OfferArgs{
		ModelUUID: w.shopUUID(controller), Name: name, Application: "db", Endpoints: map[string]string{"sql": "sql"},
	})
}

func offerURL(controller, name string) string {
	return alice.Name + "/shop-" + controller + "." + name
}

func (w *world) consume(u estate.User, url string) (params.ConsumeOfferDetails, error) {
	return w.ConsumeDetails(w.ctx, u, "", url, bakery.LatestVersion)
}

func (w *world) letConsume(url string) {
	w.Helper()
	must(w.T, w.ModifyOfferAccess(w.ctx, alice, url, estate.AccessChange{User: bob.Name, Grant: true, Access: estate.AccessConsume}))
}

// seenOffers is what a user finds in the whole estate: URL and access.
func (w *world) seenOffers(u estate.User) []string {
	w.Helper()
	found, err := w.FindOffers(w.ctx, u, []params.OfferFilter{{}})
	must(w.T, err)
	var list []string
	for _, d := range found {
		list = append(list, d.OfferURL+" "+d.Users[0].Access)
	}
	return list
}

func (w *world) wantOffers(u estate.User, want ...string) {
	w.Helper()
	if got := w.seenOffers(u); !slices.Equal(got, want) {
		w.Fatalf("%s finds %q, want %q", u.Name, got, want)
	}
}

func TestAnOfferIsFoundByAllAndConsumedByThoseWhoMay(t *testing.T) {
	eachGeneration(t, func(t *testing.T, w *world, controller string) {
		must(t, w.offer(controller, "hosted"))
		url := offerURL(controller, "hosted")
		w.wantOffers(bob, url+" read")
		w.wantOffers(alice, url+" admin")

		_, err := w.consume(bob, url)
		wantCode(t, err, estate.CodeUnauthorized)
		w.letConsume(url)
		got, err := w.consume(bob, url)
		must(t, err)
		on := w.sims[controller]
		if info := got.ControllerInfo; info == nil || info.ControllerTag != names.NewControllerTag(on.UUID()).String() ||
			!slices.Equal(info.Addrs, []string{on.Address()}) || info.CACert != on.CACert() {
			t.Errorf("its controller is said to be %+v, want %s at %s", got.ControllerInfo, on.UUID(), on.Address())
		}
		if got.Macaroon == nil || got.Offer.OfferURL != url || got.Offer.SourceModelTag != names.NewModelTag(w.shopUUID(controller)).String() ||
			len(got.Offer.Endpoints) != 1 || got.Offer.Endpoints[0].Interface != "mysql" {
			t.Errorf("the offer is %+v", got.Offer)
		}
		must(t, w.CheckConsumer(w.ctx, bob.Name, got.Offer.OfferUUID))

		must(t, w.ModifyOfferAccess(w.ctx, alice, url, estate.AccessChange{User: bob.Name, Access: estate.AccessConsume}))
		_, err = w.consume(bob, url)
		wantCode(t, err, estate.CodeUnauthorized)
		wantCode(t, w.CheckConsumer(w.ctx, bob.Name, got.Offer.OfferUUID), estate.CodeUnauthorized)
	})
}

func TestAnOfferIsHiddenFromThoseWhoMayNotReadIt(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	url := offerURL("c41", "hosted")
	must(t, w.ModifyOfferAccess(w.ctx, alice, url, estate.AccessChange{User: estate.EveryoneUser, Access: estate.AccessRead}))
	w.wantOffers(bob)
	_, showErr := w.ShowOffer(w.ctx, bob, url)
	wantCode(t, showErr, estate.CodeNotFound)
	_, consumeErr := w.consume(bob, url)
	wantCode(t, consumeErr, estate.CodeNotFound)
	wantCode(t, w.RemoveOffer(w.ctx, bob, url, true), estate.CodeNotFound)
	wantCode(t, w.ModifyOfferAccess(w.ctx, bob, url, estate.AccessChange{User: bob.Name, Grant: true, Access: estate.AccessAdmin}), estate.CodeNotFound)
	// The same as of what is not there.
	_, err := w.ShowOffer(w.ctx, bob, offerURL("c41", "other"))
	if strings.ReplaceAll(err.Error(), "other", "hosted") != showErr.Error() {
		t.Errorf("of an offer that is not there: %v, of a hidden one: %v", err, showErr)
	}
	for name, filter := range map[string]params.OfferFilter{
		"its model":          {ModelQualifier: alice.Name, ModelName: "shop-c41"},
		"a model not there":  {ModelQualifier: alice.Name, ModelName: "nothing"},
		"the whole estate":   {},
		"somebody's models":  {ModelQualifier: alice.Name},
		"a name, everywhere": {OfferName: "hosted"},
	} {
		if found, err := w.FindOffers(w.ctx, bob, []params.OfferFilter{filter}); err != nil || len(found) > 0 {
			t.Errorf("in %s bob finds %v, %v", name, found, err)
		}
	}
}

func TestOnlyAdministratorsOfAnOfferSeeItsUsers(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	url := offerURL("c41", "hosted")
	w.letConsume(url)
	shown := func(u estate.User) []string {
		d, err := w.ShowOffer(w.ctx, u, url)
		must(t, err)
		var list []string
		for _, user := range d.Users {
			list = append(list, user.UserName+" "+user.Access)
		}
		return list
	}
	if got, want := shown(bob), []string{"bob@example.com consume"}; !slices.Equal(got, want) {
		t.Errorf("bob is shown %q, want %q", got, want)
	}
	if got, want := shown(alice), []string{"admin@example.com admin", "alice@example.com admin", "bob@example.com consume", "everyone@external read"}; !slices.Equal(got, want) {
		t.Errorf("alice is shown %q, want %q", got, want)
	}
}

func TestOffersAreFilteredAsJujuDoes(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c36", "hosted"))
	must(t, w.offer("c41", "hosted"))
	must(t, w.MakeOffer(w.ctx, alice, estate.OfferArgs{ModelUUID: w.shopUUID("c41"), Name: "root", Application: "db", Endpoints: map[string]string{"admin": "admin"}, Description: "For the few."}))
	w.letConsume(offerURL("c41", "root"))
	on36, on41, root := offerURL("c36", "hosted"), offerURL("c41", "hosted"), offerURL("c41", "root")
	for name, test := range map[string]struct {
		filter params.OfferFilter
		want   []string
	}{
		"all":                     {params.OfferFilter{}, []string{on36, on41, root}},
		"of a model":              {params.OfferFilter{ModelName: "shop-c41"}, []string{on41, root}},
		"of a model of an owner":  {params.OfferFilter{ModelQualifier: alice.Name, ModelName: "shop-c36"}, []string{on36}},
		"of an owner":             {params.OfferFilter{ModelQualifier: alice.Name}, []string{on36, on41, root}},
		"of another owner":        {params.OfferFilter{ModelQualifier: bob.Name}, nil},
		"by name":                 {params.OfferFilter{OfferName: "root"}, []string{root}},
		"by name, as clients do":  {params.OfferFilter{OfferName: "^root$"}, []string{root}},
		"by part of a name":       {params.OfferFilter{OfferName: "host"}, nil},
		"by application":          {params.OfferFilter{ApplicationName: "db"}, []string{on36, on41, root}},
		"by another application":  {params.OfferFilter{ApplicationName: "web"}, nil},
		"by description":          {params.OfferFilter{ApplicationDescription: "the few"}, []string{root}},
		"by interface":            {params.OfferFilter{Endpoints: []params.EndpointFilterAttributes{{Interface: "mysql"}}}, []string{on36, on41}},
		"by either interface":     {params.OfferFilter{Endpoints: []params.EndpointFilterAttributes{{Interface: "mysql"}, {Name: "admin", Role: "provider"}}}, []string{on36, on41, root}},
		"by role and interface":   {params.OfferFilter{Endpoints: []params.EndpointFilterAttributes{{Interface: "mysql", Role: "requirer"}}}, nil},
		"by who may consume":      {params.OfferFilter{ModelName: "shop-c41", AllowedConsumerTags: []string{"user-bob@example.com"}}, []string{root}},
		"by who is connected":     {params.OfferFilter{ModelName: "shop-c41", ConnectedUserTags: []string{"user-bob@example.com"}}, nil},
		"by model and other name": {params.OfferFilter{ModelName: "shop-c36", OfferName: "root"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := w.FindOffers(w.ctx, alice, []params.OfferFilter{test.filter})
			must(t, err)
			var got []string
			for _, d := range found {
				got = append(got, d.OfferURL)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			// Any of several filters is enough, and nothing comes twice.
			again, err := w.FindOffers(w.ctx, alice, []params.OfferFilter{test.filter, test.filter})
			if err != nil || len(again) != len(found) {
				t.Errorf("twice the filter finds %d, %v, want %d", len(again), err, len(found))
			}
		})
	}
	for name, filters := range map[string][]params.OfferFilter{
		"no filter":          nil,
		"a bad pattern":      {{OfferName: "("}},
		"a bad user":         {{ModelName: "shop-c41", ConnectedUserTags: []string{"bob"}}},
		"too many":           make([]params.OfferFilter, 1001),
		"a list of no model": {{OfferName: "root"}},
	} {
		_, err := w.ListOffers(w.ctx, alice, filters)
		if !estate.Is(err, estate.CodeBadRequest) {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

func TestAListOfOffersAsksTheirControllerAndDoesWithoutIt(t *testing.T) {
	eachGeneration(t, func(t *testing.T, w *world, controller string) {
		must(t, w.offer(controller, "hosted"))
		must(t, w.offer(controller, "going"))
		must(t, w.sims[controller].RemoveOffer(w.shopUUID(controller), "going"))
		filter := []params.OfferFilter{{ModelQualifier: alice.Name, ModelName: "shop-" + controller}}
		found, err := w.ListOffers(w.ctx, alice, filter)
		must(t, err)
		if len(found) != 1 || found[0].OfferURL != offerURL(controller, "hosted") || found[0].ApplicationName != "db" || found[0].CharmURL == "" {
			t.Errorf("got %+v, want the offer that its controller still has", found)
		}
		w.sims[controller].Faults().Die()
		if found, err = w.ListOffers(w.ctx, alice, filter); err != nil || len(found) != 2 {
			t.Errorf("without the controller there are %v, %v", found, err)
		}
		if found, err = w.ListOffers(w.ctx, bob, filter); err != nil || len(found) != 2 || len(found[0].Users) != 1 {
			t.Errorf("for one who may only read there are %+v, %v", found, err)
		}
	})
}

func TestOffersThatMakeNoSenseAreRefused(t *testing.T) {
	w := shop(t)
	uuid := w.shopUUID("c41")
	good := estate.OfferArgs{ModelUUID: uuid, Name: "hosted", Application: "db", Endpoints: map[string]string{"sql": "sql"}}
	with := func(change func(*estate.OfferArgs)) estate.OfferArgs {
		args := good
		change(&args)
		return args
	}
	for name, test := range map[string]struct {
		who  estate.User
		args estate.OfferArgs
		code string
	}{
		"a name that is none":           {alice, with(func(a *estate.OfferArgs) { a.Name = "My Offer" }), estate.CodeBadRequest},
		"a name that is too long":       {alice, with(func(a *estate.OfferArgs) { a.Name = strings.Repeat("a", 300) }), estate.CodeBadRequest},
		"no application":                {alice, with(func(a *estate.OfferArgs) { a.Application = "" }), estate.CodeBadRequest},
		"an application that is none":   {alice, with(func(a *estate.OfferArgs) { a.Application = "a/b" }), estate.CodeBadRequest},
		"an unknown application":        {alice, with(func(a *estate.OfferArgs) { a.Application = "web" }), estate.CodeNotFound},
		"an unknown endpoint":           {alice, with(func(a *estate.OfferArgs) { a.Endpoints = map[string]string{"x": "x"} }), estate.CodeNotFound},
		"no endpoint":                   {alice, with(func(a *estate.OfferArgs) { a.Endpoints = nil }), estate.CodeBadRequest},
		"a model that is none":          {alice, with(func(a *estate.OfferArgs) { a.ModelUUID = "x" }), estate.CodeModelNotFound},
		"an unknown model":              {alice, with(func(a *estate.OfferArgs) { a.ModelUUID = w.NewUUID() }), estate.CodeModelNotFound},
		"another's model":               {bob, good, estate.CodeModelNotFound},
		"a local owner":                 {alice, with(func(a *estate.OfferArgs) { a.Owner = "bob" }), estate.CodeBadRequest},
		"an owner who may not offer it": {alice, with(func(a *estate.OfferArgs) { a.Owner = bob.Name }), estate.CodeNotValid},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, w.MakeOffer(w.ctx, test.who, test.args), test.code)
			left, err := w.store.OffersOn(w.ctx, w.sims["c41"].UUID())
			if err != nil || len(left) > 0 {
				t.Errorf("left is %v, %v", left, err)
			}
		})
	}
	must(t, w.MakeOffer(w.ctx, alice, good))
	wantCode(t, w.MakeOffer(w.ctx, alice, good), estate.CodeAlreadyExists)
	for name, url := range map[string]string{
		"nothing": "", "no model": "hosted", "no offer": "alice@example.com/shop-c41", "an endpoint": offerURL("c41", "hosted") + ":sql",
		"another controller": "blue:" + offerURL("c41", "hosted"), "too long": strings.Repeat("a", 2000) + ".b", "control characters": "a\x00b.c", "a path": "a/b/c.d",
	} {
		_, err := w.ShowOffer(w.ctx, alice, url)
		if code := estate.CodeOf(err); code != estate.CodeBadRequest && code != estate.CodeNotSupported {
			t.Errorf("%s gives %q, %v", name, code, err)
		}
	}
}

func TestAnOfferCanBeChangedWhereItsControllerCan(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c36", "hosted"))
	before, err := w.ShowOffer(w.ctx, alice, offerURL("c36", "hosted"))
	must(t, err)
	must(t, w.MakeOffer(w.ctx, alice, estate.OfferArgs{ModelUUID: w.shopUUID("c36"), Name: "hosted", Application: "db", Endpoints: map[string]string{"admin": "admin"}}))
	after, err := w.ShowOffer(w.ctx, alice, offerURL("c36", "hosted"))
	must(t, err)
	if after.OfferUUID != before.OfferUUID || len(after.Endpoints) != 1 || after.Endpoints[0].Name != "admin" {
		t.Errorf("it was %+v and is %+v", before, after)
	}
}

func TestAnOffersOwnerAdministersIt(t *testing.T) {
	w := shop(t)
	uuid := w.shopUUID("c41")
	must(t, w.ModifyModelAccess(w.ctx, alice, uuid, estate.AccessChange{User: bob.Name, Grant: true, Access: estate.AccessAdmin}))
	must(t, w.MakeOffer(w.ctx, alice, estate.OfferArgs{ModelUUID: uuid, Application: "db", Endpoints: map[string]string{"sql": "sql"}, Owner: bob.Name}))
	must(t, w.ModifyModelAccess(w.ctx, alice, uuid, estate.AccessChange{User: bob.Name, Access: estate.AccessRead}))
	w.wantOffers(bob, offerURL("c41", "db")+" admin")
	// For the controller it takes an administrator of the model, for us not.
	must(t, w.RemoveOffer(w.ctx, bob, offerURL("c41", "db"), false))
	w.wantOffers(alice)
}

func TestAnAdministratorOfJIMMAsksForAnotherConsumer(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	url := offerURL("c41", "hosted")
	ask := func(u estate.User, consumer string) error {
		_, err := w.ConsumeDetails(w.ctx, u, consumer, url, bakery.LatestVersion)
		return err
	}
	wantCode(t, ask(alice, bob.Name), estate.CodeUnauthorized)
	wantCode(t, ask(admin, bob.Name), estate.CodeUnauthorized)
	wantCode(t, ask(admin, "bob"), estate.CodeBadRequest)
	w.letConsume(url)
	must(t, ask(admin, bob.Name))
	must(t, ask(bob, bob.Name))
}

func TestConsumersAreNotToldNonsense(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	must(t, w.offer("c41", "other"))
	url := offerURL("c41", "hosted")
	w.letConsume(url)
	c := w.sims["c41"]
	t.Run("the controller does not answer", func(t *testing.T) {
		c.Faults().Die()
		_, err := w.consume(bob, url)
		wantCode(t, err, estate.CodeConnectionFailed)
		must(t, c.Faults().Accept())
	})
	t.Run("it fails", func(t *testing.T) {
		c.Faults().Fail("ApplicationOffers.GetConsumeDetails", "", "no more room", 1)
		if _, err := w.consume(bob, url); err == nil || !strings.Contains(err.Error(), "no more room") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("it says there is none, but there is", func(t *testing.T) {
		c.Faults().Fail("ApplicationOffers.GetConsumeDetails", "not found", "application offer not found", 1)
		_, err := w.consume(bob, url)
		wantCode(t, err, estate.CodeNotFound)
		_, err = w.consume(bob, url)
		must(t, err)
	})
	t.Run("it went with its application", func(t *testing.T) {
		before, err := w.ShowOffer(w.ctx, alice, url)
		must(t, err)
		must(t, c.RemoveOffer(w.shopUUID("c41"), "hosted"))
		_, err = w.consume(bob, url)
		wantCode(t, err, estate.CodeNotFound)
		if left := w.tuples(estate.Object{Kind: estate.KindOffer, ID: before.OfferUUID}); len(left) > 0 {
			t.Errorf("tuples are left: %v", left)
		}
		w.wantOffers(alice, offerURL("c41", "other")+" admin")
	})
	t.Run("another is in its place", func(t *testing.T) {
		other := offerURL("c41", "other")
		w.letConsume(other)
		must(t, c.RemoveOffer(w.shopUUID("c41"), "other"))
		must(t, c.AddOffer(w.shopUUID("c41"), "other", "db", "admin"))
		if _, err := w.consume(bob, other); err == nil {
			t.Error("bob may consume what nobody gave him")
		}
	})
}

func TestLocalUsersAreToldNothingOfOffers(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	d, err := w.ShowOffer(w.ctx, alice, offerURL("c41", "hosted"))
	must(t, err)
	wantCode(t, w.CheckConsumer(w.ctx, "admin", d.OfferUUID), estate.CodeUnauthorized)
	wantCode(t, w.CheckConsumer(w.ctx, alice.Name, "nonsense"), estate.CodeBadRequest)
	wantCode(t, w.CheckConsumer(w.ctx, alice.Name, w.NewUUID()), estate.CodeUnauthorized)
	must(t, w.CheckConsumer(w.ctx, alice.Name, d.OfferUUID))
}

func TestAnOfferNobodyKnowsOfIsSettled(t *testing.T) {
	for name, test := range map[string]struct {
		fault func(*sim.Controller)
		code  string
		made  bool
	}{
		"the connection broke before it was made": {func(c *sim.Controller) { c.Faults().DropBefore("ApplicationOffers.Offer", 1) }, estate.CodeConnectionFailed, false},
		"the connection broke after it was made":  {func(c *sim.Controller) { c.Faults().DropAfter("ApplicationOffers.Offer", 1) }, "", true},
		"nobody can tell, and it was made": {func(c *sim.Controller) {
			c.Faults().DropAfter("ApplicationOffers.Offer", 1)
			c.Faults().Fail("ApplicationOffers.ListApplicationOffers", "", "busy", 1)
		}, estate.CodeConnectionFailed, true},
		"nobody can tell, and it was not made": {func(c *sim.Controller) {
			c.Faults().DropBefore("ApplicationOffers.Offer", 1)
			c.Faults().Fail("ApplicationOffers.ListApplicationOffers", "", "busy", 1)
		}, estate.CodeConnectionFailed, false},
		"the controller does not say its UUID": {func(c *sim.Controller) {
			c.Faults().Fail("ApplicationOffers.ListApplicationOffers", "", "busy", 1)
		}, estate.CodeConnectionFailed, true},
	} {
		t.Run(name, func(t *testing.T) {
			eachGeneration(t, func(t *testing.T, w *world, controller string) {
				test.fault(w.sims[controller])
				err := w.offer(controller, "hosted")
				if test.code == "" {
					must(t, err)
				} else {
					wantCode(t, err, test.code)
				}
				must(t, w.Sweep(w.ctx))
				if !test.made {
					w.wantOffers(alice)
					must(t, w.offer(controller, "hosted"))
				}
				w.letConsume(offerURL(controller, "hosted"))
				_, err = w.consume(bob, offerURL(controller, "hosted"))
				must(t, err)
			})
		})
	}
}

func TestAnOfferThatDiesAnywhereIsFinishedOrUndone(t *testing.T) {
	for _, step := range []string{"offer inserted", "offer made", "offer tuples written"} {
		t.Run(step, func(t *testing.T) {
			w := shop(t)
			if !w.dieAt(step, func() { _ = w.offer("c41", "hosted") }) {
				t.Fatal("the step is not reached")
			}
			w.wantOffers(alice)
			// Who comes later settles it, like the sweep.
			err := w.offer("c41", "hosted")
			if err != nil {
				wantCode(t, err, estate.CodeAlreadyExists)
			}
			must(t, w.Sweep(w.ctx))
			w.wantOffers(alice, offerURL("c41", "hosted")+" admin")
			w.wantOffers(bob, offerURL("c41", "hosted")+" read")
		})
	}
}

func TestARemovalOfAnOfferThatDiesAnywhereIsFinished(t *testing.T) {
	for _, step := range []string{"offer dying", "offer remove sent", "offer gone", "offer tuples removed"} {
		t.Run(step, func(t *testing.T) {
			w := shop(t)
			must(t, w.offer("c41", "hosted"))
			d, err := w.ShowOffer(w.ctx, alice, offerURL("c41", "hosted"))
			must(t, err)
			if !w.dieAt(step, func() { _ = w.RemoveOffer(w.ctx, alice, offerURL("c41", "hosted"), false) }) {
				t.Fatal("the step is not reached")
			}
			must(t, w.Sweep(w.ctx))
			if _, err := w.store.Offer(w.ctx, d.OfferUUID); !estate.Is(err, estate.CodeNotFound) {
				t.Errorf("it is still there: %v", err)
			}
			if left := w.tuples(estate.Object{Kind: estate.KindOffer, ID: d.OfferUUID}); len(left) > 0 {
				t.Errorf("tuples are left: %v", left)
			}
			must(t, w.offer("c41", "hosted"))
		})
	}
}

func TestARemovalThatIsRefusedLeavesTheOffer(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	url := offerURL("c41", "hosted")
	for _, code := range []string{"", "bad request"} {
		w.sims["c41"].Faults().Fail("ApplicationOffers.DestroyOffers", code, "it is in use", 1)
		err := w.RemoveOffer(w.ctx, alice, url, false)
		if err == nil || !strings.Contains(err.Error(), "it is in use") {
			t.Errorf("got %v", err)
		}
		o, err := w.store.OfferByName(w.ctx, alice.Name, "shop-c41", "hosted")
		if err != nil || o.State != estate.OfferLive {
			t.Errorf("the offer is %s, %v", o.State, err)
		}
	}
	w.letConsume(url)
	wantCode(t, w.RemoveOffer(w.ctx, bob, url, true), estate.CodeUnauthorized)
	w.sims["c41"].Faults().Die()
	wantCode(t, w.RemoveOffer(w.ctx, alice, url, true), estate.CodeConnectionFailed)
	must(t, w.sims["c41"].Faults().Accept())
	must(t, w.Sweep(w.ctx)) // remembers
	w.wantOffers(alice)
}

func TestAnOfferThatIsGoneCanBeRemoved(t *testing.T) {
	eachGeneration(t, func(t *testing.T, w *world, controller string) {
		must(t, w.offer(controller, "hosted"))
		must(t, w.sims[controller].RemoveOffer(w.shopUUID(controller), "hosted"))
		must(t, w.RemoveOffer(w.ctx, alice, offerURL(controller, "hosted"), false))
		w.wantOffers(alice)
	})
}

func TestOffersGoWithTheirModel(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	d, err := w.ShowOffer(w.ctx, alice, offerURL("c41", "hosted"))
	must(t, err)
	uuid := w.shopUUID("c41")
	must(t, w.destroy(alice, uuid))
	eventually(t, "the model leaves the list", func() bool {
		_, err := w.ModelStatus(w.ctx, alice, uuid)
		return estate.Is(err, estate.CodeModelNotFound)
	})
	w.wantOffers(alice)
	if left := w.tuples(estate.Object{Kind: estate.KindOffer, ID: d.OfferUUID}); len(left) > 0 {
		t.Errorf("tuples are left: %v", left)
	}
	must(t, w.offer("c36", "hosted"))
	_, err = w.RemoveController(w.ctx, admin, "c36", true)
	must(t, err)
	w.wantOffers(alice)
}

func TestWhatHappensToOffersOnTheirControllerIsSeen(t *testing.T) {
	eachGeneration(t, func(t *testing.T, w *world, controller string) {
		ctx := w.ctx
		c, err := w.store.ControllerByName(ctx, controller)
		must(t, err)
		on, uuid := w.sims[controller], w.shopUUID(controller)
		must(t, w.offer(controller, "hosted"))
		must(t, w.offer(controller, "going"))
		gone, err := w.ShowOffer(ctx, alice, offerURL(controller, "going"))
		must(t, err)
		must(t, on.RemoveOffer(uuid, "going"))
		must(t, on.AddOffer(uuid, "coming", "db", "admin"))
		must(t, w.RefreshAllOffers(ctx))
		w.wantOffers(alice, offerURL(controller, "coming")+" admin", offerURL(controller, "hosted")+" admin")
		// What was made without us is for the model's people.
		w.wantOffers(bob, offerURL(controller, "hosted")+" read")
		if left := w.tuples(estate.Object{Kind: estate.KindOffer, ID: gone.OfferUUID}); len(left) > 0 {
			t.Errorf("tuples are left: %v", left)
		}
		on.Faults().Fail("ApplicationOffers.FindApplicationOffers", "", "busy", 1)
		if err := w.RefreshOffers(ctx, c); err == nil {
			t.Error("a controller that does not say is no error")
		}
		w.wantOffers(alice, offerURL(controller, "coming")+" admin", offerURL(controller, "hosted")+" admin")
	})
}

func TestAnOfferIsGivenByItsURL(t *testing.T) {
	w := shop(t)
	must(t, w.offer("c41", "hosted"))
	give := func(target string) error {
		return w.AddRelations(w.ctx, alice, []estate.Relationship{{Subject: "user-bob@example.com", Relation: "consumer", Target: target}})
	}
	must(t, give("applicationoffer-"+offerURL("c41", "hosted")))
	w.wantOffers(bob, offerURL("c41", "hosted")+" consume")
	if err := give("applicationoffer-" + offerURL("c41", "other")); err == nil {
		t.Error("an offer that is not there is given")
	}
	_, err := w.CheckRelation(w.ctx, admin, estate.Relationship{Subject: "user-bob@example.com", Relation: "consumer", Target: "applicationoffer-nonsense"})
	wantCode(t, err, estate.CodeTupleInvalid)
}
