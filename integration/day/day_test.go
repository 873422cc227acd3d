//go:build integration

package day

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// generation is a release of the juju client.
type generation struct {
	name, path string
}

func (c *company) generations() []generation {
	return []generation{{"3.6", c.bin.Juju36}, {"4.1", c.bin.Juju41}}
}

// shorten makes a generation part of a name.
func (g generation) shorten() string { return strings.ReplaceAll(g.name, ".", "") }

// days has everybody work for a day.
func (c *company) days(t *testing.T) {
	juju36, juju41 := c.generations()[0], c.generations()[1]
	for _, day := range []struct {
		name        string
		juju        generation
		me, friend  member
		friendsJuju generation
	}{
		{"an administrator with juju 3.6, by device", juju36, memberAlice, memberBob, juju36},
		{"a user with juju 3.6, by device", juju36, memberBob, memberRobot, juju41},
		{"an administrator with juju 4.1, by device", juju41, memberAlice, memberBob, juju36},
		{"a service account with juju 4.1, by its secret", juju41, memberRobot, memberBob, juju41},
	} {
		t.Run(day.name, func(t *testing.T) {
			t.Parallel()
			w := &workday{
				company: c, generation: day.juju, member: day.me,
				me: c.person(t, day.me, day.juju.path), friend: c.person(t, day.friend, day.friendsJuju.path),
				onEast: c.direct(t, c.east, c.bin.Juju41), onWest: c.direct(t, c.west, c.bin.Juju41),
			}
			name := strings.Split(day.me.name, "@")[0] + "-" + day.juju.shorten()
			w.name, w.eastern, w.western = name, "east-"+name, "west-"+name
			c.logIn(w.friend, day.friend).says()
			w.spend(t)
		})
	}
}

// setUp gives one of the controllers a cloud that has credentials, by taking it out of JIMM
// and in again, and lets everybody use it.
func (c *company) setUp(t *testing.T) {
	admin := c.direct(t, c.west, c.bin.Juju41)
	cloud := filepath.Join(c.dir, "kube.yaml")
	write(t, cloud, `
clouds:
  kube:
    type: kubernetes
    auth-types: [userpass]
    endpoint: https://192.0.2.1:6443
    regions: {default: {}}
`)
	admin.juju("add-cloud", "kube", "--controller", c.west.Name, "-f", cloud, "--force").says(`Cloud "kube" added to controller`)

	a := c.person(t, memberAlice, c.bin.Juju41)
	c.logIn(a, memberAlice).says()
	c.jaasAs(a, "controllers").says(c.east.Name, c.west.Name)
	c.jaasAs(a, "unregister-controller", c.west.Name).says()
	c.jaasAs(a, "controllers").says(c.east.Name).omits(c.west.Name)

	// The administrator of the controller hands it over in a file.
	file := filepath.Join(c.dir, "west.yaml")
	write(t, file, fmt.Sprintf("name: %s\nuuid: %s\napi-addresses: [%q]\nca-certificate: %q\nusername: %s\npassword: %s\n",
		c.west.Name, c.west.UUID, c.west.Address, c.west.CACert, c.west.User, c.west.Password))
	c.jaasAs(a, "register-controller", c.west.Name, "--file", file).says(c.west.UUID)
	c.jaasAs(a, "controllers").says(c.east.Name, c.west.Name)
	a.juju("clouds", "--controller", "jimm").says("kube", "dev")
	for _, m := range []member{memberBob, memberRobot} {
		a.juju("grant-cloud", m.name, "add-model", "kube").says()
	}
}

// workday is one person's day with one client, with a friend who is given access.
type workday struct {
	*company
	generation generation
	member     member
	me, friend *session
	// name is part of the names of what is made.
	name string
	// eastern and western are the two models.
	eastern, western string
	// onEast and onWest are those who look at the controllers directly.
	onEast, onWest *session
	// t is of the step at work.
	t *testing.T
}

