package stack

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// personSchema is what Kratos knows of a person: the e-mail address is the name at
// login. Groups are given by administrators and are not in it.
var personSchema = map[string]any{
	"$schema": "http://json-schema.org/draft-07/schema#",
	"type":    "object",
	"properties": map[string]any{"traits": map[string]any{
		"type": "object",
		"properties": map[string]any{
			"email": map[string]any{
				"type": "string", "format": "email",
				"ory.sh/kratos": map[string]any{
					"credentials":  map[string]any{"password": map[string]any{"identifier": true}},
					"verification": map[string]any{"via": "email"},
				},
			},
			"name": map[string]any{"type": "string"},
		},
		"required": []string{"email"}, "additionalProperties": false,
	}},
}

// startKratos starts Kratos and makes the people.
func (s *Stack) startKratos(ctx context.Context) error {
	o := s.options
	schema, err := json.Marshal(personSchema)
	if err != nil {
		return err
	}
	public, admin := "http://"+s.address("kratos"), "http://"+s.address("kratos admin")
	config, err := s.writeConfig("kratos.yml", map[string]any{
		"dsn": s.dsn("kratos") + "&max_conns=10",
		"serve": map[string]any{
			"public": map[string]any{"host": o.Host, "port": s.ports["kratos"], "base_url": public},
			"admin":  map[string]any{"host": o.Host, "port": s.ports["kratos admin"], "base_url": admin},
		},
		"selfservice": map[string]any{
			"default_browser_return_url": s.SignInURL(),
			"methods":                    map[string]any{"password": map[string]any{"enabled": true}},
		},
		"secrets":  map[string]any{"cookie": []string{s.state.Secrets["kratos cookie key"]}, "cipher": []string{s.state.Secrets["kratos cipher key"]}},
		"hashers":  map[string]any{"algorithm": "bcrypt", "bcrypt": map[string]any{"cost": 8}}, // quick: the passwords here are known
		"identity": map[string]any{"default_schema_id": "person", "schemas": []any{map[string]any{"id": "person", "url": "base64://" + base64.StdEncoding.EncodeToString(schema)}}},
		"courier":  map[string]any{"smtp": map[string]any{"connection_uri": "smtp://127.0.0.1:9/"}}, // nothing is ever sent
		"log":      map[string]any{"level": "warning", "format": "json"},
	})
	if err != nil {
		return err
	}
	env := environment("DSN="+s.dsn("kratos"), "SQA_OPT_OUT=true")
	if err := run(ctx, env, o.Bin.Kratos, "migrate", "sql", "-e", "--yes"); err != nil {
		return fmt.Errorf("cannot make Kratos's tables: %w", err)
	}
	s.Kratos = NewService("kratos", o.Bin.Kratos, o.Dir, o.Client, admin+"/admin/health/ready", environment("SQA_OPT_OUT=true"), "serve", "--config", config)
	if err := s.launch(ctx, s.Kratos); err != nil {
		return err
	}
	for _, p := range o.People {
		if err := s.addPerson(ctx, p); err != nil {
			return fmt.Errorf("cannot give %s an account at Kratos: %w", p.Email, err)
		}
	}
	return nil
}

func (s *Stack) kratosAdmin() rest {
	return rest{client: s.options.Client, url: "http://" + s.address("kratos admin")}
}

// identity is a person as Kratos has it.
type identity struct {
	ID     string `json:"id"`
	Traits struct {
		Email string `json:"email"`
		Name  string `json:"name"`
	} `json:"traits"`
	Metadata struct {
		Groups []string `json:"groups"`
	} `json:"metadata_public"`
	Addresses []struct {
		Value    string `json:"value"`
		Verified bool   `json:"verified"`
	} `json:"verifiable_addresses"`
}

// verified reports whether the e-mail address is known to be the person's.
func (i identity) verified() bool {
	for _, a := range i.Addresses {
		if a.Value == i.Traits.Email && a.Verified {
			return true
		}
	}
	return false
}

// addPerson makes a person, unless an earlier start has.
func (s *Stack) addPerson(ctx context.Context, p Person) error {
	api := s.kratosAdmin()
	var found []identity
	if err := api.call(ctx, http.MethodGet, "/admin/identities?credentials_identifier="+url.QueryEscape(p.Email), nil, &found); err != nil || len(found) > 0 {
		return err
	}
	status := "completed"
	if p.Unverified {
		status = "pending"
	}
	return api.call(ctx, http.MethodPost, "/admin/identities", map[string]any{
		"schema_id":            "person",
		"traits":               map[string]any{"email": p.Email, "name": p.Name},
		"metadata_public":      map[string]any{"groups": p.Groups},
		"credentials":          map[string]any{"password": map[string]any{"config": map[string]any{"password": p.Password}}},
		"verifiable_addresses": []any{map[string]any{"value": p.Email, "via": "email", "verified": !p.Unverified, "status": status}},
	}, nil)
}
