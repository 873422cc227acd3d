package provider

import (
	"context"
	"fmt"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// PostgreSQL answers postgresql_client on the endpoint database, as
// postgresql-k8s does.
type PostgreSQL struct {
	// Endpoint is host:port of the primary.
	Endpoint string
	// User makes a database and a user of it, or finds them, and gives the password.
	User func(ctx context.Context, database, user string) (password string, err error)
	// Name, if set, gives the database another name than was asked for.
	Name func(asked string) string
	// CA, if there is one, is told with TLS on; else TLS is off.
	CA string
}

// Handle is the charm.
func (p *PostgreSQL) Handle(ctx context.Context, tools hook.Tools, event hook.Event) error {
	return leader(ctx, tools, event, "database", func(l link) error {
		bag, err := l.theirs(ctx)
		if err != nil {
			return err
		}
		request, err := relation.ParseDatabaseRequest(bag)
		if err != nil || request.Database == "" {
			return err
		}
		if p.Name != nil {
			request.Database = p.Name(request.Database)
		}
		user := "relation_id_" + l.number()
		password, err := p.User(ctx, request.Database, user)
		if err != nil {
			return err
		}
		answer := relation.DatabaseAnswer{Database: request.Database, Endpoints: []string{p.Endpoint}, Version: "14.23"}
		content := relation.DatabaseUser{
			Username: user, Password: password,
			URIs: relation.DSN(answer, relation.DatabaseUser{Username: user, Password: password}, relation.DatabaseTLS{Known: true}, ""),
		}
		if answer.UserSecret, err = l.secret(ctx, fmt.Sprintf("database.%s.user.secret", l.number()), content.Bag()); err != nil {
			return err
		}
		tls := relation.DatabaseTLS{Known: true, On: p.CA != "", CA: p.CA}
		if answer.TLSSecret, err = l.secret(ctx, fmt.Sprintf("database.%s.tls.secret", l.number()), tls.Bag()); err != nil {
			return err
		}
		return l.answer(ctx, answer.Bag())
	})
}