func (w *workday) spend(t *testing.T) {
	for _, step := range []struct {
		name string
		do   func(*workday)
	}{
		{"login", (*workday).login},
		{"whoami", (*workday).whoami},
		{"controllers", (*workday).controllers},
		{"clouds", (*workday).clouds},
		{"add-credential", (*workday).addCredential},
		{"add-model on both controllers", (*workday).addModels},
		{"models", (*workday).models},
		{"show-model", (*workday).showModel},
		{"switch", (*workday).switchModel},
		{"model-config", (*workday).modelConfig},
		{"deploy a local charm with a resource", (*workday).deploy},
		{"status", (*workday).status},
		{"config", (*workday).config},
		{"attach-resource", (*workday).attachResource},
		{"add-unit", (*workday).addUnit},
		{"integrate", (*workday).integrate},
		{"expose", (*workday).expose},
		{"run and exec", (*workday).runAndExec},
		{"add-secret and secrets", (*workday).secrets},
		{"debug-log", (*workday).debugLog},
		{"what this client cannot do", (*workday).skew},
		{"grant read", (*workday).grantRead},
		{"grant write", (*workday).grantWrite},
		{"grant admin", (*workday).grantAdmin},
		{"revoke", (*workday).revoke},
		{"destroy-model", (*workday).destroyModels},
		{"logout", (*workday).logout},
	} {
		t.Run(step.name, func(t *testing.T) {
			w.t = t
			for _, s := range []*session{w.me, w.friend, w.onEast, w.onWest} {
				s.t = t
			}
			step.do(w)
		})
	}
}

func (w *workday) login() {
	w.logIn(w.me, w.member).says(fmt.Sprintf("Welcome, %s. You are now logged into \"jimm\".", w.me.who))
}

func (w *workday) whoami() {
	got := read[map[string]string](w.me.juju("whoami", "--format", "json"))
	if got["controller"] != "jimm" || got["user"] != w.me.who {
		w.t.Errorf("got %v", got)
	}
}

func (w *workday) controllers() {
	type list struct {
		Controllers map[string]struct {
			UUID      string   `json:"uuid"`
			User      string   `json:"user"`
			Access    string   `json:"access"`
			Endpoints []string `json:"api-endpoints"`
		} `json:"controllers"`
		Current string `json:"current-controller"`
	}
	got := read[list](w.me.juju("controllers", "--refresh", "--format", "json"))
	jimm := got.Controllers["jimm"]
	access := "login"
	if w.me.who == alice {
		access = "superuser"
	}
	if got.Current != "jimm" || len(got.Controllers) != 1 || jimm.UUID != w.stack.Server.Estate.UUID || jimm.User != w.me.who || jimm.Access != access {
		w.t.Errorf("got %+v", got)
	}
	// Only JIMM's own address: the client goes to no controller by itself.
	if !slices.Equal(jimm.Endpoints, []string{w.stack.Address}) {
		w.t.Errorf("the client knows the endpoints %v, want %v", jimm.Endpoints, w.stack.Address)
	}
}

func (w *workday) clouds() {
	type cloud struct {
		Type    string         `json:"type"`
		Regions map[string]any `json:"regions"`
	}
	got := read[map[string]cloud](w.me.juju("clouds", "--controller", "jimm", "--format", "json"))
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"dev", "kube"}) {
		w.t.Errorf("the clouds are %v", names)
	}
	if regions := slices.Sorted(maps.Keys(got["dev"].Regions)); !slices.Equal(regions, []string{"east", "west"}) || got["dev"].Type != "unmanaged" {
		w.t.Errorf("dev is %+v", got["dev"])
	}
}

func (w *workday) addCredential() {
	file := filepath.Join(w.dir, "credentials-"+w.name+".yaml")
	const password = "kept-sealed"
	write(w.t, file, fmt.Sprintf("credentials:\n  kube:\n    %s:\n      auth-type: userpass\n      username: tester\n      password: %s\n", w.name, password))
	w.me.juju("add-credential", "kube", "--controller", "jimm", "-f", file).says(
		fmt.Sprintf("Controller credential %q for user %q for cloud \"kube\" on controller \"jimm\" added", w.name, w.me.who)).omits(password)
	w.me.juju("credentials", "--controller", "jimm").says("kube", w.name).omits(password)
	w.me.juju("show-credential", "kube", w.name, "--controller", "jimm", "--show-secrets").says("username: tester", "password: "+password)
	// It goes to a controller when a model there needs it.
	w.onWest.juju("show-credential", "kube", w.name, "--controller", w.west.Name).omits("tester")
	if strings.Contains(w.log.String(), password) {
		w.t.Error("the password is in JIMM's log")
	}
}

