package hook

import (
	"fmt"
	"os"
	"strings"
)

// Event is why Juju runs the charm, and where. Its fields are the variables of
// the same name that Juju sets.
type Event struct {
	// Name is the hook's, such as database-relation-changed; empty for an action.
	Name string
	// Action is the action's name; empty for a hook.
	Action string
	// Unit is this unit's name (jimm/0), App its application's.
	Unit, App string
	// Model is the model's name, ModelUUID its UUID.
	Model, ModelUUID string
	// Relation is the id (database:7) of the relation that a relation hook is about.
	Relation string
	// Secret and Revision are what a secret hook is about; only some hooks have a
	// revision.
	Secret, Revision string
	// CharmDir is where the charm's files are.
	CharmDir string
	// JujuVersion is the agent's.
	JujuVersion string
	// HTTPProxy, HTTPSProxy and NoProxy are the model's proxy settings.
	HTTPProxy, HTTPSProxy, NoProxy string
}

// ParseEvent reads the event from an environment.
func ParseEvent(getenv func(string) string) (Event, error) {
	e := Event{
		Unit: getenv("JUJU_UNIT_NAME"), Model: getenv("JUJU_MODEL_NAME"), ModelUUID: getenv("JUJU_MODEL_UUID"),
		Relation: getenv("JUJU_RELATION_ID"),
		Secret:   getenv("JUJU_SECRET_ID"), Revision: getenv("JUJU_SECRET_REVISION"), CharmDir: getenv("JUJU_CHARM_DIR"), JujuVersion: getenv("JUJU_VERSION"),
		HTTPProxy: getenv("JUJU_CHARM_HTTP_PROXY"), HTTPSProxy: getenv("JUJU_CHARM_HTTPS_PROXY"), NoProxy: getenv("JUJU_CHARM_NO_PROXY"),
	}
	kind, name, _ := strings.Cut(getenv("JUJU_DISPATCH_PATH"), "/")
	switch {
	case kind == "hooks" && name != "":
		e.Name = name
	case kind == "actions" && name != "":
		e.Action = name
	default:
		return Event{}, fmt.Errorf("JUJU_DISPATCH_PATH is %q: this program is run by Juju, for a hook or an action", getenv("JUJU_DISPATCH_PATH"))
	}
	app, number, found := strings.Cut(e.Unit, "/")
	if !found || app == "" || number == "" {
		return Event{}, fmt.Errorf("JUJU_UNIT_NAME is %q, not the name of a unit", e.Unit)
	}
	e.App = app
	return e, nil
}

// FromEnvironment is the event of this process.
func FromEnvironment() (Event, error) { return ParseEvent(os.Getenv) }

// Breaks tells whether the hook is the last one of the relation with this id:
// its data are still there, and count no more.
func (e Event) Breaks(relation string) bool {
	return relation == e.Relation && strings.HasSuffix(e.Name, "-relation-broken")
}
