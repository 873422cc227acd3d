package operator

import (
	"fmt"
	"maps"
	"slices"

	"jimm/charm/relation"
)

// The endpoints of metadata.yaml.
const (
	endpointPeer            = "peer"
	endpointCertificates    = "certificates"
	endpointDashboard       = "dashboard"
	endpointDatabase        = "database"
	endpointGrafana         = "grafana-dashboard"
	endpointIngress         = "ingress"
	endpointIngressSSH      = "ingress-ssh"
	endpointInternalIngress = "internal-ingress"
	endpointLogging         = "logging"
	endpointMetrics         = "metrics-endpoint"
	endpointNginx           = "nginx-route"
	endpointOAuth           = "oauth"
	endpointOpenFGA         = "openfga"
	endpointTrust           = "receive-ca-cert"
	endpointTracing         = "tracing"
	endpointVault           = "vault"
)

// endpoints are all of them, with what a plan depends on beside our own application's
// databag. Nothing else is asked for: each call of a hook tool is a process.
var endpoints = []struct {
	name string
	// theirs is the databag of the application at the other side, units those of
	// its units, ours that of this unit.
	theirs, units, ours bool
}{
	{name: endpointPeer},
	{name: endpointCertificates, theirs: true, ours: true},
	{name: endpointDashboard},
	{name: endpointDatabase, theirs: true},
	{name: endpointGrafana},
	{name: endpointIngress, theirs: true, ours: true},
	{name: endpointIngressSSH, ours: true},
	{name: endpointInternalIngress, theirs: true, ours: true},
	{name: endpointLogging, units: true},
	{name: endpointMetrics, ours: true},
	{name: endpointNginx},
	{name: endpointOAuth, theirs: true},
	{name: endpointOpenFGA, theirs: true},
	{name: endpointTrust, theirs: true, units: true},
	{name: endpointTracing, theirs: true},
	{name: endpointVault, theirs: true, ours: true},
}

// Plan is how everything should be.
type Plan struct {
	// Make are secrets of our own that are missing or due.
	Make []Making
	// App and Unit are our databags, by relation id. App is for the leader.
	App, Unit map[string]relation.Bag
	// Ports are those to be open.
	Ports []string
	// Files are to be in the container, and no others below filesDir.
	Files map[string]string
	// Environment is JIMM's, if it is to run.
	Environment map[string]string
	// LogTargets are where Pebble forwards JIMM's log to, by name.
	LogTargets map[string]any
	// Findings are what is to be said, for each component at most one thing.
	Findings []Finding

	// What is to happen to JIMM itself: stop is for what a person has taken away,
	// hold for what is wrong or not there yet, where what runs had better go on.
	stop, hold bool
}

// Mode is what is to happen to the workload.
type Mode string

// Run makes it run as planned, Hold leaves it alone, Stop ends it.
const (
	Run  Mode = "run"
	Hold Mode = "hold"
	Stop Mode = "stop"
)

// Mode tells it.
func (p *Plan) Mode() Mode {
	switch {
	case p.stop:
		return Stop
	case p.hold:
		return Hold
	}
	return Run
}

// planner collects a plan.
type planner struct {
	*Snapshot
	plan    Plan
	options Options
	address publicAddress
	tls     bool
}

// MakePlan is a pure function: the same snapshot gives the same plan.
func MakePlan(s *Snapshot) *Plan {
	p := &planner{Snapshot: s, plan: Plan{
		App: map[string]relation.Bag{}, Unit: map[string]relation.Bag{},
		Files: map[string]string{}, Environment: map[string]string{}, LogTargets: map[string]any{},
	}}
	for _, r := range s.Relations {
		p.plan.App[r.ID], p.plan.Unit[r.ID] = relation.Bag{}, relation.Bag{}
	}
	// What others depend on comes first, else the order is that of the status:
	// of several findings of a level, the first is shown.
	for _, part := range []func(){
		p.planOptions, p.planKeys, p.planPeer, p.planCertificate, p.planAddress, p.planDatabase, p.planPermissions, p.planLogin, p.planVault,
		p.planTrust, p.planSSH, p.planDashboard, p.planMetrics, p.planLogs, p.planTraces, p.planProxy, p.planPorts,
	} {
		part()
	}
	if s.Event.Name == "stop" || s.Event.Name == "remove" {
		p.plan.stop = true
	}
	return &p.plan
}

// app and unit set what our side of a relation says.
func (p *planner) app(r Relation, bag relation.Bag)  { maps.Copy(p.plan.App[r.ID], bag) }
func (p *planner) unit(r Relation, bag relation.Bag) { maps.Copy(p.plan.Unit[r.ID], bag) }

// keep leaves our side of a relation as it is, for where what it should say is
// not known just now: others must not take it for a withdrawal.
func (p *planner) keep(r Relation) {
	p.app(r, r.Ours)
	p.unit(r, r.OurUnit)
}

// set gives JIMM a variable; an empty value is none.
func (p *planner) set(name, value string) {
	if value != "" {
		p.plan.Environment[name] = value
	}
}

// missing is for what a person has not connected: JIMM cannot be without it.
func (p *planner) missing(component, format string, args ...any) {
	p.plan.stop = true
	p.find(Blocked, component, format, args...)
}

// wrong is for what a person has to put right: what runs goes on.
func (p *planner) wrong(component, format string, args ...any) {
	p.plan.hold = true
	p.find(Blocked, component, format, args...)
}

// wait is for what comes by itself: what runs goes on.
func (p *planner) wait(component, format string, args ...any) {
	p.plan.hold = true
	p.find(Waiting, component, format, args...)
}

func (p *planner) find(level Level, component, format string, args ...any) {
	p.plan.Findings = append(p.plan.Findings, Finding{level, component, fmt.Sprintf(format, args...)})
}

// secret reads one that a databag names, or says why it can't be.
func (p *planner) secret(component, id string) (relation.Bag, bool) {
	s, found := p.Secrets[id]
	switch {
	case !found:
		p.wait(component, "waiting for its secret")
		return nil, false
	case s.Problem != "":
		p.wait(component, "waiting until Juju gives its secret: %s", s.Problem)
		return nil, false
	}
	return s.Content, true
}

// secretIDs are the secrets of others that the databags name.
func (s *Snapshot) secretIDs() []string {
	var ids []string
	if r, ok := s.one(endpointDatabase); ok {
		if a, err := relation.ParseDatabaseAnswer(r.Theirs); err == nil {
			ids = append(ids, a.UserSecret, a.TLSSecret)
		}
	}
	if r, ok := s.one(endpointOpenFGA); ok {
		if a, err := relation.ParseOpenFGAAnswer(r.Theirs); err == nil {
			ids = append(ids, a.TokenSecret)
		}
	}
	if r, ok := s.one(endpointOAuth); ok {
		if a, err := relation.ParseOAuthAnswer(r.Theirs); err == nil {
			ids = append(ids, a.ClientSecret)
		}
	}
	if r, ok := s.one(endpointVault); ok {
		if a, err := relation.ParseVaultAnswer(r.Theirs); err == nil {
			ids = append(ids, a.Credentials[s.nonce()])
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}
