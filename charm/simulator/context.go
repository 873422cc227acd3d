package simulator

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// hookContext is what one run of a charm sees and does. What it writes takes
// effect when the run has succeeded, but for status and log.
type hookContext struct {
	unit   *Unit
	event  hook.Event
	on     pending
	leader bool
	// root is where paths of the charm are, if it runs in a root of its own.
	root string

	// What is to be committed: changes of databags by relation and owner, secrets
	// by id, ports.
	bags    map[int]map[string]relation.Bag
	secrets []secretChange
	ports   []string
	// writes tells what changes, for people.
	writes []string
}

type secretChange struct {
	id, label, owner string
	content          relation.Bag
	add              bool
	remove           int // a revision
	grant, revoke    *Relation
}

func (u *Unit) context(p pending) *hookContext {
	m := u.model
	c := &hookContext{unit: u, on: p, leader: u.app.leader == u, bags: map[int]map[string]relation.Bag{}, ports: slices.Clone(u.Ports)}
	c.event = hook.Event{
		Name: p.hook, Action: p.action, Unit: u.Name, App: u.app.Name, Model: m.Name, ModelUUID: m.UUID, JujuVersion: "4.1-beta2",
		Secret: p.secret, Revision: p.revision,
	}
	if p.relation != nil {
		c.event.Relation = p.relation.name(u.app)
	}
	return c
}

// Environment is what Juju gives the charm's process for an event.
func (c *hookContext) environment() []string {
	path := "hooks/" + c.event.Name
	if c.event.Action != "" {
		path = "actions/" + c.event.Action
	}
	env := []string{
		"JUJU_DISPATCH_PATH=" + path, "JUJU_HOOK_NAME=" + c.event.Name, "JUJU_ACTION_NAME=" + c.event.Action,
		"JUJU_UNIT_NAME=" + c.event.Unit, "JUJU_MODEL_NAME=" + c.event.Model, "JUJU_MODEL_UUID=" + c.event.ModelUUID,
		"JUJU_VERSION=" + c.event.JujuVersion, "JUJU_RELATION_ID=" + c.event.Relation, "JUJU_REMOTE_UNIT=" + c.on.unit,
		"JUJU_DEPARTING_UNIT=" + c.on.departing, "JUJU_SECRET_ID=" + c.event.Secret, "JUJU_SECRET_REVISION=" + c.event.Revision,
		"JUJU_CHARM_HTTP_PROXY=", "JUJU_CHARM_HTTPS_PROXY=", "JUJU_CHARM_NO_PROXY=127.0.0.1,localhost,::1",
		"JUJU_AGENT_SOCKET_NETWORK=unix", "JUJU_MACHINE_ID=", "JUJU_PRINCIPAL_UNIT=", "JUJU_AVAILABILITY_ZONE=", "LANG=C.UTF-8",
	}
	if strings.HasPrefix(c.event.Name, containerHook) {
		env = append(env, "JUJU_WORKLOAD_NAME=jimm")
	}
	return env
}

const containerHook = "jimm-pebble-"

// toolError is what a tool says on standard error, and its exit code.
type toolError struct {
	code int
	text string
}

func (e *toolError) Error() string { return e.text }

func usage(format string, args ...any) error { return &toolError{2, fmt.Sprintf(format, args...)} }
func refuse(format string, args ...any) error {
	return &toolError{1, fmt.Sprintf(format, args...)}
}

// Run implements hook.Runner.
func (c *hookContext) Run(_ context.Context, tool string, stdin []byte, args ...string) ([]byte, error) {
	stdout, err := c.tool(tool, stdin, args)
	if err != nil {
		return nil, &hook.Error{Tool: tool, Stderr: "ERROR " + err.Error() + "\n", Err: err}
	}
	return stdout, nil
}

func (c *hookContext) tool(tool string, stdin []byte, args []string) ([]byte, error) {
	m := c.unit.model
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Calls = append(m.Calls, c.unit.Name+": "+tool+" "+strings.Join(args, " "))
	if m.Fail != nil {
		if err := m.Fail(c.unit.Name, tool, args); err != nil {
			return nil, refuse("%v", err)
		}
	}
	run, known := tools[tool]
	if !known {
		return nil, &toolError{127, tool + ": command not found"}
	}
	f, err := parseFlags(tool, args)
	if err != nil {
		return nil, err
	}
	return run(c, f, stdin)
}

// readFile reads a file that the charm names.
func (c *hookContext) readFile(path string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(c.root, path))
	if err != nil {
		return nil, refuse("open %s: no such file or directory", path)
	}
	return text, nil
}

func (c *hookContext) wrote(format string, args ...any) {
	c.writes = append(c.writes, fmt.Sprintf(format, args...))
}

// bag is a databag as this context sees it, with what it has written.
func (c *hookContext) bag(r *Relation, who string) relation.Bag {
	bag := relation.Bag{}
	maps.Copy(bag, r.bags[who])
	for key, value := range c.bags[r.ID][who] {
		if bag[key] = value; value == "" {
			delete(bag, key)
		}
	}
	if who == c.unit.Name || strings.HasPrefix(who, c.unit.app.Name+"/") || strings.Contains(who, "/") {
		for _, other := range append(r.remote(c.unit.app).units, c.unit) {
			if other.Name == who {
				bag["egress-subnets"], bag["ingress-address"] = other.Address+"/32", other.Address
			}
		}
	}
	return bag
}

// commit makes the run's writes take effect.
func (c *hookContext) commit() error {
	m := c.unit.model
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, change := range c.secrets {
		if !change.add {
			continue
		}
		for _, s := range m.secrets {
			// A label is unique among the secrets that a unit can mean by it.
			if change.label != "" && s.label == change.label && (s.owner == change.owner || s.owner == ownerApp(change.owner) || ownerApp(s.owner) == change.owner) {
				return fmt.Errorf("create secrets: creating secret %q: secret with label %q already exists", change.id, change.label)
			}
		}
	}
	for id, bags := range c.bags {
		r := m.relations[id]
		if r == nil {
			continue
		}
		for who, changes := range bags {
			r.write(who, changes)
		}
	}
	for _, change := range c.secrets {
		m.applySecret(c.unit, change)
	}
	c.unit.Ports = c.ports
	return nil
}

func ownerApp(owner string) string {
	app, _, _ := strings.Cut(owner, "/")
	return app
}

func (m *Model) applySecret(u *Unit, change secretChange) {
	s := m.secrets[change.id]
	switch {
	case change.add:
		m.secrets[change.id] = &secret{
			id: change.id, owner: change.owner, label: change.label, revisions: map[int]relation.Bag{1: change.content}, latest: 1,
			grants: map[int]string{}, consumers: map[string]int{},
		}
	case s == nil:
	case change.grant != nil:
		s.grants[change.grant.ID] = change.grant.remote(u.app).Name
	case change.revoke != nil:
		delete(s.grants, change.revoke.ID)
	case change.remove != 0:
		delete(s.revisions, change.remove)
	case change.content != nil:
		s.latest++
		s.revisions[s.latest] = change.content
	}
}
