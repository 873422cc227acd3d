package estate

import (
	"context"
	"strings"

	"github.com/juju/names/v6"
)

// RelationshipQuery says which tuples to list; empty fields match anything.
type RelationshipQuery struct {
	// Subject is a tag. The people of a group or role are meant also without
	// #member or #assignee.
	Subject  string
	Relation string
	// Target is a tag, or the kind of one alone. It has to be there whenever
	// Subject or Relation is.
	Target string
	// PageSize is 100 if it is not between 1 and 100.
	PageSize int
	// Continuation is what the page before gave.
	Continuation string
	// Resolve asks for names in place of UUIDs.
	Resolve bool
}

// RelationshipPage is a page of tuples.
type RelationshipPage struct {
	List []Relationship
	// Unknown are the tags in the list that keep their UUID, although names
	// were asked for, because what they are about is gone.
	Unknown []string
	// Continuation is empty after the last page.
	Continuation string
}

const maxRelationshipPage = 100

// ListRelations lists stored tuples, those between controllers, clouds, models
// and offers included. Needs administrator of JIMM. CodeTupleInvalid for what
// cannot be parsed, CodeBadRequest for a subject or relation without a target
// and for a continuation that is none, CodeNotFound for a name that nothing has.
// What is gone never fails a list: it is in it, by its UUID.
func (e *Estate) ListRelations(ctx context.Context, u User, q RelationshipQuery) (RelationshipPage, error) {
	if err := e.requireAdmin(ctx, u); err != nil {
		return RelationshipPage{}, err
	}
	filter, err := e.tupleFilter(ctx, q)
	if err != nil {
		return RelationshipPage{}, err
	}
	size := q.PageSize
	if size < 1 || size > maxRelationshipPage {
		size = maxRelationshipPage
	}
	tuples, next, err := e.Permissions.Read(ctx, filter, size, q.Continuation)
	if err != nil {
		return RelationshipPage{}, err
	}
	called := namer{estate: e}
	if q.Resolve {
		var objects []Object
		for _, t := range tuples {
			objects = append(objects, t.Subject.Object, t.Object)
		}
		if err := called.load(ctx, objects); err != nil {
			return RelationshipPage{}, err
		}
	}
	page := RelationshipPage{Continuation: next, List: make([]Relationship, len(tuples))}
	for i, t := range tuples {
		page.List[i] = called.relationship(t)
	}
	page.Unknown = called.unknown
	return page, nil
}

// tupleFilter resolves a query. Names have to be of something; UUIDs need not,
// so that what is left of something gone can be found.
func (e *Estate) tupleFilter(ctx context.Context, q RelationshipQuery) (TupleFilter, error) {
	var f TupleFilter
	if q.Target == "" {
		if q.Subject != "" || q.Relation != "" {
			return f, Errorf(CodeBadRequest, "name a target, too: a tag such as model-<uuid>, or a kind such as model")
		}
		return f, nil
	}
	if kind := Kind(strings.TrimSuffix(q.Target, "-")); tagKinds[kind] {
		f.Object.Kind = kind
	} else {
		tag, err := ParseTag(q.Target)
		if err != nil {
			return f, err
		}
		if tag.Relation != "" {
			return f, Errorf(CodeTupleInvalid, "%q: nothing may follow a target", clip(q.Target))
		}
		if f.Object, err = e.resolveTag(ctx, tag, true); err != nil {
			return f, err
		}
	}
	if q.Relation != "" {
		f.Relation = Relation(q.Relation)
		if !targetRelations[f.Object.Kind][f.Relation] && f.Relation != InController && f.Relation != InModel {
			return f, Errorf(CodeTupleInvalid, "%q is not a relation to a %s; there is %s", clip(q.Relation), f.Object.Kind, relationsTo(f.Object.Kind))
		}
	}
	if q.Subject == "" {
		return f, nil
	}
	tag, err := ParseTag(q.Subject)
	if err != nil {
		return f, err
	}
	if f.Subject.Object, err = e.resolveTag(ctx, tag, true); err != nil {
		return f, err
	}
	f.Subject.Relation = tag.Relation
	if tag.Relation == "" {
		f.Subject.Relation = subjectRelations[tag.Kind]
	}
	return f, nil
}

