package simulator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"jimm/charm/relation"
	"jimm/charm/simulator"
	"jimm/workload/secrets"
)

func deployed(t *testing.T, seed uint64) *world {
	t.Helper()
	w := newWorld(t, seed)
	w.relateNeeded()
	w.settle()
	w.serving()
	return w
}

func TestADeploymentIsActiveInWhateverOrderThingsHappen(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.scale()
			w.scale()
			w.relateNeeded()
			for one, other := range map[string]string{
				"jimm:vault": "vault:vault-kv", "jimm:logging": "loki:logging", "jimm:tracing": "tempo:tracing", "jimm:receive-ca-cert": "ca:send-ca-cert",
				"jimm:dashboard": "dashboard:controller", "jimm:metrics-endpoint": "prometheus:metrics-endpoint", "jimm:grafana-dashboard": "grafana:grafana-dashboard",
				"jimm:internal-ingress": "traefik:ingress", "jimm:ingress-ssh": "traefik:ingress-per-unit",
			} {
				w.relate(one, other)
			}
			w.settle()
			w.serving()
			if got := w.env("jimm/0", "JIMM_DNS_NAME"); got != "jaas.example.com/jimm-jimm" {
				t.Errorf("JIMM_DNS_NAME is %q", got)
			}
			if got, want := w.env("jimm/0", "JIMM_DSN"), "postgresql://relation_id_"; !strings.HasPrefix(got, want) || !strings.Contains(got, ":pg-p%40ss%2Fword-1@postgresql-primary:5432/jimm?sslmode=disable") {
				t.Errorf("JIMM_DSN is %q", got)
			}
			for _, name := range []string{"JIMM_UUID", "JIMM_SESSION_SECRET_KEY", "JIMM_SECRET_STORAGE_KEYS"} {
				if w.env("jimm/0", name) == "" || w.env("jimm/0", name) != w.env("jimm/2", name) {
					t.Errorf("%s is %q here and %q there", name, w.env("jimm/0", name), w.env("jimm/2", name))
				}
			}
			if w.env("jimm/0", "VAULT_ROLE_ID") == w.env("jimm/1", "VAULT_ROLE_ID") {
				t.Error("two units have one role in Vault")
			}
		})
	}
}

func TestEachNeededRelationIsMissedAndTakenBack(t *testing.T) {
	for one, next := range map[string]string{
		"jimm:database": "juju integrate jimm:database", "jimm:openfga": "juju integrate jimm:openfga", "jimm:oauth": "juju integrate jimm:oauth",
		"jimm:ingress": "juju integrate jimm:ingress",
	} {
		t.Run(one, func(t *testing.T) {
			w := deployed(t, 1)
			w.Unrelate(w.Relation(one))
			w.settle()
			w.says("blocked", next)
			if w.pods["jimm/0"].running != nil {
				t.Error("JIMM still runs")
			}
			w.relate(one, needed[one])
			w.settle()
			w.serving()
		})
	}
}

func TestTheAddressFollowsTheIngress(t *testing.T) {
	w := newWorld(t, 2)
	w.traefik.Scheme = "http"
	w.relateNeeded()
	w.relate("jimm:dashboard", "dashboard:controller")
	w.settle()
	w.says("blocked", "give the ingress a certificate")
	redirect := func() string { return w.Relation("jimm:oauth").Bag("jimm")["redirect_uri"] }
	if got := redirect(); got != "http://jaas.example.com/jimm-jimm/auth/callback" {
		t.Errorf("the redirect is %q", got)
	}
	w.traefik.Scheme, w.traefik.Host = "https", "login.example.com"
	w.poke("traefik")
	w.serving()
	if got := redirect(); got != "https://login.example.com/jimm-jimm/auth/callback" {
		t.Errorf("the redirect is %q", got)
	}
	if got := w.Relation("jimm:dashboard").Bag("jimm")["controller-url"]; got != "wss://login.example.com/jimm-jimm" {
		t.Errorf("the dashboard is told %q", got)
	}
	if got := w.env("jimm/0", "JIMM_DNS_NAME"); got != "login.example.com/jimm-jimm" {
		t.Errorf("JIMM_DNS_NAME is %q", got)
	}
}

