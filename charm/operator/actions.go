package operator

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"jimm/charm/hook"
	"jimm/charm/relation"
)

// refused is an action that cannot be done, and why: it fails, the unit does not.
type refused string

func (r refused) Error() string { return string(r) }

// actions are those of actions.yaml.
var actions = map[string]func(*Charm, context.Context, *Snapshot) (map[string]string, error){
	"backup-info":         (*Charm).backupInfo,
	"check":               (*Charm).check,
	"get-login-info":      (*Charm).loginInfo,
	"move-secrets":        (*Charm).moveSecrets,
	"restore-sealing-key": (*Charm).restoreSealingKey,
	"rotate-session-key":  (*Charm).rotateSessionKey,
	"rotate-signing-keys": (*Charm).rotateSigningKeys,
	"set-admin":           (*Charm).setAdmin,
}

func (c *Charm) act(ctx context.Context, event hook.Event) error {
	action, known := actions[event.Action]
	if !known {
		return c.Tools.FailAction(ctx, fmt.Sprintf("there is no action %q in this revision of the charm", event.Action))
	}
	s, err := c.observe(ctx, event)
	if err != nil {
		return c.Tools.FailAction(ctx, err.Error())
	}
	results, err := action(c, ctx, s)
	if err != nil {
		if setting := c.setResults(ctx, results); setting != nil {
			return setting
		}
		return c.Tools.FailAction(ctx, err.Error())
	}
	return c.setResults(ctx, results)
}

func (c *Charm) setResults(ctx context.Context, results map[string]string) error {
	if len(results) == 0 {
		return nil
	}
	return c.Tools.SetActionResults(ctx, results)
}

// needLeader refuses what only the leader can do.
func needLeader(s *Snapshot) error {
	if s.Leader {
		return nil
	}
	return refused(fmt.Sprintf("this unit is not the leader; run juju run %s/leader %s", s.Event.App, s.Event.Action))
}

// soon brings about the hook by which a change reaches the workload.
func (c *Charm) soon(ctx context.Context, s *Snapshot) string {
	if s.Container.Problem == "" && c.Workload.Notify(ctx, noticeKey) == nil {
		return "It takes effect within a minute."
	}
	return "It takes effect at the next event, in some minutes."
}

func (c *Charm) rotateSessionKey(ctx context.Context, s *Snapshot) (map[string]string, error) {
	if err := needLeader(s); err != nil {
		return nil, err
	}
	key, found := s.Keys[keySession]
	if !found || key.ID == "" {
		return nil, refused("there is no session key yet: " + key.Problem)
	}
	content, err := generate(keySession)
	if err != nil {
		return nil, err
	}
	if err := c.Tools.SetSecret(ctx, key.ID, content); err != nil {
		return nil, err
	}
	return map[string]string{"result": "The session key is replaced: everyone logs in again. " + c.soon(ctx, s)}, nil
}

// restoreSealingKey adds keys and takes none away: whatever is in the database, it
// can be opened.
func (c *Charm) restoreSealingKey(ctx context.Context, s *Snapshot) (map[string]string, error) {
	if err := needLeader(s); err != nil {
		return nil, err
	}
	parameters, err := c.Tools.ActionParameters(ctx)
	if err != nil {
		return nil, err
	}
	ours, found := s.Keys[keySealing]
	if !found || ours.ID == "" {
		return nil, refused("there is no sealing key yet: " + ours.Problem)
	}
	id, _ := parameters["secret-id"].(string)
	given, err := c.Tools.Secret(ctx, "secret:"+strings.TrimPrefix(id, "secret:"))
	if err != nil {
		return nil, refused(fmt.Sprintf("cannot read the secret; run juju grant-secret NAME %s: %s", s.Event.App, problem(err)))
	}
	field := keyKinds[keySealing].field
	keys, more := strings.Fields(ours.Content[field]), strings.Fields(given[field])
	for _, key := range more {
		if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) < 32 {
			more = nil
			break
		}
	}
	if len(more) == 0 {
		return nil, refused(fmt.Sprintf("the secret must have the base64 of 32 bytes as its %s", field))
	}
	for _, key := range more {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if err := c.Tools.SetSecret(ctx, ours.ID, relation.Bag{field: strings.Join(keys, " ")}); err != nil {
		return nil, err
	}
	return map[string]string{"result": "JIMM can open what was sealed with this key. " + c.soon(ctx, s)}, nil
}

func (c *Charm) rotateSigningKeys(ctx context.Context, s *Snapshot) (map[string]string, error) {
	output, err := c.ctl(ctx, s, "rotate-signing-keys")
	if err != nil {
		return nil, err
	}
	return map[string]string{"result": output}, nil
}

func (c *Charm) moveSecrets(ctx context.Context, s *Snapshot) (map[string]string, error) {
	if err := needLeader(s); err != nil {
		return nil, err
	}
	parameters, err := c.Tools.ActionParameters(ctx)
	if err != nil {
		return nil, err
	}
	args := []string{"move-secrets"}
	if forget, _ := parameters["forget"].(bool); forget {
		args = append(args, "--forget", "--no-prompt")
	}
	output, err := c.ctl(ctx, s, args...)
	if err != nil {
		return nil, err
	}
	return map[string]string{"result": output + "\nJIMM starts where the secrets are. " + c.soon(ctx, s)}, nil
}

