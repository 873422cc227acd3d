//go:build integration

package day

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"jimm/workload/rpc"
)

// team has the administrator take a team on with groups and roles, and let somebody go.
func (c *company) team(t *testing.T) {
	admin := c.person(t, memberAlice, c.bin.Juju41)
	c.logIn(admin, memberAlice).says()
	jaas := func(args ...string) *run { return c.jaasAs(admin, args...) }
	admin.juju("add-model", "shop", "dev/east").says()
	const shop = "alice@example.com/shop"

	jaas("add-group", "engineering").says("name: engineering")
	jaas("add-group", "engineering").fails("the name is taken")
	jaas("rename-group", "engineering", "builders").says()
	jaas("add-role", "developer").says()
	jaas("groups").says("builders")
	jaas("roles").says("developer")
	file := filepath.Join(c.dir, "team.yaml")
	write(t, file, `
- {object: user-Bob@Example.com,    relation: member,   target_object: group-builders}
- {object: group-builders#member,   relation: assignee, target_object: role-developer}
- {object: role-developer#assignee, relation: writer,   target_object: model-alice@example.com/shop}
`)
	jaas("add-permission", "-f", file).says()
	jaas("add-permission", "-f", file).says()
	write(t, file, "bob shall have it all")
	jaas("add-permission", "-f", file).fails("cannot read")

	for _, g := range c.generations() {
		t.Run("juju "+g.name, func(t *testing.T) {
			admin.t = t
			me := c.person(t, memberBob, g.path)
			c.logIn(me, memberBob).says()
			me.juju("models").says(shop, "write")
			me.juju("status", "-m", shop).says("shop")
			me.juju("model-config", "-m", shop, "logging-config=<root>=DEBUG").says()
			me.juju("grant", "bob@example.com", "admin", shop).fails("permission denied")
			admin.juju("show-model", "shop").says("bob@example.com", "access: write")

			jaas("check-permission", "user-bob@example.com", "writer", "model-"+shop).says("is allowed")
			c.jaasAs(me, "explain-permission", "bob@example.com", "reader", "model-"+shop).says(
				"user-bob@example.com is reader of model-"+shop,
				"└─ every writer of model-"+shop+" is reader",
				"   └─ every assignee of role-developer is writer of model-"+shop,
				"      └─ every member of group-builders is assignee of role-developer",
				"         └─ user-bob@example.com is member of group-builders",
			)
			jaas("permissions", "--object", "role-developer", "--target", "model").says("role-developer#assignee", "writer", "model-"+shop)
			c.jaasAs(me, "permissions").fails("permission denied")

			// An open connection ends with what it was opened for.
			open := c.open(t, me, shop)
			since := time.Now()
			jaas("remove-permission", "user-bob@example.com", "member", "group-builders").says()
			select {
			case <-open.Done():
				t.Logf("the open connection ends %v after the command began", time.Since(since).Round(time.Millisecond))
			case <-time.After(patience):
				t.Error("the open connection stays")
			}
			me.juju("status", "-m", shop).fails("not found")
			me.juju("models").says().omits(shop)
			told := jaas("explain-permission", "bob@example.com", "writer", "model-"+shop).fails(
				"user-bob@example.com is not writer of model-"+shop,
				"jaas add-permission user-bob@example.com writer model-"+shop,
				"jaas add-permission user-bob@example.com member group-builders",
			)
			if told.code != 7 {
				t.Errorf("the exit code is %d", told.code)
			}
			c.jaasAs(me, "explain-permission", "bob@example.com", "writer", "model-"+shop).fails("add-permission user-bob@example.com writer").omits("builders", "developer")

			// A grant of juju's and a relation are the same thing.
			admin.juju("grant", "bob@example.com", "read", shop).says()
			jaas("permissions", "--target", "model-"+shop, "--relation", "reader").says("user-bob@example.com")
			me.juju("status", "-m", shop).says("shop")
			jaas("remove-permission", "user-bob@example.com", "reader", "model-"+shop).says()
			me.juju("status", "-m", shop).fails("not found")
			jaas("add-permission", "user-bob@example.com", "writer", "model-"+shop).says()
			admin.juju("revoke", "bob@example.com", "read", shop).says()
			me.juju("status", "-m", shop).fails("not found")

			jaas("add-permission", "user-bob@example.com", "member", "group-builders").says()
			me.juju("status", "-m", shop).says("shop")
		})
	}
	admin.t = t
	jaas("signing-keys").says("signs", "next")
	jaas("rotate-keys").says("signs", "next")
	jaas("grant-audit-log", "bob@example.com").says()
	jaas("check-permission", "user-bob@example.com", "audit_log_viewer", "controller-jimm").says("is allowed")
	jaas("revoke-audit-log", "bob@example.com").says()
	jaas("remove-role", "developer", "--no-prompt").says()
	jaas("check-permission", "user-bob@example.com", "reader", "model-"+shop).fails("is not allowed")
	jaas("remove-group", "builders").fails("nobody is there to confirm it")
	jaas("remove-group", "builders", "-y").says()
	jaas("remove-group", "builders", "-y").fails("not found")
	admin.juju("destroy-model", "shop", "--no-prompt").says()
}

// open is a connection to a model by whoever is logged in.
func (c *company) open(t *testing.T, s *session, model string) *rpc.Client {
	t.Helper()
	var token string
	s.setToken(func(held string) string { token = held; return held })
	trust := c.stack.Client().Transport.(*http.Transport).TLSClientConfig
	conn, _, err := rpc.Dial(t.Context(), "wss://"+c.stack.Address+"/model/"+modelsOf(s)[model].UUID+"/api", nil, trust, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := rpc.NewClient(conn)
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Call(t.Context(), "Admin", 4, "", "LoginWithSessionToken", map[string]string{"session-token": token}, nil); err != nil {
		t.Fatal(err)
	}
	if err := client.Call(t.Context(), "Client", 8, "", "FullStatus", struct{}{}, nil); err != nil {
		t.Fatal(err)
	}
	return client
}
