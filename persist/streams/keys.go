package streams

import (
	"context"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/write"
)

// KeyReset says that the keys of a dataset are made in another way from now on.
type KeyReset struct {
	Dataset    finance.Dataset
	Made       string // the fingerprint
	PerAccount bool   // its streams are those of accounts, whose own keys stay as they are
}

// ResetKeys forgets where the streams of the datasets stand, as ResetStreams does, and takes the new way in which their
// keys are made. The rows stay as they are until what has been read under the new keys replaces them; see ReplaceKeys.
func (s *Store) ResetKeys(ctx context.Context, connection string, resets []KeyReset) (did ResetCost, err error) {
	err = s.db.InTx(ctx, "reset the keys of "+connection, func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		for _, r := range resets {
			f := Filter{Connection: connection, Dataset: r.Dataset}
			if err := f.claimNone(ctx, tx); err != nil {
				return err
			}
			one, err := f.forget(ctx, tx)
			if err != nil {
				return err
			}
			did.add(one)
			if err := r.begin(ctx, tx, connection); err != nil {
				return err
			}
		}
		return nil
	})
	return did, err
}

func (c *ResetCost) add(o ResetCost) {
	c.Streams += o.Streams
	c.Consents = max(c.Consents, o.Consents)
	c.Calls += o.Calls
	c.Budgeted = max(c.Budgeted, o.Budgeted)
	c.Ended = max(c.Ended, o.Ended)
	c.SingleUse = max(c.SingleUse, o.SingleUse)
	c.Pages += o.Pages
}

// begin notes which streams have rows with old keys, those that removals undo may bring back among them. What is staged is of a reset before this one.
func (r KeyReset) begin(ctx context.Context, tx pgx.Tx, connection string) error {
	args := pgx.NamedArgs{"connection": connection, "dataset": string(r.Dataset), "made": r.Made}
	const ofConnection = "USING consents n WHERE n.id = t.consent_id AND n.connection = @connection"
	statements := []string{
		"DELETE FROM key_changes t " + ofConnection + " AND t.dataset = @dataset",
		"DELETE FROM key_passes t " + ofConnection + " AND t.dataset = @dataset",
	}
	for _, table := range write.StagedTables(r.Dataset) {
		statements = append(statements, "DELETE FROM "+table+" t "+ofConnection)
	}
	table, _, _ := write.RecordsOf(r.Dataset)
	account := "''"
	if r.PerAccount {
		account = "t.account_id"
	}
	statements = append(statements, `INSERT INTO key_changes (consent_id, dataset, account_id)
		SELECT DISTINCT t.consent_id, @dataset, `+account+`
		FROM `+table+` t
		JOIN consents n ON n.id = t.consent_id
		WHERE n.connection = @connection
			AND (t.removed_at IS NULL OR `+write.UndoableRow+`)`,
		`INSERT INTO record_keys AS k (connection, dataset, made)
		VALUES (@connection, @dataset, @made)
		ON CONFLICT (connection, dataset) DO UPDATE SET
			made = excluded.made,
			since = now()`)
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql, args); err != nil {
			return err
		}
	}
	return nil
}

// KeysAsStored says whether the keys of all these datasets are made as those that are stored: then a reset would change nothing.
func (s *Store) KeysAsStored(ctx context.Context, connection string, resets []KeyReset) (bool, error) {
	for _, r := range resets {
		made, err := s.recordKeys(ctx, connection, r.Dataset)
		if err != nil || made != r.Made {
			return false, err
		}
	}
	return true, nil
}

// KeyResetCost says what ResetKeys would do. It writes nothing.
func (s *Store) KeyResetCost(ctx context.Context, connection string, resets []KeyReset) (all ResetCost, err error) {
	for _, r := range resets {
		one, err := s.ResetCost(ctx, Filter{Connection: connection, Dataset: r.Dataset})
		if err != nil {
			return all, err
		}
		all.add(one)
	}
	return all, nil
}