// namer writes tuples as people read them: with UUIDs, or with names once these
// have been loaded.
type namer struct {
	estate *Estate
	loaded bool
	names  map[Object]string
	// unknown are the tags of what was asked for and has no name, each once.
	unknown []string
}

// load looks up the names of all these, in one query for each kind.
func (n *namer) load(ctx context.Context, objects []Object) error {
	n.loaded, n.names = true, map[Object]string{}
	ids := map[Kind][]string{}
	for _, o := range objects {
		if _, ok := n.names[o]; !ok {
			n.names[o] = ""
			ids[o.Kind] = append(ids[o.Kind], o.ID)
		}
	}
	store := n.estate.Store
	if len(ids[KindModel]) > 0 {
		models, err := store.ListedModels(ctx, ids[KindModel], false)
		if err != nil {
			return err
		}
		for _, m := range models {
			n.names[Object{KindModel, m.UUID}] = m.Owner + "/" + m.Name
		}
	}
	if len(ids[KindOffer]) > 0 {
		offers, err := store.Offers(ctx, ids[KindOffer])
		if err != nil {
			return err
		}
		for _, o := range offers {
			n.names[o.Object()] = o.URL()
		}
	}
	if len(ids[KindController]) > 0 {
		controllers, err := store.Controllers(ctx, ControllerAdding, ControllerLive, ControllerRemoving)
		if err != nil {
			return err
		}
		for _, c := range controllers {
			n.names[c.Object()] = c.Name
		}
		n.names[n.estate.selfObject()] = ReservedControllerName
	}
	if sets := append(ids[KindGroup], ids[KindRole]...); len(sets) > 0 {
		found, err := store.UsersetsByUUID(ctx, sets)
		if err != nil {
			return err
		}
		for _, s := range found {
			n.names[s.Object()] = s.Name
		}
	}
	return nil
}

func (n *namer) relationship(t Tuple) Relationship {
	subject := n.tag(t.Subject.Object)
	if t.Subject.Relation != "" {
		subject += "#" + string(t.Subject.Relation)
	}
	return Relationship{Subject: subject, Relation: string(t.Relation), Target: n.tag(t.Object)}
}

// tag returns an object as a tag.
func (n *namer) tag(o Object) string {
	id := o.ID
	switch {
	case o.Kind == KindUser && id == EveryoneID:
		id = EveryoneUser
	case !n.loaded || o.Kind == KindUser || o.Kind == KindCloud || o.Kind == KindIdPGroup:
		// is called what it is
	case n.names[o] != "":
		id = n.names[o]
	default:
		tag := Tag{Kind: o.Kind, ID: id}.String()
		if _, asked := n.names[o]; asked {
			delete(n.names, o) // reported once
			n.unknown = append(n.unknown, tag)
		}
	}
	return Tag{Kind: o.Kind, ID: id}.String()
}

// AuditLogAccess gives a user access to the audit log, or takes away what was
// given so; doing it again is no error. Needs administrator of JIMM.
// CodeBadRequest for a name that is not one of a user of the estate.
func (e *Estate) AuditLogAccess(ctx context.Context, u User, name string, grant bool) error {
	if err := e.requireAdmin(ctx, u); err != nil {
		return err
	}
	if err := ValidateUser(name); err != nil {
		return err
	}
	name = spelling(name)
	tuple := []Tuple{{User{Name: name}.Subject(), AuditLogViewer, e.selfObject()}}
	if !grant {
		return e.Permissions.Write(ctx, nil, tuple)
	}
	if err := e.Store.EnsureIdentity(ctx, name); err != nil {
		return err
	}
	return e.Permissions.Write(ctx, tuple, nil)
}

// isUUID reports whether an id is a UUID: Juju's rule is the same for all it
// gives out.
func isUUID(id string) bool { return names.IsValidModel(id) }