func TestAPasswordRotatesByASecretAlone(t *testing.T) {
	w := deployed(t, 3)
	for user := range w.passwords {
		w.passwords[user] = "pg-p@ss/word-2"
	}
	w.poke("postgresql")
	w.serving()
	if got := w.env("jimm/0", "JIMM_DSN"); !strings.Contains(got, "word-2") {
		t.Error("JIMM has the old password")
	}
}

func TestVaultFollowsThePodsAddress(t *testing.T) {
	w := deployed(t, 4)
	w.vault.Sealed = func(context.Context) (bool, error) { return true, nil }
	w.relate("jimm:vault", "vault:vault-kv")
	w.settle()
	w.says("waiting", "must be unsealed")
	if w.pods["jimm/0"].running == nil {
		t.Error("JIMM was stopped because Vault is sealed")
	}
	w.vault.Sealed = nil
	w.poke("vault")
	w.serving()
	before := w.env("jimm/0", "VAULT_ROLE_SECRET_ID")
	u := w.App("jimm").Units()[0]
	u.Address = w.address()
	w.pods[u.Name].restart()
	w.settle()
	w.serving()
	if after := w.env("jimm/0", "VAULT_ROLE_SECRET_ID"); after == before || !strings.Contains(after, u.Address) {
		t.Errorf("the credentials are %q, before %q, for a unit at %s", after, before, u.Address)
	}

	w.Unrelate(w.Relation("jimm:vault"))
	w.settle()
	w.says("blocked", "integrate it again; if it is lost")
	w.Configure("jimm", map[string]any{"postgres-secret-storage": true})
	w.settle()
	w.says("blocked", "it keeps ending; run juju run jimm/0 check")
	if _, err := w.App("jimm").Units()[0].Action(w.ctx, "move-secrets", map[string]any{"forget": true}); err != nil {
		t.Error(err)
	}
	w.poke("jimm")
	w.serving()
}

func TestSecretsFollowTheConfiguration(t *testing.T) {
	w := deployed(t, 14)
	w.scale()
	w.settle()
	w.serving()
	in := func(place secrets.Place) {
		t.Helper()
		w.settle()
		w.poke("jimm")
		w.serving()
		if w.secrets.place != place {
			t.Errorf("the secrets are in %s, want %s", w.secrets.place, place)
		}
	}
	in(secrets.Sealed)
	w.relate("jimm:vault", "vault:vault-kv")
	in(secrets.Vault)
	w.Configure("jimm", map[string]any{"postgres-secret-storage": true})
	in(secrets.Sealed)
	w.Unrelate(w.Relation("jimm:vault"))
	in(secrets.Sealed)
}

func TestCertificatesComeAndGo(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("version 0 only: %v", old), func(t *testing.T) {
			w := deployed(t, 5)
			w.authority.Old = old
			r := w.relate("jimm:receive-ca-cert", "ca:send-ca-cert")
			w.settle()
			w.serving()
			directory := strings.TrimPrefix(w.env("jimm/0", "SSL_CERT_DIR"), "/etc/ssl/certs:")
			if got := w.pods["jimm/0"].files[directory+"/ca.pem"]; got != w.authority.CA() {
				t.Errorf("the file in %s is %q", directory, got)
			}
			w.Unrelate(r)
			w.settle()
			w.serving()
			if w.env("jimm/0", "SSL_CERT_DIR") != "" || strings.Contains(fmt.Sprint(w.pods["jimm/0"].files), "/trust-") {
				t.Errorf("files are left: %v", w.pods["jimm/0"].files)
			}
		})
	}
}

