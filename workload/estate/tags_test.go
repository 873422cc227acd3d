package estate

import (
	"strings"
	"testing"
)

func TestParseTag(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want Tag
		bad  bool
	}{
		"a user has a domain":                                 {in: "user-alice@example.com", want: Tag{KindUser, "alice@example.com", ""}},
		"a group's people are its members":                    {in: "group-eng#member", want: Tag{KindGroup, "eng", Member}},
		"a model may be named by owner and name":              {in: "model-alice@example.com/m1", want: Tag{KindModel, "alice@example.com/m1", ""}},
		"an offer's path may hold a colon":                    {in: "applicationoffer-c:alice@e.com/m.o", want: Tag{KindOffer, "c:alice@e.com/m.o", ""}},
		"a group of the identity provider is called anything": {in: "idpgroup-CN=Ops #1: *all*#member", want: Tag{KindIdPGroup, "CN=Ops #1: *all*", Member}},
		"a group of the identity provider has a name":         {in: "idpgroup- #member", bad: true},
		"a space is refused":                                  {in: "group-a b#member", bad: true},
		"an unknown kind is refused":                          {in: "machine-0", bad: true},
		"no id is refused":                                    {in: "model-", bad: true},
		"two relations are refused":                           {in: "group-a#member#member", bad: true},
		"an empty relation is refused":                        {in: "group-a#", bad: true},
		"a star cannot be smuggled in":                        {in: "user-*", bad: true},
		"a colon cannot be smuggled into a user":              {in: "user-a:b@c", bad: true},
		"a control character is refused":                      {in: "cloud-a\x00b", bad: true},
		"what is not UTF-8 is refused":                        {in: "cloud-\xff", bad: true},
		"ten kilobytes are refused":                           {in: "cloud-" + strings.Repeat("a", 10<<10), bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTag(test.in)
			if test.bad {
				if !Is(err, CodeTupleInvalid) {
					t.Fatalf("got %v, %v; want code %q", got, err, CodeTupleInvalid)
				}
				if len(err.Error()) > 300 {
					t.Errorf("the error is %d bytes long", len(err.Error()))
				}
				return
			}
			if err != nil || got != test.want {
				t.Fatalf("got %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

func FuzzParseTag(f *testing.F) {
	for _, seed := range []string{"user-alice@example.com", "group-eng#member", "model-a/b", "cloud-", "-", "#", "user-*", "applicationoffer-c:a/m.o"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tag, err := ParseTag(s)
		if err != nil {
			if !Is(err, CodeTupleInvalid) {
				t.Fatalf("%q: error without a code: %v", s, err)
			}
			return
		}
		if tag.String() != s {
			t.Fatalf("%q parses as %q", s, tag)
		}
		if tag.Kind != KindIdPGroup && strings.ContainsAny(tag.ID, "*#\x00\n ") {
			t.Fatalf("%q: id %q could stand for something else", s, tag.ID)
		}
	})
}
