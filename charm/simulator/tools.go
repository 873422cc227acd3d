package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// tools are Juju's hook tools, as far as charms here use them. What they say is
// what those of Juju 4.1 say.
var tools map[string]func(*hookContext, flags, []byte) ([]byte, error)

func init() {
	tools = map[string]func(*hookContext, flags, []byte) ([]byte, error){
		"is-leader": func(c *hookContext, f flags, _ []byte) ([]byte, error) { return f.json(c.leader) },
		"config-get": func(c *hookContext, f flags, _ []byte) ([]byte, error) {
			options := maps.Clone(c.unit.app.defaults)
			if options == nil {
				options = map[string]any{}
			}
			maps.Copy(options, c.unit.app.config)
			return f.json(options)
		},
		"relation-ids":            (*hookContext).relationIDs,
		"relation-list":           (*hookContext).relationList,
		"relation-get":            (*hookContext).relationGet,
		"relation-set":            (*hookContext).relationSet,
		"network-get":             (*hookContext).networkGet,
		"secret-add":              (*hookContext).secretAdd,
		"secret-set":              (*hookContext).secretSet,
		"secret-get":              (*hookContext).secretGet,
		"secret-info-get":         (*hookContext).secretInfo,
		"secret-ids":              (*hookContext).secretIDs,
		"secret-grant":            (*hookContext).secretGrant,
		"secret-revoke":           (*hookContext).secretGrant,
		"secret-remove":           (*hookContext).secretRemove,
		"status-set":              (*hookContext).statusSet,
		"status-get":              (*hookContext).statusGet,
		"opened-ports":            func(c *hookContext, f flags, _ []byte) ([]byte, error) { return f.json(append([]string{}, c.ports...)) },
		"open-port":               (*hookContext).openPort,
		"close-port":              (*hookContext).closePort,
		"action-get":              (*hookContext).actionGet,
		"action-set":              (*hookContext).actionSet,
		"action-fail":             (*hookContext).actionFail,
		"juju-log":                (*hookContext).jujuLog,
		"application-version-set": (*hookContext).versionSet,
	}
}

// flags are the parsed arguments of a tool.
type flags struct {
	tool  string
	named map[string]string
	set   map[string]bool
	args  []string
}

// flagsOf has the flags of each tool that takes any but --format; those with
// ":" take a value.
var flagsOf = map[string][]string{
	"relation-list": {"r:", "relation:", "app"}, "relation-get": {"r:", "relation:", "app"}, "relation-set": {"r:", "relation:", "app", "file:"},
	"secret-add": {"label:", "owner:", "file:", "description:"}, "secret-set": {"label:", "owner:", "file:", "description:"},
	"secret-get": {"label:", "refresh", "peek"}, "secret-info-get": {"label:"}, "secret-grant": {"r:", "relation:", "unit:"},
	"secret-revoke": {"r:", "relation:", "unit:"}, "secret-remove": {"revision:"}, "status-set": {"application"},
	"status-get": {"application", "include-data"}, "juju-log": {"l:", "debug"},
}

// parseFlags reads flags between arguments, until "--".
func parseFlags(tool string, args []string) (flags, error) {
	f := flags{tool: tool, named: map[string]string{}, set: map[string]bool{}}
	takes := append([]string{"format:"}, flagsOf[tool]...)
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			f.args = append(f.args, args[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			f.args = append(f.args, arg)
			continue
		}
		name, value, assigned := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case slices.Contains(takes, name):
			f.set[name] = true
		case slices.Contains(takes, name+":"):
			if !assigned {
				if i++; i >= len(args) {
					return f, usage("option needs an argument: %s", arg)
				}
				value = args[i]
			}
			f.named[name], f.set[name] = value, true
		default:
			return f, usage("option provided but not defined: %s", arg)
		}
	}
	if format := f.named["format"]; format != "" && format != "json" && format != "yaml" && format != "smart" {
		return f, usage(`invalid value %q for option --format: unknown format %q`, format, format)
	}
	return f, nil
}

// json writes an answer as the caller wants it. Charms here want JSON.
func (f flags) json(value any) ([]byte, error) {
	if f.named["format"] != "json" {
		return []byte(fmt.Sprintln(value)), nil
	}
	text, err := json.Marshal(value)
	return append(text, '\n'), err
}

