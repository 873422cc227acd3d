package estate_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jimm/workload/estate"
)

// happened is when the events of these tests did.
var happened = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const auditedModel = "b1f7e8d2-3c4a-4f5b-8a6d-7e8f9a0b1c2d"

// audited saves some events, of methods that tell them apart.
func audited(t *testing.T, w *world) {
	t.Helper()
	must(t, w.store.SaveAuditEvents(w.ctx, []estate.AuditEvent{
		{Time: happened, User: alice.Name, Facade: "ModelManager", Method: "First"},
		{Time: happened.Add(time.Hour), User: bob.Name, Facade: "Application", Method: "Second", Model: auditedModel, ModelName: "alice@example.com/shop"},
		{Time: happened.Add(2 * time.Hour), User: alice.Name, Facade: "Application", Method: "Third", Model: auditedModel, ModelName: "alice@example.com/shop"},
		{Time: happened.Add(3 * time.Hour), User: alice.Name, Facade: "Cloud", Method: "Fourth"},
	}))
}

func TestAuditEventsAreFoundByWhatIsKnownOfThem(t *testing.T) {
	w := newWorld(t)
	audited(t, w)
	for name, c := range map[string]struct {
		filter estate.AuditFilter
		want   []string
	}{
		"all, the oldest first":         {estate.AuditFilter{}, []string{"First", "Second", "Third", "Fourth"}},
		"all, the newest first":         {estate.AuditFilter{Newest: true}, []string{"Fourth", "Third", "Second", "First"}},
		"of a user":                     {estate.AuditFilter{User: bob.Name}, []string{"Second"}},
		"of a method":                   {estate.AuditFilter{Method: "Third"}, []string{"Third"}},
		"of a model by its UUID":        {estate.AuditFilter{Model: auditedModel}, []string{"Second", "Third"}},
		"of a model by its name":        {estate.AuditFilter{Model: "alice@example.com/shop"}, []string{"Second", "Third"}},
		"of a model that nobody has":    {estate.AuditFilter{Model: "alice@example.com/none"}, nil},
		"between two times":             {estate.AuditFilter{After: happened, Before: happened.Add(3 * time.Hour)}, []string{"Second", "Third"}},
		"a page":                        {estate.AuditFilter{Offset: 1, Limit: 2}, []string{"Second", "Third"}},
		"a page behind the last":        {estate.AuditFilter{Offset: 100}, nil},
		"more than are ever returned":   {estate.AuditFilter{Limit: 1 << 40}, []string{"First", "Second", "Third", "Fourth"}},
		"what somebody hopes SQL takes": {estate.AuditFilter{Method: "' or true --"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := w.FindAuditEvents(w.ctx, admin, c.filter)
			must(t, err)
			var got []string
			for _, e := range found {
				got = append(got, e.Method)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheAuditLogIsForThoseWhoMaySeeIt(t *testing.T) {
	w := newWorld(t)
	audited(t, w)
	if _, err := w.FindAuditEvents(w.ctx, bob, estate.AuditFilter{}); !estate.Is(err, estate.CodeUnauthorized) {
		t.Errorf("bob is told %v", err)
	}
	must(t, w.AddRelations(w.ctx, admin, []estate.Relationship{{Subject: "user-" + bob.Name, Relation: "audit_log_viewer", Target: "controller-jimm"}}))
	found, err := w.FindAuditEvents(w.ctx, bob, estate.AuditFilter{})
	if err != nil || len(found) != 4 {
		t.Errorf("with the right to, bob sees %d events, %v", len(found), err)
	}
	if _, err := w.PurgeAuditEvents(w.ctx, bob, happened.Add(time.Hour)); !estate.Is(err, estate.CodeUnauthorized) {
		t.Errorf("bob, who may only read, purges: %v", err)
	}
}

func TestQuestionsToTheAuditLogThatMakeNoSense(t *testing.T) {
	w := newWorld(t)
	for name, f := range map[string]estate.AuditFilter{
		"a negative limit":        {Limit: -1},
		"a negative offset":       {Offset: -1},
		"a model without a name":  {Model: "alice@example.com/"},
		"no model":                {Model: "shop"},
		"an end before its start": {After: happened, Before: happened.Add(-time.Second)},
	} {
		if _, err := w.FindAuditEvents(w.ctx, admin, f); !estate.Is(err, estate.CodeBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, before := range map[string]time.Time{"no date": {}, "a date to come": time.Now().Add(time.Hour)} {
		if _, err := w.PurgeAuditEvents(w.ctx, admin, before); !estate.Is(err, estate.CodeBadRequest) {
			t.Errorf("purge to %s: %v", name, err)
		}
	}
}

func TestOldAuditEventsArePurged(t *testing.T) {
	w := newWorld(t)
	audited(t, w)
	n, err := w.PurgeAuditEvents(w.ctx, admin, happened.Add(90*time.Minute))
	if err != nil || n != 2 {
		t.Fatalf("purged %d events, %v", n, err)
	}
	// More than are removed at once, and one that is to stay.
	var many []estate.AuditEvent
	for i := range 12_000 {
		many = append(many, estate.AuditEvent{Time: happened, Method: fmt.Sprintf("Old%d", i)})
	}
	now := happened.Add(48 * time.Hour)
	must(t, w.store.SaveAuditEvents(w.ctx, append(many, estate.AuditEvent{Time: now, Method: "New"})))
	w.Estate.Now = func() time.Time { return now }
	w.AuditRetention = 0
	must(t, w.ExpireAuditEvents(w.ctx))
	found, err := w.FindAuditEvents(w.ctx, admin, estate.AuditFilter{Limit: 1000})
	if err != nil || len(found) != 1000 {
		t.Fatalf("kept for ever, there are %d events, %v", len(found), err)
	}
	w.AuditRetention = 24 * time.Hour
	must(t, w.ExpireAuditEvents(w.ctx))
	found, err = w.FindAuditEvents(w.ctx, admin, estate.AuditFilter{})
	if err != nil || len(found) != 1 || found[0].Method != "New" {
		t.Errorf("kept for a day, there are %d events, %v", len(found), err)
	}
}
