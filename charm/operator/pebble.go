package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/canonical/pebble/client"
	"gopkg.in/yaml.v3"
)

// How long Pebble may take: for one answer, for a service to start or stop, for
// JIMM to be up. A hook should not take longer than about half a minute.
const (
	answerPatience  = 10 * time.Second
	changePatience  = 30 * time.Second
	settledPatience = 25 * time.Second
)

// Pebble is the Workload behind a socket.
type Pebble struct {
	client *client.Client
}

// NewPebble does not connect yet.
func NewPebble(socket string) (*Pebble, error) {
	c, err := client.New(&client.Config{Socket: socket})
	if err != nil {
		return nil, fmt.Errorf("cannot use Pebble at %s: %w", socket, err)
	}
	return &Pebble{client: c}, nil
}

// within gives up on what takes no context. The call goes on; the process ends
// soon.
func within[T any](ctx context.Context, limit time.Duration, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(limit):
	case <-ctx.Done():
	}
	var none T
	return none, fmt.Errorf("Pebble has not answered in %s", limit)
}

// do is within for calls without a result.
func do(ctx context.Context, limit time.Duration, call func() error) error {
	_, err := within(ctx, limit, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// Observe implements Workload.
func (p *Pebble) Observe(ctx context.Context) Container {
	c, err := within(ctx, answerPatience, p.observe)
	if err != nil {
		return Container{Problem: err.Error()}
	}
	return c
}

func (p *Pebble) observe() (Container, error) {
	var c Container
	if _, err := p.client.SysInfo(); err != nil {
		return c, errors.New("Pebble does not answer yet")
	}
	text, err := p.client.PlanBytes(nil)
	if err != nil {
		return c, fmt.Errorf("cannot read Pebble's plan: %w", err)
	}
	var plan struct {
		Services   map[string]any `yaml:"services"`
		Checks     map[string]any `yaml:"checks"`
		LogTargets map[string]any `yaml:"log-targets"`
	}
	if err := yaml.Unmarshal(text, &plan); err != nil {
		return c, fmt.Errorf("cannot read Pebble's plan: %w", err)
	}
	c.Services, c.Checks, c.LogTargets = plan.Services, plan.Checks, plan.LogTargets
	if c.Service, c.Health, err = p.state(); err != nil {
		return c, err
	}
	c.Files, err = p.files()
	return c, err
}

// state tells how JIMM's service and its check are.
func (p *Pebble) state() (service, health string, err error) {
	services, err := p.client.Services(&client.ServicesOptions{Names: []string{serviceName}})
	if err != nil {
		return "", "", fmt.Errorf("cannot list Pebble's services: %w", err)
	}
	for _, s := range services {
		service = string(s.Current)
	}
	checks, err := p.client.Checks(&client.ChecksOptions{Names: []string{checkName}})
	if err != nil {
		return "", "", fmt.Errorf("cannot list Pebble's checks: %w", err)
	}
	for _, c := range checks {
		switch {
		case c.Status == client.CheckStatusDown:
			health = "down"
		case c.Status != client.CheckStatusUp || c.Failures > 0:
		// Before its first result a check counts as up. Pebbles that do not count
		// successes cannot tell.
		case c.Successes == nil || *c.Successes > 0:
			health = "up"
		}
	}
	return service, health, nil
}

func (p *Pebble) files() (map[string]int64, error) {
	files := map[string]int64{}
	directories, err := p.list(filesDir)
	if err != nil {
		return nil, err
	}
	for _, d := range directories {
		inside := []*client.FileInfo{d}
		if d.Mode().IsDir() {
			if inside, err = p.list(d.Path()); err != nil {
				return nil, err
			}
			// An empty one is listed by itself, so that it is removed.
			files[d.Path()+"/"] = 0
		}
		for _, f := range inside {
			files[f.Path()] = f.Size()
		}
	}
	return files, nil
}

// list gives what is in a directory, nothing if it does not exist.
func (p *Pebble) list(directory string) ([]*client.FileInfo, error) {
	files, err := p.client.ListFiles(&client.ListFilesOptions{Path: directory})
	var failed *client.Error
	if errors.As(err, &failed) && failed.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list %s in the container: %w", directory, err)
	}
	return files, nil
}

// Push implements Workload.
func (p *Pebble) Push(ctx context.Context, file, content string) error {
	return do(ctx, answerPatience, func() error {
		if err := p.client.MakeDir(&client.MakeDirOptions{Path: path.Dir(file), MakeParents: true, Permissions: 0o700}); err != nil {
			return err
		}
		return p.client.Push(&client.PushOptions{Path: file, Source: strings.NewReader(content), Permissions: 0o600})
	})
}

// Remove implements Workload.
func (p *Pebble) Remove(ctx context.Context, path string) error {
	return do(ctx, answerPatience, func() error {
		return p.client.RemovePath(&client.RemovePathOptions{Path: path, Recursive: true})
	})
}

// AddLayer implements Workload.
func (p *Pebble) AddLayer(ctx context.Context, label string, layer []byte) error {
	return do(ctx, answerPatience, func() error {
		return p.client.AddLayer(&client.AddLayerOptions{Combine: true, Label: label, LayerData: layer})
	})
}

// Replan implements Workload.
func (p *Pebble) Replan(ctx context.Context) error {
	return p.change(ctx, func() (string, error) { return p.client.Replan(&client.ServiceOptions{}) })
}

// Stop implements Workload.
func (p *Pebble) Stop(ctx context.Context) error {
	return p.change(ctx, func() (string, error) {
		return p.client.Stop(&client.ServiceOptions{Names: []string{serviceName}})
	})
}

func (p *Pebble) change(ctx context.Context, begin func() (id string, err error)) error {
	return do(ctx, changePatience+answerPatience, func() error {
		id, err := begin()
		if err != nil {
			return err
		}
		change, err := p.client.WaitChange(id, &client.WaitChangeOptions{Timeout: changePatience})
		if err != nil {
			return err
		}
		if change.Err != "" {
			return errors.New(change.Err + taskLogs(change))
		}
		return nil
	})
}

// taskLogs are what a service said before it ended.
func taskLogs(change *client.Change) string {
	var b strings.Builder
	for _, task := range change.Tasks {
		for _, line := range task.Log {
			b.WriteString("\n" + line)
		}
	}
	return b.String()
}

// Settled implements Workload.
func (p *Pebble) Settled(ctx context.Context) (service, health string) {
	ctx, cancel := context.WithTimeout(ctx, settledPatience)
	defer cancel()
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-time.After(pause):
		}
		// The next look of a check is up to ten seconds away, and until then it says
		// what it did before JIMM was started again; newer Pebbles look at once. Three
		// failures of this count as any others do: hence the longer and longer pauses.
		_, _ = p.client.RefreshCheck(&client.RefreshCheckOptions{Name: checkName})
		var err error
		service, health, err = p.state()
		if err != nil || service != "active" || health == "up" || ended {
			return service, health
		}
	}
}

