package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	jujuversion "github.com/juju/juju/core/version"
	"github.com/juju/names/v6"

	"jimm/workload/config"
	"jimm/workload/estate"
	"jimm/workload/juju"
	"jimm/workload/postgres"
	"jimm/workload/server"
)

// SecretsOpener opens the secrets of a server, and says where they are.
type SecretsOpener func(ctx context.Context, c config.Config, store *postgres.Store) (secrets estate.Secrets, where string, err error)

// inside examines what needs the database: each step is skipped if one before it
// has failed.
func (e *examination) inside(ctx context.Context) {
	var store *postgres.Store
	var secrets estate.Secrets
	var keys *juju.Keys
	e.look(ctx, "postgresql", func(ctx context.Context) (f found) {
		store, f = e.database(ctx)
		return f
	})
	if store != nil {
		defer store.Close()
	}
	e.look(ctx, "secrets", func(ctx context.Context) (f found) {
		if store == nil {
			return skipped("the database is not there")
		}
		secrets, f = e.secrets(ctx, store)
		return f
	})
	e.look(ctx, "keys", func(ctx context.Context) (f found) {
		if secrets == nil {
			return skipped("the secrets are not there")
		}
		keys, f = e.schedule(ctx, secrets)
		return f
	})
	e.controllers(ctx, store, keys)
}

func (e *examination) database(ctx context.Context) (*postgres.Store, found) {
	if e.Config.DSN == "" {
		return nil, skipped("JIMM_DSN is not set")
	}
	schema, err := postgres.Migrate(ctx, e.Config.DSN, false)
	if err != nil {
		return nil, bad("mend JIMM_DSN, or let this machine reach the database", err)
	}
	if schema.Version < schema.Newest {
		return nil, found{Failed, fmt.Sprintf("its schema has version %d, this program wants %d", schema.Version, schema.Newest),
			"start jimmsrv of this version, or jimmctl migrate-database"}
	}
	store, err := postgres.Open(ctx, e.Config.DSN, postgres.Options{MaxConns: 2, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, bad("mend JIMM_DSN, or let this machine reach the database", err)
	}
	var now time.Time
	var version string
	if err := store.Pool().QueryRow(ctx, `select clock_timestamp(), current_setting('server_version')`).Scan(&now, &version); err != nil {
		store.Close()
		return nil, bad("look into the log of PostgreSQL", err)
	}
	e.clocks["PostgreSQL"] = now.Sub(e.Now())
	return store, good("PostgreSQL %s answers, its schema is up to date (%d)", version, schema.Version)
}

func (e *examination) secrets(ctx context.Context, store *postgres.Store) (estate.Secrets, found) {
	secrets, where, err := e.Secrets(ctx, e.Config, store)
	if err == nil {
		if health, ok := secrets.(interface{ Check(context.Context) error }); ok {
			err = health.Check(ctx)
		}
	}
	if estate.Is(err, estate.CodeServerConfiguration) {
		return nil, bad("give this command and every jimmsrv the same settings", err)
	}
	if err != nil {
		return nil, bad("give this command the keys, or the login to Vault, that jimmsrv has; for Vault see that it is unsealed and its role not expired", err)
	}
	return secrets, good("they can be read, in %s", where)
}

// readOnly are secrets that stay as they are.
type readOnly struct{ estate.Secrets }

var errChange = errors.New("there are no signing keys yet, or a new one is due")

func (readOnly) Put(context.Context, string, map[string]string) error { return errChange }
func (readOnly) Delete(context.Context, string) error                 { return errChange }
func (readOnly) PutIfVersion(context.Context, string, int, map[string]string) (bool, error) {
	return false, errChange
}

func (e *examination) schedule(ctx context.Context, secrets estate.Secrets) (*juju.Keys, found) {
	keys, err := juju.OpenKeys(ctx, readOnly{secrets}, juju.KeyOptions{Log: slog.New(slog.DiscardHandler), MaxAge: e.Config.KeyMaxAge})
	if errors.Is(err, errChange) {
		return nil, bad("start jimmsrv: it makes the keys, and replaces them in time", err)
	}
	if err != nil {
		return nil, bad("give this command the JIMM_SECRET_STORAGE_KEYS that jimmsrv has; if the keys are lost, jaas rotate-keys --emergency makes new ones", err)
	}
	s, err := keys.Schedule(ctx)
	if err != nil {
		return nil, bad("start jimmsrv: it makes the keys, and replaces them in time", err)
	}
	for _, key := range s.Keys {
		if key.State != estate.KeySigns {
			continue
		}
		if key.SignsUntil.IsZero() {
			return keys, good("key %s signs since %s; the next one is not due yet", key.ID, key.SignsFrom.Format(time.DateOnly))
		}
		return keys, good("key %s signs until %s, and the next one is public already", key.ID, key.SignsUntil.Format(time.DateTime))
	}
	return nil, bad("look into the log of jimmsrv for why no key signs", errors.New("no key signs now"))
}

// controllers logs in to each controller as JIMM does. That it takes the token
// shows that it can fetch the keys: its own view of them.
func (e *examination) controllers(ctx context.Context, store *postgres.Store, keys *juju.Keys) {
	if store == nil || keys == nil {
		e.look(ctx, "controllers", func(context.Context) found { return skipped("the database or the signing keys are not there") })
		return
	}
	list, err := store.Controllers(ctx, estate.ControllerLive)
	if err != nil || len(list) == 0 {
		e.look(ctx, "controllers", func(context.Context) found {
			if err != nil {
				return bad("look into the log of PostgreSQL", err)
			}
			return doubtful("add one: jaas register-controller CONTROLLER", "there are no controllers")
		})
		return
	}
	self := server.Self(e.Config.DNSName)
	peers := juju.NewPeers(&juju.Dialer{ClientVersion: jujuversion.Current.String(), Roots: e.roots.Pool, Timeout: e.Timeout},
		&juju.Tokens{Keys: keys, Issuer: e.Config.DNSName, Life: e.Config.TokenLife}, juju.PeersOptions{Self: self})
	defer peers.Close()
	for _, c := range list {
		e.look(ctx, "controller "+c.Name, func(ctx context.Context) found {
			peer, err := peers.Connect(ctx, c, self, estate.Claims{names.NewControllerTag(c.UUID).String(): estate.AccessLogin})
			if err != nil {
				return bad(fmt.Sprintf("see that it runs and that JIMM's machines reach it (juju status -m %s:controller); if it refuses the login, that its machines reach https://%s%s/.well-known/jwks.json", c.Name, e.Config.DNSName, e.Config.Prefix), err)
			}
			_ = peer.Close()
			if c.Deprecated {
				return good("Juju %s answers, and takes JIMM's token; it is deprecated", c.AgentVersion)
			}
			return good("Juju %s answers, and takes JIMM's token", c.AgentVersion)
		})
	}
}