// relation finds the one that -r names.
func (c *hookContext) relation(f flags) (*Relation, error) {
	id := f.named["r"]
	if id == "" {
		id = f.named["relation"]
	}
	if id == "" && c.on.relation != nil {
		id = c.on.relation.name(c.unit.app)
	}
	if id == "" {
		return nil, usage("no relation id specified")
	}
	_, number, _ := strings.Cut(id, ":")
	n, err := strconv.Atoi(number)
	if err == nil {
		r := c.unit.model.relations[n]
		s := c.unit.seen.relations[n]
		created := s != nil && !s.broken || c.on.relation == r && r != nil
		if r != nil && created && r.name(c.unit.app) == id {
			return r, nil
		}
	}
	return nil, usage(`invalid value %q for option -r: relation not found`, id)
}

func (c *hookContext) relationIDs(f flags, _ []byte) ([]byte, error) {
	ids := []string{}
	for _, r := range c.unit.relations() {
		s := c.unit.seen.relations[r.ID]
		entered := s != nil && !s.broken || c.on.relation == r
		// Juju 4 hides a relation that is breaking.
		if len(f.args) == 1 && entered && r.endpointOf(c.unit.app) == f.args[0] && !strings.HasSuffix(c.on.hookOf(r), "-broken") {
			ids = append(ids, r.name(c.unit.app))
		}
	}
	return f.json(ids)
}

func (p pending) hookOf(r *Relation) string {
	if p.relation == r {
		return p.hook
	}
	return ""
}

func (c *hookContext) relationList(f flags, _ []byte) ([]byte, error) {
	r, err := c.relation(f)
	if err != nil {
		return nil, err
	}
	if f.set["app"] {
		return f.json(r.remote(c.unit.app).Name)
	}
	units := []string{}
	for name := range c.unit.seen.relations[r.ID].known() {
		units = append(units, name)
	}
	if c.on.relation == r && strings.HasSuffix(c.on.hook, "-joined") && !slices.Contains(units, c.on.unit) {
		units = append(units, c.on.unit)
	}
	if c.on.relation == r && strings.HasSuffix(c.on.hook, "-departed") {
		units = slices.DeleteFunc(units, func(name string) bool { return name == c.on.unit })
	}
	slices.Sort(units)
	return f.json(units)
}

func (s *seenRelation) known() map[string]int {
	if s == nil {
		return nil
	}
	return s.units
}

func (c *hookContext) relationGet(f flags, _ []byte) ([]byte, error) {
	r, err := c.relation(f)
	if err != nil {
		return nil, err
	}
	if len(f.args) < 2 {
		return nil, usage("no unit or application specified")
	}
	key, who := f.args[0], f.args[1]
	ours, theirs := c.unit.app, r.remote(c.unit.app)
	var bag relation.Bag
	switch {
	case f.set["app"]:
		who = ownerApp(who)
		switch {
		case who == ours.Name && !c.leader && !r.peer():
			return nil, refuse("permission denied")
		case who != ours.Name && who != theirs.Name:
			return nil, refuse("getting application %q not found", who)
		}
		bag = c.bag(r, who)
		delete(bag, "egress-subnets")
	case !strings.Contains(who, "/"):
		return nil, usage("expected unit name, got application name %q", who)
	default:
		known := who == c.unit.Name
		for _, other := range theirs.units {
			known = known || other.Name == who
		}
		if _, told := c.unit.seen.relations[r.ID].known()[who]; !known && !told {
			return nil, refuse("relation unit not found")
		}
		bag = c.bag(r, who)
	}
	if key != "-" && key != "" {
		value, found := bag[key]
		if !found {
			return f.json(nil)
		}
		return f.json(value)
	}
	return f.json(bag)
}

func (c *hookContext) relationSet(f flags, stdin []byte) ([]byte, error) {
	r, err := c.relation(f)
	if err != nil {
		return nil, err
	}
	changes := relation.Bag{}
	if file, given := f.named["file"]; given {
		text := stdin
		if file != "-" {
			if text, err = c.readFile(file); err != nil {
				return nil, err
			}
		}
		if err := yaml.Unmarshal(text, &changes); err != nil {
			return nil, refuse("%v", err)
		}
	}
	for _, arg := range f.args {
		key, value, found := strings.Cut(arg, "=")
		if !found {
			return nil, usage(`expected "key=value", got %q`, arg)
		}
		changes[key] = value
	}
	who := c.unit.Name
	if f.set["app"] {
		if who = c.unit.app.Name; !c.leader {
			return nil, refuse("cannot write relation settings")
		}
	}
	before := c.bag(r, who)
	if c.bags[r.ID] == nil {
		c.bags[r.ID] = map[string]relation.Bag{}
	}
	if c.bags[r.ID][who] == nil {
		c.bags[r.ID][who] = relation.Bag{}
	}
	maps.Copy(c.bags[r.ID][who], changes)
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		if before[key] != changes[key] {
			c.wrote("relation-set %s %s %s", r.name(c.unit.app), who, key)
		}
	}
	return nil, nil
}

