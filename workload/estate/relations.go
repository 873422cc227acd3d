package estate

import (
	"context"
	"slices"
	"strings"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/crossmodel"
)

// Relationship is a tuple as people write it.
type Relationship struct {
	// Subject is who: a tag, with #member or #assignee for a group's or role's people.
	Subject  string
	Relation string
	// Target is what, a tag.
	Target string
}

// AddRelations writes tuples. Needs administrator of JIMM, or of every target.
// CodeTupleInvalid for what cannot be parsed, CodeNotFound for what is not there.
func (e *Estate) AddRelations(ctx context.Context, u User, list []Relationship) error {
	tuples, err := e.resolveFor(ctx, u, list)
	if err != nil {
		return err
	}
	for _, t := range tuples {
		if t.Subject.Kind == KindUser && t.Subject.ID != EveryoneID {
			if err := e.Store.EnsureIdentity(ctx, t.Subject.ID); err != nil {
				return err
			}
		}
	}
	return e.Permissions.Write(ctx, tuples, nil)
}

// RemoveRelations removes tuples, with the same rules; that one is not there
// is no error.
func (e *Estate) RemoveRelations(ctx context.Context, u User, list []Relationship) error {
	tuples, err := e.resolveFor(ctx, u, list)
	if err != nil {
		return err
	}
	return e.Permissions.Write(ctx, nil, tuples)
}

// CheckRelation answers whether a subject has a relation to a target. Needs
// administrator of JIMM or of the target, or to be the subject.
func (e *Estate) CheckRelation(ctx context.Context, u User, r Relationship) (bool, error) {
	t, err := e.resolve(ctx, r)
	if err != nil {
		return false, err
	}
	if t.Subject == u.Subject() {
		return e.Permissions.Check(ctx, u, t.Relation, t.Object)
	}
	if err := e.mayRelate(ctx, u, []Tuple{t}); err != nil {
		return false, err
	}
	return e.Permissions.CheckSubject(ctx, t.Subject, t.Relation, t.Object)
}

// resolveFor resolves all, and checks that u may write them.
func (e *Estate) resolveFor(ctx context.Context, u User, list []Relationship) ([]Tuple, error) {
	if len(list) == 0 {
		return nil, Errorf(CodeBadRequest, "no relation given")
	}
	admin, err := e.IsAdmin(ctx, u)
	if err != nil {
		return nil, err
	}
	tuples := make([]Tuple, len(list))
	for i, r := range list {
		tuples[i], err = e.resolve(ctx, r)
		switch {
		case Is(err, CodeNotFound) && !admin:
			return nil, errPermission // who may not see it learns nothing
		case err != nil:
			return nil, err
		}
	}
	if admin {
		return tuples, nil
	}
	return tuples, e.mayRelate(ctx, u, tuples)
}

// mayRelate checks that u administers every target.
func (e *Estate) mayRelate(ctx context.Context, u User, tuples []Tuple) error {
	questions := make([]Question, len(tuples))
	for i, t := range tuples {
		questions[i] = Question{Administrator, t.Object}
		switch t.Object.Kind {
		case KindController, KindCloud, KindModel, KindOffer:
		default: // groups and roles are JIMM's administrators' alone
			questions[i].Object = e.selfObject()
		}
	}
	has, err := e.Permissions.CheckEach(ctx, u, questions)
	if err != nil {
		return err
	}
	for _, ok := range has {
		if !ok {
			return errPermission
		}
	}
	return nil
}

// targetRelations are the relations that people may write, by kind of target.
var targetRelations = map[Kind]map[Relation]bool{
	KindController: {Administrator: true, AuditLogViewer: true, CanAddModel: true},
	KindCloud:      {Administrator: true, CanAddModel: true},
	KindModel:      {Administrator: true, Writer: true, Reader: true},
	KindOffer:      {Administrator: true, Consumer: true, Reader: true},
	KindGroup:      {Member: true},
	KindRole:       {Assignee: true},
}

// subjectRelations are what may follow # in a subject; "" is the thing itself.
var subjectRelations = map[Kind]Relation{
	KindUser: "", KindGroup: Member, KindIdPGroup: Member, KindRole: Assignee,
}

