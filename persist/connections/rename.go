package connections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// ErrNameTaken says that there is a connection of the new name already, whose consents have been read.
var ErrNameTaken = errors.New("the name is taken")

// Renamed is what became of consents that the new name had of its own.
type Renamed struct {
	Doubles int // that the old name has, too: they are gone
	Joined  int // that it has not: they are the renamed connection's now
}

// namedByConnection are the tables whose column connection names one. One that is missing here keeps the old name, so a test
// compares this with the schema. calls and the history of pauses keep the name of their time,
// worker_rates and worker_quotas that of their process' configuration.
func namedByConnection() []string {
	return []string{
		"consents", "consent_ids", "runs", "run_members", "credential_parks", "flights", "gates", "lone_gates", "record_keys",
	}
}

// bucketColumns are columns that name a bucket, whose name begins with the connection's.
func bucketColumns() map[string]string {
	return map[string]string{"gates": "bucket", "lone_gates": "key", "batches": "park_bucket"}
}

// Rename gives a connection another name: its consents, rows, positions, runs, parks and gates go on under that.
// Batches that are being worked are taken from their workers. Tokens are got anew. No such connection is [ErrNotFound].
//
// A connection of the new name is replaced. Consents that were imported under it and never read are joined to those of the
// old name; one that has been read makes it [ErrNameTaken].
func (s *Store) Rename(ctx context.Context, from, to string) (joined Renamed, err error) {
	err = s.db.InTx(ctx, fmt.Sprintf("rename the connection %s to %s", from, to), func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		var known bool
		err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM connections WHERE name = $1)", from).Scan(&known)
		if err != nil {
			return err
		}
		if !known {
			return pg.ErrNotFound
		}
		if joined, err = joinUnread(ctx, tx, from, to); err != nil {
			return err
		}
		if err := makeRoom(ctx, tx, from, to); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO connections
			SELECT (jsonb_populate_record(c, jsonb_build_object('name', $2::text))).*
			FROM connections c
			WHERE c.name = $1`, from, to)
		if err != nil {
			return err
		}
		if _, err := takeFromWorkers(ctx, tx, from); err != nil {
			return err
		}
		for table, column := range bucketColumns() {
			_, err := tx.Exec(ctx, fmt.Sprintf(`UPDATE %[1]s SET %[2]s = $2 || substr(%[2]s, length($1) + 1)
				WHERE %[2]s = $1
					OR starts_with(%[2]s, $1 || '@')
					OR starts_with(%[2]s, $1 || '/')`, table, column), from, to)
			if err != nil {
				return err
			}
		}
		for _, table := range namedByConnection() {
			_, err := tx.Exec(ctx, "UPDATE "+table+" SET connection = $2 WHERE connection = $1", from, to)
			if err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, "DELETE FROM connections WHERE name = $1", from)
		return err
	})
	return joined, err
}

// ofConsents are the tables with something of consents beside those that an import writes, as the schema has them: one that is
// left out here would have its rows orphaned.
const ofConsents = `SELECT c.relname
	FROM pg_class c
	JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'consent_id' AND NOT a.attisdropped
	WHERE c.relnamespace = current_schema()::regnamespace
	AND c.relkind IN ('r', 'p')
	AND c.relname NOT IN ('consent_events', 'consent_ids', 'renewals')
	ORDER BY c.relname`

// joinUnread gives the consents of the new name to the old one, so that the list may have been imported again before the
// rename. A consent that both have, by whatever id, is kept as the old one has it, with its rows and positions.
func joinUnread(ctx context.Context, tx pgx.Tx, from, to string) (r Renamed, err error) {
	var consents int
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM consents WHERE connection = $1", to).Scan(&consents); err != nil || consents == 0 {
		return r, err
	}
	rows, err := tx.Query(ctx, ofConsents)
	if err != nil {
		return r, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return r, err
	}
	for _, table := range tables {
		var read bool
		err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (
			SELECT FROM %s t WHERE t.consent_id IN (SELECT id FROM consents WHERE connection = $1))`,
			pgx.Identifier{table}.Sanitize()), to).Scan(&read)
		if err != nil {
			return r, err
		}
		if read {
			return r, ErrNameTaken
		}
	}
	doubles, err := pg.IDs(ctx, tx, `WITH ids AS (
			SELECT connection, external_id, id FROM consents WHERE connection IN ($1, $2)
			UNION
			SELECT connection, external_id, consent_id FROM consent_ids WHERE connection IN ($1, $2)
		)
		SELECT DISTINCT n.id
		FROM ids n
		JOIN ids o ON o.connection = $1 AND o.external_id = n.external_id
		WHERE n.connection = $2`, from, to)
	if err != nil {
		return r, err
	}
	for _, table := range []string{"consent_events", "renewals", "consent_ids"} {
		if _, err := tx.Exec(ctx, "DELETE FROM "+table+" WHERE consent_id = ANY ($1)", doubles); err != nil {
			return r, err
		}
	}
	if _, err := tx.Exec(ctx, "DELETE FROM consents WHERE id = ANY ($1)", doubles); err != nil {
		return r, err
	}
	r.Doubles = len(doubles)
	if _, err := tx.Exec(ctx, "UPDATE consent_ids SET connection = $1 WHERE connection = $2", from, to); err != nil {
		return r, err
	}
	tag, err := tx.Exec(ctx, "UPDATE consents SET connection = $1 WHERE connection = $2", from, to)
	r.Joined = int(tag.RowsAffected())
	return r, err
}

// makeRoom removes a connection of the new name, which has no consents any more. A check makes one, and so does a night that ran
// under the new name before anybody looked: its runs are the renamed connection's.
func makeRoom(ctx context.Context, tx pgx.Tx, from, to string) error {
	if _, err := tx.Exec(ctx, "UPDATE runs SET connection = $1 WHERE connection = $2", from, to); err != nil {
		return err
	}
	for _, table := range []string{"credential_parks", "gates", "lone_gates", "record_keys"} {
		if _, err := tx.Exec(ctx, "DELETE FROM "+table+" WHERE connection = $1", to); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, "DELETE FROM connections WHERE name = $1", to)
	return err
}