func (c *hookContext) networkGet(f flags, _ []byte) ([]byte, error) {
	if len(f.args) != 1 || c.unit.app.Endpoints[f.args[0]].Interface == "" {
		return nil, refuse("no network config found for binding %q", strings.Join(f.args, " "))
	}
	address := c.unit.Address
	return f.json(map[string]any{
		"bind-addresses": []any{map[string]any{
			"mac-address": "", "interface-name": "", "addresses": []any{map[string]any{"hostname": "", "value": address, "cidr": ""}},
		}},
		"egress-subnets": []string{address + "/32"}, "ingress-addresses": []string{address},
	})
}

func (c *hookContext) secretContent(f flags) (relation.Bag, error) {
	content := relation.Bag{}
	if file := f.named["file"]; file != "" {
		text, err := c.readFile(file)
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(text, &content); err != nil {
			return nil, refuse("%v", err)
		}
	}
	for _, arg := range f.args {
		key, value, found := strings.Cut(arg, "=")
		if !found || value == "" {
			return nil, usage("key value %q not valid", arg)
		}
		content[key] = value
	}
	if err := checkSecret(content); err != nil {
		return nil, usage("%v", err)
	}
	return content, nil
}

func (c *hookContext) secretAdd(f flags, _ []byte) ([]byte, error) {
	content, err := c.secretContent(f)
	if err != nil {
		return nil, err
	}
	if len(content) == 0 {
		return nil, usage("missing secret value or filename")
	}
	owner := c.unit.app.Name
	switch f.named["owner"] {
	case "", "application":
		if !c.leader {
			return nil, refuse("this unit is not the leader")
		}
	case "unit":
		owner = c.unit.Name
	default:
		return nil, usage("secret owner %q not valid", f.named["owner"])
	}
	id := c.unit.model.newSecretID()
	c.secrets = append(c.secrets, secretChange{id: id, label: f.named["label"], owner: owner, content: content, add: true})
	c.wrote("secret-add %s", f.named["label"])
	return []byte("secret://" + c.unit.model.UUID + "/" + id + "\n"), nil
}

// owned finds a secret of ours, also one that this run has made.
func (c *hookContext) owned(id string) (owner string, found bool) {
	for _, change := range c.secrets {
		if change.add && change.id == id {
			return change.owner, true
		}
	}
	if s := c.unit.model.secrets[id]; s != nil && s.ownedBy(c.unit) {
		return s.owner, true
	}
	return "", false
}

// manage finds the secret that the first argument names, if the unit may change it.
func (c *hookContext) manage(f flags) (id string, err error) {
	if len(f.args) == 0 {
		return "", usage("missing secret URI")
	}
	id, valid := parseSecretID(f.args[0])
	if !valid {
		return "", usage("secret URI %q not valid", f.args[0])
	}
	owner, found := c.owned(id)
	if !found {
		return "", refuse("secret %q not found", id)
	}
	if owner == c.unit.app.Name && !c.leader {
		return "", refuse("this unit is not the leader")
	}
	return id, nil
}

func (c *hookContext) secretSet(f flags, _ []byte) ([]byte, error) {
	id, err := c.manage(f)
	if err != nil {
		return nil, err
	}
	f.args = f.args[1:]
	content, err := c.secretContent(f)
	if err != nil {
		return nil, err
	}
	// The same content makes no revision.
	if s := c.unit.model.secrets[id]; s != nil && maps.Equal(s.revisions[s.latest], content) {
		return nil, nil
	}
	c.secrets = append(c.secrets, secretChange{id: id, content: content})
	c.wrote("secret-set %s", id)
	return nil, nil
}

func (c *hookContext) secretGrant(f flags, _ []byte) ([]byte, error) {
	id, err := c.manage(f)
	if err != nil {
		return nil, err
	}
	r, err := c.relation(f)
	if err != nil {
		return nil, err
	}
	if s := c.unit.model.secrets[id]; s != nil && s.grants[r.ID] == r.remote(c.unit.app).Name && f.tool == "secret-grant" {
		return nil, nil
	}
	change := secretChange{id: id, grant: r}
	if f.tool == "secret-revoke" {
		change = secretChange{id: id, revoke: r}
	}
	c.secrets = append(c.secrets, change)
	c.wrote("%s %s", f.tool, id)
	return nil, nil
}

