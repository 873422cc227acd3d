// Package sealed keeps the estate's secrets in PostgreSQL, encrypted before
// they get there: XAES-256-GCM by Tink, bound to the row's path and version, so
// that rows can't be exchanged for one another. Who reads the database, its
// backups or its replicas learns the paths and the size of what is there.
//
// The table, secrets, belongs to the migrations of package postgres.
package sealed

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"

	"jimm/workload/estate"
	"jimm/workload/postgres/outage"
)

// DB is the part of a *pgxpool.Pool that is needed.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Secrets is an estate.ListedSecrets.
type Secrets struct {
	db   DB
	aead tink.AEAD
	// prefix begins everything that the first key has sealed.
	prefix []byte
}

var _ estate.ListedSecrets = (*Secrets)(nil)

const (
	// MinKey is the least length of a key, in bytes. A key should be random;
	// one that was made up by a person is not.
	MinKey = 32
	// maxPath is the most of an encoded path, in bytes; the table's own limit.
	maxPath = 2048
)

// New returns the secrets in db. The first key seals; all open, so that a key
// is replaced by putting another before it, and can go when Reseal has run.
func New(db DB, keys ...[]byte) (*Secrets, error) {
	if len(keys) == 0 {
		return nil, errors.New("cannot keep secrets: no key is configured")
	}
	manager := keyset.NewManager()
	var first uint32
	for i, secret := range keys {
		if len(secret) < MinKey {
			return nil, fmt.Errorf("cannot keep secrets: key %d of %d has %d bytes, and needs at least %d", i+1, len(keys), len(secret), MinKey)
		}
		key, id, err := derive(secret)
		if err != nil {
			return nil, fmt.Errorf("cannot keep secrets: %w", err)
		}
		if _, err := manager.AddKey(key); err != nil {
			return nil, fmt.Errorf("cannot keep secrets: key %d of %d is there twice: %w", i+1, len(keys), err)
		}
		if i == 0 {
			first = id
		}
	}
	if err := manager.SetPrimary(first); err != nil {
		return nil, fmt.Errorf("cannot keep secrets: %w", err)
	}
	handle, err := manager.Handle()
	if err != nil {
		return nil, fmt.Errorf("cannot keep secrets: %w", err)
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("cannot keep secrets: %w", err)
	}
	// Tink's own format: 1, then the key's id.
	prefix := binary.BigEndian.AppendUint32([]byte{1}, first)
	return &Secrets{db: db, aead: primitive, prefix: prefix}, nil
}

// derive makes a key of the cipher's size, and its id, from a configured one.
// Both depend on nothing else, so every process comes to the same.
func derive(secret []byte) (*xaesgcm.Key, uint32, error) {
	parameters, err := xaesgcm.NewParameters(xaesgcm.VariantTink, 12)
	if err != nil {
		return nil, 0, err
	}
	material, err := hkdf.Key(sha256.New, secret, nil, "jimm sealed secrets: key", 32)
	if err != nil {
		return nil, 0, err
	}
	name, err := hkdf.Key(sha256.New, secret, nil, "jimm sealed secrets: id", 4)
	if err != nil {
		return nil, 0, err
	}
	id := binary.BigEndian.Uint32(name)
	key, err := xaesgcm.NewKey(secretdata.NewBytesFromData(material, insecuresecretdataaccess.Token{}), id, parameters)
	return key, id, err
}

// associated is what a sealed value is bound to.
func associated(path string, version int) []byte {
	return fmt.Appendf(nil, "jimm secret\x00%s\x00%d", path, version)
}

func (s *Secrets) seal(path string, version int, value map[string]string) ([]byte, error) {
	if value == nil {
		value = map[string]string{}
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return s.aead.Encrypt(plain, associated(path, version))
}

func (s *Secrets) open(path string, version int, sealed []byte) (map[string]string, error) {
	plain, err := s.aead.Decrypt(sealed, associated(path, version))
	if err != nil {
		return nil, fmt.Errorf("cannot open secret %q: it was sealed with another key, or its row was changed", path)
	}
	var value map[string]string
	if err := json.Unmarshal(plain, &value); err != nil {
		// Not with the cause: it could quote the value.
		return nil, fmt.Errorf("cannot open secret %q: it is not a map of strings", path)
	}
	return value, nil
}

// Put is part of estate.Secrets.
func (s *Secrets) Put(ctx context.Context, path string, value map[string]string) error {
	path, err := encodePath(path)
	if err != nil {
		return err
	}
	for {
		// Another's Put in between takes this version: then the next.
		var version int
		err := s.db.QueryRow(ctx, `select version from secrets where path = $1`, path).Scan(&version)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return failed(err, "store", path)
		}
		if done, err := s.putIfVersion(ctx, path, version, value); done || err != nil {
			return err
		}
	}
}

// Get is part of estate.Secrets.
func (s *Secrets) Get(ctx context.Context, path string) (map[string]string, error) {
	value, version, err := s.GetVersion(ctx, path)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		return nil, estate.Errorf(estate.CodeNotFound, "secret not found")
	}
	return value, nil
}

