package openfga_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	fga "github.com/openfga/go-sdk"
	"github.com/openfga/go-sdk/client"
	"github.com/openfga/go-sdk/credentials"

	"jimm/workload/estate"
	"jimm/workload/openfga"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres/cluster"
)

func TestUnitsThatStartAtOnceAgreeOnStoreAndModel(t *testing.T) {
	server := start(t, embedded.Config{DSN: cluster.ForTest(t).NewDatabase(t)})
	url := serve(t, server)
	var held sync.Mutex
	lock := func(context.Context) (func(), error) {
		held.Lock()
		return held.Unlock, nil
	}
	units := make([]*openfga.Permissions, 6)
	var starting sync.WaitGroup
	for i := range units {
		starting.Go(func() {
			var err error
			units[i], err = openfga.Connect(t.Context(), openfga.Config{URL: url, Token: key, StoreName: "shared", Lock: lock})
			if err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, unit := range units {
		defer unit.Close()
		if unit.StoreID() != units[0].StoreID() || unit.ModelID() != units[0].ModelID() {
			t.Errorf("got store %s and model %s, another unit %s and %s", unit.StoreID(), unit.ModelID(), units[0].StoreID(), units[0].ModelID())
		}
	}
	again := connect(t, openfga.Config{URL: url, Token: key, StoreID: units[0].StoreID(), ModelID: units[0].ModelID()})
	write(t, again, tuples("user:alice@x reader model:m"), nil)
	if ok, err := units[5].Check(t.Context(), estate.User{Name: "alice@x"}, estate.Reader, object("model:m")); err != nil || !ok {
		t.Errorf("one unit does not see what another wrote: %v, %v", ok, err)
	}
}

func TestTheOldestOfTwoStoresWithOneNameIsUsed(t *testing.T) {
	server := start(t, embedded.Config{DSN: cluster.ForTest(t).NewDatabase(t)})
	url := serve(t, server)
	sdk := sdkClient(t, url)
	var oldest string
	for range 3 {
		made, err := sdk.CreateStore(t.Context()).Body(client.ClientCreateStoreRequest{Name: "twice"}).Execute()
		if err != nil {
			t.Fatal(err)
		}
		if oldest == "" {
			oldest = made.Id
		}
	}
	if p := connect(t, openfga.Config{URL: url, Token: key, StoreName: "twice"}); p.StoreID() != oldest {
		t.Errorf("got store %s, want %s", p.StoreID(), oldest)
	}
}

func TestOurModelIsUsedEvenIfAnotherIsNewer(t *testing.T) {
	server := start(t, embedded.Config{DSN: cluster.ForTest(t).NewDatabase(t)})
	url := serve(t, server)
	first := connect(t, openfga.Config{URL: url, Token: key, StoreName: "models"})

	sdk := sdkClient(t, url)
	if err := sdk.SetStoreId(first.StoreID()); err != nil {
		t.Fatal(err)
	}
	other, err := sdk.WriteAuthorizationModel(t.Context()).Body(client.ClientWriteAuthorizationModelRequest{
		SchemaVersion:   "1.1",
		TypeDefinitions: []fga.TypeDefinition{{Type: "user"}},
	}).Execute()
	if err != nil {
		t.Fatal(err)
	}
	if second := connect(t, openfga.Config{URL: url, Token: key, StoreName: "models"}); second.ModelID() != first.ModelID() {
		t.Errorf("got model %s, want %s, which was there", second.ModelID(), first.ModelID())
	}
	_, err = openfga.Connect(t.Context(), openfga.Config{URL: url, Token: key, StoreName: "models", ModelID: other.AuthorizationModelId})
	if err == nil || !strings.Contains(err.Error(), "not the model of this version") {
		t.Errorf("got error %v for a model that is not ours", err)
	}
}

func sdkClient(t *testing.T, url string) *client.OpenFgaClient {
	t.Helper()
	sdk, err := client.NewSdkClient(&client.ClientConfiguration{ApiUrl: url, Credentials: &credentials.Credentials{
		Method: credentials.CredentialsMethodApiToken,
		Config: &credentials.Config{ApiToken: key},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return sdk
}

func TestAServerBehindAPathIsUsed(t *testing.T) {
	direct, err := neturl.Parse(serve(t, start(t, embedded.Config{})))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(http.StripPrefix("/iam/openfga", httputil.NewSingleHostReverseProxy(direct)))
	defer proxy.Close()
	// A limit of one has lists taken from the stream, too.
	p := connect(t, openfga.Config{URL: proxy.URL + "/iam/openfga", Token: key, StoreName: "behind", ObjectsLimit: 1})
	write(t, p, tuples("user:alice@x reader model:a", "user:alice@x reader model:b"), nil)
	alice := estate.User{Name: "alice@x"}
	if ok, err := p.Check(t.Context(), alice, estate.Reader, object("model:a")); err != nil || !ok {
		t.Errorf("a check answers %v, %v", ok, err)
	}
	if models, err := p.ListObjects(t.Context(), alice, estate.Reader, "model"); err != nil || len(models) != 2 {
		t.Errorf("a list answers %v, %v", models, err)
	}
	if _, err := openfga.Connect(t.Context(), openfga.Config{URL: proxy.URL, Token: key, StoreName: "behind"}); err == nil {
		t.Error("OpenFGA is found outside its path")
	}
}

func TestConnectSaysWhatIsWrong(t *testing.T) {
	url := serve(t, start(t, embedded.Config{}))
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	for _, test := range []struct {
		name   string
		config openfga.Config
		want   string
	}{
		{"no URL", openfga.Config{StoreName: "some"}, "not an http or https URL"},
		{"another scheme", openfga.Config{URL: "grpc://" + strings.TrimPrefix(url, "http://"), StoreName: "some"}, "not an http or https URL"},
		{"no store", openfga.Config{URL: url, Token: key}, "neither the id nor the name"},
		{"a wrong key", openfga.Config{URL: url, Token: "secret-guess", StoreName: "some"}, `cannot look for OpenFGA store "some"`},
		{"no key", openfga.Config{URL: url, StoreName: "some"}, `cannot look for OpenFGA store "some"`},
		{"an unknown store", openfga.Config{URL: url, Token: key, StoreID: "01H0H015178Y2V4CX10C2KGHF4"}, `cannot use OpenFGA store "01H0H015178Y2V4CX10C2KGHF4"`},
		{"a store id that is none", openfga.Config{URL: url, Token: key, StoreID: "../x"}, `cannot use OpenFGA store "../x"`},
		{"an unknown model", openfga.Config{URL: url, Token: key, StoreName: "some", ModelID: "01H0H015178Y2V4CX10C2KGHF4"}, `cannot read OpenFGA model "01H0H015178Y2V4CX10C2KGHF4"`},
		{"nobody listens", openfga.Config{URL: dead.URL, Token: key, StoreName: "some"}, "connection refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := openfga.Connect(t.Context(), test.config)
			if err == nil {
				p.Close()
				t.Fatal("got no error")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret-guess") {
				t.Errorf("got %q, want it to say %q and not the key", err, test.want)
			}
		})
	}
}

func TestAServerThatHangsIsGivenUp(t *testing.T) {
	server := start(t, embedded.Config{StoreName: "slow"})
	hang := make(chan struct{})
	listening := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
			// Only past the body does the server notice that the client is gone.
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		default:
			server.Handler().ServeHTTP(w, r)
		}
	}))
	defer listening.Close()
	// It does not hang yet, but a busy machine may take its second.
	var p *openfga.Permissions
	for deadline := time.Now().Add(time.Minute); p == nil; {
		var err error
		p, err = openfga.Connect(t.Context(), openfga.Config{URL: listening.URL, StoreName: "slow", Timeout: time.Second})
		if err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	defer p.Close()
	close(hang)

	alice, m := estate.User{Name: "alice@x"}, object("model:m")
	for name, call := range map[string]func(context.Context) error{
		"Check": func(ctx context.Context) error { _, err := p.Check(ctx, alice, estate.Reader, m); return err },
		"CheckSubject": func(ctx context.Context) error {
			_, err := p.CheckSubject(ctx, alice.Subject(), estate.Reader, m)
			return err
		},
		"CheckEach": func(ctx context.Context) error {
			_, err := p.CheckEach(ctx, alice, []estate.Question{{Relation: estate.Reader, Object: m}})
			return err
		},
		"ListObjects": func(ctx context.Context) error {
			_, err := p.ListObjects(ctx, alice, estate.Reader, m.Kind)
			return err
		},
		"ListUsers": func(ctx context.Context) error { _, err := p.ListUsers(ctx, estate.Reader, m); return err },
		"Read":      func(ctx context.Context) error { _, _, err := p.Read(ctx, estate.TupleFilter{}, 10, ""); return err },
		"Write":     func(ctx context.Context) error { return p.Write(ctx, tuples("user:alice@x reader model:m"), nil) },
	} {
		started := time.Now()
		if err := call(t.Context()); estate.CodeOf(err) != estate.CodeConnectionFailed {
			t.Errorf("%s: got error %v, want one of a failed connection", name, err)
		}
		if took := time.Since(started); took > time.Minute {
			t.Errorf("%s took %s", name, took)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := call(cancelled); err == nil {
			t.Errorf("%s: got no error after its context ended", name)
		}
	}
}

func TestTheAdapterDoesNotLinkTheServer(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "jimm/workload/openfga").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	packages := strings.Fields(string(out))
	for _, heavy := range []string{"github.com/openfga/openfga/", "github.com/openfga/language/", "google.golang.org/grpc"} {
		if i := slices.IndexFunc(packages, func(p string) bool { return strings.HasPrefix(p+"/", heavy) }); i >= 0 {
			t.Errorf("imports %s", packages[i])
		}
	}
}