func (e *Estate) resolve(ctx context.Context, r Relationship) (Tuple, error) {
	subjectTag, err := ParseTag(r.Subject)
	if err != nil {
		return Tuple{}, err
	}
	targetTag, err := ParseTag(r.Target)
	if err != nil {
		return Tuple{}, err
	}
	want, ok := subjectRelations[subjectTag.Kind]
	if !ok {
		return Tuple{}, Errorf(CodeTupleInvalid, "a %s cannot be given anything: name a user, group, idpgroup or role", subjectTag.Kind)
	}
	if subjectTag.Relation != want {
		if want == "" {
			return Tuple{}, Errorf(CodeTupleInvalid, "%q: nothing may follow a user", r.Subject)
		}
		return Tuple{}, Errorf(CodeTupleInvalid, "%q: write %s-%s#%s", clip(r.Subject), subjectTag.Kind, subjectTag.ID, want)
	}
	relation := Relation(r.Relation)
	if targetTag.Relation != "" || !targetRelations[targetTag.Kind][relation] {
		var allowed []string
		for known := range targetRelations[targetTag.Kind] {
			allowed = append(allowed, string(known))
		}
		return Tuple{}, Errorf(CodeTupleInvalid, "%q is not a relation to %q; there is %s", clip(r.Relation), clip(r.Target), listed(allowed))
	}
	subject, err := e.resolveTag(ctx, subjectTag)
	if err != nil {
		return Tuple{}, err
	}
	target, err := e.resolveTag(ctx, targetTag)
	if err != nil {
		return Tuple{}, err
	}
	return Tuple{Subject{subject, subjectTag.Relation}, relation, target}, nil
}

// resolveTag finds what a tag names. CodeNotFound if it is not there.
func (e *Estate) resolveTag(ctx context.Context, t Tag) (Object, error) {
	if err := t.validateID(); err != nil {
		return Object{}, err
	}
	notFound := Errorf(CodeNotFound, "%s not found", t)
	found := func(id string, err error) (Object, error) {
		if Is(err, CodeNotFound) || Is(err, CodeModelNotFound) {
			return Object{}, notFound
		}
		return Object{t.Kind, id}, err
	}
	switch t.Kind {
	case KindUser:
		if t.ID == EveryoneUser {
			return Object{KindUser, EveryoneID}, nil
		}
		return Object{KindUser, t.ID}, nil
	case KindIdPGroup:
		return Object{KindIdPGroup, t.ID}, nil
	case KindController:
		if t.ID == ReservedControllerName || t.ID == e.UUID {
			return e.selfObject(), nil
		}
		if names.IsValidController(t.ID) {
			c, err := e.Store.Controller(ctx, t.ID)
			return found(c.UUID, err)
		}
		c, err := e.Store.ControllerByName(ctx, t.ID)
		return found(c.UUID, err)
	case KindCloud:
		c, err := e.Store.Cloud(ctx, t.ID)
		return found(c.Name, err)
	case KindModel:
		if names.IsValidModel(t.ID) {
			m, err := e.Store.Model(ctx, t.ID)
			return found(m.UUID, err)
		}
		owner, name, ok := strings.Cut(t.ID, "/")
		if !ok {
			return Object{}, Errorf(CodeTupleInvalid, "%q: write model-<uuid> or model-<owner>/<name>", t.String())
		}
		m, err := e.Store.ModelByName(ctx, owner, name)
		if err == nil && m.UUID == "" {
			return Object{}, notFound
		}
		return found(m.UUID, err)
	case KindOffer:
		if names.IsValidApplicationOffer(t.ID) {
			o, err := e.Store.Offer(ctx, t.ID)
			return found(o.UUID, err)
		}
		url, err := crossmodel.ParseOfferURL(t.ID)
		if err != nil || url.ModelQualifier == "" || url.Source != "" || url.HasEndpoint() {
			return Object{}, Errorf(CodeTupleInvalid, "%q: write applicationoffer-<uuid> or applicationoffer-<owner>/<model>.<offer>", clip(t.String()))
		}
		o, err := e.Store.OfferByName(ctx, url.ModelQualifier, url.ModelName, url.Name)
		if err == nil && o.UUID == "" {
			return Object{}, notFound
		}
		return found(o.UUID, err)
	}
	return Object{}, notFound
}

// listed joins words for a sentence.
func listed(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
