package cli

import (
	"bufio"
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
	line, err := bufio.NewReader(io.LimitReader(p.jaas.Stdin, 100)).ReadString('\n')
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
