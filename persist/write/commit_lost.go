package write

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// landed says, on a new connection, whether the attempt's COMMIT took effect although its answer was lost. It first
// takes the locks of the attempt's streams, which waits for a server process that may still be busy with that very
// COMMIT, and then looks for what only the attempt can have written.
func (a *attempt) landed(ctx context.Context) (bool, error) {
	tx, err := a.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginCommit})
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	rows, err := tx.Query(ctx, lockCursors, a.streams.args()...)
	if err != nil {
		return false, err
	}
	calls, err := pgx.CollectRows(rows, pgx.RowTo[*[16]byte])
	if err != nil {
		return false, err
	}
	for i, call := range calls {
		if call != nil && *call == a.streams.call[i] {
			return true, nil
		}
	}
	// Somebody else may have moved the cursors since.
	var found bool
	err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM calls WHERE id = ANY($1))", a.ownCalls()).Scan(&found)
	return found, err
}

// ownCalls are the calls that this attempt has inserted.
func (a *attempt) ownCalls() [][16]byte {
	var ids [][16]byte
	for _, p := range a.live {
		if !p.Call.Durable {
			ids = append(ids, p.Call.ID)
		}
	}
	return ids
}