func (w *workday) addModels() {
	w.me.juju("add-model", w.eastern, "dev/east").says(fmt.Sprintf("Added '%s' model on dev/east for user", w.eastern))
	w.me.juju("add-model", w.western, "dev/west").says(fmt.Sprintf("Added '%s' model on dev/west for user", w.western))
	for _, c := range []struct {
		on          *session
		has, hasNot string
	}{{w.onEast, w.eastern, w.western}, {w.onWest, w.western, w.eastern}} {
		c.on.juju("models", "--all").says(w.me.who + "/" + c.has).omits(c.hasNot)
		// For a look into the model.
		c.on.juju("grant", "admin", "admin", w.me.who+"/"+c.has).says()
	}
	w.me.juju("add-model", w.eastern, "dev/west").fails("already")
}

// listed is a model as juju models and show-model print it.
type listed struct {
	Name       string `json:"name"`
	Short      string `json:"short-name"`
	Controller string `json:"controller-name"`
	UUID       string `json:"model-uuid"`
	Cloud      string `json:"cloud"`
	Region     string `json:"region"`
	Life       string `json:"life"`
	Access     string `json:"access"`
	Version    string `json:"agent-version"`
	Status     struct {
		Current string `json:"current"`
		Message string `json:"message"`
	} `json:"status"`
	Users map[string]struct {
		Access string `json:"access"`
	} `json:"users"`
}

// modelsOf lists a person's models by full name.
func modelsOf(s *session) map[string]listed {
	s.t.Helper()
	got := read[struct {
		Models []listed `json:"models"`
	}](s.juju("models", "--format", "json"))
	models := map[string]listed{}
	for _, m := range got.Models {
		models[m.Name] = m
	}
	return models
}

func (w *workday) models() {
	got := modelsOf(w.me)
	for name, region := range map[string]string{w.eastern: "east", w.western: "west"} {
		m := got[w.me.who+"/"+name]
		if m.Short != name || m.Cloud != "dev" || m.Region != region || m.Status.Current != "available" || m.Access != "admin" ||
			m.Life != "alive" || m.Controller != "jimm" {
			w.t.Errorf("model %s is listed as %+v", name, m)
		}
	}
	if _, ok := modelsOf(w.friend)[w.me.who+"/"+w.eastern]; ok {
		w.t.Error("somebody else sees the model")
	}
}

func (w *workday) showModel() {
	got := read[map[string]listed](w.me.juju("show-model", w.western, "--format", "json"))
	m := got[w.western]
	if m.Name != w.me.who+"/"+w.western || m.Region != "west" || m.Status.Current != "available" || m.Version != "4.1-beta2" {
		w.t.Errorf("got %+v", m)
	}
	if m.Users[w.me.who].Access != "admin" {
		w.t.Errorf("the users are %+v", m.Users)
	}
	direct := read[map[string]listed](w.onWest.juju("show-model", m.Name, "--format", "json"))
	if d := direct[w.western]; d.UUID != m.UUID {
		w.t.Errorf("the controller has it as %+v", direct)
	}
}

func (w *workday) switchModel() {
	w.me.juju("switch", w.western).says(w.western)
	w.me.juju("switch", w.eastern).says(w.eastern)
	w.me.juju("switch").says("jimm:" + w.me.who + "/" + w.eastern)
}

func (w *workday) modelConfig() {
	w.me.juju("model-config", "--format", "json").says(`"logging-config":{"Value":"\u003croot\u003e=INFO"`)
	w.me.juju("model-config", "logging-config=<root>=DEBUG").says()
	w.me.juju("model-config", "logging-config").says("<root>=DEBUG")
	w.onEast.juju("model-config", "-m", w.me.who+"/"+w.eastern, "logging-config").says("<root>=DEBUG")
	w.me.juju("model-config", "--reset", "logging-config").says()
	w.onEast.juju("model-config", "-m", w.me.who+"/"+w.eastern, "logging-config").says("<root>=INFO")
	w.me.juju("model-config", "agent-version=1.2.3").fails("agent-version")
}

func (w *workday) deploy() {
	args := []string{"deploy", w.charm, "probe", "--config", "opt=hi"}
	if !w.knows(skewDeployResource) {
		args = append(args, "--resource", "blob="+w.blob)
	}
	w.me.juju(args...).says(`Located local charm "probe"`, `Deploying "probe" from local charm "probe"`)
	w.onEast.juju("config", "-m", w.me.who+"/"+w.eastern, "probe", "opt").says("hi")
	w.me.juju("deploy", w.charm, "other").says()
	w.me.juju("deploy", filepath.Join(w.dir, "no-such.charm")).fails()
	if !w.knows(skewDeployResource) {
		w.resourceIs(len("some text\n"))
	}
}