func TestJIMMEndsTLSWithACertificateThatIsRenewed(t *testing.T) {
	w := deployed(t, 6)
	w.relate("jimm:certificates", "ca:certificates")
	w.settle()
	w.serving()
	first := w.env("jimm/0", "JIMM_TLS_CERT")
	if first == "" || w.env("jimm/0", "JIMM_TLS_KEY") == "" {
		t.Fatal("JIMM has no certificate")
	}
	if got := w.Relation("jimm:ingress").Bag("jimm")["scheme"]; got != `"https"` {
		t.Errorf("the ingress is told scheme %s", got)
	}
	w.later = 45 * 24 * time.Hour
	w.poke("jimm")
	w.serving()
	if got := w.env("jimm/0", "JIMM_TLS_CERT"); got != first {
		t.Error("a certificate of 90 days is renewed after 45")
	}
	w.later = 70 * 24 * time.Hour
	w.authority.Now = func() time.Time { return time.Now().Add(w.later) }
	w.poke("jimm")
	w.serving()
	if got := w.env("jimm/0", "JIMM_TLS_CERT"); got == first || got == "" {
		t.Error("a certificate of 90 days is not renewed after 70")
	}
}

func TestANewLeaderGoesOn(t *testing.T) {
	w := deployed(t, 7)
	w.scale()
	w.settle()
	w.serving()
	uuid := w.env("jimm/0", "JIMM_UUID")
	w.SetLeader(w.App("jimm").Units()[1])
	w.settle()
	w.poke("jimm")
	w.serving()
	if got := w.env("jimm/1", "JIMM_UUID"); got != uuid {
		t.Errorf("JIMM's UUID has changed from %q to %q", uuid, got)
	}
}

// TestWhatIsWithoutEffect is a deployment as the Python charm left it: with an SSH
// server that JIMM does not have, and with a key among what all units read.
func TestWhatIsWithoutEffect(t *testing.T) {
	w := deployed(t, 20)
	w.relate("jimm:ingress-ssh", "traefik:ingress-per-unit")
	w.settle()
	r := w.Relation("jimm:ingress-ssh")
	w.Write(r, "jimm/0", relation.IngressPerUnitRequest{Model: "jimm", Unit: "jimm/0", Host: "jimm-0", Port: 17022, Mode: "tcp"}.Bag())
	peer := w.Relation("jimm:peer")
	w.Write(peer, "jimm", relation.Bag{"private_key": `"-----BEGIN RSA PRIVATE KEY-----"`, "openfga_auth_model_id": `"01"`})
	w.Configure("jimm", map[string]any{"ssh-port": 2222, "private-key": "b4kery", "public-key": "p"})
	w.App("jimm").Refresh()
	w.settle()
	w.serving()
	w.says("active", "ready at https://jaas.example.com/jimm-jimm; ingress-ssh: without effect, JIMM has no SSH server; config: without effect: private-key public-key ssh-port;")
	if bag := peer.Bag("jimm"); bag["private_key"] != "" || bag["openfga_auth_model_id"] != "" {
		t.Errorf("the units still read %v", bag)
	}
	if got := r.Bag("jimm/0")["port"]; got != "" {
		t.Errorf("the ingress is still asked for port %s", got)
	}
	if answer, err := relation.ParseIngressPerUnitAnswer(r.Bag("traefik")); err != nil || len(answer) > 0 {
		t.Errorf("the ingress gives %v, %v", answer, err)
	}
}

func TestScalingUpAndDown(t *testing.T) {
	w := deployed(t, 8)
	w.relate("jimm:vault", "vault:vault-kv")
	for range 2 {
		w.scale()
	}
	w.settle()
	w.serving()
	for _, u := range w.App("jimm").Units()[:2] {
		w.RemoveUnit(u)
	}
	w.settle()
	w.serving()
	if n := len(w.App("jimm").Units()); n != 1 {
		t.Errorf("%d units are left", n)
	}
	for _, gone := range []string{"jimm/0", "jimm/1"} {
		if w.pods[gone].running != nil {
			t.Errorf("JIMM still runs in %s", gone)
		}
	}
}