func (c *hookContext) secretRemove(f flags, _ []byte) ([]byte, error) {
	id, err := c.manage(f)
	if err != nil {
		return nil, err
	}
	revision, err := strconv.Atoi(f.named["revision"])
	if err != nil {
		return nil, usage("invalid value %q for option --revision", f.named["revision"])
	}
	if s := c.unit.model.secrets[id]; s == nil || s.revisions[revision] == nil {
		return nil, nil
	}
	c.secrets = append(c.secrets, secretChange{id: id, remove: revision})
	c.wrote("secret-remove %s %d", id, revision)
	return nil, nil
}

func (c *hookContext) secretGet(f flags, _ []byte) ([]byte, error) {
	label := f.named["label"]
	if len(f.args) == 0 && label == "" {
		return nil, usage("require either a secret URI or label")
	}
	if f.set["peek"] && f.set["refresh"] {
		return nil, usage("specify one of --peek or --refresh but not both")
	}
	id := ""
	if len(f.args) > 0 {
		var valid bool
		if id, valid = parseSecretID(f.args[0]); !valid {
			return nil, usage("secret URI %q not valid", f.args[0])
		}
	}
	// What this run has made is seen, though it may never be.
	for _, change := range c.secrets {
		if change.add && (change.id == id || id == "" && change.label == label) {
			return f.json(change.content)
		}
	}
	m := c.unit.model
	if id == "" {
		for _, s := range m.secrets {
			if s.label == label && s.ownedBy(c.unit) {
				id = s.id
			}
		}
		if id == "" {
			return nil, refuse("secret URI for consumer label %q not found", label)
		}
	}
	s := m.secrets[id]
	if s == nil {
		return nil, refuse("getting latest secret revision: secret not found")
	}
	if !s.readableBy(c.unit) {
		return nil, refuse("permission denied")
	}
	for _, change := range slices.Backward(c.secrets) {
		if change.id == id && change.content != nil && !change.add && (f.set["refresh"] || f.set["peek"]) {
			return f.json(change.content)
		}
	}
	revision, tracked := s.consumers[c.unit.Name]
	if !tracked || f.set["refresh"] || f.set["peek"] {
		revision = s.latest
	}
	if !f.set["peek"] {
		s.consumers[c.unit.Name] = revision
	}
	content, there := s.revisions[revision]
	if !there {
		return nil, refuse("secret revision not found")
	}
	return f.json(content)
}

func (c *hookContext) secretInfo(f flags, _ []byte) ([]byte, error) {
	want := f.named["label"]
	if len(f.args) > 0 {
		want, _ = parseSecretID(f.args[0])
	}
	for id, s := range c.unit.model.secrets {
		if id != want && s.label != want {
			continue
		}
		if s.owner == c.unit.Name || s.owner == c.unit.app.Name && c.leader {
			owner := "application"
			if s.owner == c.unit.Name {
				owner = "unit"
			}
			return f.json(map[string]any{id: map[string]any{"revision": s.latest, "label": s.label, "owner": owner, "rotation": "never"}})
		}
	}
	for _, change := range c.secrets {
		if change.add && (change.id == want || change.label == want) {
			return f.json(map[string]any{change.id: map[string]any{"revision": 1, "label": change.label, "rotation": "never"}})
		}
	}
	return nil, refuse("secret %q not found", want)
}

