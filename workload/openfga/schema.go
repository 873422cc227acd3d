package openfga

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	fga "github.com/openfga/go-sdk"

	"jimm/workload/estate"
)

//go:generate go run ./generate model.fga generated/model.json

//go:embed generated/model.json
var modelJSON []byte

// schema is the authorization model as far as we reason about it ourselves:
// to refuse what it does not know, to tell whether a server has it, and to
// complete lists that the server cuts (walk.go). Every relation is a union,
// which is why a permission is a chain from one subject to one object.
type schema map[estate.Kind]map[estate.Relation]definition

// definition is what makes up a relation.
type definition struct {
	// direct has the shapes of the subjects that a tuple may name: "user",
	// "user:*", "group#member".
	direct map[string]bool
	// implied are the relations to the same object that imply this one.
	implied []estate.Relation
	// inherited are the relations to another object that imply this one.
	inherited []inheritance
}

// inheritance is "relation from link" of OpenFGA's language.
type inheritance struct {
	relation, link estate.Relation
}

// model returns our authorization model and its schema.
var model = sync.OnceValues(func() (m struct {
	request fga.WriteAuthorizationModelRequest
	schema  schema
}, err error) {
	if err := json.Unmarshal(modelJSON, &m.request); err != nil {
		return m, err
	}
	m.schema, err = parseSchema(m.request.SchemaVersion, m.request.TypeDefinitions)
	return m, err
})

func parseSchema(version string, types []fga.TypeDefinition) (schema, error) {
	if version != "1.1" {
		return nil, fmt.Errorf("authorization model has schema version %q, not 1.1", version)
	}
	s := schema{}
	for _, t := range types {
		relations := map[estate.Relation]definition{}
		s[estate.Kind(t.Type)] = relations
		if t.Relations == nil {
			continue
		}
		for name, userset := range *t.Relations {
			d := definition{direct: map[string]bool{}}
			if err := d.add(userset); err != nil {
				return nil, fmt.Errorf("relation %s of %s: %w", name, t.Type, err)
			}
			metadata := t.Metadata.GetRelations()[name]
			for _, ref := range metadata.GetDirectlyRelatedUserTypes() {
				if ref.Condition != nil && *ref.Condition != "" {
					return nil, fmt.Errorf("relation %s of %s has a condition", name, t.Type)
				}
				shape := ref.Type
				switch {
				case ref.Wildcard != nil:
					shape += ":" + estate.EveryoneID
				case ref.Relation != nil && *ref.Relation != "":
					shape += "#" + *ref.Relation
				}
				d.direct[shape] = true
			}
			relations[estate.Relation(name)] = d
		}
	}
	return s, nil
}

func (d *definition) add(u fga.Userset) error {
	switch {
	case u.This != nil:
		return nil
	case u.ComputedUserset != nil:
		d.implied = append(d.implied, estate.Relation(u.ComputedUserset.GetRelation()))
		return nil
	case u.TupleToUserset != nil:
		d.inherited = append(d.inherited, inheritance{
			relation: estate.Relation(u.TupleToUserset.ComputedUserset.GetRelation()),
			link:     estate.Relation(u.TupleToUserset.Tupleset.GetRelation()),
		})
		return nil
	case u.Union != nil:
		for _, child := range u.Union.Child {
			if err := d.add(child); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("is not a union")
}

func (s schema) equal(other schema) bool { return reflect.DeepEqual(s, other) }

// Derive implements estate.Permissions.
func (p *Permissions) Derive(kind estate.Kind, relation estate.Relation) estate.Derivation {
	d := p.schema[kind][relation]
	derived := estate.Derivation{Direct: slices.Sorted(maps.Keys(d.direct)), Implied: slices.Clone(d.implied)}
	for _, from := range d.inherited {
		derived.Inherited = append(derived.Inherited, estate.Inheritance{Relation: from.relation, Link: from.link})
	}
	return derived
}

// place is a relation to objects of a kind, whichever object that is.
type place struct {
	kind     estate.Kind
	relation estate.Relation
}

// leadsTo returns the places from which a chain of tuples can reach target.
func (s schema) leadsTo(target place) map[place]bool {
	found := map[place]bool{target: true}
	for todo := []place{target}; len(todo) > 0; {
		at := todo[0]
		todo = todo[1:]
		var before []place
		d := s[at.kind][at.relation]
		for _, relation := range d.implied {
			before = append(before, place{at.kind, relation})
		}
		for _, from := range d.inherited {
			for kind := range s {
				if s[at.kind][from.link].direct[string(kind)] {
					before = append(before, place{kind, from.relation})
				}
			}
		}
		for kind, relations := range s {
			for relation := range relations {
				if d.direct[string(kind)+"#"+string(relation)] {
					before = append(before, place{kind, relation})
				}
			}
		}
		for _, p := range before {
			if _, ok := s[p.kind][p.relation]; ok && !found[p] {
				found[p] = true
				todo = append(todo, p)
			}
		}
	}
	return found
}