// Delete is part of estate.Secrets.
func (s *Secrets) Delete(ctx context.Context, path string) error {
	path, err := encodePath(path)
	if err != nil {
		return err
	}
	if _, err := s.db.Exec(ctx, `delete from secrets where path = $1`, path); err != nil {
		return failed(err, "delete", path)
	}
	return nil
}

// PutIfVersion is part of estate.Secrets.
func (s *Secrets) PutIfVersion(ctx context.Context, path string, version int, value map[string]string) (bool, error) {
	path, err := encodePath(path)
	if err != nil {
		return false, err
	}
	return s.putIfVersion(ctx, path, version, value)
}

func (s *Secrets) putIfVersion(ctx context.Context, path string, version int, value map[string]string) (bool, error) {
	sealed, err := s.seal(path, version+1, value)
	if err != nil {
		return false, fmt.Errorf("cannot seal secret %q: %w", path, err)
	}
	sql := `update secrets set version = version + 1, sealed = $2, updated_at = now() where path = $1 and version = $3`
	if version == 0 {
		sql = `insert into secrets (path, version, sealed) values ($1, $3 + 1, $2) on conflict (path) do nothing`
	}
	tag, err := s.db.Exec(ctx, sql, path, sealed, version)
	if err != nil {
		return false, failed(err, "store", path)
	}
	return tag.RowsAffected() == 1, nil
}

// GetVersion is part of estate.Secrets.
func (s *Secrets) GetVersion(ctx context.Context, path string) (map[string]string, int, error) {
	path, err := encodePath(path)
	if err != nil {
		return nil, 0, err
	}
	var version int
	var sealed []byte
	err = s.db.QueryRow(ctx, `select version, sealed from secrets where path = $1`, path).Scan(&version, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, failed(err, "load", path)
	}
	value, err := s.open(path, version, sealed)
	if err != nil {
		return nil, 0, err
	}
	return value, version, nil
}

// Paths is part of estate.ListedSecrets.
func (s *Secrets) Paths(ctx context.Context, f func(path string) error) error {
	// By pages, so that f can use the database and many secrets fit.
	for after, page := "", []string{""}; len(page) > 0; {
		rows, err := s.db.Query(ctx, `select path from secrets where path > $1 order by path limit 1000`, after)
		if err != nil {
			return outage.Wrap(err, "cannot list secrets")
		}
		if page, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return outage.Wrap(err, "cannot list secrets")
		}
		for _, after = range page {
			path, err := url.PathUnescape(after)
			if err != nil {
				return fmt.Errorf("cannot list secrets: the path %q was not written by JIMM", after)
			}
			if err := f(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reseal seals with the first key what another has sealed, and returns how
// many secrets that were. Others may read and write meanwhile.
func (s *Secrets) Reseal(ctx context.Context) (int, error) {
	resealed := 0
	after := ""
	for {
		var version int
		var path string
		var sealed []byte
		err := s.db.QueryRow(ctx, `select path, version, sealed from secrets
			where path > $1 and substring(sealed from 1 for $2) <> $3 order by path limit 1`, after, len(s.prefix), s.prefix).
			Scan(&path, &version, &sealed)
		if errors.Is(err, pgx.ErrNoRows) {
			return resealed, nil
		}
		if err != nil {
			return resealed, outage.Wrap(err, "cannot reseal secrets")
		}
		after = path
		value, err := s.open(path, version, sealed)
		if err != nil {
			return resealed, err
		}
		fresh, err := s.seal(path, version, value)
		if err != nil {
			return resealed, fmt.Errorf("cannot seal secret %q: %w", path, err)
		}
		if !bytes.HasPrefix(fresh, s.prefix) {
			return resealed, fmt.Errorf("cannot reseal secret %q: it was not sealed with the first key", path)
		}
		// One that was replaced meanwhile is sealed with some process's first key.
		tag, err := s.db.Exec(ctx, `update secrets set sealed = $2 where path = $1 and sealed = $3`, path, fresh, sealed)
		if err != nil {
			return resealed, failed(err, "reseal", path)
		}
		resealed += int(tag.RowsAffected())
	}
}

// failed says what the database has not done. Clients, who see it of an outage,
// are not told what secrets there are.
func failed(err error, verb, path string) error {
	if outage.Of(err) != "" {
		return outage.Wrap(err, "cannot %s secret", verb)
	}
	return fmt.Errorf("cannot %s secret %q: %w", verb, path, err)
}

// encodePath makes a path that PostgreSQL takes, of segments of any text.
func encodePath(path string) (string, error) {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if segment == "" {
			return "", estate.Errorf(estate.CodeBadRequest, "the path of a secret has an empty segment")
		}
		segments[i] = url.PathEscape(segment)
	}
	encoded := strings.Join(segments, "/")
	if len(encoded) > maxPath {
		return "", estate.Errorf(estate.CodeNotValid, "the path of a secret is too long: %d bytes encoded, at most %d", len(encoded), maxPath)
	}
	return encoded, nil
}
