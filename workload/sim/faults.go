package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/juju/juju/rpc/params"
)

// Faults makes a controller misbehave on demand, and counts what it is asked.
// Methods are named Facade.Method; an empty name is every method. What is to
// happen a number of times happens always if that number is negative.
type Faults struct {
	controller *Controller

	mu    sync.Mutex
	rules []*Rule
	calls map[string]int
	hung  chan struct{}
}

// Rule says what happens to calls of a method.
type Rule struct {
	// Method is Facade.Method, or empty for every method.
	Method string `json:"method"`
	// Times is how many calls the rule is for; negative: all.
	Times int `json:"times"`
	// Delay is how long a call waits before it runs, in nanoseconds.
	Delay time.Duration `json:"delay,omitempty"`
	// Code and Message are those of the error that is answered instead of
	// running the call, if Message is set.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// DropBefore closes the connection instead of running the call, DropAfter
	// after it ran, before it is answered.
	DropBefore bool `json:"drop-before,omitempty"`
	DropAfter  bool `json:"drop-after,omitempty"`
	// Hang leaves the call without running it until Clear or the connection ends.
	Hang bool `json:"hang,omitempty"`
}

// Add adds a rule. Rules apply in the order they were added; of those that end
// a call the first does.
func (f *Faults) Add(rule Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &rule)
}

// Delay makes all calls of a method wait.
func (f *Faults) Delay(method string, d time.Duration) {
	f.Add(Rule{Method: method, Times: -1, Delay: d})
}

// Fail makes the next calls of a method fail, without running them.
func (f *Faults) Fail(method, code, message string, times int) {
	f.Add(Rule{Method: method, Times: times, Code: code, Message: message})
}

// DropBefore closes the connection at the next calls of a method, before they run.
func (f *Faults) DropBefore(method string, times int) {
	f.Add(Rule{Method: method, Times: times, DropBefore: true})
}

// DropAfter closes the connection at the next calls of a method, after they
// ran and before they are answered.
func (f *Faults) DropAfter(method string, times int) {
	f.Add(Rule{Method: method, Times: times, DropAfter: true})
}

// Hang leaves the next calls of a method unanswered.
func (f *Faults) Hang(method string, times int) {
	f.Add(Rule{Method: method, Times: times, Hang: true})
}

// Refuse makes the controller refuse new connections; those it has stay.
func (f *Faults) Refuse() { f.controller.stopListening() }

// Accept ends Refuse and Die: the controller listens at its address again.
func (f *Faults) Accept() error { return f.controller.listenAgain() }

// Drop closes all connections.
func (f *Faults) Drop() { f.controller.dropConnections() }

// Die refuses new connections and closes those there are, as a controller
// that was killed. Its state stays; Accept brings it back.
func (f *Faults) Die() {
	f.Refuse()
	f.Drop()
}

// Clear removes all rules and lets hung calls go on. It doesn't end Refuse.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
	if f.hung != nil {
		close(f.hung)
		f.hung = nil
	}
}

// Calls returns how often a method was called, whatever came of it; of an
// empty name, all calls.
func (f *Faults) Calls(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// errDropped answers a call whose connection is gone, so that nobody sees it.
var errDropped = coded("", "the connection was dropped")

// plan is what happens to one call.
type plan struct {
	delay                 time.Duration
	err                   error // nil or a *params.Error
	dropBefore, dropAfter bool
	hung                  <-chan struct{}
}

func (f *Faults) plan(method string) plan {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = make(map[string]int)
	}
	f.calls[method]++
	f.calls[""]++
	var p plan
	for i := 0; i < len(f.rules); i++ {
		rule := f.rules[i]
		if rule.Method != "" && rule.Method != method {
			continue
		}
		ends := rule.Message != "" || rule.DropBefore || rule.DropAfter || rule.Hang
		if ends && (p.err != nil || p.dropBefore || p.dropAfter || p.hung != nil) {
			continue
		}
		p.delay += rule.Delay
		if rule.Message != "" {
			p.err = &params.Error{Code: rule.Code, Message: rule.Message}
		}
		p.dropBefore = p.dropBefore || rule.DropBefore
		p.dropAfter = p.dropAfter || rule.DropAfter
		if rule.Hang {
			if f.hung == nil {
				f.hung = make(chan struct{})
			}
			p.hung = f.hung
		}
		if rule.Times > 0 {
			if rule.Times--; rule.Times == 0 {
				f.rules = append(f.rules[:i], f.rules[i+1:]...)
				i--
			}
		}
	}
	return p
}

// before does what is to happen before the call. An error says not to make it.
func (p plan) before(ctx context.Context, cn *conn) error {
	if p.delay > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-cn.ctl.clock.After(p.delay):
		}
	}
	if p.hung != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.hung:
		}
	}
	if p.dropBefore {
		cn.rpc.Abort()
		return errDropped
	}
	return p.err
}

// ServeHTTP is the control endpoint, for a loopback address only: POST takes a
// Rule, or one of the words refuse, accept, drop, die and clear as the last
// part of the path; GET tells the calls so far.
func (f *Faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		f.mu.Lock()
		data, err := json.Marshal(map[string]any{"calls": f.calls, "rules": f.rules})
		f.mu.Unlock()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data)
	case http.MethodPost:
		if err := f.control(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	default:
		http.Error(w, "GET or POST only", http.StatusMethodNotAllowed)
	}
}

func (f *Faults) control(w http.ResponseWriter, r *http.Request) error {
	word := r.URL.Path[lastSlash(r.URL.Path)+1:]
	switch word {
	case "refuse":
		f.Refuse()
	case "accept":
		return f.Accept()
	case "drop":
		f.Drop()
	case "die":
		f.Die()
	case "clear":
		f.Clear()
	case "", "rules":
		rule := Rule{Times: 1}
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&rule); err != nil {
			return fmt.Errorf("cannot read the rule: %w", err)
		}
		f.Add(rule)
	default:
		return fmt.Errorf("cannot do %q: not one of refuse, accept, drop, die, clear, rules", word)
	}
	return nil
}

func lastSlash(path string) int {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return i
		}
	}
	return -1
}
