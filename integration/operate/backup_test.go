//go:build integration

package operate

import (
	"context"
	"errors"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/juju/juju/rpc/params"
)

// tool runs one of PostgreSQL's client programs.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// wipe makes a database empty.
func wipe(t *testing.T, dsn string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()
	u.Path = "/postgres"
	conn, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{"drop database " + name + " with (force)", "create database " + name} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// TestABackupBringsEverythingBack does what docs/howto/back-up-and-restore.md says.
func TestABackupBringsEverythingBack(t *testing.T) {
	w := newWorld(t)
	u := w.start("a", nil)
	w.front.use(u)
	w.addControllers(1)
	w.letAddModels(user)

	const owner = user + "@serviceaccount"
	credential := params.TaggedCredential{
		Tag:        "cloudcred-dev_" + owner + "_keys",
		Credential: params.CloudCredential{AuthType: "userpass", Attributes: map[string]string{"username": "ci", "password": "hush-cloud-password"}},
	}
	w.secrets = append(w.secrets, "hush-cloud-password")
	c := w.logIn(user, userSecret)
	c.must("Cloud", 7, "UpdateCredentialsCheckModels", params.UpdateCredentialArgs{Credentials: []params.TaggedCredential{credential}}, nil)
	for _, name := range []string{"one", "two"} {
		if _, err := c.createModel(name, owner); err != nil {
			t.Fatal(err)
		}
	}
	before := c.models(owner)
	// Somebody may read one of the two.
	c.must("ModelManager", 11, "ModifyModelAccess", params.ModifyModelAccessRequest{Changes: []params.ModifyModelAccess{{
		UserTag: "user-bob@example.com", Action: params.GrantModelAccess, Access: params.ModelReadAccess, ModelTag: "model-" + before["one"],
	}}}, nil)

	users := map[string]string{}
	for name, uuid := range before {
		users[name] = c.usersOf(uuid)
	}
	if !strings.Contains(users["one"], "bob@example.com=read") || strings.Contains(users["two"], "bob") {
		t.Fatalf("the users are %v", users)
	}

	// What is in the audit log is written in batches.
	w.eventually("the creation of model one is in the audit log", func() error {
		if !w.audited(t, "CreateModel")["one"] {
			return errors.New("it is not")
		}
		return nil
	})
	// JIMM runs, and is used, while it is backed up.
	writing, stop := context.WithCancel(t.Context())
	written := make(chan struct{})
	go func() {
		defer close(written)
		for n := 0; writing.Err() == nil; n++ {
			_, _ = c.createModel("meanwhile-"+string(rune('a'+n%26)), owner)
		}
	}()
	dir := t.TempDir()
	jimmDump, fgaDump := filepath.Join(dir, "jimm.dump"), filepath.Join(dir, "openfga.dump")
	tool(t, "pg_dump", "--format=custom", "--file="+jimmDump, "--dbname="+w.jimmDSN)
	tool(t, "pg_dump", "--format=custom", "--file="+fgaDump, "--dbname="+w.fgaDSN)
	stop()
	<-written

	// All is lost but the controllers, the dumps and the configuration.
	u.stop()
	w.stopOpenFGA()
	wipe(t, w.jimmDSN)
	wipe(t, w.fgaDSN)
	tool(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+w.jimmDSN, jimmDump)
	tool(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+w.fgaDSN, fgaDump)
	w.startOpenFGA(w.fgaDSN)

	t.Run("with another key nothing can be opened, and it says so", func(t *testing.T) {
		log := w.failing(map[string]string{"JIMM_SECRET_STORAGE_KEYS": random(32)})
		if !strings.Contains(log, "cannot open signing keys") || !strings.Contains(log, "sealed with another key") {
			t.Errorf("it says %s", log)
		}
	})

	u = w.start("b", nil)
	w.front.use(u)
	c = w.logIn(user, userSecret)
	t.Run("models and their owners are back", func(t *testing.T) {
		after := c.models(owner)
		for name, uuid := range before {
			if after[name] != uuid {
				t.Errorf("model %s was %s, and is %q", name, uuid, after[name])
			}
		}
	})
	t.Run("who may do what is back", func(t *testing.T) {
		for name, uuid := range before {
			if got := c.usersOf(uuid); got != users[name] {
				t.Errorf("users of model %s are %s, not %s", name, got, users[name])
			}
		}
	})
	t.Run("secrets can be read", func(t *testing.T) {
		var contents params.CredentialContentResults
		c.must("Cloud", 7, "CredentialContents", params.CloudCredentialArgs{
			IncludeSecrets: true, Credentials: []params.CloudCredentialArg{{CloudName: "dev", CredentialName: "keys"}},
		}, &contents)
		if len(contents.Results) != 1 || contents.Results[0].Error != nil || contents.Results[0].Result.Content.Attributes["username"] != "ci" {
			t.Errorf("the credential is %+v", contents)
		}
	})
	t.Run("controllers take the tokens", func(t *testing.T) {
		through, err := w.tryLogIn("/model/"+before["one"]+"/api", user, userSecret)
		if err != nil {
			t.Fatal(err)
		}
		defer through.Close()
		through.must("Client", 8, "FullStatus", params.StatusParams{}, nil)
		if _, err := c.createModel("after", owner); err != nil {
			t.Error(err)
		}
	})
	t.Run("what was audited is back", func(t *testing.T) {
		if !w.audited(t, "CreateModel")["one"] {
			t.Error("the creation of model one is not in the audit log")
		}
	})
}

// usersOf returns who may do what with a model.
func (c *client) usersOf(uuid string) string {
	c.w.t.Helper()
	var info params.ModelInfoResults
	c.must("ModelManager", 11, "ModelInfo", params.Entities{Entities: []params.Entity{{Tag: "model-" + uuid}}}, &info)
	if len(info.Results) != 1 || info.Results[0].Error != nil {
		c.w.t.Fatalf("got %+v", info)
	}
	var users []string
	for _, u := range info.Results[0].Result.Users {
		users = append(users, u.UserName+"="+string(u.Access))
	}
	slices.Sort(users)
	return strings.Join(users, " ")
}

// failing starts a unit that cannot run, and returns what it says.
func (w *world) failing(extra map[string]string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	for _, set := range []map[string]string{w.environ, {"JIMM_LISTEN_ADDR": freeAddress(), "JIMM_INTERNAL_LISTEN_ADDR": freeAddress()}, extra} {
		for name, value := range set {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		w.t.Errorf("it runs: %s", out)
	}
	return string(out)
}
