package estate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/juju/names/v6"
)

// Tag is what people write in relations, kind-id[#relation], before the id is
// looked up: a name may stand where the authorization model wants a UUID.
type Tag struct {
	Kind     Kind
	ID       string
	Relation Relation
}

// String returns the tag as it is written.
func (t Tag) String() string {
	s := string(t.Kind) + "-" + t.ID
	if t.Relation != "" {
		s += "#" + string(t.Relation)
	}
	return s
}

// maxTag bounds a tag in bytes: longer than any kind with the longest id.
const maxTag = 512

var tagKinds = map[Kind]bool{
	KindUser: true, KindGroup: true, KindIdPGroup: true, KindRole: true,
	KindController: true, KindCloud: true, KindModel: true, KindOffer: true,
}

// ParseTag parses kind-id[#relation]. CodeTupleInvalid says what is wrong.
func ParseTag(s string) (Tag, error) {
	fail := func(why string) (Tag, error) {
		return Tag{}, Errorf(CodeTupleInvalid, "%q is not a tag: %s", clip(s), why)
	}
	if len(s) > maxTag {
		return fail("it is too long")
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fail("it holds control characters")
	}
	if id, ok := strings.CutPrefix(s, string(KindIdPGroup)+"-"); ok {
		return parseIdPGroup(id)
	}
	if strings.ContainsFunc(s, unicode.IsSpace) {
		return fail("it holds spaces")
	}
	name, relation, hasRelation := strings.Cut(s, "#")
	kind, id, ok := strings.Cut(name, "-")
	switch {
	case !ok || id == "":
		return fail("write kind-id, such as model-<uuid>, user-alice@example.com or cloud-aws")
	case !tagKinds[Kind(kind)]:
		return fail("its kind is none of user, group, idpgroup, role, controller, cloud, model, applicationoffer")
	case hasRelation && (relation == "" || strings.ContainsAny(relation, "#:*-")):
		return fail("after # comes one relation, such as member")
	case strings.ContainsAny(id, "*#") || Kind(kind) != KindOffer && Kind(kind) != KindModel && strings.Contains(id, ":"):
		return fail("its id holds a character that stands for something else")
	}
	return Tag{Kind(kind), id, Relation(relation)}, nil
}

// parseIdPGroup parses what follows "idpgroup-". Directories allow about any
// name, so only #member at the end is not part of it.
func parseIdPGroup(s string) (Tag, error) {
	t := Tag{Kind: KindIdPGroup, ID: s}
	if id, ok := strings.CutSuffix(s, "#"+string(Member)); ok {
		t.ID, t.Relation = id, Member
	}
	if strings.TrimSpace(t.ID) == "" {
		return Tag{}, Errorf(CodeTupleInvalid, "%q is not a tag: write idpgroup-NAME or idpgroup-NAME#member", clip("idpgroup-"+s))
	}
	return t, nil
}

// validateID checks the id of a tag by its kind's own rule.
func (t Tag) validateID() error {
	fail := func(why string) error { return Errorf(CodeTupleInvalid, "%q: %s", t.String(), why) }
	switch t.Kind {
	case KindUser:
		if t.ID == EveryoneUser {
			return nil
		}
		if err := ValidateUser(t.ID); err != nil {
			return fail(err.Error())
		}
	case KindCloud:
		if !names.IsValidCloud(t.ID) {
			return fail("not a cloud's name")
		}
	}
	return nil
}
