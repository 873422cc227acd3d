package relation

import (
	"net"
	"net/url"
	"strings"
)

// DatabaseRequest is what the requirer of postgresql_client writes into its
// application databag.
type DatabaseRequest struct {
	// Database is the name to make.
	Database string
	// Secrets are the fields to hand over in secrets, not in the databag.
	Secrets []string
}

// Bag encodes the request.
func (r DatabaseRequest) Bag() Bag {
	bag := Bag{}
	put(bag, "database", r.Database)
	putJSON(bag, "requested-secrets", r.Secrets)
	return bag
}

// ParseDatabaseRequest decodes it.
func ParseDatabaseRequest(bag Bag) (DatabaseRequest, error) {
	r := DatabaseRequest{Database: bag["database"]}
	return r, getJSON(bag, "requested-secrets", "a JSON list", &r.Secrets)
}

// DatabaseAnswer is what the provider writes into its application databag.
// Providers that were not asked for secrets write user and password there, too.
type DatabaseAnswer struct {
	Database string
	// Endpoints are host:port, the primary first.
	Endpoints []string
	// UserSecret and TLSSecret are ids of secrets with a DatabaseUser and a DatabaseTLS.
	UserSecret, TLSSecret string
	Version               string
	// Plain has what came without secrets.
	Plain DatabaseUser
	TLS   DatabaseTLS
}

// Bag encodes the answer.
func (a DatabaseAnswer) Bag() Bag {
	bag := Bag{}
	for _, content := range []Bag{a.Plain.Bag(), a.TLS.Bag()} {
		for key, value := range content {
			bag[key] = value
		}
	}
	put(bag, "database", a.Database)
	put(bag, "endpoints", strings.Join(a.Endpoints, ","))
	put(bag, "secret-user", a.UserSecret)
	put(bag, "secret-tls", a.TLSSecret)
	put(bag, "version", a.Version)
	return bag
}

// ParseDatabaseAnswer decodes it. An answer that is not complete yet is no error.
func ParseDatabaseAnswer(bag Bag) (a DatabaseAnswer, err error) {
	if a.Database, err = word("database", bag["database"]); err != nil {
		return a, err
	}
	for endpoint := range strings.SplitSeq(bag["endpoints"], ",") {
		if endpoint = strings.TrimSpace(endpoint); endpoint == "" {
			continue
		}
		host, port, err := net.SplitHostPort(endpoint)
		if _, unclear := word("endpoints", endpoint); err != nil || unclear != nil || host == "" || port == "" || strings.ContainsAny(endpoint, "/@?#") {
			return a, invalid("endpoints", bag["endpoints"], "a list of host:port")
		}
		a.Endpoints = append(a.Endpoints, endpoint)
	}
	if a.UserSecret, err = secretID("secret-user", bag["secret-user"]); err != nil {
		return a, err
	}
	if a.TLSSecret, err = secretID("secret-tls", bag["secret-tls"]); err != nil {
		return a, err
	}
	a.Version = bag["version"]
	a.Plain = ParseDatabaseUser(bag)
	a.TLS, err = ParseDatabaseTLS(bag)
	return a, err
}

// DatabaseUser is the content of the secret that secret-user names.
type DatabaseUser struct{ Username, Password, URIs string }

// Bag encodes the secret.
func (u DatabaseUser) Bag() Bag {
	bag := Bag{}
	put(bag, "username", u.Username)
	put(bag, "password", u.Password)
	put(bag, "uris", u.URIs)
	return bag
}

// ParseDatabaseUser decodes it.
func ParseDatabaseUser(bag Bag) DatabaseUser {
	return DatabaseUser{Username: bag["username"], Password: bag["password"], URIs: bag["uris"]}
}

// DatabaseTLS is the content of the secret that secret-tls names.
type DatabaseTLS struct {
	// Known tells whether the provider says anything about TLS, and On what it says.
	Known, On bool
	// CA is PEM.
	CA string
}

// Bag encodes the secret, as Python writes truth.
func (t DatabaseTLS) Bag() Bag {
	bag := Bag{}
	if t.Known {
		bag["tls"] = map[bool]string{true: "True", false: "False"}[t.On]
	}
	put(bag, "tls-ca", t.CA)
	return bag
}

// ParseDatabaseTLS decodes it.
func ParseDatabaseTLS(bag Bag) (t DatabaseTLS, err error) {
	switch strings.ToLower(bag["tls"]) {
	case "":
	case "true", "enabled":
		t.Known, t.On = true, true
	case "false", "disabled":
		t.Known = true
	default:
		return t, invalid("tls", bag["tls"], "True or False")
	}
	t.CA, err = certificates("tls-ca", bag["tls-ca"])
	return t, err
}

// DSN is the connection string of a database; caFile names the file with the
// CA's certificates, empty if there is none.
func DSN(a DatabaseAnswer, user DatabaseUser, tls DatabaseTLS, caFile string) string {
	query := url.Values{}
	switch {
	case tls.On && caFile != "":
		query.Set("sslmode", "verify-ca")
		query.Set("sslrootcert", caFile)
	case tls.On:
		query.Set("sslmode", "require")
	case tls.Known:
		query.Set("sslmode", "disable")
	default:
		query.Set("sslmode", "prefer")
	}
	if len(a.Endpoints) > 1 {
		query.Set("target_session_attrs", "read-write")
	}
	u := url.URL{
		Scheme: "postgresql", User: url.UserPassword(user.Username, user.Password),
		Host: strings.Join(a.Endpoints, ","), Path: "/" + a.Database, RawQuery: query.Encode(),
	}
	return u.String()
}