// Unready implements Workload, by what Pebble notes of each failure: "TIME ERROR
// non-2xx status code 503; ANSWER".
func (p *Pebble) Unready(ctx context.Context) string {
	why, err := within(ctx, answerPatience, func() (string, error) {
		checks, err := p.client.Checks(&client.ChecksOptions{Names: []string{checkName}})
		if err != nil || len(checks) != 1 {
			return "", err
		}
		// The first has nothing to tell until the check has failed again.
		for _, id := range []string{checks[0].ChangeID, checks[0].PrevChangeID} {
			if id == "" {
				continue
			}
			change, err := p.client.Change(id)
			if err != nil {
				return "", err
			}
			said := taskLogs(change)
			if at := strings.LastIndex(said, answered); at >= 0 {
				line, _, _ := strings.Cut(said[at:], "\n")
				_, why, _ := strings.Cut(line, "; ")
				return oneLine(why), nil
			}
		}
		return "", nil
	})
	if err != nil {
		return ""
	}
	return why
}

// answered begins what Pebble says of an answer that is no success.
const answered = "status code "

// Exec implements Workload.
func (p *Pebble) Exec(ctx context.Context, command ...string) (string, error) {
	const patience = time.Minute
	var output bytes.Buffer
	err := do(ctx, patience+answerPatience, func() error {
		process, err := p.client.Exec(&client.ExecOptions{Command: command, ServiceContext: serviceName, Timeout: patience, Stdout: &output, Stderr: &output})
		if err != nil {
			return err
		}
		return process.Wait()
	})
	return output.String(), err
}

// Notify implements Workload.
func (p *Pebble) Notify(ctx context.Context, key string) error {
	return do(ctx, answerPatience, func() error {
		_, err := p.client.Notify(&client.NotifyOptions{Type: client.CustomNotice, Key: key})
		return err
	})
}
