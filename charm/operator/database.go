package operator

import "jimm/charm/relation"

// databaseName is what PostgreSQL's charm is asked to make.
const databaseName = "jimm"

// databaseSecrets are what it is to hand over by secrets.
var databaseSecrets = []string{"username", "password", "tls", "tls-ca", "uris"}

func (p *planner) planDatabase() {
	const component = endpointDatabase
	for _, r := range p.on(component) {
		p.app(r, relation.DatabaseRequest{Database: databaseName, Secrets: databaseSecrets}.Bag())
	}
	r, ok := p.one(component)
	if !ok {
		p.missing(component, "run juju integrate %s:database postgresql-k8s", p.Event.App)
		return
	}
	answer, err := relation.ParseDatabaseAnswer(r.Theirs)
	if err != nil {
		p.wrong(component, "%s sends what cannot be used: %v", r.App, err)
		return
	}
	user, tls := answer.Plain, answer.TLS
	if answer.UserSecret != "" {
		content, ok := p.secret(component, answer.UserSecret)
		if !ok {
			return
		}
		user = relation.ParseDatabaseUser(content)
	}
	if answer.TLSSecret != "" {
		content, ok := p.secret(component, answer.TLSSecret)
		if !ok {
			return
		}
		if tls, err = relation.ParseDatabaseTLS(content); err != nil {
			p.wrong(component, "%s sends what cannot be used: %v", r.App, err)
			return
		}
	}
	if len(answer.Endpoints) == 0 || user.Username == "" || user.Password == "" {
		p.wait(component, "waiting for %s to make the database", r.App)
		return
	}
	if answer.Database == "" {
		answer.Database = databaseName
	}
	p.secretly("JIMM_DSN", relation.DSN(answer, user, tls, p.file("database-ca", "ca.pem", tls.CA)))
}