// resourceIs wants the resource of the charm to have that many bytes on the controller.
func (w *workday) resourceIs(size int) {
	w.t.Helper()
	got := read[struct {
		Resources []struct {
			Name, Origin, Username string
			Size                   int
		}
	}](w.onEast.juju("resources", "-m", w.me.who+"/"+w.eastern, "probe", "--format", "json"))
	if len(got.Resources) != 1 || got.Resources[0].Name != "blob" || got.Resources[0].Size != size || !strings.HasPrefix(w.me.who, got.Resources[0].Username) {
		w.t.Errorf("the resources are %+v, want one of %d bytes", got.Resources, size)
	}
}

func (w *workday) attachResource() {
	file := filepath.Join(w.dir, "longer.txt")
	write(w.t, file, strings.Repeat("longer text\n", 100_000))
	w.me.juju("attach-resource", "probe", "blob="+file).says()
	w.resourceIs(1_200_000)
	if !w.knows(skewResources) {
		w.me.juju("resources", "probe").says("blob")
	}
	w.me.juju("attach-resource", "probe", "nothing="+file).fails("nothing")
}

// statusOf is what juju status tells of a model.
type statusOf struct {
	Model struct {
		Name, Controller, Cloud, Region string
	}
	Applications map[string]struct {
		Charm     string
		Exposed   bool
		Relations map[string][]any
		Status    struct {
			Current, Message string
		} `json:"application-status"`
		Units map[string]any
	}
}

func (w *workday) status() {
	got := read[statusOf](w.me.juju("status", "--format", "json"))
	if m := got.Model; m.Name != w.eastern || m.Controller != "jimm" || m.Cloud != "dev" || m.Region != "east" {
		w.t.Errorf("the model is %+v", m)
	}
	probe := got.Applications["probe"]
	if !strings.HasPrefix(probe.Charm, "local:probe-") || probe.Status.Current != "waiting" || len(probe.Units) != 1 {
		w.t.Errorf("probe is %+v", probe)
	}
	if empty := read[statusOf](w.me.juju("status", "-m", w.western, "--format", "json")); empty.Model.Name != w.western || len(empty.Applications) != 0 {
		w.t.Errorf("the other model is %+v", empty)
	}
}

func (w *workday) config() {
	w.me.juju("config", "probe", "opt").says("hi")
	w.me.juju("config", "probe", "opt=hello").says()
	w.me.juju("config", "probe", "opt").says("hello")
	w.onEast.juju("config", "-m", w.me.who+"/"+w.eastern, "probe", "opt").says("hello")
	w.me.juju("config", "nobody", "opt=hello").fails("nobody")
}

func (w *workday) addUnit() {
	w.me.juju("add-unit", "probe", "-n", "2").says()
	got := read[statusOf](w.onEast.juju("status", "-m", w.me.who+"/"+w.eastern, "--format", "json"))
	if units := slices.Sorted(maps.Keys(got.Applications["probe"].Units)); !slices.Equal(units, []string{"probe/0", "probe/1", "probe/2"}) {
		w.t.Errorf("the units are %v", units)
	}
}

func (w *workday) integrate() {
	w.me.juju("integrate", "probe:db", "other:src").says()
	for _, s := range []*session{w.me, w.onEast} {
		got := read[statusOf](s.juju("status", "-m", w.me.who+"/"+w.eastern, "--format", "json"))
		if len(got.Applications["probe"].Relations["db"]) != 1 {
			w.t.Errorf("%s sees the relations %v", s.who, got.Applications["probe"].Relations)
		}
	}
	w.me.juju("integrate", "probe:db", "other:src").fails("already")
}

func (w *workday) expose() {
	w.me.juju("expose", "probe").says()
	for _, s := range []*session{w.me, w.onEast} {
		if got := read[statusOf](s.juju("status", "-m", w.me.who+"/"+w.eastern, "--format", "json")); !got.Applications["probe"].Exposed {
			w.t.Errorf("%s does not see it exposed", s.who)
		}
	}
	w.me.juju("unexpose", "probe").says()
	if got := read[statusOf](w.onEast.juju("status", "-m", w.me.who+"/"+w.eastern, "--format", "json")); got.Applications["probe"].Exposed {
		w.t.Error("it is still exposed")
	}
}

