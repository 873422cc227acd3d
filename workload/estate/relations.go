package estate

import (
	"context"
	"errors"
	"maps"
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

// maxChecks bounds the checks of one call.
const maxChecks = 1000

// AddRelations writes tuples. Needs administrator of JIMM, or of every target.
// CodeTupleInvalid for what cannot be parsed, CodeNotFound for what is not
// there; nothing is written then.
func (e *Estate) AddRelations(ctx context.Context, u User, list []Relationship) error {
	tuples, err := e.resolveFor(ctx, u, list, false)
	if err != nil {
		return err
	}
	return e.writeRelations(ctx, tuples, nil)
}

// RemoveRelations removes tuples, with the same rules; that one is not there
// is no error. Administrators of JIMM may also remove what is left of something
// that is gone, by its UUID.
func (e *Estate) RemoveRelations(ctx context.Context, u User, list []Relationship) error {
	tuples, err := e.resolveFor(ctx, u, list, true)
	if err != nil {
		return err
	}
	return e.writeRelations(ctx, nil, tuples)
}

// ChangeRelations adds and removes tuples with the rules of both. Up to 100 are
// all changed or none. CodeBadRequest if one is to be both added and removed.
func (e *Estate) ChangeRelations(ctx context.Context, u User, add, remove []Relationship) error {
	if len(add) == 0 {
		return e.RemoveRelations(ctx, u, remove)
	}
	if len(remove) == 0 {
		return e.AddRelations(ctx, u, add)
	}
	added, err := e.resolveFor(ctx, u, add, false)
	if err != nil {
		return err
	}
	removed, err := e.resolveFor(ctx, u, remove, true)
	if err != nil {
		return err
	}
	for _, t := range removed {
		if slices.Contains(added, t) {
			return Errorf(CodeBadRequest, "cannot both add and remove %q", clip(t.String()))
		}
	}
	return e.writeRelations(ctx, added, removed)
}

func (e *Estate) writeRelations(ctx context.Context, add, remove []Tuple) error {
	for _, t := range add {
		if t.Subject.Kind == KindUser && t.Subject.ID != EveryoneID {
			if err := e.Store.EnsureIdentity(ctx, t.Subject.ID); err != nil {
				return err
			}
		}
	}
	e.step("relations resolved")
	if err := e.Permissions.Write(ctx, add, remove); err != nil {
		return err
	}
	// A group that was removed meanwhile may have been cleaned of its tuples
	// before these were there. Nobody gets such a UUID again: what is left
	// behind by a crash here gives nobody anything once the members are gone.
	if err := e.stillThere(ctx, add); err != nil {
		return errors.Join(err, e.Permissions.Write(context.WithoutCancel(ctx), nil, add))
	}
	return nil
}

// CheckRelation answers whether a subject has a relation to a target. Needs
// administrator of JIMM or of the target, or to be the subject. To the subject
// itself what is not there is no different from what it has no relation to.
func (e *Estate) CheckRelation(ctx context.Context, u User, r Relationship) (bool, error) {
	results, err := e.CheckRelations(ctx, u, []Relationship{r})
	if err != nil {
		return false, err
	}
	return results[0].Allowed, results[0].Err
}

// RelationCheck is the answer to one check of CheckRelations.
type RelationCheck struct {
	Allowed bool
	// Err says why there is no answer; it has a code.
	Err error
}

// CheckRelations is CheckRelation for many, each with its own result.
// CodeBadRequest for more than 1000.
func (e *Estate) CheckRelations(ctx context.Context, u User, list []Relationship) ([]RelationCheck, error) {
	if len(list) > maxChecks {
		return nil, Errorf(CodeBadRequest, "cannot check %d relations at once: at most %d", len(list), maxChecks)
	}
	admin, err := e.IsAdmin(ctx, u)
	if err != nil {
		return nil, err
	}
	results := make([]RelationCheck, len(list))
	tuples := make([]Tuple, len(list))
	a := asker{estate: e, user: u, admin: admin, administers: map[Object]bool{}}
	for i, r := range list {
		w, err := readRelationship(r)
		if err == nil {
			tuples[i], err = a.resolve(ctx, w)
		}
		switch {
		case err == errNothing: // allowed is false
			tuples[i] = Tuple{}
		case err != nil && CodeOf(err) == "", Is(err, CodeConnectionFailed):
			return nil, err
		case err != nil:
			results[i].Err, tuples[i] = err, Tuple{}
		}
	}
	bySubject := map[Subject]map[int]Question{}
	for i, t := range tuples {
		if t == (Tuple{}) {
			continue
		}
		if bySubject[t.Subject] == nil {
			bySubject[t.Subject] = map[int]Question{}
		}
		bySubject[t.Subject][i] = Question{t.Relation, t.Object}
	}
	for subject, questions := range bySubject {
		allow := func(i int, ok bool) { results[i].Allowed = ok }
		switch {
		case subject == u.Subject(): // with the groups that the caller brought along
			err = e.eachAnswer(ctx, u, questions, allow)
		case subject.Kind == KindUser && subject.ID != EveryoneID:
			err = e.eachAnswer(ctx, User{Name: subject.ID}, questions, allow)
		default:
			for i, q := range questions {
				var ok bool
				if ok, err = e.Permissions.CheckSubject(ctx, subject, q.Relation, q.Object); err != nil {
					break
				}
				allow(i, ok)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// eachAnswer asks numbered questions about one user and hands out the answers.
func (e *Estate) eachAnswer(ctx context.Context, u User, questions map[int]Question, use func(i int, ok bool)) error {
	if len(questions) == 0 {
		return nil
	}
	order := slices.Sorted(maps.Keys(questions))
	list := make([]Question, len(order))
	for at, i := range order {
		list[at] = questions[i]
	}
	answers, err := e.Permissions.CheckEach(ctx, u, list)
	if err != nil {
		return err
	}
	for at, i := range order {
		use(i, answers[at])
	}
	return nil
}

// errNothing says that a target is not there, which the caller must not know.
var errNothing = errors.New("target not found")

// asker is one who asks who may do what.
type asker struct {
	estate *Estate
	user   User
	// admin is set for an administrator of JIMM.
	admin bool
	// administers are the targets that others were asked about.
	administers map[Object]bool
}

// resolve resolves a relationship that is asked about. What is not there is
// CodeNotFound for an administrator of JIMM, errNothing for one who asks about
// oneself, and a lack of permission for others.
func (a asker) resolve(ctx context.Context, w written) (Tuple, error) {
	self := w.about(a.user)
	target, err := a.estate.resolveTag(ctx, w.target, false)
	switch {
	case Is(err, CodeNotFound) && !a.admin && self:
		return Tuple{}, errNothing
	case Is(err, CodeNotFound) && !a.admin:
		return Tuple{}, errPermission
	case err != nil:
		return Tuple{}, err
	}
	if !a.admin && !self {
		// Before it is said which subjects there are.
		if _, known := a.administers[target]; !known {
			q := a.estate.administering(target)
			if a.administers[target], err = a.estate.Permissions.Check(ctx, a.user, q.Relation, q.Object); err != nil {
				return Tuple{}, err
			}
		}
		if !a.administers[target] {
			return Tuple{}, errPermission
		}
	}
	subject, err := a.estate.resolveTag(ctx, w.subject, false)
	return Tuple{Subject{subject, w.subject.Relation}, w.relation, target}, err
}

// resolveFor resolves what u wants to write, and checks that u may. With gone,
// an administrator of JIMM may name by UUID what is not there.
func (e *Estate) resolveFor(ctx context.Context, u User, list []Relationship, gone bool) ([]Tuple, error) {
	if len(list) == 0 {
		return nil, Errorf(CodeBadRequest, "no relation given")
	}
	admin, err := e.IsAdmin(ctx, u)
	if err != nil {
		return nil, err
	}
	read := make([]written, len(list))
	tuples := make([]Tuple, len(list))
	for i, r := range list {
		if read[i], err = readRelationship(r); err != nil {
			return nil, err
		}
		tuples[i].Relation = read[i].relation
		tuples[i].Object, err = e.resolveTag(ctx, read[i].target, gone && admin)
		switch {
		case Is(err, CodeNotFound) && !admin:
			return nil, errPermission // who may not see it learns nothing
		case err != nil:
			return nil, err
		}
	}
	if !admin {
		if err := e.mayRelate(ctx, u, tuples); err != nil {
			return nil, err
		}
	}
	for i, w := range read {
		subject, err := e.resolveTag(ctx, w.subject, gone && admin)
		if err != nil {
			return nil, err
		}
		tuples[i].Subject = Subject{subject, w.subject.Relation}
	}
	return tuples, nil
}

// mayRelate checks that u administers every target.
func (e *Estate) mayRelate(ctx context.Context, u User, tuples []Tuple) error {
	questions := make([]Question, len(tuples))
	for i, t := range tuples {
		questions[i] = e.administering(t.Object)
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

// administering is what one needs to say who has what of an object. Groups and
// roles are for the administrators of JIMM alone.
func (e *Estate) administering(object Object) Question {
	switch object.Kind {
	case KindController, KindCloud, KindModel, KindOffer:
		return Question{Administrator, object}
	}
	return Question{Administrator, e.selfObject()}
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

// written is a relationship whose parts have been read, but not looked up.
type written struct {
	subject, target Tag
	relation        Relation
}

// about reports whether it is about u itself.
func (w written) about(u User) bool {
	return w.subject.Kind == KindUser && spelling(w.subject.ID) == u.Name
}

// readRelationship checks what can be without looking anything up.
// CodeTupleInvalid says what is wrong.
func readRelationship(r Relationship) (written, error) {
	subject, err := ParseTag(r.Subject)
	if err != nil {
		return written{}, err
	}
	target, err := ParseTag(r.Target)
	if err != nil {
		return written{}, err
	}
	want, ok := subjectRelations[subject.Kind]
	if !ok {
		return written{}, Errorf(CodeTupleInvalid, "a %s cannot be given anything: name a user, group, idpgroup or role", subject.Kind)
	}
	if subject.Relation != want {
		if want == "" {
			return written{}, Errorf(CodeTupleInvalid, "%q: nothing may follow a user", clip(r.Subject))
		}
		return written{}, Errorf(CodeTupleInvalid, "%q: write %s-%s#%s", clip(r.Subject), subject.Kind, clip(subject.ID), want)
	}
	relation := Relation(r.Relation)
	if target.Relation != "" || !targetRelations[target.Kind][relation] {
		return written{}, Errorf(CodeTupleInvalid, "%q is not a relation to %q; there is %s", clip(r.Relation), clip(r.Target), relationsTo(target.Kind))
	}
	return written{subject, target, relation}, nil
}

// relationsTo lists the relations to a kind of target, for a sentence.
func relationsTo(kind Kind) string {
	var words []string
	for relation := range targetRelations[kind] {
		words = append(words, string(relation))
	}
	return listed(words)
}

// resolveTag finds what a tag names. CodeNotFound if it is not there, unless
// gone is set and the tag has the UUID of it.
func (e *Estate) resolveTag(ctx context.Context, t Tag, gone bool) (Object, error) {
	if err := t.validateID(); err != nil {
		return Object{}, err
	}
	if gone && isUUID(t.ID) {
		return Object{t.Kind, t.ID}, nil
	}
	notFound := Errorf(CodeNotFound, "%s not found", clip(t.String()))
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
		return Object{KindUser, spelling(t.ID)}, nil
	case KindIdPGroup:
		return Object{KindIdPGroup, t.ID}, nil
	case KindGroup, KindRole:
		s, err := e.findUserset(ctx, t.Kind, t.ID)
		return found(s.UUID, err)
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
