package write

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// Kept are the remembered pages of a stream: a page whose answer has the same bytes needs no decoding.
func (w *Writer) Kept(ctx context.Context, s finance.Stream) (map[finance.PageKey]finance.Kept, error) {
	rows, err := w.pool.Query(ctx, `SELECT page_key, body_hash, call_id, facts FROM pages
		WHERE consent_id = $1 AND dataset = $2 AND account_id = $3 AND span = $4`, s.Consent, s.Dataset, s.Account, s.Span)
	if err != nil {
		return nil, fmt.Errorf("load the remembered pages of %s: %w", streamName(s), err)
	}
	kept := map[finance.PageKey]finance.Kept{}
	var key, hash, facts []byte
	var call [16]byte
	_, err = pgx.ForEachRow(rows, []any{&key, &hash, &call, &facts}, func() error {
		k := finance.Kept{Call: call}
		if len(key) != len(finance.PageKey{}) || len(hash) != len(k.Body) {
			return fmt.Errorf("a key of %d bytes with a hash of %d", len(key), len(hash))
		}
		k.Body = finance.Hash(hash)
		if err := json.Unmarshal(facts, &k.Facts); err != nil {
			return fmt.Errorf("read the facts of a page: %w", err)
		}
		kept[finance.PageKey(key)] = k
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the remembered pages of %s: %w", streamName(s), err)
	}
	return kept, nil
}

// Cursor is where a stream stands, whether that is in the middle of a pass, and whether the stream was ever
// committed at all.
func (w *Writer) Cursor(ctx context.Context, s finance.Stream) (position string, midPass, ok bool, err error) {
	err = w.pool.QueryRow(ctx, `SELECT position, mid_pass FROM cursors
		WHERE consent_id = $1 AND dataset = $2 AND account_id = $3 AND span = $4`, s.Consent, s.Dataset, s.Account,
		s.Span).Scan(&position, &midPass)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, false, nil
	}
	if err != nil {
		return "", false, false, fmt.Errorf("load the cursor of %s: %w", streamName(s), err)
	}
	return position, midPass, true, nil
}
