// Package doctor examines a deployment of JIMM from outside, as clients and
// controllers meet it, and from inside, with the settings of its server. It
// changes nothing.
package doctor

import (
	"context"
	"fmt"
	"time"

	"jimm/workload/config"
	"jimm/workload/trust"
)

// Verdict is what an examination comes to.
type Verdict string

// The verdicts. Skipped is what could not be examined because of something else
// that is broken.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped"
)

// Finding is one thing that was examined.
type Finding struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	// Detail is what was found, and Fix what to do about it.
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
	// Milliseconds is how long it took.
	Milliseconds int64 `json:"milliseconds"`
}

// Patient is the deployment to examine.
type Patient struct {
	Config config.Config
	// ConfigError is what is wrong with the settings, nil if nothing is.
	ConfigError error
	// Secrets opens the secrets of the server, in the database or elsewhere.
	Secrets SecretsOpener
	// Timeout bounds each examination (default 10 s).
	Timeout time.Duration
	// Now tells the time (default time.Now).
	Now func() time.Time
}

// examination collects findings.
type examination struct {
	Patient
	roots    *trust.Roots
	findings []Finding
	seen     func(Finding)
	// clocks are what other clocks show, less ours.
	clocks map[string]time.Duration
}

// found is what one look came to.
type found struct {
	verdict     Verdict
	detail, fix string
}

func good(format string, args ...any) found {
	return found{verdict: OK, detail: fmt.Sprintf(format, args...)}
}

func bad(fix string, err error) found { return found{Failed, err.Error(), fix} }

func doubtful(fix, format string, args ...any) found {
	return found{Warning, fmt.Sprintf(format, args...), fix}
}

func skipped(why string) found { return found{verdict: Skipped, detail: why} }

// Examine examines a deployment; each finding is also passed to seen, as soon as
// it is there.
func Examine(ctx context.Context, p Patient, seen func(Finding)) []Finding {
	if p.Timeout <= 0 {
		p.Timeout = 10 * time.Second
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	e := &examination{Patient: p, seen: seen, clocks: map[string]time.Duration{}}
	e.look(ctx, "configuration", e.configuration)
	e.look(ctx, "dns", e.dns)
	e.look(ctx, "tls", e.certificate)
	e.look(ctx, "jwks", e.keySet)
	e.look(ctx, "issuer", e.issuer)
	e.look(ctx, "groups", e.groups)
	e.look(ctx, "openfga", e.permissions)
	e.inside(ctx)
	e.look(ctx, "clocks", e.clockSkew)
	return e.findings
}

// look examines one thing.
func (e *examination) look(ctx context.Context, name string, examine func(context.Context) found) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	started := time.Now()
	f := examine(ctx)
	finding := Finding{name, f.verdict, f.detail, f.fix, time.Since(started).Milliseconds()}
	e.findings = append(e.findings, finding)
	if e.seen != nil {
		e.seen(finding)
	}
}

// Worst is the worst verdict of findings: Failed, Warning or OK.
func Worst(findings []Finding) Verdict {
	worst := OK
	for _, f := range findings {
		if f.Verdict == Failed || f.Verdict == Warning && worst == OK {
			worst = f.Verdict
		}
	}
	return worst
}
