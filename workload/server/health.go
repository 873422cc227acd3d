package server

import (
	"context"
	"fmt"
	"strings"

	"jimm/workload/estate"
	"jimm/workload/observe"
)

// pinger is what can say whether it answers.
type pinger interface {
	Ping(ctx context.Context) error
}

// checks are of all that a server depends on.
func (s *Server) checks(a Adapters) []observe.Check {
	list := []observe.Check{
		{Name: "openfga", Title: "OpenFGA", Critical: true, Look: func(ctx context.Context) (string, error) {
			_, err := s.Estate.IsAdmin(ctx, s.Estate.Self)
			return "answers", err
		}},
		{Name: "secrets", Title: "Secrets", Critical: true, Look: func(ctx context.Context) (string, error) {
			_, _, err := a.Secrets.GetVersion(ctx, "health")
			return "answers", err
		}},
		{Name: "controllers", Title: "Controllers", Look: s.lookAtControllers},
	}
	for _, p := range []struct {
		name, title string
		critical    bool
		adapter     any
	}{
		{"postgresql", "PostgreSQL", true, a.Store},
		// Who is logged in already goes on without it.
		{"issuer", "Identity provider", false, a.Logins},
		{"groups", "Group look-up (hook-service)", false, a.IdPGroups},
	} {
		if answering, ok := p.adapter.(pinger); ok {
			list = append(list, observe.Check{Name: p.name, Title: p.title, Critical: p.critical, Look: func(ctx context.Context) (string, error) {
				return "answers", answering.Ping(ctx)
			}})
		}
	}
	return list
}

// lookAtControllers says which controllers do not answer. Those who keep up
// with them have found out.
func (s *Server) lookAtControllers(ctx context.Context) (string, error) {
	controllers, err := s.Estate.Store.Controllers(ctx)
	if err != nil {
		return "", err
	}
	var silent []estate.Controller
	for _, c := range controllers {
		if !c.UnavailableSince.IsZero() {
			silent = append(silent, c)
		}
	}
	if len(silent) == 0 {
		return fmt.Sprintf("all %d answer", len(controllers)), nil
	}
	var texts []string
	for _, c := range silent[:min(len(silent), 20)] {
		texts = append(texts, fmt.Sprintf("%s since %s", c.Name, c.UnavailableSince.UTC().Format("2006-01-02T15:04:05Z")))
	}
	return "", fmt.Errorf("%d of %d do not answer: %s", len(silent), len(controllers), strings.Join(texts, ", "))
}
