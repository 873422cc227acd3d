package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/rpc/params"
)

// secret is a user's secret of a model.
type secret struct {
	ID, Label, Description string
	Created, Updated       time.Time
	Revisions              []revision
	// Grants are the applications that may read it.
	Grants    []string `json:",omitempty"`
	AutoPrune bool     `json:",omitempty"`
}

type revision struct {
	Number  int
	Created time.Time
	Data    map[string]string
}

// secrets2 is Secrets of both generations (apiserver/facades/client/secrets).
var secrets2 = methods{
	"ListSecrets":   read(listSecrets),
	"CreateSecrets": write(createSecrets),
	"UpdateSecrets": write(updateSecrets),
	"RemoveSecrets": write(removeSecrets),
	"GrantSecret":   write(grantSecret(true)),
	"RevokeSecret":  write(grantSecret(false)),
}

// secrets1 can list alone.
var secrets1 = secrets2.without("CreateSecrets", "UpdateSecrets", "RemoveSecrets", "GrantSecret", "RevokeSecret")

// secret finds a secret by its URI or label.
func (m *model) secret(uri, label string) (*secret, error) {
	id := uri[strings.LastIndexAny(uri, ":/")+1:]
	for _, s := range m.Secrets {
		if uri != "" && s.ID == id || label != "" && s.Label == label {
			return s, nil
		}
	}
	if uri == "" {
		return nil, coded(params.CodeSecretNotFound, "getting user secret for label %q: secret with label %q not found", label, label)
	}
	return nil, coded(params.CodeSecretNotFound, "secret %q not found", uri)
}

func listSecrets(cn *conn, args params.ListSecretsArgs) (params.ListSecretResults, error) {
	err := cn.canRead()
	if args.ShowSecrets {
		err = cn.onModel(permission.AdminAccess, cn.model)
		if errors.Is(err, errLacking) {
			err = errPerm
		}
	}
	if err != nil {
		return params.ListSecretResults{}, err
	}
	m, err := cn.theModel()
	if err != nil {
		return params.ListSecretResults{}, err
	}
	results := params.ListSecretResults{Results: []params.ListSecretResult{}}
	for _, id := range sortedKeys(m.Secrets) {
		s := m.Secrets[id]
		if f := args.Filter; f.URI != nil && !strings.HasSuffix(*f.URI, id) || f.Label != nil && *f.Label != s.Label {
			continue
		}
		last := s.Revisions[len(s.Revisions)-1]
		result := params.ListSecretResult{
			URI: "secret:" + id, Version: 1, OwnerTag: m.tag().String(), Description: s.Description, Label: s.Label,
			LatestRevision: last.Number, LatestRevisionChecksum: checksum(last.Data), CreateTime: s.Created, UpdateTime: s.Updated,
		}
		backend := "internal"
		for _, r := range s.Revisions {
			result.Revisions = append(result.Revisions, params.SecretRevision{Revision: r.Number, BackendName: &backend, CreateTime: r.Created, UpdateTime: r.Created})
			wanted := r.Number == last.Number
			if args.Filter.Revision != nil {
				wanted = r.Number == *args.Filter.Revision
			}
			if args.ShowSecrets && wanted {
				result.Value = &params.SecretValueResult{Data: r.Data}
			}
		}
		for _, name := range s.Grants {
			result.Access = append(result.Access, params.AccessInfo{
				TargetTag: names.NewApplicationTag(name).String(), ScopeTag: m.tag().String(), Role: "view",
			})
		}
		results.Results = append(results.Results, result)
	}
	return results, nil
}

func checksum(data map[string]string) string {
	encoded, err := json.Marshal(data)
	if err != nil {
		panic(err) // strings can be encoded
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

func createSecrets(cn *conn, args params.CreateSecretArgs) (params.StringResults, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.StringResults{}, err
	}
	results := params.StringResults{Results: make([]params.StringResult, len(args.Args))}
	for i, arg := range args.Args {
		uri, err := cn.ctl.createSecret(m, arg)
		results.Results[i] = params.StringResult{Result: uri, Error: asParams(err)}
	}
	return results, nil
}

func (c *Controller) createSecret(m *model, arg params.CreateSecretArg) (string, error) {
	if len(arg.Content.Data) == 0 {
		return "", coded(params.CodeNotValid, "empty secret value not valid")
	}
	now := c.clock.Now()
	s := &secret{ID: secrets.NewURI().ID, Created: now, Updated: now, Revisions: []revision{{Number: 1, Created: now, Data: arg.Content.Data}}}
	if arg.Label != nil {
		s.Label = *arg.Label
		if _, err := m.secret("", s.Label); s.Label != "" && err == nil {
			return "", coded(params.CodeAlreadyExists, "secret with label %q already exists", s.Label)
		}
	}
	if arg.Description != nil {
		s.Description = *arg.Description
	}
	if m.Secrets == nil {
		m.Secrets = make(map[string]*secret)
	}
	m.Secrets[s.ID] = s
	c.changed(m)
	return "secret:" + s.ID, nil
}

func updateSecrets(cn *conn, args params.UpdateUserSecretArgs) (params.ErrorResults, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Args, func(arg params.UpdateUserSecretArg) error {
		if err := arg.Validate(); err != nil {
			return err
		}
		s, err := m.secret(arg.URI, arg.ExistingLabel)
		if err != nil {
			return err
		}
		now := cn.ctl.clock.Now()
		if len(arg.Content.Data) > 0 {
			last := s.Revisions[len(s.Revisions)-1].Number
			s.Revisions = append(s.Revisions, revision{Number: last + 1, Created: now, Data: arg.Content.Data})
			if s.AutoPrune {
				s.Revisions = s.Revisions[len(s.Revisions)-1:]
			}
		}
		if arg.Label != nil {
			s.Label = *arg.Label
		}
		if arg.Description != nil {
			s.Description = *arg.Description
		}
		if arg.AutoPrune != nil {
			s.AutoPrune = *arg.AutoPrune
		}
		s.Updated = now
		cn.ctl.changed(m)
		return nil
	}), nil
}

func removeSecrets(cn *conn, args params.DeleteSecretArgs) (params.ErrorResults, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Args, func(arg params.DeleteSecretArg) error {
		s, err := m.secret(arg.URI, arg.Label)
		if err != nil {
			return err
		}
		if len(arg.Revisions) > 0 {
			s.Revisions = slices.DeleteFunc(s.Revisions, func(r revision) bool { return slices.Contains(arg.Revisions, r.Number) })
		}
		if len(arg.Revisions) == 0 || len(s.Revisions) == 0 {
			delete(m.Secrets, s.ID)
		}
		cn.ctl.changed(m)
		return nil
	}), nil
}

func grantSecret(grant bool) func(*conn, params.GrantRevokeUserSecretArg) (params.ErrorResults, error) {
	return func(cn *conn, arg params.GrantRevokeUserSecretArg) (params.ErrorResults, error) {
		m, err := cn.writeModel()
		if err != nil {
			return params.ErrorResults{}, err
		}
		s, err := m.secret(arg.URI, arg.Label)
		if err != nil {
			return params.ErrorResults{}, err
		}
		return each(arg.Applications, func(name string) error {
			if _, err := m.application(name); err != nil {
				return err
			}
			s.Grants = slices.DeleteFunc(s.Grants, func(g string) bool { return g == name })
			if grant {
				s.Grants = append(s.Grants, name)
			}
			cn.ctl.changed(m)
			return nil
		}), nil
	}
}
