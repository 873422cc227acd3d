package observe

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Check looks at one thing that JIMM depends on.
type Check struct {
	// Name is short, for a metric's label: postgresql; Title is for people.
	Name, Title string
	// Critical says that JIMM can do nothing useful without it.
	Critical bool
	// Look says in a few words what it found.
	Look func(ctx context.Context) (value string, err error)
}

// The verdicts about a dependency.
const (
	Good    = "ok"       // it answers
	Down    = "down"     // it does not, and JIMM can do nothing without
	Limited = "degraded" // it does not, and JIMM works as far as it can
)

// Finding is what a check found.
type Finding struct {
	Name     string
	Value    string
	Passed   bool
	Duration time.Duration // in nanoseconds
	Verdict  string
	Critical bool
	// LastSuccess is nil if the check has never passed.
	LastSuccess *time.Time `json:",omitempty"`
	CheckedAt   time.Time
}

// checkTimeout is what one look may take.
const checkTimeout = 5 * time.Second

// Health looks at what JIMM depends on.
type Health struct {
	i       *Instruments
	checks  []Check
	started time.Time

	looking sync.Mutex // held by who looks

	mu       sync.Mutex
	findings map[string]Finding
	looked   time.Time
	draining bool
}

// NewHealth returns the health of a server that starts now.
func NewHealth(i *Instruments, checks ...Check) *Health {
	return &Health{i: i, checks: checks, started: time.Now(), findings: map[string]Finding{}}
}

// Run looks again and again until ctx ends, so that metrics are fresh and the
// first who asks need not wait.
func (h *Health) Run(ctx context.Context, every time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		h.look(ctx, 0)
		timer.Reset(every)
	}
}

// Drain makes the server not ready: it is about to stop.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Findings looks, unless that was done no longer than age ago.
func (h *Health) Findings(ctx context.Context, age time.Duration) map[string]Finding {
	h.look(ctx, age)
	h.mu.Lock()
	defer h.mu.Unlock()
	findings := map[string]Finding{"start_time": {
		Name: "Server start time", Value: h.started.UTC().Format(time.RFC3339), Passed: true, Verdict: Good, CheckedAt: h.looked, LastSuccess: &h.started,
	}}
	for name, f := range h.findings {
		findings[name] = f
	}
	return findings
}

// Ready says whether requests should be sent here, and if not, why.
func (h *Health) Ready(ctx context.Context, age time.Duration) error {
	h.mu.Lock()
	draining := h.draining
	h.mu.Unlock()
	if draining {
		return fmt.Errorf("the server is stopping")
	}
	findings := h.Findings(ctx, age)
	for _, c := range h.checks {
		if f := findings[c.Name]; c.Critical && !f.Passed {
			return fmt.Errorf("%s: %s", f.Name, f.Value)
		}
	}
	return nil
}

func (h *Health) look(ctx context.Context, age time.Duration) {
	h.looking.Lock()
	defer h.looking.Unlock()
	h.mu.Lock()
	fresh := age > 0 && time.Since(h.looked) < age
	h.mu.Unlock()
	if fresh {
		return
	}
	// Who asks may go away; what is found is for others, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	var looking sync.WaitGroup
	for _, c := range h.checks {
		looking.Go(func() { h.check(ctx, c) })
	}
	looking.Wait()
	h.mu.Lock()
	h.looked = time.Now()
	h.mu.Unlock()
}

func (h *Health) check(ctx context.Context, c Check) {
	began := time.Now()
	value, err := c.Look(ctx)
	f := Finding{Name: c.Title, Value: value, Passed: err == nil, Critical: c.Critical, Verdict: Good, CheckedAt: time.Now()}
	f.Duration = f.CheckedAt.Sub(began)
	up := 1.0
	switch {
	case err == nil:
		f.LastSuccess = &f.CheckedAt
	case c.Critical:
		f.Value, f.Verdict, up = err.Error(), Down, 0
	default:
		f.Value, f.Verdict, up = err.Error(), Limited, 0
	}
	h.i.dependencyUp.WithLabelValues(c.Name).Set(up)
	h.i.dependencyLatency.WithLabelValues(c.Name).Set(f.Duration.Seconds())
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		f.LastSuccess = h.findings[c.Name].LastSuccess
	}
	h.findings[c.Name] = f
}