func TestPebbleComesLateAndGoesAway(t *testing.T) {
	w := newWorld(t, 9)
	p := w.pods["jimm/0"]
	p.down = true
	w.relateNeeded()
	w.settle()
	w.says("waiting", "Pebble does not answer yet")
	p.down = false
	w.settle()
	w.serving()

	p.restart() // the container's process has died; all files are gone
	w.settle()
	w.serving()

	p.noStart = true
	w.Configure("jimm", map[string]any{"log-level": "debug"})
	w.settle()
	w.says0("blocked", "JIMM_X is missing")
	p.noStart = false
	w.poke("jimm")
	w.serving()
}

// says0 is says where another run does change something: it tries again.
func (w *world) says0(level, message string) {
	w.t.Helper()
	u := w.App("jimm").Units()[0]
	if u.Status.Level != level || !strings.Contains(u.Status.Message, message) {
		w.t.Errorf("%s is %s: %q; want %s: %q", u.Name, u.Status.Level, u.Status.Message, level, message)
	}
}

func TestAFullDiskLeavesWhatRuns(t *testing.T) {
	w := deployed(t, 10)
	w.pods["jimm/0"].full = true
	w.relate("jimm:receive-ca-cert", "ca:send-ca-cert")
	w.settle()
	w.says0("waiting", "no space left on device")
	if w.pods["jimm/0"].running == nil || w.env("jimm/0", "SSL_CERT_DIR") != "" {
		t.Error("JIMM does not run as before")
	}
	w.pods["jimm/0"].full = false
	w.poke("jimm")
	w.serving()
}

func TestWrongOptionsBlockAndStopNothing(t *testing.T) {
	wrong := map[string][]any{
		"uuid": {"one"}, "jwt-expiry": {"soon", "0s"}, "session-expiry-duration": {"-1h"}, "log-level": {"loud"},
		"controller-admins": {"bob", "bob@local", "alice@example.com " + strings.Repeat("a", 250) + "@example.com"},
		"cors-allowed-origins": {
			"dashboard", "*", "https://good.example.com https://bad.example.com/", "https://Dashboard.example.com", "https://dashboard.example.com:443",
			"http://dashboard.example.com:80", "https://u@dashboard.example.com", "https://dashboard.example.com:0", "https://:8080", "https://a.example.com,https://b.example.com",
		},
		"dns-name": {"https://", "jaas.example.com//a", "jaas.example.com/a/../b", "jaas.example.com/a b", "jaas.example.com/%3F", "jaas.example.com?a", "jaas.example.com:99999", "[fe80::1%25eth0]"},
		"ssh-port": {70000}, "session-cookie-max-age": {0, -1, 1 << 40}, "secure-session-cookies": {"perhaps"},
		"audit-log-retention-period-in-days": {"few", "-1", "36501", "1.5"}, "oauth-group-claim-key": {"a b"}, "ssh-host-key-secret-id": {"x"},
		"juju-dashboard-location":      {"jaas.ai", "javascript:alert(1)", "https://u:p@jaas.ai", "https://", "https://jaas.ai/a b"},
		"client-authentication-method": {"none"}, "macaroon-expiry-duration": {"1"}, "oauth-optional-scopes": {"ok \"bad\""},
		"idp-group-fetcher-type": {"ldap"}, "idp-hook-service-address": {"hook-service", "hook-service:port", "ftp://hook-service:50051"},
		"oauth-client-credential-scopes": {`ok "bad"`}, "postgres-secret-storage": {"perhaps"}, "ssh-max-concurrent-connections": {0, 100001},
		"private-key": {"b4kery"}, "public-key": {"b4kery"}, "oauth-trust-email": {"perhaps"}, "trusted-proxies": {"10.1.0.0/33", "10.1.0.0/16,10.2.0.0/16", "traefik"},
	}
	_, options, err := simulator.ReadCharm("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name := range options {
		if len(wrong[name]) == 0 {
			t.Errorf("there is no wrong value of %s here", name)
		}
	}
	good := map[string]any{"dns-name": "jaas.example.com", "idp-group-fetcher-type": "hook-service", "idp-hook-service-address": "hook-service:50051"}
	for name, values := range wrong {
		for _, value := range values {
			t.Run(fmt.Sprintf("%s=%.60v", name, value), func(t *testing.T) {
				w := newWorld(t, 11)
				// What is wrong in one place must not hide behind what is right in another.
				w.Configure("jimm", good)
				for one, other := range needed {
					if one != "jimm:ingress" {
						w.relate(one, other)
					}
				}
				w.settle()
				w.serving()
				w.Configure("jimm", map[string]any{name: value})
				w.settle()
				says := "config: " + name + "="
				if name == "private-key" || name == "public-key" {
					says = "config: private-key and public-key must be set together" // without a value, which may be secret
				}
				w.says("blocked", says)
				if w.pods["jimm/0"].running == nil {
					t.Error("JIMM was stopped")
				}
				w.Configure("jimm", map[string]any{name: good[name]})
				w.settle()
				w.serving()
			})
		}
	}
}

