package postgres

import "testing"

func TestDocumentsThatAreTakenAsTheyAre(t *testing.T) {
	for doc, want := range map[string]bool{
		`{"a":[1,-2.5,true,null,"e1e1"],"e":"12e5"}`: true,
		`{"a":"a \" 1e5 \\"}`:                        true,
		`{"a":"\\","b":1e5}`:                         false,
		`{"a":1E5}`:                                  false,
		`{"a":"\u0000"}`:                             false,
		`{"a":"\\u0000"}`:                            false, // needlessly
		`{"a":12345678901234567890123456789012345678901}`: false,
		`"\ud800"`: false,
	} {
		if got := isPlain([]byte(doc)); got != want {
			t.Errorf("%s is taken as it is: %v", doc, got)
		}
	}
}