var scheduled = regexp.MustCompile(`Scheduled operation (\d+) with task (\d+)`)

// runAndExec queues work for a unit that is not there yet.
func (w *workday) runAndExec() {
	type operations map[string]struct {
		Summary, Status string
	}
	for _, command := range []struct {
		args    []string
		summary string
	}{
		{[]string{"run", "probe/0", "ping", "--background"}, `action "ping"`},
		{[]string{"exec", "--unit", "probe/0", "--background", "hostname"}, `exec "hostname"`},
	} {
		r := w.me.juju(command.args...).says()
		found := scheduled.FindStringSubmatch(r.stdout + r.stderr)
		if found == nil {
			r.fail("no operation has been scheduled")
		}
		for _, s := range []*session{w.me, w.onEast} {
			got := read[operations](s.juju("operations", "-m", w.me.who+"/"+w.eastern, "--format", "json"))
			if o := got[found[1]]; o.Summary != command.summary || o.Status != "pending" {
				w.t.Errorf("%s sees operation %s as %+v", s.who, found[1], o)
			}
		}
		w.me.juju("show-task", found[2]).says("pending")
	}
	w.me.juju("run", "probe/0", "no-such-action", "--background").fails("no-such-action")
}

func (w *workday) secrets() {
	w.me.juju("add-secret", "mine", "key=value-of-"+w.name).says("secret:")
	w.me.juju("secrets").says("mine").omits("value-of-")
	w.me.juju("show-secret", "mine", "--reveal").says("key: value-of-" + w.name)
	w.onEast.juju("show-secret", "-m", w.me.who+"/"+w.eastern, "mine", "--reveal").says("key: value-of-" + w.name)
	w.me.juju("add-secret", "mine", "key=another").fails("already exists")
	if strings.Contains(w.log.String(), "value-of-") {
		w.t.Error("the secret is in JIMM's log")
	}
}

func (w *workday) debugLog() {
	direct := w.onEast.juju("debug-log", "-m", w.me.who+"/"+w.eastern, "--replay", "--no-tail").says("juju.worker")
	ours := w.me.juju("debug-log", "--replay", "--no-tail").says("juju.worker")
	// The log grows meanwhile, and the clients show labels differently.
	if d, o := strings.Count(direct.stdout, "\n"), strings.Count(ours.stdout, "\n"); o < d {
		ours.fail("debug-log has %d lines, directly %d", o, d)
	}
	limited := w.me.juju("debug-log", "--replay", "--no-tail", "--limit", "2").says("machine-0:")
	if n := strings.Count(limited.stdout, "machine-0:"); n != 2 {
		limited.fail("with --limit 2 it has %d entries", n)
	}
}

// theirs is one of my models as the friend names it.
func (w *workday) theirs(model string) string { return w.me.who + "/" + model }

// unseen wants the friend to see nothing of a model.
func (w *workday) unseen(model string) {
	w.t.Helper()
	if _, ok := modelsOf(w.friend)[w.theirs(model)]; ok {
		w.t.Errorf("%s still sees %s", w.friend.who, model)
	}
	w.friend.juju("status", "-m", w.theirs(model)).fails("not found")
	w.friend.juju("show-model", w.theirs(model)).fails("not found")
}

func (w *workday) grantRead() {
	w.unseen(w.eastern)
	w.me.juju("grant", w.friend.who, "read", w.eastern).says()
	w.me.juju("grant", w.friend.who, "read", w.eastern).says("already shared with")
	if m := modelsOf(w.friend)[w.theirs(w.eastern)]; m.Access != "read" {
		w.t.Errorf("the friend sees the model as %+v", m)
	}
	w.friend.juju("status", "-m", w.theirs(w.eastern)).says("probe", "waiting")
	w.friend.juju("config", "-m", w.theirs(w.eastern), "probe", "opt").says("hello")
	w.friend.juju("debug-log", "-m", w.theirs(w.eastern), "--replay", "--no-tail").says("juju.worker")
	w.friend.juju("show-model", w.theirs(w.eastern)).says(w.friend.who, "access: read").omits("access: admin")

	w.friend.juju("config", "-m", w.theirs(w.eastern), "probe", "opt=stolen").fails("permission denied")
	w.friend.juju("deploy", "-m", w.theirs(w.eastern), w.charm, "stolen").fails("permission denied")
	w.friend.juju("attach-resource", "-m", w.theirs(w.eastern), "probe", "blob="+w.blob).fails()
	w.friend.juju("run", "-m", w.theirs(w.eastern), "probe/0", "ping", "--background").fails("permission denied")
	w.friend.juju("grant", w.friend.who, "write", w.theirs(w.eastern)).fails("permission denied")
	w.friend.juju("destroy-model", w.theirs(w.eastern), "--no-prompt").fails("permission denied")
	w.me.juju("config", "probe", "opt").says("hello")
	w.resourceIs(1_200_000)
	w.unseen(w.western)
}

