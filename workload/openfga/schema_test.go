package openfga

import (
	"testing"

	fga "github.com/openfga/go-sdk"

	"jimm/workload/estate"
)

// subjects are those that every grant may be made to.
var subjects = []string{"user", "user:*", "group#member", "role#assignee", "idpgroup#member"}

func TestTheModelHasTheRelationsOfTheEstate(t *testing.T) {
	m, err := model()
	if err != nil {
		t.Fatal(err)
	}
	grants := map[estate.Kind][]estate.Relation{
		estate.KindController: {estate.Administrator, estate.AuditLogViewer, estate.CanAddModel},
		estate.KindCloud:      {estate.Administrator, estate.CanAddModel},
		estate.KindModel:      {estate.Administrator, estate.Writer, estate.Reader},
		estate.KindOffer:      {estate.Administrator, estate.Consumer, estate.Reader},
	}
	others := map[place][]string{
		{estate.KindGroup, estate.Member}:            {"user", "user:*", "group#member"},
		{estate.KindIdPGroup, estate.Member}:         {"user"},
		{estate.KindRole, estate.Assignee}:           {"user", "user:*", "group#member", "idpgroup#member"},
		{estate.KindController, estate.InController}: {"controller"},
		{estate.KindCloud, estate.InController}:      {"controller"},
		{estate.KindModel, estate.InController}:      {"controller"},
		{estate.KindOffer, estate.InModel}:           {"model"},
	}
	want := map[place][]string{}
	for kind, relations := range grants {
		for _, relation := range relations {
			want[place{kind, relation}] = subjects
		}
	}
	for at, shapes := range others {
		want[at] = shapes
	}
	found := 0
	for kind, relations := range m.schema {
		for relation, d := range relations {
			found++
			shapes, ok := want[place{kind, relation}]
			if !ok {
				t.Errorf("%s has a relation %s", kind, relation)
				continue
			}
			if len(d.direct) != len(shapes) {
				t.Errorf("%s of %s can be given to %v, want %v", relation, kind, d.direct, shapes)
			}
			for _, s := range shapes {
				if !d.direct[s] {
					t.Errorf("%s of %s cannot be given to %s", relation, kind, s)
				}
			}
		}
	}
	if found != len(want) {
		t.Errorf("the model has %d relations, want %d", found, len(want))
	}
	if _, ok := m.schema[estate.KindUser]; !ok || len(m.schema) != 8 {
		t.Errorf("the model has %d kinds, want 8 with user", len(m.schema))
	}
}

func TestAModelThatIsMoreThanUnionsIsNotUnderstood(t *testing.T) {
	this := fga.Userset{This: &map[string]any{}}
	for name, userset := range map[string]fga.Userset{
		"intersection": {Intersection: &fga.Usersets{Child: []fga.Userset{this, this}}},
		"difference":   {Difference: &fga.Difference{Base: this, Subtract: this}},
		"within":       {Union: &fga.Usersets{Child: []fga.Userset{this, {Intersection: &fga.Usersets{}}}}},
	} {
		if _, err := parseSchema("1.1", []fga.TypeDefinition{{Type: "model", Relations: &map[string]fga.Userset{"reader": userset}}}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := parseSchema("1.2", nil); err == nil {
		t.Error("another schema version: got no error")
	}
}
