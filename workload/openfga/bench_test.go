package openfga_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"jimm/integration/stack"
	"jimm/workload/estate"
	"jimm/workload/openfga"
	"jimm/workload/postgres/cluster"
)

// openServer, in the environment, is the path of OpenFGA's own program, which
// "make bench" builds: it is measured, too, as a process of its own.
const openServer = "JIMM_BENCH_OPENFGA"

// startProcess starts OpenFGA as a process of its own.
func startProcess(t testing.TB, program, dsn string) estate.Permissions {
	t.Helper()
	address := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	api, grpc := address(), address()
	env := append(os.Environ(),
		"OPENFGA_DATASTORE_ENGINE=postgres", "OPENFGA_DATASTORE_URI="+dsn, "OPENFGA_AUTHN_METHOD=preshared", "OPENFGA_AUTHN_PRESHARED_KEYS="+key,
		"OPENFGA_HTTP_ADDR="+api, "OPENFGA_GRPC_ADDR="+grpc, "OPENFGA_PLAYGROUND_ENABLED=false", "OPENFGA_METRICS_ENABLED=false",
		"OPENFGA_LIST_OBJECTS_MAX_RESULTS=0", "OPENFGA_LOG_LEVEL=error",
	)
	migrate := exec.CommandContext(t.Context(), program, "migrate")
	migrate.Env = env
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := stack.NewService("openfga", program, t.TempDir(), http.DefaultClient, "http://"+api+"/healthz", env, "run")
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return connect(t, openfga.Config{URL: "http://" + api, Token: key, StoreName: storeName()})
}

// benchmarked are 10,000 models of which alice has 1000, half of them by a
// group, and root all by way of their controller.
func benchmarked() []estate.Tuple {
	all := tuples(
		"controller:jimm controller controller:blue", "user:root@x administrator controller:jimm",
		"user:alice@x member group:eng",
	)
	for i := range 10_000 {
		model := fmt.Sprintf("model:m%d", i)
		all = append(all, tuple("controller:blue controller "+model))
		switch i % 20 {
		case 0:
			all = append(all, tuple("user:alice@x administrator "+model))
		case 1:
			all = append(all, tuple("group:eng#member reader "+model))
		default:
			all = append(all, tuple(fmt.Sprintf("user:u%d@x administrator %s", i, model)))
		}
	}
	return all
}

func BenchmarkPermissions(b *testing.B) {
	ways := adapters[:2]
	if program := os.Getenv(openServer); program != "" {
		ways = append(ways[:1:1], adapters[0])
		ways[1].name = "a process of its own"
		ways[1].open = func(t testing.TB, dsn string) estate.Permissions { return startProcess(t, program, dsn) }
	}
	for _, adapter := range ways {
		b.Run(adapter.name, func(b *testing.B) {
			p := adapter.open(b, cluster.ForTest(b).NewDatabase(b))
			write(b, p, benchmarked(), nil)
			alice := estate.User{Name: "alice@x"}
			b.Run("check of a model given directly", func(b *testing.B) {
				for b.Loop() {
					if ok, err := p.Check(b.Context(), alice, estate.Administrator, object("model:m20")); err != nil || !ok {
						b.Fatal(ok, err)
					}
				}
			})
			b.Run("check of a model by way of JIMM", func(b *testing.B) {
				for b.Loop() {
					if ok, err := p.Check(b.Context(), estate.User{Name: "root@x"}, estate.Reader, object("model:m20")); err != nil || !ok {
						b.Fatal(ok, err)
					}
				}
			})
			b.Run("check of a model that is denied", func(b *testing.B) {
				for b.Loop() {
					if ok, err := p.Check(b.Context(), alice, estate.Reader, object("model:m2")); err != nil || ok {
						b.Fatal(ok, err)
					}
				}
			})
			var questions []estate.Question
			for i := range 50 {
				questions = append(questions, estate.Question{Relation: estate.Reader, Object: object(fmt.Sprintf("model:m%d", i))})
			}
			b.Run("check of 50 models", func(b *testing.B) {
				for b.Loop() {
					if _, err := p.CheckEach(b.Context(), alice, questions); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("list 1000 of 10,000 models", func(b *testing.B) {
				for b.Loop() {
					if ids, err := p.ListObjects(b.Context(), alice, estate.Reader, estate.KindModel); err != nil || len(ids) != 1000 {
						b.Fatal(len(ids), err)
					}
				}
			})
			b.Run("list all 10,000 models", func(b *testing.B) {
				for b.Loop() {
					if ids, err := p.ListObjects(b.Context(), estate.User{Name: "root@x"}, estate.Reader, estate.KindModel); err != nil || len(ids) != 10_000 {
						b.Fatal(len(ids), err)
					}
				}
			})
			b.Run("list users of a model", func(b *testing.B) {
				for b.Loop() {
					if ids, err := p.ListUsers(b.Context(), estate.Reader, object("model:m1")); err != nil || len(ids) != 2 {
						b.Fatal(ids, err)
					}
				}
			})
		})
	}
}
