package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"jimm/workload/estate"
)

const credentialColumns = `cloud, owner, name, auth_type, attributes, valid, updated_at`

func scanCredential(row pgx.CollectableRow) (estate.Credential, error) {
	var c estate.Credential
	err := row.Scan(&c.Cloud, &c.Owner, &c.Name, &c.AuthType, &c.Attributes, &c.Valid, &c.UpdatedAt)
	c.Attributes, c.UpdatedAt = orNil(c.Attributes), c.UpdatedAt.UTC()
	return c, err
}

// SaveCredential is part of estate.CloudStore. CodeNotFound if the cloud, and
// CodeUserNotFound if the owner is not known.
func (s *Store) SaveCredential(ctx context.Context, c estate.Credential) error {
	_, err := s.pool.Exec(ctx, `insert into credentials (`+credentialColumns+`) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (owner, cloud, name) do update set auth_type = excluded.auth_type,
		attributes = excluded.attributes, valid = excluded.valid, updated_at = excluded.updated_at`,
		c.Cloud, c.Owner, c.Name, c.AuthType, list(c.Attributes), c.Valid, c.UpdatedAt)
	if err != nil {
		return fail(err, "cannot save credential %q", clip(c.Name))
	}
	return nil
}

// DeleteCredential is part of estate.CloudStore.
func (s *Store) DeleteCredential(ctx context.Context, cloud, owner, name string) error {
	tag, err := s.pool.Exec(ctx, `delete from credentials where cloud = $1 and owner = $2 and name = $3`, cloud, owner, name)
	if err != nil {
		return fail(err, "cannot delete credential %q", clip(name))
	}
	if tag.RowsAffected() == 0 {
		return credentialNotFound(name)
	}
	return nil
}

// Credential is part of estate.CloudStore.
func (s *Store) Credential(ctx context.Context, cloud, owner, name string) (estate.Credential, error) {
	rows, _ := s.pool.Query(ctx, `select `+credentialColumns+` from credentials where cloud = $1 and owner = $2 and name = $3`,
		cloud, owner, name)
	c, err := pgx.CollectExactlyOneRow(rows, scanCredential)
	if errors.Is(err, pgx.ErrNoRows) {
		return estate.Credential{}, credentialNotFound(name)
	}
	if err != nil {
		return estate.Credential{}, fail(err, "cannot load credential %q", clip(name))
	}
	return c, nil
}

func credentialNotFound(name string) error {
	return estate.Errorf(estate.CodeNotFound, "credential %q not found", clip(name))
}

// Credentials is part of estate.CloudStore.
func (s *Store) Credentials(ctx context.Context, owner, cloud string) ([]estate.Credential, error) {
	rows, _ := s.pool.Query(ctx, `select `+credentialColumns+` from credentials
		where owner = $1 and ($2 = '' or cloud = $2) order by cloud, name`, owner, cloud)
	credentials, err := pgx.CollectRows(rows, scanCredential)
	if err != nil {
		return nil, fail(err, "cannot list credentials")
	}
	return credentials, nil
}
