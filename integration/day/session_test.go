//go:build integration

package day

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"jimm/integration/lab"
)

// session is one person at one juju command line, with a client store of their own.
type session struct {
	// t is of the step at work.
	t   *testing.T
	who string
	cli *lab.CLI
	// log gives the end of JIMM's log.
	log func() string
}

// patience bounds how long one command, and what it sets off, may take. Juju removes an
// application whose units have no machine in seconds, but now and then on a busy machine
// in more than a minute.
const patience = 10 * time.Minute

// slow is how long a command may take without a note in the test's output.
const slow = 3 * time.Second

// run is what a command has done.
type run struct {
	session        *session
	args           []string
	stdout, stderr string
	code           int
	took           time.Duration
}

// juju runs a command to its end.
func (s *session) juju(args ...string) *run {
	s.t.Helper()
	cmd, err := s.cli.Command(s.t.Context(), args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.run(cmd)
}

func (s *session) run(cmd *exec.Cmd) *run {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	overdue := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer overdue.Stop()
	_ = cmd.Wait() // the exit code tells
	if took := time.Since(began); took > slow {
		s.t.Logf("%s: juju %s takes %v", s.who, strings.Join(cmd.Args[1:], " "), took.Round(time.Millisecond))
	}
	return &run{s, cmd.Args[1:], stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(began)}
}

// fail ends the step and shows what there is to see.
func (r *run) fail(format string, args ...any) {
	r.session.t.Helper()
	r.session.t.Errorf(format, args...)
	r.session.t.Fatalf("%s: juju %s\nexit %d after %v\n-- stdout\n%s-- stderr\n%s-- the end of JIMM's log\n%s",
		r.session.who, strings.Join(r.args, " "), r.code, r.took.Round(time.Millisecond), r.stdout, r.stderr, r.session.log())
}

// says wants the command to succeed, and its output to have each of the texts in it.
func (r *run) says(texts ...string) *run {
	r.session.t.Helper()
	if r.code != 0 {
		r.fail("the command fails")
	}
	return r.has(texts)
}

// fails wants the command to fail, and its output to have each of the texts in it.
func (r *run) fails(texts ...string) *run {
	r.session.t.Helper()
	if r.code == 0 {
		r.fail("the command succeeds")
	}
	return r.has(texts)
}

func (r *run) has(texts []string) *run {
	r.session.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.stdout+r.stderr, text) {
			r.fail("the output does not have %q", text)
		}
	}
	return r
}

// omits wants the output to have none of the texts in it.
func (r *run) omits(texts ...string) *run {
	r.session.t.Helper()
	for _, text := range texts {
		if strings.Contains(r.stdout+r.stderr, text) {
			r.fail("the output has %q", text)
		}
	}
	return r
}

// within wants the command to have taken no longer.
func (r *run) within(limit time.Duration) *run {
	r.session.t.Helper()
	if r.took > limit {
		r.fail("the command takes longer than %v", limit)
	}
	return r
}

// read wants the command to succeed, and reads its output as JSON.
func read[T any](r *run) T {
	r.session.t.Helper()
	var value T
	if r.says(); json.Unmarshal([]byte(r.stdout), &value) != nil {
		r.fail("the output is not of the form expected")
	}
	return value
}

// until runs a command again and again until it is as wanted; if it never is, the last run
// says what is wrong.
func (s *session) until(wanted func(r *run) bool, args ...string) *run {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		r := s.juju(args...)
		if wanted(r) {
			return r
		}
		if time.Now().After(deadline) {
			r.fail("not as wanted after %v", patience)
		}
	}
}

// saying wants success and the texts in the output, for until.
func saying(texts ...string) func(*run) bool {
	return func(r *run) bool {
		for _, text := range texts {
			if !strings.Contains(r.stdout+r.stderr, text) {
				return false
			}
		}
		return r.code == 0
	}
}
