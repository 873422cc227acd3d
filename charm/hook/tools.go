package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Tools are the hook tools. No value that may be secret is ever an argument:
// arguments can be read by every process of the machine.
type Tools struct{ Runner }

// call runs a tool and decodes its JSON.
func (t Tools) call(ctx context.Context, out any, tool string, args ...string) error {
	stdout, err := t.Run(ctx, tool, nil, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(stdout, out); err != nil {
		return &Error{Tool: tool, Err: fmt.Errorf("cannot understand its answer: %w", err)}
	}
	return nil
}

// IsLeader tells whether this unit leads its application; good for 30 seconds.
func (t Tools) IsLeader(ctx context.Context) (leads bool, err error) {
	err = t.call(ctx, &leads, "is-leader", "--format=json")
	return leads, err
}

// Config gives the application's options. Numbers are float64; options that are
// not set and have no default are missing.
func (t Tools) Config(ctx context.Context) (options map[string]any, err error) {
	err = t.call(ctx, &options, "config-get", "--format=json")
	return options, err
}

// RelationIDs lists the relations of an endpoint.
func (t Tools) RelationIDs(ctx context.Context, endpoint string) (ids []string, err error) {
	err = t.call(ctx, &ids, "relation-ids", endpoint, "--format=json")
	return ids, err
}

// RelationUnits lists the units at the other side of a relation.
func (t Tools) RelationUnits(ctx context.Context, id string) (units []string, err error) {
	err = t.call(ctx, &units, "relation-list", "-r", id, "--format=json")
	return units, err
}

// RelationApp names the application at the other side of a relation.
func (t Tools) RelationApp(ctx context.Context, id string) (app string, err error) {
	err = t.call(ctx, &app, "relation-list", "-r", id, "--app", "--format=json")
	return app, err
}

// RelationUnitData reads the databag of a unit.
func (t Tools) RelationUnitData(ctx context.Context, id, unit string) (data map[string]string, err error) {
	err = t.call(ctx, &data, "relation-get", "-r", id, "--format=json", "-", unit)
	return data, err
}

// RelationAppData reads the databag of an application. Only the leader may read
// that of its own, except in a peer relation.
func (t Tools) RelationAppData(ctx context.Context, id, app string) (data map[string]string, err error) {
	err = t.call(ctx, &data, "relation-get", "-r", id, "--format=json", "--app", "-", app)
	return data, err
}

// SetRelationUnitData changes keys of this unit's own databag; an empty value
// removes its key.
func (t Tools) SetRelationUnitData(ctx context.Context, id string, changes map[string]string) error {
	return t.relationSet(ctx, changes, "-r", id)
}

// SetRelationAppData changes keys of the application's own databag, which only
// the leader may.
func (t Tools) SetRelationAppData(ctx context.Context, id string, changes map[string]string) error {
	return t.relationSet(ctx, changes, "-r", id, "--app")
}

func (t Tools) relationSet(ctx context.Context, changes map[string]string, args ...string) error {
	// The tool reads YAML, of which this is a part.
	stdin, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	_, err = t.Run(ctx, "relation-set", stdin, append(args, "--file", "-")...)
	return err
}

// Network is how a unit is reached through an endpoint.
type Network struct {
	Bindings []struct {
		Addresses []struct {
			Value string `json:"value"`
			CIDR  string `json:"cidr"`
		} `json:"addresses"`
	} `json:"bind-addresses"`
	EgressSubnets    []string `json:"egress-subnets"`
	IngressAddresses []string `json:"ingress-addresses"`
}

// Bind is the unit's own address, empty if it has none yet.
func (n Network) Bind() string {
	for _, binding := range n.Bindings {
		for _, address := range binding.Addresses {
			if address.Value != "" {
				return address.Value
			}
		}
	}
	return ""
}

// Network asks how this unit is reached through an endpoint.
func (t Tools) Network(ctx context.Context, endpoint string) (n Network, err error) {
	err = t.call(ctx, &n, "network-get", endpoint, "--format=json")
	return n, err
}

// The owners of a secret.
const (
	OwnerApp  = "application"
	OwnerUnit = "unit"
)

// AddSecret makes a secret and gives its id. It exists once the hook has
// succeeded.
func (t Tools) AddSecret(ctx context.Context, owner, label string, content map[string]string) (string, error) {
	file, err := secretFile(content)
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(file) }()
	stdout, err := t.Run(ctx, "secret-add", nil, "--label", label, "--owner", owner, "--file", file)
	return strings.TrimSpace(string(stdout)), err
}

// SetSecret gives a secret of ours a new revision.
func (t Tools) SetSecret(ctx context.Context, id string, content map[string]string) error {
	file, err := secretFile(content)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file) }()
	_, err = t.Run(ctx, "secret-set", nil, id, "--file", file)
	return err
}

