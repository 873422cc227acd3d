package estate

import "context"

// maxListedMembers is how many users are listed with access to one object that
// they have through groups, roles, or what the object belongs to. Users who were
// given it by name are all listed.
const maxListedMembers = 200

// maxAccessSets bounds the sets looked at for one list, and maxAccessChecks the
// users who are looked for in those that are too large.
const (
	maxAccessSets   = 100
	maxAccessChecks = 100
)

// usersWithAccess returns what users may do with an object, in Juju's words, by
// name: EveryoneUser among them where that is granted. Large groups are not
// listed in full, those of the identity provider not at all.
func (e *Estate) usersWithAccess(ctx context.Context, object Object) (map[string]string, error) {
	w := accessWalk{estate: e, levels: accessLevels[object.Kind], held: map[string]int{}, seen: map[Subject]int{}}
	for level := len(w.levels) - 1; level >= 0; level-- {
		if err := w.look(ctx, accessNode{Subject{object, w.levels[level].relation}, level}, true); err != nil {
			return nil, err
		}
	}
	for i := 0; i < len(w.todo) && i < maxAccessSets; i++ {
		if err := w.look(ctx, w.todo[i], false); err != nil {
			return nil, err
		}
	}
	if err := w.lookForKnown(ctx); err != nil {
		return nil, err
	}
	words := make(map[string]string, len(w.held))
	for name, level := range w.held {
		if name == EveryoneID {
			name = EveryoneUser
		}
		words[name] = w.levels[level].word
	}
	return words, nil
}

// accessWalk goes from an object to the users who have access to it.
type accessWalk struct {
	estate *Estate
	levels levels
	// held is the strongest level of each user, seen that of each set visited.
	held map[string]int
	seen map[Subject]int
	todo []accessNode
	// members counts the users who are there because of a set.
	members int
	// cut are the sets that have more users than are listed.
	cut []accessNode
}

// accessNode is all who have a relation to an object, which gives them a level.
type accessNode struct {
	set   Subject
	level int
}

func (w *accessWalk) visit(set Subject, level int) {
	if before, ok := w.seen[set]; ok && before >= level {
		return
	}
	w.seen[set] = level
	w.todo = append(w.todo, accessNode{set, level})
}

// look takes note of the users of a set, all of them if the object itself is
// asked about, and of the sets that lead to it.
func (w *accessWalk) look(ctx context.Context, n accessNode, itself bool) error {
	permissions := w.estate.Permissions
	err := w.eachTuple(ctx, n.set.Object, n.set.Relation, func(s Subject) (more bool) {
		if s.Kind != KindUser {
			w.visit(s, n.level)
			return true
		}
		level, known := w.held[s.ID]
		if !known && !itself {
			if w.members >= maxListedMembers {
				w.cut = append(w.cut, n)
				return false
			}
			w.members++
		}
		if !known || level < n.level {
			w.held[s.ID] = n.level
		}
		return true
	})
	if err != nil {
		return err
	}
	d := permissions.Derive(n.set.Kind, n.set.Relation)
	if !itself { // whose weaker relations are looked at by themselves
		for _, implied := range d.Implied {
			w.visit(Subject{n.set.Object, implied}, n.level)
		}
	}
	for _, from := range d.Inherited {
		err := w.eachTuple(ctx, n.set.Object, from.Link, func(s Subject) bool {
			w.visit(Subject{s.Object, from.Relation}, n.level)
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lookForKnown finds out which of the users listed have more because of a set
// that is not listed in full.
func (w *accessWalk) lookForKnown(ctx context.Context) error {
	if len(w.cut) == 0 {
		return nil
	}
	checked := 0
	for name, level := range w.held {
		var questions []Question
		var levels []int
		for _, n := range w.cut {
			if n.level > level {
				questions, levels = append(questions, Question{n.set.Relation, n.set.Object}), append(levels, n.level)
			}
		}
		if len(questions) == 0 || name == EveryoneID {
			continue
		}
		if checked++; checked > maxAccessChecks {
			return nil
		}
		has, err := w.estate.Permissions.CheckEach(ctx, User{Name: name}, questions)
		if err != nil {
			return err
		}
		for i, ok := range has {
			if ok {
				w.held[name] = max(w.held[name], levels[i])
			}
		}
	}
	return nil
}

// eachTuple hands out the subjects of the tuples of a relation to an object.
func (w *accessWalk) eachTuple(ctx context.Context, object Object, relation Relation, use func(Subject) (more bool)) error {
	for continuation := ""; ; {
		page, next, err := w.estate.Permissions.Read(ctx, TupleFilter{Relation: relation, Object: object}, 100, continuation)
		if err != nil {
			return err
		}
		for _, t := range page {
			if !use(t.Subject) {
				return nil
			}
		}
		if next == "" {
			return nil
		}
		continuation = next
	}
}
