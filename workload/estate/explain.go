package estate

import (
	"context"
	"slices"
)

// Bounds of an explanation. What lies beyond makes it incomplete.
const (
	maxExplainDepth = 25  // steps of a path, as OpenFGA itself
	maxExplainNodes = 500 // places looked at
	maxExplainPages = 100 // pages of 100 tuples read
	maxPaths        = 10
	maxGrants       = 10
)

// Explanation says why a subject has a relation to a target, or what would give
// it.
type Explanation struct {
	// Asked is what was asked, with names.
	Asked   Relationship
	Allowed bool
	// Paths are chains of steps that give it, each from the subject to the
	// target, the shortest first; up to 10, and none if it is not allowed.
	Paths [][]ExplanationStep
	// Grants are single additions that would give it, the nearest first; up to
	// 10, and none if it is allowed.
	Grants []PossibleGrant
	// Incomplete is set if there is more than was looked at.
	Incomplete bool
}

// StepKind says why a step of a path holds.
type StepKind string

// The kinds of steps.
const (
	// StepGranted is a stored tuple: it can be taken back.
	StepGranted StepKind = "granted"
	// StepImplied leads from a relation to a weaker one of the same object.
	StepImplied StepKind = "implied"
	// StepInherited leads from an object to one that belongs to it.
	StepInherited StepKind = "inherited"
	// StepLogin is what the identity provider said when the caller logged in.
	StepLogin StepKind = "login"
	// StepMissing is one that is not there, but would give what was asked.
	StepMissing StepKind = "missing"
)

// ExplanationStep is one link of a chain.
type ExplanationStep struct {
	Relationship
	Kind StepKind
}

// PossibleGrant is what would give a relation.
type PossibleGrant struct {
	// Add is the relation to add. That of an idpgroup is for the identity
	// provider to add, not for us.
	Add Relationship
	// Path is the chain that there would be then, the missing step first.
	Path []ExplanationStep
}

// ExplainRelation says why a subject has a relation to a target, or what would
// give it. Who may ask is as for CheckRelation. One who does not have what they
// ask for themselves gets to know only what to ask for, not who else has it.
func (e *Estate) ExplainRelation(ctx context.Context, u User, r Relationship) (Explanation, error) {
	w, err := readRelationship(r)
	if err != nil {
		return Explanation{}, err
	}
	admin, err := e.IsAdmin(ctx, u)
	if err != nil {
		return Explanation{}, err
	}
	a := asker{estate: e, user: u, admin: admin, administers: map[Object]bool{}}
	t, err := a.resolve(ctx, w)
	if err == errNothing {
		return unexplained(r), nil
	}
	if err != nil {
		return Explanation{}, err
	}
	x := explainer{estate: e, asked: t, self: t.Subject == u.Subject(), user: User{Name: t.Subject.ID}}
	if x.self {
		x.user = u
	}
	holds, err := x.holds(ctx, []Subject{{t.Object, t.Relation}})
	if err != nil {
		return Explanation{}, err
	}
	x.allowed = holds[0]
	if x.self && !x.allowed && !admin {
		// Not even whether the target is there.
		q := e.administering(t.Object)
		if knows, err := e.Permissions.Check(ctx, u, q.Relation, q.Object); err != nil || !knows {
			return unexplained(r), err
		}
	}
	if err := x.search(ctx); err != nil {
		return Explanation{}, err
	}
	return x.explanation(ctx)
}

// unexplained is what one is told who has nothing.
func unexplained(r Relationship) Explanation {
	return Explanation{Asked: r, Grants: []PossibleGrant{{Add: r, Path: []ExplanationStep{{r, StepMissing}}}}}
}

// explainer searches from the target to the subject.
type explainer struct {
	estate *Estate
	asked  Tuple
	// user is the asked subject, if it is a user, with the groups it brought
	// along if it is the caller.
	user User
	self bool
	// allowed says whether there is a path: then only what the subject has is
	// followed.
	allowed bool

	nodes []explainerNode
	seen  map[Subject]bool
	pages int
	// ends are paths found: the step that the subject has, and the node it
	// leads to.
	ends       []explainerEnd
	incomplete bool
}

