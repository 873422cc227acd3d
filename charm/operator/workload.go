package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// What JIMM is to Pebble. The rock has a service of this name, too.
const (
	containerName = "jimm"
	serviceName   = "jimm"
	checkName     = "jimm-ready"
	serverProgram = "/usr/bin/jimmsrv"
	ctlProgram    = "/usr/bin/jimmctl"
)

// noticeKey is of the notice that brings about another hook.
const noticeKey = "canonical.com/jimm/reconcile"

// Workload is a container's Pebble.
type Workload interface {
	// Observe tells how the container is. It is no error that Pebble is not there.
	Observe(ctx context.Context) Container
	// Push writes a file of mode 0600 and makes its directory.
	Push(ctx context.Context, path, content string) error
	// Remove removes a file, or a directory with what is in it.
	Remove(ctx context.Context, path string) error
	// AddLayer puts a layer into the plan, in place of an earlier one of its label.
	AddLayer(ctx context.Context, label string, layer []byte) error
	// Replan starts services that should run and restarts those that have changed.
	Replan(ctx context.Context) error
	// Stop stops JIMM.
	Stop(ctx context.Context) error
	// Settled waits for a while until JIMM is up or has failed, and tells how it is.
	Settled(ctx context.Context) (service, health string)
	// Unready tells what JIMM answers to its check, if that is why it is down.
	Unready(ctx context.Context) string
	// Exec runs a command with JIMM's environment and gives all its output.
	Exec(ctx context.Context, command ...string) (output string, err error)
	// Notify brings about another hook.
	Notify(ctx context.Context, key string) error
}

// layer is JIMM's in Pebble's plan.
func layer(environment map[string]string, run bool) map[string]any {
	variables := map[string]any{}
	for name, value := range environment {
		variables[name] = value
	}
	startup := map[bool]string{true: "enabled", false: "disabled"}[run]
	check := map[string]any{
		"override": "replace", "period": "10s", "timeout": "5s", "threshold": 3, "startup": startup,
		"http": map[string]any{"url": checkURL},
	}
	if run {
		// Kubernetes sends nobody to a unit that cannot serve. No check is of level
		// "alive": Pebble itself restarts JIMM.
		check["level"] = "ready"
	}
	return map[string]any{
		"summary": "JIMM, as its charm wants it",
		"services": map[string]any{serviceName: map[string]any{
			"override": "replace", "summary": "JIMM server", "command": serverProgram, "startup": startup,
			"on-failure": "restart", "backoff-delay": "1s", "backoff-limit": "30s", "kill-delay": "20s",
			"environment": variables,
		}},
		"checks": map[string]any{checkName: check},
	}
}

// checkURL is asked whether JIMM can serve.
var checkURL = fmt.Sprintf("http://localhost:%d/debug/ready", internalPort)

// same compares a part of a layer with what Pebble's plan has of it.
func same(ours, theirs any) bool {
	text, err := yaml.Marshal(ours)
	if err != nil {
		return false
	}
	var back any
	if err := yaml.Unmarshal(text, &back); err != nil {
		return false
	}
	return reflect.DeepEqual(back, theirs)
}

// applyWorkload makes the container what the plan says, and says how it went.
func (c *Charm) applyWorkload(ctx context.Context, s *Snapshot, p *Plan) (Finding, error) {
	const component = "jimm"
	if s.Container.Problem != "" {
		return Finding{Waiting, component, "waiting for the container: " + s.Container.Problem}, nil
	}
	if err := c.applyLogTargets(ctx, s, p); err != nil {
		return Finding{Waiting, component, fmt.Sprintf("cannot forward logs: %v", err)}, err
	}
	switch p.Mode() {
	case Stop:
		return c.stopWorkload(ctx, s)
	case Hold:
		return Finding{Level: Active, Component: component, Message: "left as it is"}, nil
	}
	if name, found := unfit(p.Environment); found {
		return Finding{Blocked, component, name + " has a NUL byte"}, nil
	}
	for _, path := range slices.Sorted(maps.Keys(p.Files)) {
		if size, there := s.Container.Files[path]; there && size == int64(len(p.Files[path])) {
			continue
		}
		if err := c.Workload.Push(ctx, path, p.Files[path]); err != nil {
			return Finding{Waiting, component, fmt.Sprintf("cannot write %s into the container: %v", path, err)}, nil
		}
	}
	want := layer(p.Environment, true)
	settled := same(part(want, "services", serviceName), s.Container.Services[serviceName]) && same(part(want, "checks", checkName), s.Container.Checks[checkName])
	if !settled {
		text, err := yaml.Marshal(want)
		if err == nil {
			err = c.Workload.AddLayer(ctx, "jimm", text)
		}
		if err != nil {
			return Finding{Waiting, component, fmt.Sprintf("Pebble does not take the plan: %v", err)}, nil
		}
	}
	service, health := s.Container.Service, s.Container.Health
	if !settled || service != "active" && service != "backoff" {
		c.log(ctx, "INFO", "starting JIMM")
		if err := c.Workload.Replan(ctx); err != nil {
			c.log(ctx, "WARNING", "JIMM does not start: %v", err)
			return Finding{Blocked, component, "it does not start: " + reason(err)}, nil
		}
	}
	if !settled || service != "active" || health != "up" && health != "down" {
		service, health = c.Workload.Settled(ctx)
	}
	following := ""
	if service == "backoff" || service == "error" {
		service, health, following = c.followSecrets(ctx, s, service, health)
	}
	for _, directory := range stale(s.Container.Files, p.Files) {
		if err := c.Workload.Remove(ctx, directory); err != nil {
			c.log(ctx, "WARNING", "cannot remove %s from the container: %v", directory, err)
		}
	}
	switch {
	case following != "":
		return Finding{Waiting, component, following}, nil
	case service == "backoff" || service == "error":
		return Finding{Blocked, component, fmt.Sprintf("it keeps ending; run juju run %s check", s.Event.Unit)}, nil
	case service != "active":
		return Finding{Waiting, component, "it has ended; it starts again at the next event"}, nil
	case health == "down":
		why := c.Workload.Unready(ctx)
		if why != "" {
			why = ": " + why
		}
		return Finding{Waiting, component, fmt.Sprintf("it runs and is not ready%s; run juju run %s check", why, s.Event.Unit)}, nil
	case health != "up":
		return Finding{Waiting, component, "starting"}, nil
	}
	return Finding{Active, component, "ready at " + publicURL(p)}, nil
}