func TestOptionsReachJIMM(t *testing.T) {
	w := deployed(t, 18)
	reach := func(want map[string]string) {
		t.Helper()
		w.settle()
		w.serving()
		for name, value := range want {
			if got := w.env("jimm/0", name); got != value {
				t.Errorf("%s is %q, not %q", name, got, value)
			}
		}
	}
	// What happens without a word is what upstream's charm does, but that no login
	// ends at somebody else's dashboard.
	reach(map[string]string{
		"JIMM_AUDIT_LOG_RETENTION_PERIOD_IN_DAYS": "0", "JIMM_DASHBOARD_FINAL_REDIRECT_URL": "https://jaas.example.com/jimm-jimm/auth/whoami",
		"JIMM_SESSION_COOKIE_MAX_AGE": "86400", "JIMM_SECURE_SESSION_COOKIES": "true", "CORS_ALLOWED_ORIGINS": "", "JIMM_LOG_LEVEL": "info",
	})
	w.Configure("jimm", map[string]any{
		"audit-log-retention-period-in-days": "90", "juju-dashboard-location": "http://10.0.0.7:8080/models", "session-cookie-max-age": 600,
		"secure-session-cookies": false, "cors-allowed-origins": "http://10.0.0.7:8080 https://dashboard.example.com", "log-level": "warning",
		"controller-admins": "alice@example.com ci@serviceaccount", "jwt-expiry": "3m", "session-expiry-duration": "1h", "oauth-group-claim-key": "groups",
		"client-authentication-method": "client_secret_post", "oauth-client-credential-scopes": "a b", "oauth-optional-scopes": "groups",
		"oauth-trust-email": true, "trusted-proxies": "10.1.0.0/16 fd00::7",
	})
	reach(map[string]string{
		"JIMM_AUDIT_LOG_RETENTION_PERIOD_IN_DAYS": "90", "JIMM_DASHBOARD_FINAL_REDIRECT_URL": "http://10.0.0.7:8080/models",
		"JIMM_SESSION_COOKIE_MAX_AGE": "600", "JIMM_SECURE_SESSION_COOKIES": "false",
		"CORS_ALLOWED_ORIGINS": "http://10.0.0.7:8080 https://dashboard.example.com", "JIMM_LOG_LEVEL": "warn",
		"JIMM_ADMINS": "alice@example.com ci@serviceaccount", "JIMM_JWT_EXPIRY": "3m", "JIMM_ACCESS_TOKEN_EXPIRY_DURATION": "1h",
		"JIMM_OAUTH_GROUP_CLAIM_KEY": "groups", "JIMM_OAUTH_AUTH_STYLE": "client_secret_post", "JIMM_OAUTH_CLIENT_CREDENTIAL_SCOPES": "a b",
		"JIMM_OAUTH_SCOPES": "openid profile email offline_access groups", "JIMM_OAUTH_TRUST_EMAIL": "true", "JIMM_TRUSTED_PROXIES": "10.1.0.0/16 fd00::7",
	})
}

