//go:build integration

package day

import (
	"strings"
	"testing"
)

// connected is what juju offers says of an offer.
type connected struct {
	Application string         `json:"application"`
	Endpoints   map[string]any `json:"endpoints"`
	Connections []struct {
		Model    string `json:"source-model-uuid"`
		User     string `json:"username"`
		Endpoint string `json:"endpoint"`
		Status   struct {
			Current string `json:"current"`
			Message string `json:"message"`
		} `json:"status"`
	} `json:"connections"`
	Users map[string]struct {
		Access string `json:"access"`
	} `json:"users"`
}

// remote is what juju status says of offers and of what is consumed.
type remote struct {
	Consumed map[string]struct {
		URL    string `json:"url"`
		Status struct {
			Current string `json:"current"`
			Message string `json:"message"`
		} `json:"application-status"`
		Relations map[string][]string `json:"relations"`
	} `json:"application-endpoints"`
	Offers map[string]struct {
		Application string `json:"application"`
		Total       int    `json:"total-connected-count"`
		Active      int    `json:"active-connected-count"`
	} `json:"offers"`
}

// TestRelationsAcrossControllers has the model of one person relate to the
// application of another's, on another controller: both real, and in it no more
// than JIMM lets them.
func TestRelationsAcrossControllers(t *testing.T) {
	c := foundCompany(t)
	for _, g := range c.generations() {
		t.Run("with juju "+g.name, func(t *testing.T) {
			owner, friend := c.person(t, memberAlice, g.path), c.person(t, memberBob, g.path)
			c.logIn(owner, memberAlice).says()
			c.logIn(friend, memberBob).says()
			shop, web := "shop-"+strings.ReplaceAll(g.name, ".", ""), "web-"+strings.ReplaceAll(g.name, ".", "")
			offer := alice + "/" + shop + ".db"

			owner.juju("add-model", shop, "dev/east").says()
			owner.juju("deploy", c.charm, "db").says()
			owner.juju("offer", "db:db").says(`available at "` + offer + `"`)
			owner.juju("offer", "db:db").fails("already")
			owner.juju("offer", "db:nonsense", "other").fails()
			owner.juju("show-offer", offer).says(offer, "labdb", "provider")
			friend.juju("add-model", web, "dev/west").says()
			friend.juju("deploy", c.charm, "web").says()
			friend.juju("find-offers").says(offer, "read")
			friend.juju("find-offers", "--interface", "nonsense").omits(offer)
			friend.juju("show-offer", offer).says(offer, "read").omits(alice + ":")
			friend.juju("show-offer", alice+"/"+shop+".nonsense").fails("not found")
			friend.juju("remove-offer", "-y", offer).fails("permission denied")
			friend.juju("grant", bob, "consume", offer).fails("permission denied")

			friend.juju("consume", offer).fails("may find")
			owner.juju("grant", bob, "consume", offer).says()
			friend.juju("show-offer", offer).says("consume")
			friend.juju("consume", offer).says("Added " + offer + " as db")
			friend.juju("integrate", "web:src", "db").says()

			// The controller of the web asks that of the shop, which asks for the
			// word of JIMM, which it trusts.
			joined := owner.until(func(r *run) bool {
				return r.code == 0 && len(read[map[string]connected](r)["db"].Connections) > 0
			}, "offers", "--format", "json")
			connection := read[map[string]connected](joined)["db"].Connections[0]
			if connection.User != bob || connection.Endpoint != "db" {
				joined.fail("the connection is of %s to %s, want of %s to db", connection.User, connection.Endpoint, bob)
			}
			friend.until(func(r *run) bool {
				saas := read[remote](r).Consumed["db"]
				return strings.HasSuffix(saas.URL, offer) && saas.Status.Current != "" && saas.Status.Current != "unknown" && saas.Status.Current != "error" && len(saas.Relations["db"]) == 1
			}, "status", "--format", "json")
			offered := owner.juju("status", "--format", "json")
			if o := read[remote](offered).Offers["db"]; o.Application != "db" || o.Total != 1 {
				offered.fail("the offer is %+v, want one connected", o)
			}

			owner.juju("revoke", bob, "consume", offer).says()
			friend.juju("consume", offer, "again").fails("may find")
			owner.juju("remove-offer", "-y", offer).fails("")
			owner.juju("remove-offer", "-y", "--force", offer).says()
			friend.juju("find-offers").omits(offer)
			friend.juju("show-offer", offer).fails("not found")

			// Who has lost the right before the controllers ask does not get in.
			owner.juju("offer", "db:db", "late").says()
			late := alice + "/" + shop + ".late"
			owner.juju("grant", bob, "consume", late).says()
			friend.juju("consume", late).says()
			owner.juju("revoke", bob, "consume", late).says()
			friend.juju("integrate", "web:src", "late").says()
			friend.until(func(r *run) bool {
				saas := read[remote](r).Consumed["late"]
				return saas.Status.Current == "error" && strings.Contains(saas.Status.Message, "permission denied")
			}, "status", "--format", "json")
			refused := owner.juju("offers", "--format", "json")
			if n := len(read[map[string]connected](refused)["late"].Connections); n > 0 {
				refused.fail("%d are connected to the offer", n)
			}
			owner.juju("grant", bob, "consume", late).says()
			owner.until(func(r *run) bool {
				return r.code == 0 && len(read[map[string]connected](r)["late"].Connections) > 0
			}, "offers", "--format", "json")

			// What is offered on the controller itself, by its administrator, is
			// taken in.
			behind := alice + "/" + shop + ".behind"
			direct := c.direct(t, c.east, c.bin.Juju41)
			direct.juju("switch", alice+"/"+shop).says()
			direct.juju("offer", "db:src", "behind").says("available")
			friend.juju("show-offer", behind).fails("not found")
			if err := c.stack.Server.Estate.RefreshAllOffers(t.Context()); err != nil {
				t.Fatal(err)
			}
			owner.juju("show-offer", behind).says("requirer", "admin")
			friend.juju("show-offer", behind).fails("not found")
			owner.juju("grant", bob, "consume", behind).says()
			friend.juju("consume", behind).says()
			direct.juju("remove-offer", "-y", "admin/"+shop+".behind").fails("not found")
			direct.juju("remove-offer", "-y", behind).says()
			if err := c.stack.Server.Estate.RefreshAllOffers(t.Context()); err != nil {
				t.Fatal(err)
			}
			friend.juju("show-offer", behind).fails("not found")
		})
	}
}
