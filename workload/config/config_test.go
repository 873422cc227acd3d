package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// good is a complete environment.
func good() []string {
	return []string{
		"PATH=/bin",
		"JIMM_UUID=11111111-1111-4111-8111-111111111111",
		"JIMM_DNS_NAME=jimm.example.com/blue",
		"JIMM_DSN=postgres://jimm@db/jimm",
		"JIMM_OAUTH_ISSUER_URL=https://idp.example.com",
		"JIMM_OAUTH_CLIENT_ID=jimm",
		"JIMM_SESSION_SECRET_KEY=" + strings.Repeat("x", 64),
		"JIMM_SECRET_STORAGE_KEYS=" + strings.Repeat("A", 43) + "=",
		"OPENFGA_HOST=fga",
	}
}

func TestAGoodEnvironmentIsRead(t *testing.T) {
	c, err := Parse(append(good(), "JIMM_ADMINS=alice@example.com bob@example.com", "JIMM_JWT_EXPIRY=3m"))
	if err != nil {
		t.Fatal(err)
	}
	if behind, err := Parse(append(good(), "OPENFGA_SCHEME=https", "OPENFGA_PORT=443", "OPENFGA_PATH=/iam/openfga/")); err != nil || behind.OpenFGAURL != "https://fga:443/iam/openfga" {
		t.Errorf("OpenFGA behind a path is at %q: %v", behind.OpenFGAURL, err)
	}
	if c.DNSName != "jimm.example.com" || c.Prefix != "/blue" || c.TokenLife != 3*time.Minute || len(c.Admins) != 2 || c.OpenFGAURL != "http://fga:8080" {
		t.Fatalf("got %+v", c)
	}
}

func TestEveryProblemIsListedAtOnce(t *testing.T) {
	secret := "hush-" + strings.Repeat("s", 20)
	_, err := Parse([]string{
		"JIMM_UUID=one", "JIMM_DNS_NAME=http://jimm.example.com", "JIMM_OAUTH_ISSUER_URL=idp", "JIMM_JWT_EXPIRY=soon",
		"JIMM_SESSION_SECRET_KEY=" + secret, "JIMM_ADMINS=bob", "JIMM_DNS_NAM=x", "JIMM_LOG_LEVEL=loud", "OPENFGA_PORT=0", "OPENFGA_PATH=openfga?x",
		"OPENFGA_LIST_OBJECTS_MAX_RESULTS=many",
		"JIMM_DASHBOARD_FINAL_REDIRECT_URL=javascript:alert(1)", "JIMM_SESSION_COOKIE_MAX_AGE=1h", "JIMM_SECURE_SESSION_COOKIES=perhaps",
		"CORS_ALLOWED_ORIGINS=* https://dashboard.example.com/ https://good.example.com https://other.example.com:443",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`JIMM_UUID must be a UUID, not "one"`,
		"JIMM_DNS_NAME must be a host name",
		"JIMM_DSN is missing",
		"JIMM_OAUTH_CLIENT_ID is missing",
		"JIMM_OAUTH_ISSUER_URL must be a URL",
		"JIMM_JWT_EXPIRY must be a positive duration",
		"JIMM_SESSION_SECRET_KEY must have 64 characters or more; it has 25",
		"JIMM_SECRET_STORAGE_KEYS is missing",
		`JIMM_ADMINS "bob" is a local user`,
		"JIMM_DNS_NAM is not a setting; did you mean JIMM_DNS_NAME?",
		"JIMM_LOG_LEVEL must be",
		"OPENFGA_HOST is missing",
		"OPENFGA_PORT must be a port number",
		`OPENFGA_PATH must be a path such as /openfga, not "openfga?x"`,
		"OPENFGA_LIST_OBJECTS_MAX_RESULTS must be the number",
		"JIMM_DASHBOARD_FINAL_REDIRECT_URL must be the dashboard's URL",
		"JIMM_SESSION_COOKIE_MAX_AGE must be a positive number of seconds",
		"JIMM_SECURE_SESSION_COOKIES must be true or false",
		`CORS_ALLOWED_ORIGINS must be origins such as https://dashboard.example.com, in lower case and without a path, not "*"`,
		`without a path, not "https://dashboard.example.com/"`,
		"CORS_ALLOWED_ORIGINS must be origins as browsers send them: https://other.example.com:443 without its port",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Error("the error quotes a secret")
	}
}

func TestGroupsMayBeLookedUp(t *testing.T) {
	lookup := func(address string, more ...string) (HookService, string) {
		c, err := Parse(append(append(good(), "JIMM_OAUTH_CLIENT_SECRET=hush", "JIMM_IDP_HOOK_SERVICE_ADDRESS="+address), more...))
		if err != nil {
			return HookService{}, err.Error()
		}
		return c.HookService, ""
	}
	const kind = "JIMM_IDP_GROUP_FETCHER_TYPE=hook-service"
	for address, want := range map[string]HookService{
		"hooks:50051":           {Address: "hooks:50051"},
		"https://hooks:443/":    {Address: "hooks:443"},
		"http://10.1.2.3:50051": {Address: "10.1.2.3:50051", Plain: true},
	} {
		if got, problem := lookup(address, kind); problem != "" || got.Address != want.Address || got.Plain != want.Plain {
			t.Errorf("%s is %+v, %s", address, got, problem)
		}
	}
	for name, test := range map[string]struct{ address, more, want string }{
		"no address":       {"", kind, "JIMM_IDP_HOOK_SERVICE_ADDRESS is missing"},
		"no kind":          {"hooks:50051", "A=b", "JIMM_IDP_GROUP_FETCHER_TYPE must be hook-service"},
		"another kind":     {"hooks:50051", "JIMM_IDP_GROUP_FETCHER_TYPE=ldap", `not "ldap"`},
		"no port":          {"hooks", kind, "must be host:port"},
		"another scheme":   {"grpc://hooks:50051", kind, "must be host:port"},
		"a path":           {"https://hooks:50051/blue", kind, "must be host:port"},
		"no client secret": {"hooks:50051", kind + "\x00JIMM_OAUTH_CLIENT_SECRET=", "JIMM_OAUTH_CLIENT_SECRET is missing"},
	} {
		if _, problem := lookup(test.address, strings.Split(test.more, "\x00")...); !strings.Contains(problem, test.want) {
			t.Errorf("%s: %q", name, problem)
		}
	}
}

func TestAMissingSettingIsNamed(t *testing.T) {
	for i, pair := range good()[1:] {
		name, _, _ := strings.Cut(pair, "=")
		t.Run(name, func(t *testing.T) {
			_, err := Parse(slices.Delete(good(), i+1, i+2))
			if err == nil || !strings.Contains(err.Error(), name+" is missing") {
				t.Fatalf("got %v", err)
			}
		})
	}
}