// followSecrets brings the secrets to where the plan says, in case that is why JIMM
// does not run: it refuses to begin where they are not. The leader does it, when
// every unit has stopped for the same reason.
func (c *Charm) followSecrets(ctx context.Context, s *Snapshot, service, health string) (newService, newHealth, waiting string) {
	if !s.Leader {
		return service, health, ""
	}
	output, err := c.Workload.Exec(ctx, ctlProgram, "move-secrets", "--format", "json")
	if err != nil {
		if strings.Contains(output, "secrets are in use") {
			return service, health, "the secrets move to their new place when JIMM has stopped in every unit"
		}
		return service, health, ""
	}
	var moved struct {
		Place      string `json:"place"`
		Moved      int    `json:"moved"`
		TurnedBack bool   `json:"turned-back"`
	}
	if err := json.Unmarshal([]byte(output), &moved); err != nil || moved.Moved == 0 && !moved.TurnedBack {
		return service, health, ""
	}
	c.log(ctx, "INFO", "%d secrets are moved, all are in %s now", moved.Moved, moved.Place)
	if err := c.Workload.Replan(ctx); err != nil {
		c.log(ctx, "WARNING", "JIMM does not start: %v", err)
	}
	service, health = c.Workload.Settled(ctx)
	return service, health, ""
}

func publicURL(p *Plan) string { return "https://" + p.Environment["JIMM_DNS_NAME"] }

func part(layer map[string]any, kind, name string) any { return layer[kind].(map[string]any)[name] }

// reason is the last line that JIMM said, out of Pebble's error, else the error's
// first line.
func reason(err error) string {
	first, output, found := strings.Cut(err.Error(), "Most recent service output:\n")
	last := ""
	for line := range strings.Lines(output) {
		said, indented := strings.CutPrefix(line, "    ")
		if !indented {
			break
		}
		last = strings.TrimSpace(said)
	}
	if !found || last == "" {
		last, _, _ = strings.Cut(strings.TrimSpace(first), "\n")
	}
	return last
}

func (c *Charm) stopWorkload(ctx context.Context, s *Snapshot) (Finding, error) {
	const component = "jimm"
	if current, planned := s.Container.Services[serviceName].(map[string]any); planned && current["startup"] == "enabled" {
		// Nothing starts it again by itself, and no secret stays in the plan.
		text, err := yaml.Marshal(layer(nil, false))
		if err == nil {
			err = c.Workload.AddLayer(ctx, "jimm", text)
		}
		if err != nil {
			return Finding{Waiting, component, fmt.Sprintf("cannot be stopped: %v", err)}, nil
		}
	}
	if s.Container.Service == "active" || s.Container.Service == "backoff" {
		c.log(ctx, "INFO", "stopping JIMM")
		if err := c.Workload.Stop(ctx); err != nil {
			return Finding{Waiting, component, fmt.Sprintf("cannot be stopped: %v", err)}, nil
		}
	}
	for _, directory := range stale(s.Container.Files, nil) {
		if err := c.Workload.Remove(ctx, directory); err != nil {
			c.log(ctx, "WARNING", "cannot remove %s from the container: %v", directory, err)
		}
	}
	return Finding{Waiting, component, "stopped"}, nil
}

// stale gives the directories in filesDir that hold no file that is wanted.
func stale(have map[string]int64, want map[string]string) []string {
	directory := func(path string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(path, filesDir+"/"), "/")
		return filesDir + "/" + name
	}
	keep, drop := map[string]bool{}, map[string]bool{}
	for path := range want {
		keep[directory(path)] = true
	}
	for path := range have {
		if d := directory(path); !keep[d] {
			drop[d] = true
		}
	}
	return slices.Sorted(maps.Keys(drop))
}

func (c *Charm) applyLogTargets(ctx context.Context, s *Snapshot, p *Plan) error {
	changed := false
	for name, target := range p.LogTargets {
		changed = changed || !same(target, s.Container.LogTargets[name])
	}
	if !changed {
		return nil
	}
	text, err := yaml.Marshal(map[string]any{"log-targets": p.LogTargets})
	if err != nil {
		return err
	}
	return c.Workload.AddLayer(ctx, "jimm-log-forwarding", text)
}
