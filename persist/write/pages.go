package write

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// loadKept looks each stream up by its key. OFFSET 0 keeps the planner from joining the whole table.
const loadKept = `SELECT u.place,
		p.page_key,
		p.body_hash,
		p.call_id,
		p.facts
	FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS u(consent_id, dataset, account_id, span, place)
	JOIN LATERAL (
		SELECT *
		FROM pages p
		WHERE p.consent_id = u.consent_id
		AND p.dataset = u.dataset
		AND p.account_id = u.account_id
		AND p.span = u.span
		OFFSET 0
	) p ON true`

// readKept reads remembered pages, each of the answer that of gives for its place.
func readKept(rows pgx.Rows, of func(place int) *streamAnswer) error {
	var place int
	var key, hash, facts []byte
	var call [16]byte
	_, err := pgx.ForEachRow(rows, []any{&place, &key, &hash, &call, &facts}, func() error {
		a := of(place)
		k := finance.Kept{Call: call}
		if len(key) != len(finance.PageKey{}) || len(hash) != len(k.Body) {
			a.err = fmt.Errorf("a remembered page has a key of %d bytes and a hash of %d", len(key), len(hash))
			return nil
		}
		k.Body = finance.Hash(hash)
		if err := json.Unmarshal(facts, &k.Facts); err != nil {
			a.err = fmt.Errorf("read the facts of a remembered page: %w", err)
			return nil
		}
		if a.kept == nil {
			a.kept = map[finance.PageKey]finance.Kept{}
		}
		a.kept[finance.PageKey(key)] = k
		return nil
	})
	return err
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
