package hookservice_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"jimm/workload/estate"
	"jimm/workload/hookservice"
	"jimm/workload/hookservice/standin"
	"jimm/workload/idp"
)

const secret = "the-secret-of-jimm"

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var known = standin.Groups(map[string][]string{
	"alice@example.com": {"tea", "Platform Team", "tea"},
	"robot":             {"machines"},
	"bob@example.com":   nil,
})

// start starts a service with TLS, an identity provider, and a client of both.
func start(t *testing.T, answer standin.Answer, change func(*hookservice.Config)) (*standin.Service, *hookservice.Client) {
	t.Helper()
	web := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	service, err := standin.Start("", &tls.Config{Certificates: web.TLS.Certificates}, answer)
	check(t, err)
	t.Cleanup(func() { _ = service.Stop() })

	var provider http.Handler
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { provider.ServeHTTP(w, r) }))
	t.Cleanup(issuer.Close)
	provider, err = idp.New(idp.Config{Issuer: issuer.URL, ServiceAccounts: []idp.ServiceAccount{{ID: "jimm", Secret: secret}}})
	check(t, err)
	c := hookservice.Config{
		Address: service.Address, Roots: func() *x509.CertPool { return roots }, Issuer: issuer.URL, ClientID: "jimm", ClientSecret: secret,
		Timeout: time.Minute,
	}
	if change != nil {
		change(&c)
	}
	return service, hookservice.New(c)
}

func TestGroupsAreLookedUp(t *testing.T) {
	service, client := start(t, known, nil)
	for user, want := range map[string][]string{
		"alice@example.com":    {"Platform Team", "tea"},
		"robot@serviceaccount": {"machines"},
		"bob@example.com":      nil,
		"nobody@example.com":   nil,
	} {
		got, err := client.GroupsOf(t.Context(), user)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is in %q, %v; want %q", user, got, err, want)
		}
	}
	check(t, client.Ping(t.Context()))
	shown := service.Bearer()
	if len(shown) != 5 || len(shown[0]) < 50 || !strings.HasPrefix(shown[0], "Bearer ") {
		t.Fatalf("it was shown %d tokens", len(shown))
	}
	for _, token := range shown {
		if token != shown[0] {
			t.Error("a token that is good was not used again")
		}
	}
}

func TestSeveralGroupsMayBeInOneMessage(t *testing.T) {
	_, client := start(t, func(context.Context, string) ([]proto.Message, error) {
		return []proto.Message{&fieldmaskpb.FieldMask{Paths: []string{"b", "a"}}, wrapperspb.String("c")}, nil
	}, nil)
	got, err := client.GroupsOf(t.Context(), "alice@example.com")
	if err != nil || !reflect.DeepEqual(got, []string{"a", "b", "c"}) {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestWhatIsNotKnownIsNeverNoGroups(t *testing.T) {
	fails := func(code codes.Code) standin.Answer {
		return func(context.Context, string) ([]proto.Message, error) {
			return []proto.Message{wrapperspb.String("tea")}, status.Error(code, "no "+secret)
		}
	}
	hangs := func(ctx context.Context, _ string) ([]proto.Message, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, test := range map[string]struct {
		answer standin.Answer
		change func(*hookservice.Config)
		down   bool
	}{
		"it has broken":         {answer: fails(codes.Internal)},
		"it has broken later":   {answer: fails(codes.Unavailable)},
		"it has no such method": {answer: fails(codes.Unimplemented)},
		"JIMM may not ask":      {answer: fails(codes.PermissionDenied)},
		"it does not know JIMM": {answer: fails(codes.Unauthenticated)},
		"it hangs":              {answer: hangs, change: func(c *hookservice.Config) { c.Timeout = time.Second }},
		"it is down":            {answer: known, down: true},
		"it is not trusted":     {answer: known, change: func(c *hookservice.Config) { c.Roots = nil }},
		"it has TLS, we do not": {answer: known, change: func(c *hookservice.Config) { c.Plain = true }},
		"no token is to be had": {answer: known, change: func(c *hookservice.Config) { c.ClientSecret = "another" }},
		"the issuer is down":    {answer: known, change: func(c *hookservice.Config) { c.Issuer = "http://127.0.0.1:1" }},
		"it answers with objects": {answer: func(context.Context, string) ([]proto.Message, error) {
			inner, err := proto.Marshal(wrapperspb.String("tea"))
			return []proto.Message{&anypb.Any{TypeUrl: string(inner)}}, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			service, client := start(t, test.answer, test.change)
			if test.down {
				check(t, service.Stop())
			}
			got, err := client.GroupsOf(t.Context(), "alice@example.com")
			if len(got) > 0 || !estate.Is(err, estate.CodeConnectionFailed) {
				t.Fatalf("got %q, %v", got, err)
			}
			for _, want := range []string{"alice@example.com", "hook-service", "try again later"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
			if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), service.Address) {
				t.Errorf("the cause is %v", cause)
			}
			if client.Ping(t.Context()) == nil {
				t.Error("it seems to be well")
			}
		})
	}
}

func TestItHealsWithoutARestart(t *testing.T) {
	service, client := start(t, known, func(c *hookservice.Config) { c.Plain = true })
	check(t, service.Stop())
	if _, err := client.GroupsOf(t.Context(), "alice@example.com"); err == nil {
		t.Fatal("it answers and does not run")
	}
	var again *standin.Service
	for deadline := time.Now().Add(time.Minute); again == nil; time.Sleep(10 * time.Millisecond) {
		var err error
		if again, err = standin.Start(service.Address, nil, known); err != nil && time.Now().After(deadline) {
			t.Fatal(err) // nobody else has its port for that long
		}
	}
	t.Cleanup(func() { _ = again.Stop() })
	if got, err := client.GroupsOf(t.Context(), "robot@serviceaccount"); err != nil || len(got) != 1 {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestATokenThatIsNotTakenIsReplaced(t *testing.T) {
	service, client := start(t, known, nil)
	_, err := client.GroupsOf(t.Context(), "alice@example.com")
	check(t, err)
	first := service.Bearer()[0]
	var refused int
	service.Set(func(ctx context.Context, user string) ([]proto.Message, error) {
		if last := service.Bearer(); last[len(last)-1] == first {
			refused++
			return nil, status.Error(codes.Unauthenticated, "withdrawn")
		}
		return known(ctx, user)
	})
	got, err := client.GroupsOf(t.Context(), "alice@example.com")
	if err != nil || len(got) != 2 || refused != 1 {
		t.Fatalf("got %q, %v after %d refusals", got, err, refused)
	}
}

func TestWhoGoesAwayDoesNotWait(t *testing.T) {
	asked := make(chan struct{})
	_, client := start(t, func(ctx context.Context, _ string) ([]proto.Message, error) {
		close(asked)
		<-ctx.Done()
		return nil, ctx.Err()
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := client.GroupsOf(ctx, "alice@example.com"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}
