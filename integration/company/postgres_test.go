//go:build integration

package company

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/juju/juju/rpc/params"

	"jimm/integration/lab"
	"jimm/workload/dev"
	"jimm/workload/idp"
	"jimm/workload/rpc"
)

// outage is for how long the database is away, while somebody wants something.
const outage = 3 * time.Second

// databaseFailures are what happens to JIMM's database.
var databaseFailures = []struct {
	name string
	// fail makes it fail, for good or until heal is called.
	fail func(t *testing.T, s *dev.Stack) (heal func())
}{
	{"stopped", func(t *testing.T, s *dev.Stack) func() {
		check(t, s.Postgres.Down(false))
		return func() { check(t, s.Postgres.Up(t.Context())) }
	}},
	{"frozen", func(t *testing.T, s *dev.Stack) func() {
		check(t, s.Postgres.Freeze())
		return func() { check(t, s.Postgres.Thaw()) }
	}},
	{"killed and started again", func(t *testing.T, s *dev.Stack) func() {
		check(t, s.Postgres.Down(true))
		check(t, s.Postgres.Up(t.Context()))
		return func() {}
	}},
}

// TestTheDatabaseFails is among the embedded services, whose own state is
// elsewhere, but for permissions and secrets: those are in it.
func TestTheDatabaseFails(t *testing.T) {
	c := foundWith(t, dev.StackEmbedded)
	alice, bob := c.client(t, "alice", c.bin.Juju41), c.client(t, "bob", c.bin.Juju41)
	c.logInEmbedded(t, alice, dev.Alice, nil).says(t)
	c.logInEmbedded(t, bob, dev.Bob, nil).says(t)
	c.juju(t, alice, "add-model", "shared").says(t, "Added 'shared' model")
	var found params.UserModelList
	check(t, c.call(t, alice, "ModelManager", 10, "ListModels", params.Entity{Tag: "user-alice@example.com"}, &found))
	model := "model-" + found.UserModels[0].UUID
	for _, f := range databaseFailures {
		name := strings.ReplaceAll(f.name, " ", "-")
		t.Run("it is "+f.name+" in the middle of a login", func(t *testing.T) {
			newcomer := c.client(t, name, c.bin.Juju41)
			healed := make(chan struct{})
			r := c.logInEmbedded(t, newcomer, dev.Bob, func() {
				heal := f.fail(t, c.jimm)
				time.AfterFunc(outage, func() { heal(); close(healed) })
			})
			<-healed
			t.Logf("after %v juju %s%v", r.took.Round(time.Millisecond), r.text, r.err)
			if r.err != nil {
				if !strings.Contains(r.text, "JIMM's database") || !strings.Contains(r.text, "try again in a minute") {
					t.Error("the error does not say what to do")
				}
				// What the provider gives once is lost if it cannot be saved.
				c.logInEmbedded(t, newcomer, dev.Bob, nil).says(t)
			}
			c.juju(t, newcomer, "whoami").says(t, "bob@example.com")
		})
		t.Run("it is "+f.name+" in the middle of a grant", func(t *testing.T) {
			grant := func(client *rpc.Client) error {
				return call(t, client, "ModelManager", 10, "ModifyModelAccess", params.ModifyModelAccessRequest{Changes: []params.ModifyModelAccess{{
					UserTag: "user-bob@example.com", Action: params.GrantModelAccess, Access: params.ModelReadAccess, ModelTag: model,
				}}}, nil)
			}
			c.away(t, alice, f.fail, grant)
			c.until(t, alice, func(r *result) bool { return r.err == nil || strings.Contains(r.text, "already has") }, "grant", "bob@example.com", "read", "shared")
			c.juju(t, bob, "models").says(t, "alice@example.com/shared")
			c.juju(t, alice, "revoke", "bob@example.com", "read", "shared").says(t)
			c.juju(t, bob, "models").omits(t, "shared")
		})
		t.Run("it is "+f.name+" in the middle of a credential update", func(t *testing.T) {
			update := func(secret string) func(*rpc.Client) error {
				c.secrets[secret] = secret
				return func(client *rpc.Client) error {
					return call(t, client, "Cloud", 7, "UpdateCredentialsCheckModels", params.UpdateCredentialArgs{Credentials: []params.TaggedCredential{{
						Tag:        "cloudcred-dev_alice@example.com_" + name,
						Credential: params.CloudCredential{AuthType: "certificate", Attributes: map[string]string{"client-cert": "c", "server-cert": "c", "client-key": secret}},
					}}}, nil)
				}
			}
			first, second := update("first-secret-of-"+name), update("second-secret-of-"+name)
			stored := func() (all string) {
				check(t, c.eventually(func() error {
					value, err := c.jimm.Server.Estate.Secrets.Get(t.Context(), "creds/dev/alice@example.com/"+name)
					all = value["client-key"]
					return err
				}))
				return all
			}
			check(t, c.again(t, alice, first))
			if got := stored(); got != "first-secret-of-"+name {
				t.Fatalf("the credential is %q", got)
			}
			c.away(t, alice, f.fail, second)
			if got := stored(); !strings.HasSuffix(got, "-secret-of-"+name) {
				t.Errorf("the credential is lost: %q", got)
			}
			check(t, c.again(t, alice, second))
			if got := stored(); got != "second-secret-of-"+name {
				t.Errorf("the credential is %q", got)
			}
		})
	}
}

// away does something on a connection while the database is away, for a while:
// it may succeed in the end, or not.
func (c *company) away(t *testing.T, cli *lab.CLI, fail func(*testing.T, *dev.Stack) func(), do func(*rpc.Client) error) {
	t.Helper()
	client, err := c.session(t, t.Context(), cli)
	check(t, err)
	defer client.Close()
	heal := fail(t, c.jimm)
	healed := make(chan struct{})
	time.AfterFunc(outage, func() { heal(); close(healed) })
	began := time.Now()
	err = do(client)
	t.Logf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
	<-healed
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody answers though the database is back")
	}
}

// again does something until it works, each time on a new connection.
func (c *company) again(t *testing.T, cli *lab.CLI, do func(*rpc.Client) error) error {
	t.Helper()
	return c.eventually(func() error {
		client, err := c.session(t, t.Context(), cli)
		if err != nil {
			return err
		}
		defer client.Close()
		return do(client)
	})
}

// call makes a request, whose error may be in its only result.
func call(t *testing.T, client *rpc.Client, facade string, version int, method string, args, result any) error {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var done params.ErrorResults
	if result == nil {
		result = &done
	}
	if err := client.Call(ctx, facade, version, "", method, args, result); err != nil {
		return err
	}
	if len(done.Results) > 0 && done.Results[0].Error != nil {
		return done.Results[0].Error
	}
	return nil
}

// logInEmbedded has a person log in by device at the embedded provider. middle, if
// it is not nil, is called when the code is there.
func (c *company) logInEmbedded(t *testing.T, cli *lab.CLI, who idp.User, middle func()) *result {
	t.Helper()
	return c.prompted(t, cli, func(ctx context.Context, uri, code string) error {
		if middle != nil {
			middle()
		}
		return idp.ApproveDevice(ctx, c.jimm.Client(), uri, code, who.Email, who.Password)
	})
}
