package dev

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Dump is all that JIMM keeps, as text that tells whether something has changed: of
// its own database without the audit log, times, and what controllers tell of their
// models when they like, and who may do what.
func (s *Stack) Dump(ctx context.Context) (string, error) {
	own, err := dump(ctx, s.postgres.DSN("jimm"), `select quote_ident(table_name), string_agg(quote_ident(column_name), ',' order by column_name)
		from information_schema.columns where table_schema = 'public' and data_type not like 'timestamp%' and table_name not like 'audit%' and column_name not in ('summary', 'pushed') group by 1 order by 1`)
	if err != nil {
		return "", err
	}
	if s.around.permissions == nil || s.options.Stack != StackEmbedded {
		return own, nil
	}
	relations, err := dump(ctx, s.postgres.DSN("openfga"), `select 'tuple', 'object_type, object_id, relation, _user'`)
	return own + relations, err
}

// dump prints tables of a database; the query lists them with their columns.
func dump(ctx context.Context, dsn, tables string) (string, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, tables)
	if err != nil {
		return "", err
	}
	var selects []string
	var table, columns string
	if _, err := pgx.ForEachRow(rows, []any{&table, &columns}, func() error {
		selects = append(selects, fmt.Sprintf("select '%[2]s: ' || r::text from (select %[1]s from %[2]s) r", columns, table))
		return nil
	}); err != nil {
		return "", err
	}
	rows, err = conn.Query(ctx, strings.Join(selects, " union all ")+" order by 1")
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n") + "\n", err
}
