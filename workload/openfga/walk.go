package openfga

import (
	"context"

	"jimm/workload/estate"
)

// walkToObjects returns the ids of all objects of a kind that a user has a
// relation to, by following stored tuples from the user on. It takes more
// requests than asking the server for the list, and has no limit.
func (p *Permissions) walkToObjects(ctx context.Context, from asker, target place) ([]string, error) {
	w := walk{permissions: p, seen: map[estate.Subject]bool{}}
	leads := p.schema.leadsTo(target)

	user := parseSubject(from.name)
	w.visit(user)
	w.visit(estate.Subject{Object: estate.Object{Kind: estate.KindUser, ID: estate.EveryoneID}})
	for _, tuples := range from.contexts {
		for _, t := range tuples {
			w.visit(estate.Subject{Object: parseObject(t.Object), Relation: estate.Member})
		}
	}

	found := set{}
	for len(w.todo) > 0 {
		at := w.next()
		if at.Kind == target.kind && at.Relation == target.relation {
			found.add(at.ID)
		}
		for kind, relations := range p.schema {
			if err := w.toObjects(ctx, at, kind, relations, leads); err != nil {
				return nil, err
			}
		}
	}
	return found.ids(), nil
}

// toObjects visits what a subject has of objects of a kind.
func (w *walk) toObjects(ctx context.Context, at estate.Subject, kind estate.Kind, relations map[estate.Relation]definition, leads map[place]bool) error {
	granted := map[estate.Relation]bool{} // relations that a tuple of the subject may give
	links := map[estate.Relation][]estate.Relation{}
	for relation, d := range relations {
		if !leads[place{kind, relation}] {
			continue
		}
		if d.direct[at.Shape()] {
			granted[relation] = true
		}
		for _, implied := range d.implied {
			if kind == at.Kind && implied == at.Relation {
				w.visit(estate.Subject{Object: at.Object, Relation: relation})
			}
		}
		for _, from := range d.inherited {
			if from.relation == at.Relation && relations[from.link].direct[string(at.Kind)] {
				links[from.link] = append(links[from.link], relation)
			}
		}
	}
	if len(granted) > 0 {
		err := w.eachTuple(ctx, estate.TupleFilter{Subject: at, Object: estate.Object{Kind: kind}}, func(t estate.Tuple) {
			if granted[t.Relation] {
				w.visit(estate.Subject{Object: t.Object, Relation: t.Relation})
			}
		})
		if err != nil {
			return err
		}
	}
	for link, inheriting := range links {
		filter := estate.TupleFilter{Subject: estate.Subject{Object: at.Object}, Relation: link, Object: estate.Object{Kind: kind}}
		err := w.eachTuple(ctx, filter, func(t estate.Tuple) {
			for _, relation := range inheriting {
				w.visit(estate.Subject{Object: t.Object, Relation: relation})
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// walkToUsers returns the ids of all users that have a relation to an object,
// everyone among them, by following stored tuples from the object on.
func (p *Permissions) walkToUsers(ctx context.Context, object estate.Object, relation estate.Relation) ([]string, error) {
	w := walk{permissions: p, seen: map[estate.Subject]bool{}}
	w.visit(estate.Subject{Object: object, Relation: relation})
	found := set{}
	for len(w.todo) > 0 {
		at := w.next()
		if at.Relation == "" {
			if at.Kind == estate.KindUser {
				found.add(at.ID)
			}
			continue
		}
		d := p.schema[at.Kind][at.Relation]
		err := w.eachTuple(ctx, estate.TupleFilter{Relation: at.Relation, Object: at.Object}, func(t estate.Tuple) {
			if d.direct[t.Subject.Shape()] {
				w.visit(t.Subject)
			}
		})
		if err != nil {
			return nil, err
		}
		for _, implied := range d.implied {
			w.visit(estate.Subject{Object: at.Object, Relation: implied})
		}
		for _, from := range d.inherited {
			err := w.eachTuple(ctx, estate.TupleFilter{Relation: from.link, Object: at.Object}, func(t estate.Tuple) {
				if _, ok := p.schema[t.Subject.Kind][from.relation]; ok && t.Subject.Relation == "" {
					w.visit(estate.Subject{Object: t.Subject.Object, Relation: from.relation})
				}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return found.ids(), nil
}

// walk visits subjects, each once: objects, and all who have a relation to an
// object.
type walk struct {
	permissions *Permissions
	seen        map[estate.Subject]bool
	todo        []estate.Subject
}

func (w *walk) visit(s estate.Subject) {
	if !w.seen[s] {
		w.seen[s] = true
		w.todo = append(w.todo, s)
	}
}

func (w *walk) next() estate.Subject {
	s := w.todo[0]
	w.todo = w.todo[1:]
	return s
}

func (w *walk) eachTuple(ctx context.Context, filter estate.TupleFilter, use func(estate.Tuple)) error {
	for continuation := ""; ; {
		page, next, err := w.permissions.read(ctx, filter, maxPage, continuation)
		if err != nil {
			return err
		}
		for _, t := range page {
			use(t)
		}
		if next == "" {
			return nil
		}
		continuation = next
	}
}
