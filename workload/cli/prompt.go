package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Prompt asks before a command destroys something.
type Prompt struct {
	jaas *JAAS
	skip []*bool
}

// NewPrompt gives a command the flag --no-prompt, -y for short, and others that
// mean the same.
func (j *JAAS) NewPrompt(cmd *cobra.Command, others ...string) *Prompt {
	p := &Prompt{jaas: j, skip: []*bool{cmd.Flags().BoolP("no-prompt", "y", false, "do not ask for confirmation")}}
	for _, name := range others {
		p.skip = append(p.skip, cmd.Flags().Bool(name, false, "the same as --no-prompt"))
	}
	return p
}

// input is Stdin, of which reading ends when the program is interrupted.
func (j *JAAS) input() io.Reader { return &input{j.Stdin, j.interrupted} }

type input struct {
	from        io.Reader
	interrupted <-chan struct{}
}

func (i *input) Read(b []byte) (int, error) {
	type outcome struct {
		n   int
		err error
	}
	own, done := make([]byte, len(b)), make(chan outcome, 1)
	go func() { // until there is something, or the program ends
		n, err := i.from.Read(own)
		done <- outcome{n, err}
	}()
	select {
	case <-i.interrupted:
		return 0, context.Canceled
	case o := <-done:
		return copy(b, own[:o.n]), o.err
	}
}

// errDeclined is the answer no.
var errDeclined = errors.New("nothing was changed")

// Confirm says what will happen, and returns an error unless it shall.
func (p *Prompt) Confirm(format string, args ...any) error {
	for _, skip := range p.skip {
		if *skip {
			return nil
		}
	}
	p.jaas.say("WARNING %s\nContinue [y/N]? ", fmt.Sprintf(format, args...))
	line, err := bufio.NewReader(io.LimitReader(p.jaas.input(), 100)).ReadString('\n')
	if !isTerminal(p.jaas.Stdin) {
		fmt.Fprintln(p.jaas.Stderr) // nobody has typed a newline
	}
	if errors.Is(err, io.EOF) && line == "" {
		return errors.New("nobody is there to confirm it: nothing was changed; --no-prompt goes on without asking")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}
