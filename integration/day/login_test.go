//go:build integration

package day

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"time"

	"jimm/workload/dev"
	"jimm/workload/idp"
)

// approving runs a command that asks for a login, and has the user log in as juju says, on
// the pages of the identity provider.
func (s *session) approving(user idp.User, stack *dev.Stack, args ...string) *run {
	s.t.Helper()
	cmd, err := s.cli.Command(s.t.Context(), args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.approve(cmd, user, stack.Client())
}

// approve is approving for any command, with a client that trusts the identity provider.
func (s *session) approve(cmd *exec.Cmd, user idp.User, browser *http.Client) *run {
	s.t.Helper()
	var refused error
	r := s.prompted(cmd, func(uri, code string) {
		refused = idp.ApproveDevice(s.t.Context(), browser, uri, code, user.Email, user.Password)
	})
	if refused != nil {
		r.fail("the identity provider does not let %s in: %v", user.Email, refused)
	}
	return r
}

// abandoning runs a command that asks for a login, and ends it when it asks.
func (s *session) abandoning(args ...string) *run {
	s.t.Helper()
	cmd, err := s.cli.Command(s.t.Context(), args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.prompted(cmd, func(_, _ string) { _ = cmd.Process.Kill() })
}

// prompt is what juju says when somebody has to log in with a browser.
var prompt = regexp.MustCompile(`Please visit (\S+) and enter code (\S+) to log in`)

// prompted runs a command that asks for a login, once, and calls answer when it does.
func (s *session) prompted(cmd *exec.Cmd, answer func(uri, code string)) *run {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	reading, writing := io.Pipe()
	cmd.Stderr = writing
	began := time.Now()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	overdue := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer overdue.Stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the exit code tells
		_ = writing.Close()
	}()
	asked := 0
	lines := bufio.NewScanner(reading)
	for lines.Scan() {
		stderr.WriteString(lines.Text() + "\n")
		if found := prompt.FindStringSubmatch(lines.Text()); found != nil {
			if asked++; asked == 1 {
				answer(found[1], found[2])
			}
		}
	}
	<-ended
	r := &run{s, cmd.Args[1:], stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(began)}
	if asked != 1 {
		r.fail("juju asks %d times to log in, not once", asked)
	}
	return r
}
