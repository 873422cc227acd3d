package doctor_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"jimm/workload/config"
	"jimm/workload/doctor"
	"jimm/workload/hookservice/standin"
	"jimm/workload/idp"
)

const secret = "the-robots-secret"

// look examines a deployment and returns what there is to say of groups.
func look(t *testing.T, c config.Config, timeout time.Duration) doctor.Finding {
	t.Helper()
	for _, f := range doctor.Examine(t.Context(), doctor.Patient{Config: c, Timeout: timeout}, nil) {
		if f.Name == "groups" {
			return f
		}
	}
	t.Fatal("groups are not looked at")
	return doctor.Finding{}
}

func TestGroupsAreLookedAt(t *testing.T) {
	var provider http.Handler
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { provider.ServeHTTP(w, r) }))
	t.Cleanup(issuer.Close)
	var err error
	provider, err = idp.New(idp.Config{Issuer: issuer.URL, ServiceAccounts: []idp.ServiceAccount{{ID: "jimm", Secret: secret}}})
	if err != nil {
		t.Fatal(err)
	}
	service, err := standin.Start("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Stop() })
	// What takes connections and says nothing.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })

	refuse := func(code codes.Code) standin.Answer {
		return func(context.Context, string) ([]proto.Message, error) { return nil, status.Error(code, "not you") }
	}
	const (
		fix  = "see that hook-service runs at JIMM_IDP_HOOK_SERVICE_ADDRESS"
		late = "deadline exceeded"
	)
	for _, test := range []struct {
		name    string
		answer  standin.Answer
		change  func(*config.Config)
		verdict doctor.Verdict
		detail  string
	}{
		{"it is not set", nil, func(c *config.Config) { c.HookService.Address = "" }, doctor.OK, "they are read from tokens"},
		{"it answers", standin.Groups(map[string][]string{"jimm-health-check": {"tea"}}), nil, doctor.OK, "hook-service at " + service.Address + " answers"},
		{"it knows nobody", standin.Groups(nil), nil, doctor.OK, "answers"},
		{"it does not take the token", refuse(codes.Unauthenticated), nil, doctor.Failed, "Unauthenticated"},
		{"it does not permit it", refuse(codes.PermissionDenied), nil, doctor.Failed, "PermissionDenied"},
		{"the issuer gives no token", nil, func(c *config.Config) { c.ClientSecret = "another" }, doctor.Failed, "no token for it: the identity provider answers 401"},
		{"the issuer is not there", nil, func(c *config.Config) { c.Issuer = "http://127.0.0.1:1" }, doctor.Failed, "no token for it"},
		{"it has no TLS", nil, func(c *config.Config) { c.HookService.Plain = false }, doctor.Failed, "Unavailable"},
		{"nobody is there", nil, func(c *config.Config) { c.HookService.Address = "127.0.0.1:1" }, doctor.Failed, "connection refused"},
		{"who is there says nothing", nil, func(c *config.Config) { c.HookService.Address = mute.Addr().String() }, doctor.Failed, late},
	} {
		t.Run(test.name, func(t *testing.T) {
			service.Set(test.answer)
			c := config.Config{Issuer: issuer.URL, ClientID: "jimm", ClientSecret: secret}
			c.HookService.Address, c.HookService.Plain = service.Address, true
			if test.change != nil {
				test.change(&c)
			}
			// Less than a look-up may take, and more.
			for _, timeout := range []time.Duration{4 * time.Second, 20 * time.Second} {
				f := look(t, c, timeout)
				// A machine that stands still is as late as who says nothing.
				for deadline := time.Now().Add(time.Minute); test.detail != late && strings.Contains(f.Detail, late) && time.Now().Before(deadline); {
					f = look(t, c, timeout)
				}
				if f.Verdict != test.verdict || !strings.Contains(f.Detail, test.detail) || strings.HasPrefix(f.Fix, fix) != (test.verdict == doctor.Failed) {
					t.Errorf("within %v it finds %+v", timeout, f)
				}
				if strings.Contains(f.Detail, c.ClientSecret) {
					t.Errorf("the finding tells a secret: %s", f.Detail)
				}
			}
		})
	}
}