func (w *workday) grantWrite() {
	w.me.juju("grant", w.friend.who, "write", w.eastern).says()
	if m := modelsOf(w.friend)[w.theirs(w.eastern)]; m.Access != "write" {
		w.t.Errorf("the friend sees the model as %+v", m)
	}
	w.friend.juju("config", "-m", w.theirs(w.eastern), "probe", "opt=friend").says()
	w.me.juju("config", "probe", "opt").says("friend")
	w.friend.juju("deploy", "-m", w.theirs(w.eastern), w.charm, "friends").says()
	w.friend.juju("attach-resource", "-m", w.theirs(w.eastern), "friends", "blob="+w.blob).says()
	w.friend.juju("remove-application", "-m", w.theirs(w.eastern), "friends", "--no-prompt", "--force").says()

	w.friend.juju("grant", "carol@example.com", "read", w.theirs(w.eastern)).fails("permission denied")
	w.friend.juju("destroy-model", w.theirs(w.eastern), "--no-prompt").fails("permission denied")
}

func (w *workday) grantAdmin() {
	const other = "carol@example.com"
	w.me.juju("grant", w.friend.who, "admin", w.eastern).says()
	if m := modelsOf(w.friend)[w.theirs(w.eastern)]; m.Access != "admin" {
		w.t.Errorf("the friend sees the model as %+v", m)
	}
	w.friend.juju("grant", other, "read", w.theirs(w.eastern)).says()
	w.friend.juju("show-model", w.theirs(w.eastern)).says(other, w.friend.who, w.me.who)
	w.friend.juju("revoke", other, "read", w.theirs(w.eastern)).says()
	w.friend.juju("show-model", w.theirs(w.eastern)).omits(other)
	w.unseen(w.western)
}

func (w *workday) revoke() {
	for _, access := range []struct{ revoked, left string }{{"admin", "write"}, {"write", "read"}} {
		w.me.juju("revoke", w.friend.who, access.revoked, w.eastern).says()
		if m := modelsOf(w.friend)[w.theirs(w.eastern)]; m.Access != access.left {
			w.t.Errorf("without %s the friend sees the model as %+v", access.revoked, m)
		}
	}
	w.friend.juju("config", "-m", w.theirs(w.eastern), "probe", "opt=late").fails("permission denied")
	w.me.juju("revoke", w.friend.who, "read", w.eastern).says()
	w.me.juju("revoke", w.friend.who, "read", w.eastern).fails()
	w.unseen(w.eastern)
}

func (w *workday) destroyModels() {
	for model, on := range map[string]*session{w.eastern: w.onEast, w.western: w.onWest} {
		w.me.juju("destroy-model", w.theirs(model), "--no-prompt", "--force", "--no-wait", "--timeout", "30s").says()
		w.me.until(func(r *run) bool { return r.code == 0 && !strings.Contains(r.stdout, model) }, "models")
		on.until(func(r *run) bool { return r.code == 0 && !strings.Contains(r.stdout, model) }, "models")
		w.me.juju("status", "-m", w.theirs(model)).fails("not found")
	}
	// The name is free again.
	w.me.juju("add-model", w.eastern, "dev/west").says("dev/west")
	w.me.juju("destroy-model", w.theirs(w.eastern), "--no-prompt").says()
}

func (w *workday) logout() {
	w.me.juju("logout").says("Logged out")
	accounts, err := os.ReadFile(filepath.Join(w.me.cli.Data, "accounts.yaml"))
	if err != nil || strings.Contains(string(accounts), "access-token") {
		w.t.Errorf("the client store still has a token: %v", err)
	}
	w.me.juju("models").fails("account details for controller jimm not found")
}