// explainerNode is all who have a relation to an object. All of them have what
// was asked.
type explainerNode struct {
	set Subject
	// next is the node that this one leads to, by a tuple of the kind.
	next  int
	kind  StepKind
	depth int
}

type explainerEnd struct {
	kind StepKind
	// subject is the asked one or everyone; empty if the node itself was asked.
	subject Subject
	node    int
}

// search visits nodes in the order of their distance from the target.
func (x *explainer) search(ctx context.Context) error {
	x.seen = map[Subject]bool{}
	x.visit(Subject{x.asked.Object, x.asked.Relation}, -1, "", 0)
	for i := 0; i < len(x.nodes); i++ {
		if x.allowed && len(x.ends) >= maxPaths || !x.allowed && len(x.ends) >= maxGrants {
			x.incomplete = true
			return nil
		}
		if err := x.look(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (x *explainer) visit(set Subject, next int, kind StepKind, depth int) {
	switch {
	case x.seen[set]:
	case depth > maxExplainDepth || len(x.nodes) >= maxExplainNodes:
		x.incomplete = true
	default:
		x.seen[set] = true
		x.nodes = append(x.nodes, explainerNode{set, next, kind, depth})
	}
}

// look finds whether a node is an end, and what leads to it.
func (x *explainer) look(ctx context.Context, i int) error {
	n := x.nodes[i]
	d := x.estate.Permissions.Derive(n.set.Kind, n.set.Relation)
	var err error
	if x.allowed {
		err = x.endsAt(ctx, i, d)
	} else if i == 0 || subjectRelations[n.set.Kind] != "" && n.set.Object != x.asked.Subject.Object {
		// It could be given what was asked, or be put into a set that has it.
		if slices.Contains(d.Direct, x.asked.Subject.Shape()) {
			x.ends = append(x.ends, explainerEnd{StepMissing, x.asked.Subject, i})
		}
	}
	if err != nil || x.allowed && n.set == x.asked.Subject {
		return err
	}
	type lead struct {
		set  Subject
		kind StepKind
	}
	var leads []lead
	sets, err := x.tuples(ctx, n.set.Object, n.set.Relation, d)
	if err != nil {
		return err
	}
	for _, set := range sets {
		leads = append(leads, lead{set, StepGranted})
	}
	for _, implied := range d.Implied {
		leads = append(leads, lead{Subject{n.set.Object, implied}, StepImplied})
	}
	for _, from := range d.Inherited {
		if !x.allowed {
			break // those who have it by administering more are not near
		}
		owners, err := x.tuples(ctx, n.set.Object, from.Link, x.estate.Permissions.Derive(n.set.Kind, from.Link))
		if err != nil {
			return err
		}
		for _, owner := range owners {
			if owner.Relation == "" {
				leads = append(leads, lead{Subject{owner.Object, from.Relation}, StepInherited})
			}
		}
	}
	if x.allowed {
		list := make([]Subject, len(leads))
		for i, l := range leads {
			list[i] = l.set
		}
		holds, err := x.holds(ctx, list)
		if err != nil {
			return err
		}
		held := leads[:0]
		for i, l := range leads {
			if holds[i] {
				held = append(held, l)
			}
		}
		leads = held
	}
	for _, l := range leads {
		x.visit(l.set, i, l.kind, n.depth+1)
	}
	return nil
}

// endsAt records whether the subject has the relation of a node by itself.
func (x *explainer) endsAt(ctx context.Context, i int, d Derivation) error {
	set := x.nodes[i].set
	if set == x.asked.Subject {
		x.ends = append(x.ends, explainerEnd{node: i})
		return nil
	}
	if x.asked.Subject.Kind != KindUser {
		return nil // a set is a node itself
	}
	candidates := []Subject{x.asked.Subject}
	everyone := Subject{Object: Object{KindUser, EveryoneID}}
	if x.asked.Subject != everyone {
		candidates = append(candidates, everyone)
	}
	for _, s := range candidates {
		if !slices.Contains(d.Direct, s.Shape()) {
			continue
		}
		if set.Kind == KindIdPGroup {
			if x.self && slices.Contains(x.user.Groups, set.ID) && s != everyone {
				x.ends = append(x.ends, explainerEnd{StepLogin, s, i})
			}
			continue
		}
		stored, _, err := x.estate.Permissions.Read(ctx, TupleFilter{s, set.Relation, set.Object}, 1, "")
		if err != nil {
			return err
		}
		if len(stored) > 0 {
			x.ends = append(x.ends, explainerEnd{StepGranted, s, i})
		}
	}
	return nil
}

// tuples returns the subjects, other than users, of the stored tuples of a
// relation to an object.
func (x *explainer) tuples(ctx context.Context, object Object, relation Relation, d Derivation) ([]Subject, error) {
	if !slices.ContainsFunc(d.Direct, func(shape string) bool { return shape != "user" && shape != "user:*" }) {
		return nil, nil
	}
	var found []Subject
	for continuation := ""; ; {
		if x.pages++; x.pages > maxExplainPages {
			x.incomplete = true
			return found, nil
		}
		page, next, err := x.estate.Permissions.Read(ctx, TupleFilter{Relation: relation, Object: object}, 100, continuation)
		if err != nil {
			return nil, err
		}
		for _, t := range page {
			if t.Subject.Kind != KindUser && slices.Contains(d.Direct, t.Subject.Shape()) {
				found = append(found, t.Subject)
			}
		}
		if next == "" {
			return found, nil
		}
		continuation = next
	}
}

// holds reports of which sets the subject is one.
func (x *explainer) holds(ctx context.Context, sets []Subject) ([]bool, error) {
	s := x.asked.Subject
	if s.Kind == KindUser && s.ID != EveryoneID {
		questions := make([]Question, len(sets))
		for i, set := range sets {
			questions[i] = Question{set.Relation, set.Object}
		}
		return x.estate.Permissions.CheckEach(ctx, x.user, questions)
	}
	holds := make([]bool, len(sets))
	for i, set := range sets {
		if set == s {
			holds[i] = true
			continue
		}
		var err error
		if holds[i], err = x.estate.Permissions.CheckSubject(ctx, s, set.Relation, set.Object); err != nil {
			return nil, err
		}
	}
	return holds, nil
}

// explanation turns what was found into chains with names.
func (x *explainer) explanation(ctx context.Context) (Explanation, error) {
	called := namer{estate: x.estate}
	objects := []Object{x.asked.Subject.Object}
	for _, n := range x.nodes {
		objects = append(objects, n.set.Object)
	}
	if err := called.load(ctx, objects); err != nil {
		return Explanation{}, err
	}
	ex := Explanation{Asked: called.relationship(x.asked), Allowed: x.allowed, Incomplete: x.incomplete}
	for _, end := range x.ends {
		var path []ExplanationStep
		if end.subject != (Subject{}) {
			set := x.nodes[end.node].set
			path = append(path, ExplanationStep{called.relationship(Tuple{end.subject, set.Relation, set.Object}), end.kind})
		}
		for i := end.node; x.nodes[i].next >= 0; i = x.nodes[i].next {
			to := x.nodes[x.nodes[i].next].set
			path = append(path, ExplanationStep{called.relationship(Tuple{x.nodes[i].set, to.Relation, to.Object}), x.nodes[i].kind})
		}
		if x.allowed {
			ex.Paths = append(ex.Paths, path)
		} else {
			ex.Grants = append(ex.Grants, PossibleGrant{Add: path[0].Relationship, Path: path})
		}
	}
	return ex, nil
}