// TestAnotherModelGivesTheDatabase: there, Juju calls the application by a name of
// its own making, and the secrets are of that model.
func TestAnotherModelGivesTheDatabase(t *testing.T) {
	w := newWorld(t, 21)
	const remote = "remote-3f4b2f1a9c1d4a538d2b0d6f2f1c7e11"
	w.Deploy(remote, provides("database", "postgresql_client"), nil, w.pg.Handle)
	w.AddUnit(remote, w.address())
	for one, other := range needed {
		if one != "jimm:database" {
			w.relate(one, other)
		}
	}
	r := w.relate("jimm:database", remote+":database")
	w.settle()
	w.serving()
	id := strings.TrimPrefix(r.Bag(remote)["secret-user"], "secret:")
	w.Write(r, remote, relation.Bag{"secret-user": "secret://5f1c2f0e-6b1c-4f8e-8f57-5a4f0a0c7c53/" + id})
	w.settle()
	w.serving()
}

func TestOpenFGAIsFoundBehindAPath(t *testing.T) {
	w := newWorld(t, 19)
	w.fga.URL = "https://iam.example.com/openfga/"
	w.relateNeeded()
	w.settle()
	w.serving()
	for name, want := range map[string]string{"OPENFGA_SCHEME": "https", "OPENFGA_HOST": "iam.example.com", "OPENFGA_PORT": "443", "OPENFGA_PATH": "/openfga"} {
		if got := w.env("jimm/0", name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

func TestSetValuesWinOverGeneratedOnes(t *testing.T) {
	w := newWorld(t, 12)
	const uuid = "3f4b2f1a-9c1d-4a53-8d2b-0d6f2f1c7e11"
	w.Configure("jimm", map[string]any{"uuid": uuid, "dns-name": "https://jaas.example.com/blue", "controller-admins": "alice@example.com",
		"idp-group-fetcher-type": "hook-service", "idp-hook-service-address": "hook-service.iam:50051"})
	for one, other := range needed {
		if one != "jimm:ingress" {
			w.relate(one, other)
		}
	}
	w.relate("jimm:nginx-route", "nginx:nginx-route")
	w.settle()
	w.serving()
	for name, want := range map[string]string{
		"JIMM_UUID": uuid, "JIMM_DNS_NAME": "jaas.example.com/blue", "JIMM_ADMINS": "alice@example.com",
		"JIMM_IDP_GROUP_FETCHER_TYPE": "hook-service", "JIMM_IDP_HOOK_SERVICE_ADDRESS": "hook-service.iam:50051",
	} {
		if got := w.env("jimm/0", name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if got := w.Relation("jimm:nginx-route").Bag("jimm")["service-hostname"]; got != "jaas.example.com" {
		t.Errorf("NGINX is told %q", got)
	}
	if got := w.Relation("jimm:oauth").Bag("jimm")["grant_types"]; !strings.Contains(got, "client_credentials") {
		t.Errorf("the identity provider is asked for %s: JIMM gets no token for hook-service", got)
	}
}

func TestActions(t *testing.T) {
	w := deployed(t, 13)
	w.scale()
	w.settle()
	leader, other := w.App("jimm").Units()[0], w.App("jimm").Units()[1]
	refused := func(u *simulator.Unit, name string, params map[string]any, want string) {
		t.Helper()
		_, err := u.Action(w.ctx, name, params)
		var failed *simulator.ActionError
		if !errors.As(err, &failed) || !strings.Contains(failed.Message, want) {
			t.Errorf("%s says %v, not %q", name, err, want)
		}
	}
	done := func(u *simulator.Unit, name string, params map[string]any) map[string]string {
		t.Helper()
		results, err := u.Action(w.ctx, name, params)
		if err != nil {
			t.Errorf("%s fails: %v", name, err)
		}
		w.settle()
		w.serving()
		return results
	}

	key := w.env("jimm/1", "JIMM_SESSION_SECRET_KEY")
	refused(other, "rotate-session-key", nil, "juju run jimm/leader rotate-session-key")
	done(leader, "rotate-session-key", nil)
	for _, unit := range []string{"jimm/0", "jimm/1"} {
		if got := w.env(unit, "JIMM_SESSION_SECRET_KEY"); got == key || got == "" {
			t.Errorf("%s has the old session key", unit)
		}
	}

	refused(leader, "set-admin", map[string]any{"user": "bob"}, `user is "bob"`)
	refused(other, "set-admin", map[string]any{"user": "bob@example.com"}, "jimm/leader")
	done(leader, "set-admin", map[string]any{"user": "bob@example.com"})
	if got := w.env("jimm/1", "JIMM_ADMINS"); got != "bob@example.com" {
		t.Errorf("the administrators are %q", got)
	}

	if got := done(other, "get-login-info", nil); got["login"] != "juju login jaas.example.com/jimm-jimm -c jimm" || got["redirect-uri"] != w.Relation("jimm:oauth").Bag("jimm")["redirect_uri"] {
		t.Errorf("to log in one needs %v", got)
	}
	if got := done(other, "check", nil); !strings.Contains(got["doctor"], "jimmctl doctor") || got["charm"] != "everything is in place" {
		t.Errorf("check says %v", got)
	}
	if got := done(leader, "backup-info", nil); !strings.Contains(got["secrets"], "sealing_key secret:") || !strings.Contains(got["database"], "postgresql-primary:5432") || !strings.HasPrefix(got["uuid"], w.env("jimm/0", "JIMM_UUID")) {
		t.Errorf("backup-info says %v", got)
	}

	sealing, former := w.env("jimm/1", "JIMM_SECRET_STORAGE_KEYS"), strings.Repeat("B", 43)+"="
	backup := func(key string) map[string]any {
		return map[string]any{"secret-id": w.AddUserSecret(relation.Bag{"sealingkey": key}, "jimm")}
	}
	refused(other, "restore-sealing-key", backup(former), "jimm/leader")
	refused(leader, "restore-sealing-key", backup("c2hvcnQ="), "the base64 of 32 bytes")
	refused(leader, "restore-sealing-key", map[string]any{"secret-id": w.AddUserSecret(relation.Bag{"sealingkey": former}, "hydra")}, "juju grant-secret NAME jimm")
	refused(leader, "restore-sealing-key", map[string]any{"secret-id": "--help"}, "cannot read the secret")
	for range 2 {
		done(leader, "restore-sealing-key", backup(former))
		if got := w.env("jimm/1", "JIMM_SECRET_STORAGE_KEYS"); got != sealing+" "+former {
			t.Errorf("after a restore the keys are %d bytes: not the one and then the other", len(got))
		}
	}
	w.Unrelate(w.Relation("jimm:oauth"))
	w.settle()
	refused(leader, "check", nil, "juju integrate jimm:oauth")
	refused(leader, "rotate-signing-keys", nil, "not configured")
}

func TestSecretsThatJujuDoesNotTakeAtFirst(t *testing.T) {
	w := newWorld(t, 14)
	failing := true
	w.Fail = func(unit, tool string, _ []string) error {
		if failing && tool == "secret-add" && strings.HasPrefix(unit, "jimm/") {
			return errors.New(`secrets is forbidden: cannot patch resource "secrets"`)
		}
		return nil
	}
	w.relateNeeded()
	w.settle()
	w.says0("waiting", "waiting until Juju takes them")
	failing = false
	w.poke("jimm")
	w.serving()
}

func TestAnUnreadableSecretIsNotMadeAnew(t *testing.T) {
	w := deployed(t, 15)
	before := w.env("jimm/0", "JIMM_SECRET_STORAGE_KEYS")
	failing := true
	w.Fail = func(unit, tool string, args []string) error {
		if failing && tool == "secret-get" && strings.Contains(fmt.Sprint(args), "sealing_key") {
			return errors.New("connection is shut down")
		}
		return nil
	}
	w.poke("jimm")
	w.says("waiting", "until Juju gives the secret sealing_key")
	failing = false
	w.poke("jimm")
	w.serving()
	if w.env("jimm/0", "JIMM_SECRET_STORAGE_KEYS") != before {
		t.Error("the sealing key was made anew")
	}
}

func TestHostileDatabags(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	for one, bags := range map[string][]relation.Bag{
		"jimm:database": {
			{"endpoints": "no port"}, {"endpoints": "host:5432\nevil"}, {"endpoints": "u:p@host:5432"}, {"secret-user": "--help"}, {"secret-user": huge},
			{"database": "a b"}, {"endpoints": huge}, {"secret-tls": "secret:"}, {"secret-user": "secret:d1a00000000000000000"},
		},
		"jimm:openfga": {{"http_api_url": "ftp://x"}, {"http_api_url": "http://:8080"}, {"http_api_url": "http://x:70000"}, {"http_api_url": "http://x/a/../b"}, {"http_api_url": "http://x/a%20b"}, {"http_api_url": "http://x\nOPENFGA_TOKEN=1"}, {"store_id": "a b"}, {"token_secret_id": "none"}, {"http_api_url": huge}},
		"jimm:oauth":   {{"issuer_url": "iam"}, {"issuer_url": "https://:443"}, {"client_id": "a\nb"}, {"client_secret_id": "x"}, {"issuer_url": "https://u:p@host"}, {"issuer_url": huge}, {"scope": "email"}},
		"jimm:ingress": {{"ingress": "{"}, {"ingress": `"text"`}, {"ingress": `{"url": 5}`}, {"ingress": `{"url": "javascript:x"}`}, {"ingress": `{"url": "https://a b"}`}, {"ingress": `{"url": "https://a.example.com//b"}`}, {"ingress": huge}},
		"jimm:vault": {
			{"credentials": "[]"}, {"credentials": `{"a": 1}`}, {"vault_url": "vault"}, {"ca_certificate": "no PEM"}, {"mount": "a b"}, {"credentials": huge},
		},
		"jimm:receive-ca-cert":  {{"certificates": "no list"}, {"certificates": `["no PEM"]`}, {"certificates": `[1]`}, {"certificates": huge}},
		"jimm:certificates":     {{"certificates": "no list"}, {"certificates": `[{"certificate": 1}]`}, {"certificates": huge}},
		"jimm:internal-ingress": {{"ingress": "{"}, {"ingress": huge}},
		"jimm:logging":          {{"endpoint": "no JSON"}, {"endpoint": `{"url": 5}`}, {"endpoint": `{"url": "javascript:x"}`}, {"endpoint": huge}},
		"jimm:tracing":          {{"receivers": "{}"}, {"receivers": `[{"protocol":{"name":"otlp_http","type":"http"},"url":"x"}]`}, {"receivers": huge}},
	} {
		t.Run(one, func(t *testing.T) {
			for _, bag := range bags {
				w := deployed(t, 17)
				if needed[one] == "" {
					w.relate(one, map[string]string{
						"jimm:vault": "vault:vault-kv", "jimm:receive-ca-cert": "ca:send-ca-cert", "jimm:certificates": "ca:certificates", "jimm:tracing": "tempo:tracing",
						"jimm:internal-ingress": "traefik:ingress", "jimm:logging": "loki:logging",
					}[one])
					w.settle()
					w.serving()
				}
				r := w.Relation(one)
				theirs := map[string]string{
					"jimm:database": "postgresql", "jimm:openfga": "openfga", "jimm:oauth": "hydra", "jimm:ingress": "traefik", "jimm:vault": "vault",
					"jimm:receive-ca-cert": "ca", "jimm:certificates": "ca", "jimm:tracing": "tempo", "jimm:internal-ingress": "traefik", "jimm:logging": "loki/0",
				}[one]
				before := r.Bag(theirs)
				w.Write(r, theirs, bag)
				w.settle()
				u := w.App("jimm").Units()[0]
				if u.Status.Level == "active" {
					t.Errorf("%.80v goes unnoticed", bag)
				}
				if len(u.Status.Message) > 400 || strings.ContainsAny(u.Status.Message, "\n\x00") {
					t.Errorf("the status is %d bytes: %.100q", len(u.Status.Message), u.Status.Message)
				}
				if w.pods["jimm/0"].running == nil {
					t.Errorf("%.80v stops JIMM", bag)
				}
				w.quiet()
				back := relation.Bag{}
				for key := range bag {
					back[key] = before[key]
				}
				w.Write(r, theirs, back)
				w.settle()
				w.serving()
			}
		})
	}
}
