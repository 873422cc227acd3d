package operator

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"jimm/charm/hook"
)

// Level is how bad a finding is.
type Level int

// The levels, the worse the greater: nothing wrong, something comes by itself,
// a person is needed.
const (
	Active Level = iota
	Waiting
	Blocked
)

func (l Level) String() string {
	return [...]string{"active", "waiting", "blocked"}[l]
}

// Finding is what is to be said of one component.
type Finding struct {
	Level     Level
	Component string
	Message   string
}

// messageLimit is how many characters of a status are of use in `juju status`.
const messageLimit = 240

// Summarize makes the unit's status: the worst finding, the first of several,
// and how many others there are. If nothing is wrong it is how the workload is, which
// comes last, and then what else is to be said.
func Summarize(findings []Finding) hook.Status {
	worst, others := Finding{Level: Active}, -1
	for _, f := range findings {
		if f.Level > Active {
			others++
		}
		if f.Level > worst.Level {
			worst = f
		}
	}
	if worst.Level == Active {
		var said []string
		for _, f := range slices.Backward(findings) {
			said = append(said, f.Component+": "+f.Message)
		}
		return hook.Status{Level: Active.String(), Message: oneLine(strings.Join(said, "; "))}
	}
	message := oneLine(worst.Component + ": " + worst.Message)
	if others > 0 {
		message += fmt.Sprintf(" (and %d more)", others)
	}
	return hook.Status{Level: worst.Level.String(), Message: message}
}

// oneLine makes text from elsewhere fit for a status.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if characters := []rune(text); len(characters) > messageLimit {
		return string(characters[:messageLimit-1]) + "…"
	}
	return text
}