func (c *hookContext) secretIDs(f flags, _ []byte) ([]byte, error) {
	var ids []string
	for id, s := range c.unit.model.secrets {
		if s.owner == c.unit.Name || s.owner == c.unit.app.Name && c.leader {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return f.json(ids) // null if there are none
}

var statuses = []string{"maintenance", "blocked", "waiting", "active"}

func (c *hookContext) statusSet(f flags, _ []byte) ([]byte, error) {
	if len(f.args) == 0 {
		return nil, usage("invalid args, require <status> [message]")
	}
	if !slices.Contains(statuses, f.args[0]) {
		return nil, usage("invalid status %q, expected one of %v", f.args[0], statuses)
	}
	status := hook.Status{Level: f.args[0], Message: strings.Join(f.args[1:], " ")}
	if !f.set["application"] {
		if c.unit.Status != status {
			c.wrote("status-set %s", status.Level)
		}
		c.unit.Status = status
		return nil, nil
	}
	if !c.leader {
		return nil, refuse("setting application status: this unit is not the leader")
	}
	c.wrote("status-set --application %s", status.Level)
	c.unit.app.status = &status
	return nil, nil
}

func (c *hookContext) statusGet(f flags, _ []byte) ([]byte, error) {
	describe := func(s hook.Status) map[string]any {
		return map[string]any{"status": s.Level, "message": s.Message, "status-data": map[string]any{}}
	}
	if !f.set["application"] {
		return f.json(describe(c.unit.Status))
	}
	if !c.leader {
		return nil, refuse("finding application status: this unit is not the leader")
	}
	units := map[string]any{}
	for _, u := range c.unit.app.units {
		units[u.Name] = describe(u.Status)
	}
	answer := describe(c.unit.app.Status())
	answer["units"] = units
	return f.json(map[string]any{"application-status": answer})
}

// Status is the application's: what the leader has set, else that of the unit
// that is worst off.
func (a *App) Status() hook.Status {
	if a.status != nil {
		return *a.status
	}
	order := []string{"blocked", "waiting", "maintenance", "active"}
	worst := hook.Status{Level: "active"}
	for i := range slices.Backward(order) {
		for _, u := range a.units {
			if u.Status.Level == order[i] {
				worst = u.Status
			}
		}
	}
	return worst
}

var port = regexp.MustCompile(`^([0-9]+)/(tcp|udp)$`)

func (c *hookContext) port(f flags) (string, error) {
	if len(f.args) != 1 {
		return "", usage("no port or range specified")
	}
	match := port.FindStringSubmatch(f.args[0])
	if match == nil {
		return "", usage("expected <port>[/<protocol>] or <from>-<to>[/<protocol>] or icmp; got %q", f.args[0])
	}
	if n, err := strconv.Atoi(match[1]); err != nil || n > 65535 {
		return "", usage("port range bounds must be between 0 and 65535, got %s-%s", match[1], match[1])
	}
	return f.args[0], nil
}

func (c *hookContext) openPort(f flags, _ []byte) ([]byte, error) {
	port, err := c.port(f)
	if err == nil && !slices.Contains(c.ports, port) {
		c.ports = append(c.ports, port)
		c.wrote("open-port %s", port)
	}
	return nil, err
}

func (c *hookContext) closePort(f flags, _ []byte) ([]byte, error) {
	port, err := c.port(f)
	if err == nil && slices.Contains(c.ports, port) {
		c.ports = slices.DeleteFunc(c.ports, func(open string) bool { return open == port })
		c.wrote("close-port %s", port)
	}
	return nil, err
}

func (c *hookContext) actionGet(f flags, _ []byte) ([]byte, error) {
	if c.on.action == "" {
		return nil, refuse("not running an action")
	}
	return f.json(c.on.params)
}

// actionKey is what Juju wants of the key of a result.
var actionKey = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$`)

func (c *hookContext) actionSet(f flags, _ []byte) ([]byte, error) {
	for _, arg := range f.args {
		key, value, found := strings.Cut(arg, "=")
		if !found {
			return nil, usage("argument %q must be of the form key...=value", arg)
		}
		for part := range strings.SplitSeq(key, ".") {
			if !actionKey.MatchString(part) {
				return nil, usage("key %q must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric, hyphens and periods", key)
			}
			if slices.Contains([]string{"stdout", "stderr", "stdout-encoding", "stderr-encoding"}, part) {
				return nil, refuse("cannot set reserved action key %q", key)
			}
		}
		if c.on.action == "" {
			return nil, refuse("not running an action")
		}
		c.on.results[key] = value
	}
	return nil, nil
}

func (c *hookContext) actionFail(f flags, _ []byte) ([]byte, error) {
	if c.on.action == "" {
		return nil, refuse("not running an action")
	}
	message := "action failed without reason given, check action for errors"
	if len(f.args) > 0 {
		message = f.args[0]
	}
	*c.on.failure = message
	return nil, nil
}

func (c *hookContext) jujuLog(f flags, _ []byte) ([]byte, error) {
	c.unit.model.Log = append(c.unit.model.Log, fmt.Sprintf("%s: %s %s", c.unit.Name, f.named["l"], strings.Join(f.args, " ")))
	return nil, nil
}

func (c *hookContext) versionSet(f flags, _ []byte) ([]byte, error) {
	c.unit.app.version = strings.Join(f.args, " ")
	return nil, nil
}
