package estate

import "context"

// Kind is the type of an object in the authorization model (openfga/model.fga).
type Kind string

// The kinds of the authorization model, named as in Juju tags.
const (
	KindUser       Kind = "user"
	KindGroup      Kind = "group"
	KindIdPGroup   Kind = "idpgroup"
	KindRole       Kind = "role"
	KindController Kind = "controller"
	KindCloud      Kind = "cloud"
	KindModel      Kind = "model"
	KindOffer      Kind = "applicationoffer"
)

// Relation is a relation of the authorization model.
type Relation string

// The relations of the authorization model.
const (
	Member         Relation = "member"     // of a group or idpgroup
	Assignee       Relation = "assignee"   // of a role
	InController   Relation = "controller" // structure: what a controller, cloud or model belongs to
	InModel        Relation = "model"      // structure: the model of an offer
	Administrator  Relation = "administrator"
	AuditLogViewer Relation = "audit_log_viewer"
	CanAddModel    Relation = "can_addmodel"
	Writer         Relation = "writer"
	Reader         Relation = "reader"
	Consumer       Relation = "consumer"
)

// EveryoneID is the id that stands for every user, "user:*".
const EveryoneID = "*"

// Object is a thing in the authorization model. The id is a UUID for models,
// controllers, groups, roles and offers, the name for clouds, name@domain for
// users, and what the identity provider says for idpgroups.
type Object struct {
	Kind Kind
	ID   string
}

// String returns the object as OpenFGA writes it, "model:<uuid>".
func (o Object) String() string { return string(o.Kind) + ":" + o.ID }

// Subject is who a tuple gives something to: an object, or with Relation set
// all who have that relation to it ("group:<uuid>#member").
type Subject struct {
	Object
	Relation Relation
}

// String returns the subject as OpenFGA writes it.
func (s Subject) String() string {
	if s.Relation == "" {
		return s.Object.String()
	}
	return s.Object.String() + "#" + string(s.Relation)
}

// Tuple says that Subject has Relation to Object.
type Tuple struct {
	Subject  Subject
	Relation Relation
	Object   Object
}

// String returns the tuple in reading order.
func (t Tuple) String() string {
	return t.Subject.String() + " " + string(t.Relation) + " " + t.Object.String()
}

// TupleFilter picks tuples; zero fields match anything. OpenFGA wants an
// object kind whenever a subject or relation is given; Object.ID may be empty.
type TupleFilter struct {
	Subject  Subject
	Relation Relation
	Object   Object
}

// Permissions is the port to the relationship tuples, the only truth about who
// may do what. Errors are internal; a missing permission is not an error.
//
// Wherever a User asks, the groups it carries from the identity provider count
// as contextual tuples (user member idpgroup:<group>), which are never stored.
type Permissions interface {
	// Check reports whether u has relation to object, directly or derived.
	Check(ctx context.Context, u User, relation Relation, object Object) (bool, error)
	// CheckSubject is Check for any subject, such as group:<uuid>#member.
	CheckSubject(ctx context.Context, s Subject, relation Relation, object Object) (bool, error)
	// CheckEach answers many questions about one user in one round trip, or in
	// as few as the server allows; the results are in the order of the questions.
	CheckEach(ctx context.Context, u User, questions []Question) ([]bool, error)
	// ListObjects returns the ids of all objects of a kind that u has relation
	// to, unordered and never truncated.
	ListObjects(ctx context.Context, u User, relation Relation, kind Kind) ([]string, error)
	// ListUsers returns the ids of all users that have relation to object,
	// EveryoneID among them where that is granted.
	ListUsers(ctx context.Context, relation Relation, object Object) ([]string, error)
	// Read returns stored tuples, page by page; an empty continuation ends it.
	Read(ctx context.Context, filter TupleFilter, pageSize int, continuation string) (page []Tuple, next string, err error)
	// Derive returns what a relation to objects of a kind can come from; nothing
	// for one that there is not.
	Derive(kind Kind, relation Relation) Derivation
	// Changes returns tuples that were written or removed since continuation,
	// which an earlier call gave, in the order in which that happened; since a
	// moment ago for an empty one. There may be more while any are returned.
	Changes(ctx context.Context, continuation string) (changed []Tuple, next string, err error)
	// Write adds and removes tuples. Tuples that exist already or are gone
	// already are no error, so a write can be repeated. Up to 100 tuples are
	// one transaction.
	Write(ctx context.Context, add, remove []Tuple) error
}

// Derivation is what the authorization model says a relation can come from.
type Derivation struct {
	// Direct are the shapes of subjects that a tuple may give it to: "user",
	// "user:*", "group#member" (Subject.Shape).
	Direct []string
	// Implied are relations to the same object that imply it.
	Implied []Relation
	// Inherited are relations to another object, the subject of a tuple with the
	// relation Link, that imply it.
	Inherited []Inheritance
}

// Inheritance is "Relation from Link" in OpenFGA's language.
type Inheritance struct{ Relation, Link Relation }

// Shape returns what the authorization model calls subjects like this one.
func (s Subject) Shape() string {
	switch {
	case s.Relation != "":
		return string(s.Kind) + "#" + string(s.Relation)
	case s.ID == EveryoneID:
		return string(s.Kind) + ":" + EveryoneID
	}
	return string(s.Kind)
}

// Question is one check of CheckEach.
type Question struct {
	Relation Relation
	Object   Object
}
