package crash

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"

	"jimm/workload/audit"
	"jimm/workload/estate"
	"jimm/workload/openfga/embedded"
	"jimm/workload/postgres"
	"jimm/workload/postgres/cluster"
	"jimm/workload/sealed"
	"jimm/workload/server"
)

// asUnit, in the environment, makes this program the unit that is to be killed.
const asUnit = "JIMM_CRASH_UNIT"

func TestMain(m *testing.M) {
	if os.Getenv(asUnit) != "" {
		if err := work(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(asStack); dir != "" {
		if err := serveStack(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(cluster.RunTests(m))
}

var admin = estate.User{Name: "alice@example.com"}

// settings are what all units of a JIMM share.
type settings struct {
	UUID, DSN, FGADSN, SealKey string
}

// unit is a running JIMM.
type unit struct {
	*server.Server
	store *postgres.Store
	close []func() error
}

func (u *unit) Close() error {
	var failed error
	for i := len(u.close) - 1; i >= 0; i-- {
		failed = errors.Join(failed, u.close[i]())
	}
	return failed
}

// startUnit starts a unit that serves nobody and does no background work by itself. It
// takes every unfinished write for a dead process's.
func startUnit(ctx context.Context, s settings, log io.Writer, pause func(step string)) (_ *unit, err error) {
	u := &unit{}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.Close())
		}
	}()
	logger := slog.New(slog.NewTextHandler(log, nil))
	if u.store, err = postgres.Open(ctx, s.DSN, postgres.Options{Log: logger}); err != nil {
		return nil, err
	}
	u.close = append(u.close, func() error { u.store.Close(); return nil })
	key, err := base64.StdEncoding.DecodeString(s.SealKey)
	if err != nil {
		return nil, err
	}
	secrets, err := sealed.New(u.store.Pool(), key)
	if err != nil {
		return nil, err
	}
	permissions, err := embedded.Open(ctx, embedded.Config{DSN: s.FGADSN})
	if err != nil {
		return nil, err
	}
	u.close = append(u.close, permissions.Close)
	trail := audit.New(u.store, audit.Options{Log: logger})
	u.close = append(u.close, func() error { return trail.Close(context.Background()) })
	u.Server, err = server.New(ctx, server.Config{
		UUID: s.UUID, DNSName: "jimm.example.com", Admins: []string{admin.Name}, Version: "test", Log: logger,
		CallTimeout: 10 * time.Second, IntentAge: time.Nanosecond, Pause: pause,
	}, server.Adapters{Store: u.store, Permissions: permissions, Secrets: secrets, Audit: trail})
	if err != nil {
		return nil, err
	}
	u.close = append(u.close, func() error { u.Server.Close(); return nil })
	return u, nil
}

// order is what the unit that is to be killed is told on its standard input.
type order struct {
	Settings settings
	Do       operation
	// KillAt is the step to die at. If it is empty the unit lives, and prints each step.
	KillAt string
}

// operation is a write; the one that is set is done.
type operation struct {
	CreateModel      *estate.CreateModelArgs
	DestroyModel     string // its UUID
	AddController    *estate.AddControllerArgs
	RemoveController string // its name
	// UpdateCredential is the tag of a credential.
	UpdateCredential string
	// Sweep sweeps again and again, for one that is to be killed.
	Sweep bool
}

// work carries out the order on standard input.
func work(ctx context.Context) error {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return err
	}
	u, err := startUnit(ctx, o.Settings, os.Stderr, func(step string) {
		if o.KillAt == "" {
			fmt.Println(step)
		}
		if step == o.KillAt {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until the signal arrives
		}
	})
	if err != nil {
		return err
	}
	return errors.Join(o.Do.on(ctx, u.Estate), u.Close())
}

func (o operation) on(ctx context.Context, e *estate.Estate) (err error) {
	switch {
	case o.CreateModel != nil:
		_, err = e.CreateModel(ctx, admin, *o.CreateModel)
	case o.DestroyModel != "":
		err = e.DestroyModel(ctx, admin, params.DestroyModelParams{ModelTag: names.NewModelTag(o.DestroyModel).String()})
		// As a client does, ask until it is gone.
		for err == nil {
			_, err = e.ModelStatus(ctx, admin, o.DestroyModel)
		}
		if estate.Is(err, estate.CodeModelNotFound) {
			err = nil
		}
	case o.AddController != nil:
		_, err = e.AddController(ctx, admin, *o.AddController)
	case o.RemoveController != "":
		_, err = e.RemoveController(ctx, admin, o.RemoveController, true)
	case o.UpdateCredential != "":
		tag, parseErr := names.ParseCloudCredentialTag(o.UpdateCredential)
		if parseErr != nil {
			return parseErr
		}
		_, err = e.UpdateCredential(ctx, admin, tag, credential, false)
	case o.Sweep:
		for err == nil {
			err = e.Sweep(ctx)
		}
	default:
		return errors.New("nothing to do")
	}
	return err
}

var credential = params.CloudCredential{
	AuthType: "userpass", Attributes: map[string]string{"username": "alice", "password": "kept-sealed"},
}

func newSettings(t *testing.T) settings {
	key := make([]byte, sealed.MinKey)
	_, _ = rand.Read(key) // never fails
	pg := cluster.ForTest(t)
	return settings{
		UUID: "b1b7a6ba-4b3c-4b5e-9d3f-0f3c8ad0a2a1", DSN: pg.NewDatabase(t), FGADSN: pg.NewDatabase(t),
		SealKey: base64.StdEncoding.EncodeToString(key),
	}
}
