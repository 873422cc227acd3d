//go:build integration

package day

import "slices"

// skew is a command that one generation of clients cannot do with a Juju 4.1 controller,
// not even directly: the versions they speak do not meet.
type skew struct {
	// generation is the client that cannot.
	generation string
	// command has the placeholders MODEL, CHARM and BLOB.
	command []string
	// says is part of the error.
	says string
}

var (
	skewDeployResource = skew{"3.6", []string{"deploy", "-m", "MODEL", "CHARM", "skewed", "--resource", "blob=BLOB"}, `parsing charm URL ""`}
	skewResources      = skew{"3.6", []string{"resources", "-m", "MODEL", "probe"}, "have fewer charm store resources than application resources"}
)

// skews are all that are known. A command that is here and works, directly or through
// JIMM, fails the day: the entry is stale.
var skews = []skew{
	skewDeployResource,
	skewResources,
	{"3.6", []string{"add-machine", "-m", "MODEL"}, `unknown facade type "MachineManager"`},
	{"3.6", []string{"export-bundle", "-m", "MODEL"}, `unknown facade type "Bundle"`},
	{"3.6", []string{"set-application-base", "-m", "MODEL", "probe", "ubuntu@22.04"}, `unknown method "UpdateApplicationBase"`},
	{"3.6", []string{"wait-for", "application", "probe", "-m", "MODEL"}, "WatchAll not implemented"},
}

// knows reports whether this day's client cannot do that.
func (w *workday) knows(s skew) bool { return s.generation == w.generation.name }

// skew runs the commands that this client cannot do, directly and through JIMM.
func (w *workday) skew() {
	direct := w.direct(w.t, w.east, w.generation.path)
	for _, s := range skews {
		if !w.knows(s) {
			continue
		}
		args := slices.Clone(s.command)
		for i, arg := range args {
			switch arg {
			case "MODEL":
				args[i] = w.theirs(w.eastern)
			case "CHARM":
				args[i] = w.charm
			case "blob=BLOB":
				args[i] = "blob=" + w.blob
			}
		}
		for _, session := range []*session{direct, w.me} {
			session.juju(args...).fails(s.says)
		}
	}
}