// ctl runs jimmctl in the container, with JIMM's environment.
func (c *Charm) ctl(ctx context.Context, s *Snapshot, args ...string) (string, error) {
	if s.Container.Problem != "" {
		return "", refused("the container does not answer: " + s.Container.Problem)
	}
	if current, _ := s.Container.Services[serviceName].(map[string]any); current["startup"] != "enabled" {
		return "", refused("JIMM is not configured yet; juju status says what is missing")
	}
	output, err := c.Workload.Exec(ctx, append([]string{ctlProgram}, args...)...)
	output = strings.TrimSpace(output)
	if err != nil {
		return output, fmt.Errorf("jimmctl %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return output, nil
}

// check tells what the charm finds, then what JIMM's own doctor does.
func (c *Charm) check(ctx context.Context, s *Snapshot) (map[string]string, error) {
	p := MakePlan(s)
	results := map[string]string{"charm": explain(p.Findings)}
	if results["charm"] == "" {
		results["charm"] = "everything is in place"
	}
	results["container"] = s.Container.Problem
	if s.Container.Problem == "" {
		results["container"] = fmt.Sprintf("service %s, check %s", known(s.Container.Service), known(s.Container.Health))
	}
	output, err := c.ctl(ctx, s, "doctor")
	results["doctor"] = output
	if err != nil && output == "" {
		results["doctor"] = err.Error()
	}
	switch {
	case Summarize(p.Findings).Level != Active.String():
		return results, refused(Summarize(p.Findings).Message)
	case err != nil:
		return results, refused("JIMM is not well: see the result doctor")
	}
	return results, nil
}

func known(state string) string {
	if state == "" {
		return "unknown"
	}
	return state
}

func (c *Charm) loginInfo(_ context.Context, s *Snapshot) (map[string]string, error) {
	p := &planner{Snapshot: s, plan: Plan{App: map[string]relation.Bag{}, Unit: map[string]relation.Bag{}, Environment: map[string]string{}}}
	for _, r := range s.Relations {
		p.plan.App[r.ID], p.plan.Unit[r.ID] = relation.Bag{}, relation.Bag{}
	}
	p.options, _ = ParseOptions(s.Options)
	p.planAddress()
	if !p.address.known() {
		return nil, refused("JIMM has no address yet; juju status says what is missing")
	}
	name := p.address.name()
	results := map[string]string{
		"address":                 name,
		"login":                   fmt.Sprintf("juju login %s -c jimm", name),
		"login-token-refresh-url": p.address.path("/.well-known/jwks.json"),
		"redirect-uri":            p.address.path("/auth/callback"),
		"bootstrap":               fmt.Sprintf("juju bootstrap CLOUD --config login-token-refresh-url=%s", p.address.path("/.well-known/jwks.json")),
	}
	if r, ok := s.one(endpointOAuth); ok {
		if answer, err := relation.ParseOAuthAnswer(r.Theirs); err == nil && answer.Issuer != "" {
			results["identity-provider"] = answer.Issuer
		}
	}
	return results, nil
}

func (c *Charm) setAdmin(ctx context.Context, s *Snapshot) (map[string]string, error) {
	if err := needLeader(s); err != nil {
		return nil, err
	}
	parameters, err := c.Tools.ActionParameters(ctx)
	if err != nil {
		return nil, err
	}
	user, _ := parameters["user"].(string)
	if !validUser(user) {
		return nil, refused(fmt.Sprintf("user is %.80q; it must be an e-mail address or CLIENT-ID@serviceaccount", user))
	}
	r, ok := s.one(endpointPeer)
	if !ok {
		return nil, refused("the application is still being set up: try again")
	}
	admins := append(s.peer().Admins, user)
	slices.Sort(admins)
	admins = slices.Compact(admins)
	if err := c.Tools.SetRelationAppData(ctx, r.ID, relation.Bag{"admins": strings.Join(admins, " ")}); err != nil {
		return nil, err
	}
	return map[string]string{"result": fmt.Sprintf("%s is administrator of JIMM, which restarts for it. %s", user, c.soon(ctx, s))}, nil
}

func (c *Charm) backupInfo(_ context.Context, s *Snapshot) (map[string]string, error) {
	results := map[string]string{
		"order": "The secrets, then the database, then the permissions: so every model has its permissions. JIMM need not stop.",
	}
	if uuid := MakePlan(s).Environment["JIMM_UUID"]; uuid != "" {
		results["uuid"] = uuid + " (the option uuid, in another deployment that the backup is restored into)"
	}
	secrets := []string{}
	for _, label := range slices.Sorted(maps.Keys(keyKinds)) {
		if keyKinds[label].owner == hook.OwnerApp {
			if key, found := s.Keys[label]; found {
				secrets = append(secrets, strings.TrimSpace(label+" "+key.ID))
			}
		}
	}
	results["secrets"] = strings.Join(secrets, ", ") + " (juju show-secret --reveal ID; without sealing_key the credentials in the database cannot be read; restore-sealing-key gives it back)"
	if r, ok := s.one(endpointDatabase); ok {
		answer, err := relation.ParseDatabaseAnswer(r.Theirs)
		if err == nil && len(answer.Endpoints) > 0 {
			results["database"] = fmt.Sprintf("%s at %s, of the application %s", answer.Database, strings.Join(answer.Endpoints, ","), r.App)
		}
	}
	if r, ok := s.one(endpointOpenFGA); ok {
		if answer, err := relation.ParseOpenFGAAnswer(r.Theirs); err == nil {
			results["permissions"] = fmt.Sprintf("store %s of the application %s, in its database", answer.StoreID, r.App)
		}
	}
	if r, ok := s.one(endpointVault); ok {
		if answer, err := relation.ParseVaultAnswer(r.Theirs); err == nil && answer.Mount != "" {
			results["vault"] = fmt.Sprintf("mount %s of the application %s", answer.Mount, r.App)
		}
	}
	return results, nil
}
