package openfga

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"jimm/workload/estate"
)

// maxObject is the longest "type:id" that OpenFGA takes, in bytes.
const maxObject = 256

// objectName returns an object as OpenFGA has it; CodeBadRequest if it cannot
// have it. The one id that is not taken as it stands is that of a group of the
// identity provider: its name is whatever a directory allows, so the
// characters that mean something to OpenFGA are percent-encoded.
func (s schema) objectName(o estate.Object) (string, error) {
	if _, ok := s[o.Kind]; !ok {
		return "", badName(o, "there is no such kind")
	}
	id := o.ID
	for _, r := range id {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return "", badName(o, "the id has control or undecodable characters")
		}
	}
	if o.Kind == estate.KindIdPGroup {
		id = encodeID(id)
	}
	switch {
	case id == "":
		return "", badName(o, "the id is empty")
	case strings.ContainsAny(id, ":#*") || strings.ContainsFunc(id, unicode.IsSpace):
		return "", badName(o, "the id has a space, ':', '#' or '*' in it")
	}
	name := string(o.Kind) + ":" + id
	if len(name) > maxObject {
		return "", badName(o, fmt.Sprintf("the id is longer than %d bytes", maxObject-len(o.Kind)-1))
	}
	return name, nil
}

// subjectName is objectName for subjects, among them everyone.
func (s schema) subjectName(subject estate.Subject) (string, error) {
	if subject.Object == (estate.Object{Kind: estate.KindUser, ID: estate.EveryoneID}) && subject.Relation == "" {
		return subject.String(), nil
	}
	name, err := s.objectName(subject.Object)
	if err != nil || subject.Relation == "" {
		return name, err
	}
	if err := s.checkRelation(subject.Kind, subject.Relation); err != nil {
		return "", err
	}
	return name + "#" + string(subject.Relation), nil
}

// checkRelation returns CodeBadRequest unless objects of a kind have a relation.
func (s schema) checkRelation(kind estate.Kind, relation estate.Relation) error {
	if _, ok := s[kind][relation]; !ok {
		return estate.Errorf(estate.CodeBadRequest, "%s has no relation %s", brief(string(kind)), brief(string(relation)))
	}
	return nil
}

func badName(o estate.Object, why string) error {
	return estate.Errorf(estate.CodeBadRequest, "invalid %s %s: %s", brief(string(o.Kind)), brief(o.ID), why)
}

// brief quotes what a client sent for an error text, without its whole length.
func brief(text string) string {
	if len(text) > 64 {
		return fmt.Sprintf("%q…", strings.ToValidUTF8(text[:64], ""))
	}
	return fmt.Sprintf("%q", text)
}

func encodeID(id string) string {
	var b strings.Builder
	for _, r := range id {
		if strings.ContainsRune("%:#*", r) || unicode.IsSpace(r) {
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// parseObject reads what objectName wrote.
func parseObject(name string) estate.Object {
	kind, id, _ := strings.Cut(name, ":")
	o := estate.Object{Kind: estate.Kind(kind), ID: id}
	if o.Kind == estate.KindIdPGroup {
		// One that another program wrote and that is no encoding stays as it is.
		if decoded, err := url.PathUnescape(id); err == nil {
			o.ID = decoded
		}
	}
	return o
}

// parseSubject reads what subjectName wrote.
func parseSubject(name string) estate.Subject {
	object, relation, _ := strings.Cut(name, "#")
	return estate.Subject{Object: parseObject(object), Relation: estate.Relation(relation)}
}