// RemoveSecretRevision removes a revision of a secret of ours that nobody uses
// any more.
func (t Tools) RemoveSecretRevision(ctx context.Context, id, revision string) error {
	_, err := t.Run(ctx, "secret-remove", nil, id, "--revision", revision)
	return err
}

// secretFile writes content where only this user may read it.
func secretFile(content map[string]string) (name string, err error) {
	f, err := os.CreateTemp("", "secret-") // mode 0600
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(content)
	if err == nil {
		_, err = f.Write(text)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("cannot hand a secret to Juju: %w", err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// Secret reads the latest revision of a secret by its id, and stays with it.
func (t Tools) Secret(ctx context.Context, id string) (content map[string]string, err error) {
	err = t.call(ctx, &content, "secret-get", id, "--refresh", "--format=json")
	return content, err
}

// LabelledSecret is Secret for one of this application or unit, by its label.
func (t Tools) LabelledSecret(ctx context.Context, label string) (content map[string]string, err error) {
	err = t.call(ctx, &content, "secret-get", "--label", label, "--refresh", "--format=json")
	return content, err
}

// LabelledSecretID gives the id of a secret that this unit may manage.
func (t Tools) LabelledSecretID(ctx context.Context, label string) (string, error) {
	var all map[string]json.RawMessage
	if err := t.call(ctx, &all, "secret-info-get", "--label", label, "--format=json"); err != nil {
		return "", err
	}
	for id := range all {
		if !strings.HasPrefix(id, "secret:") {
			id = "secret:" + id
		}
		return id, nil
	}
	return "", fmt.Errorf("secret-info-get knows no secret %q", label)
}

// IsNotFound tells whether a tool says that what it was asked for does not exist.
func IsNotFound(err error) bool {
	var failed *Error
	return errors.As(err, &failed) && strings.Contains(failed.Stderr, "not found")
}

// Status is of a unit or an application, in Juju's words: active, waiting,
// blocked, maintenance.
type Status struct {
	Level   string `json:"status"`
	Message string `json:"message"`
}

// Status gives this unit's status.
func (t Tools) Status(ctx context.Context) (s Status, err error) {
	err = t.call(ctx, &s, "status-get", "--include-data", "--format=json")
	return s, err
}

// AppStatus gives the application's status and those of its units, which only
// the leader may ask for. Unless it was set, the application's is that of the
// unit that is worst off.
func (t Tools) AppStatus(ctx context.Context) (app Status, units map[string]Status, err error) {
	var answer struct {
		App struct {
			Status
			Units map[string]Status `json:"units"`
		} `json:"application-status"`
	}
	err = t.call(ctx, &answer, "status-get", "--application", "--include-data", "--format=json")
	return answer.App.Status, answer.App.Units, err
}

// SetStatus sets this unit's status, at once.
func (t Tools) SetStatus(ctx context.Context, s Status) error {
	_, err := t.Run(ctx, "status-set", nil, "--", s.Level, s.Message)
	return err
}

// SetAppStatus sets the application's status, which only the leader may.
func (t Tools) SetAppStatus(ctx context.Context, s Status) error {
	_, err := t.Run(ctx, "status-set", nil, "--application", "--", s.Level, s.Message)
	return err
}

// SetVersion says which version of the workload runs.
func (t Tools) SetVersion(ctx context.Context, version string) error {
	_, err := t.Run(ctx, "application-version-set", nil, "--", version)
	return err
}

// Ports lists the open ports, such as 8080/tcp.
func (t Tools) Ports(ctx context.Context) (ports []string, err error) {
	err = t.call(ctx, &ports, "opened-ports", "--format=json")
	return ports, err
}

// OpenPort opens a port, such as 8080/tcp.
func (t Tools) OpenPort(ctx context.Context, port string) error {
	_, err := t.Run(ctx, "open-port", nil, port)
	return err
}

// ClosePort closes a port.
func (t Tools) ClosePort(ctx context.Context, port string) error {
	_, err := t.Run(ctx, "close-port", nil, port)
	return err
}

// ActionParameters are what the action was called with.
func (t Tools) ActionParameters(ctx context.Context) (parameters map[string]any, err error) {
	err = t.call(ctx, &parameters, "action-get", "--format=json")
	return parameters, err
}

// SetActionResults gives the action's results; none of them may be secret.
func (t Tools) SetActionResults(ctx context.Context, results map[string]string) error {
	var args []string
	for _, key := range slices.Sorted(maps.Keys(results)) {
		args = append(args, key+"="+results[key])
	}
	_, err := t.Run(ctx, "action-set", nil, args...)
	return err
}

// FailAction makes the action fail.
func (t Tools) FailAction(ctx context.Context, message string) error {
	_, err := t.Run(ctx, "action-fail", nil, "--", message)
	return err
}

// Log writes to the model's log. Level is DEBUG, INFO, WARNING or ERROR.
func (t Tools) Log(ctx context.Context, level, message string) error {
	_, err := t.Run(ctx, "juju-log", nil, "-l", level, "--", message)
	return err
}
