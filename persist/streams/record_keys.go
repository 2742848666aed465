package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/write"
)

// KeysChangedError says that the records of a dataset would get other keys than those that are stored.
type KeysChangedError struct {
	Connection string
	Dataset    finance.Dataset
	Stored     string // the fingerprint of what is stored
	Configured string
}

// Error names both ways out.
func (e *KeysChangedError) Error() string {
	return fmt.Sprintf("the key of %s over connection %s has changed (from %s to %s): every record would be stored anew beside "+
		"itself, so nothing is called. Put the old key back, or say that it is meant: "+
		"`syncer streams reset --connection %[2]s --dataset %[1]s --key --yes`", e.Dataset, e.Connection, e.Stored, e.Configured)
}

// CheckRecordKeys is a *[KeysChangedError] if records of the dataset are stored whose keys were made in another way.
func (s *Store) CheckRecordKeys(ctx context.Context, connection string, d finance.Dataset, made string) error {
	stored, err := s.recordKeys(ctx, connection, d)
	if err != nil || stored == "" || stored == made {
		return err
	}
	some, err := s.hasRecords(ctx, connection, d)
	if err != nil || !some {
		return err
	}
	return &KeysChangedError{Connection: connection, Dataset: d, Stored: stored, Configured: made}
}

// UseRecordKeys is CheckRecordKeys for somebody who is about to store records: it writes down how their keys are made where
// that is not known, or where nothing is stored that was keyed otherwise.
func (s *Store) UseRecordKeys(ctx context.Context, connection string, d finance.Dataset, made string) error {
	stored, err := s.recordKeys(ctx, connection, d)
	if err != nil || stored == made {
		return err
	}
	if err := s.CheckRecordKeys(ctx, connection, d, made); err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO record_keys AS k (connection, dataset, made)
		VALUES ($1, $2, $3)
		ON CONFLICT (connection, dataset) DO UPDATE SET
			made = excluded.made,
			since = now()
		WHERE k.made = $4`, connection, string(d), made, stored)
	if err != nil {
		return fmt.Errorf("write down how the keys of %s over %s are made: %w", d, connection, err)
	}
	now, err := s.recordKeys(ctx, connection, d)
	if err == nil && now != made { // another process, whose configuration is another one, was faster
		err = &KeysChangedError{Connection: connection, Dataset: d, Stored: now, Configured: made}
	}
	return err
}

// recordKeys is how the keys of a dataset's records were made; empty: it is not known.
func (s *Store) recordKeys(ctx context.Context, connection string, d finance.Dataset) (made string, err error) {
	err = s.db.QueryRow(ctx, `SELECT made
		FROM record_keys
		WHERE connection = $1 AND dataset = $2`, connection, string(d)).Scan(&made)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look how the keys of %s over %s were made: %w", d, connection, err)
	}
	return made, nil
}

// hasRecords says whether a record of the dataset was ever stored over the connection.
func (s *Store) hasRecords(ctx context.Context, connection string, d finance.Dataset) (some bool, err error) {
	table, _, _ := write.RecordsOf(d)
	err = s.db.QueryRow(ctx, `SELECT EXISTS (
			SELECT FROM consents n
			WHERE n.connection = $1
				AND EXISTS (SELECT FROM `+table+` t WHERE t.consent_id = n.id)
		)`, connection).Scan(&some)
	if err != nil {
		return false, fmt.Errorf("look whether %s of %s are stored: %w", d, connection, err)
	}
	return some, nil
}

// TellKeysChanged says whether the caller is to tell the log that the keys of a dataset have changed: once for each run,
// whoever works it.
func (s *Store) TellKeysChanged(ctx context.Context, connection string, d finance.Dataset, run int64) (bool, error) {
	tag, err := s.db.Exec(ctx, `UPDATE record_keys SET told_run = $3
		WHERE connection = $1 AND dataset = $2
			AND told_run IS DISTINCT FROM $3`, connection, string(d), run)
	if err != nil {
		return false, fmt.Errorf("note that the changed keys of %s are told: %w", d, err)
	}
	return tag.RowsAffected() == 1, nil
}
