package write

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// A record in quarantine is one row, however often it comes, and is open until it is resolved. An item with
// an open one is partial, whether or not a position still waits for the record.

// quarantineRecords notes what could not be read or stored. What has come before, with the same bytes, is
// counted; what had been resolved and comes again is open again, unless somebody has accepted it.
const quarantineRecords = `INSERT INTO quarantine AS q
	(consent_id, dataset, account_id, batch_id, call_id, place, reason, body_hash, record_id, held, last_run)
SELECT u.consent_id, u.dataset, u.account_id, u.batch_id, u.call_id, u.place, u.reason, u.body_hash,
	nullif(u.record_id, ''), u.held, u.run_id
FROM unnest($1::int8[], $2::text[], $3::text[], $4::int8[], $5::uuid[], $6::int4[], $7::text[], $8::bytea[],
	$9::text[], $10::bool[], $11::int8[])
AS u(consent_id, dataset, account_id, batch_id, call_id, place, reason, body_hash, record_id, held, run_id)
ON CONFLICT (consent_id, dataset, account_id, body_hash) DO UPDATE SET
	times = CASE
		WHEN q.resolved_as IN ('read', 'gone', 'replaced') THEN 1
		WHEN q.last_run IS DISTINCT FROM excluded.last_run THEN q.times + 1
		ELSE q.times END,
	batch_id = CASE WHEN q.resolved_as IN ('read', 'gone', 'replaced') THEN excluded.batch_id ELSE q.batch_id END,
	call_id = CASE WHEN q.resolved_as IN ('read', 'gone', 'replaced') THEN excluded.call_id ELSE q.call_id END,
	place = CASE WHEN q.resolved_as IN ('read', 'gone', 'replaced') THEN excluded.place ELSE q.place END,
	reason = excluded.reason,
	record_id = coalesce(excluded.record_id, q.record_id),
	held = excluded.held,
	last_run = excluded.last_run,
	last_at = now(),
	resolved_at = CASE WHEN q.resolved_as = 'accepted' THEN q.resolved_at END,
	resolved_as = CASE WHEN q.resolved_as = 'accepted' THEN q.resolved_as END`

// quarantined is the key of a row of quarantine.
type quarantined struct {
	consent int64
	dataset finance.Dataset
	account string
	body    finance.Hash
}

// quarantineRejects writes what the pages could not bring.
func (a *attempt) quarantineRejects(ctx context.Context) error {
	last := map[quarantined]reject{}
	for _, p := range a.live {
		for i, r := range slices.Concat(p.Rejects, p.replaced, p.contested) {
			// What was set aside came to light behind the connector, so its position has passed it. A
			// backfill has another.
			waits := !r.Known && i < len(p.Rejects)-p.aside && p.Stream.Span == ""
			if r.Body == (finance.Hash{}) {
				r.Body = placeHash(p.Call.ID, r.Place)
			}
			key := quarantined{p.Stream.Consent, p.Stream.Dataset, p.Stream.Account, r.Body}
			last[key] = reject{Reject: r, page: p, held: waits}
		}
	}
	if len(last) == 0 {
		return nil
	}
	// In the order in which they stood, so that their ids tell it too.
	inOrder := slices.SortedFunc(maps.Keys(last), func(x, y quarantined) int {
		return cmp.Or(
			cmp.Compare(x.consent, y.consent),
			cmp.Compare(x.dataset, y.dataset),
			cmp.Compare(x.account, y.account),
			bytes.Compare(last[x].page.Call.ID[:], last[y].page.Call.ID[:]),
			cmp.Compare(last[x].Place, last[y].Place),
			bytes.Compare(x.body[:], y.body[:]),
		)
	})
	var c rejectColumns
	for _, key := range inOrder {
		c.add(key, last[key])
	}
	if _, err := a.tx.Exec(ctx, quarantineRecords, c.args()...); err != nil {
		return fmt.Errorf("quarantine %d records: %w", len(last), pg.Describe(err))
	}
	return a.replaceQuarantined(ctx, last)
}

// placeHash stands for the bytes of a record that nobody has: it is that place of that answer, and no other.
func placeHash(call finance.CallID, place int32) (h finance.Hash) {
	copy(h[:], call[:])
	for i := range 4 {
		h[i] ^= byte(place >> (8 * i))
	}
	return h
}

// reject is a record for quarantine, with the page that it stood on.
type reject struct {
	finance.Reject
	page *page
	held bool
}

// rejectColumns are rows of quarantine, one column a slice.
type rejectColumns struct {
	consent          []int64
	dataset, account []string
	batch, run       []*int64
	call             [][16]byte
	place            []int32
	reason, record   []string
	body             [][]byte
	held             []bool
}

func (c *rejectColumns) add(key quarantined, r reject) {
	c.consent = append(c.consent, key.consent)
	c.dataset = append(c.dataset, string(key.dataset))
	c.account = append(c.account, key.account)
	c.batch = append(c.batch, pg.NullInt(r.page.Task.Batch))
	c.call = append(c.call, r.page.Call.ID)
	c.place = append(c.place, r.Place)
	c.reason = append(c.reason, pg.Clean(r.Reason))
	c.body = append(c.body, key.body[:])
	c.record = append(c.record, r.Key)
	c.held = append(c.held, r.held)
	c.run = append(c.run, pg.NullInt(r.page.Task.Run))
}

func (c *rejectColumns) args() []any {
	return []any{
		c.consent, c.dataset, c.account, c.batch, c.call, c.place, c.reason, c.body, c.record, c.held, c.run,
	}
}

// resolveAs resolves open rows of a stream (@consent, @dataset, @account) that match; @as is the word for it. It is asked
// only where the stream has something in quarantine.
const resolveAs = `UPDATE quarantine q
SET resolved_at = now(),
	resolved_as = @as,
	held = false
WHERE q.consent_id = @consent
AND q.dataset = @dataset
AND q.account_id = @account
AND q.resolved_at IS NULL`

const replaceQuarantined = resolveAs + `
AND q.record_id = ANY (@keys)
AND q.body_hash <> ALL (@bodies)
AND q.last_run IS DISTINCT FROM @run`

// replaceQuarantined resolves records whose key has come with other bytes, which are in quarantine in their
// place.
func (a *attempt) replaceQuarantined(ctx context.Context, last map[quarantined]reject) error {
	for _, p := range a.live {
		if !p.Isolated || len(p.unread()) == 0 {
			continue
		}
		var bodies [][]byte
		for key := range last {
			if key.consent == p.Stream.Consent && key.account == p.Stream.Account {
				bodies = append(bodies, key.body[:])
			}
		}
		err := a.resolve(ctx, p, replaceQuarantined, pgx.NamedArgs{
			"as":     "replaced",
			"keys":   p.unread(),
			"bodies": bodies,
			"run":    pg.NullInt(p.Task.Run),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// resolve runs a statement about what the page's stream has in quarantine, with the stream's name beside the arguments.
func (a *attempt) resolve(ctx context.Context, p *page, sql string, args pgx.NamedArgs) error {
	args["consent"] = p.Stream.Consent
	args["dataset"] = string(p.Stream.Dataset)
	args["account"] = p.Stream.Account
	if _, err := a.tx.Exec(ctx, sql, args); err != nil {
		return fmt.Errorf("resolve what is in quarantine of %s: %w", streamName(p.Stream), pg.Describe(err))
	}
	return nil
}

const resolveRead = resolveAs + `
AND q.record_id = ANY (@keys)`

// resolveRead resolves what the pages bring in good form. It comes before quarantineRejects: a key may stand
// on one page well, and on the next one broken.
func (a *attempt) resolveRead(ctx context.Context) error {
	for _, p := range a.live {
		if !p.Isolated || p.Records.Len() == 0 {
			continue
		}
		var keys []string
		for _, one := range partsOf(&p.Records) {
			if one.key != "" {
				keys = append(keys, one.key)
			}
		}
		if err := a.resolve(ctx, p, resolveRead, pgx.NamedArgs{"as": "read", "keys": keys}); err != nil {
			return err
		}
	}
	return nil
}

// resolveGone resolves what a pass that has read its place to the end did not meet.
const resolveGone = `UPDATE quarantine q
SET resolved_at = now(),
	resolved_as = @as,
	held = false
FROM cursors c
WHERE c.consent_id = @consent
AND c.dataset = @dataset
AND c.account_id = @account
AND c.span = ''
AND q.consent_id = @consent
AND q.dataset = @dataset
AND q.account_id = @account
AND q.resolved_at IS NULL
AND (q.held OR @covers)
AND coalesce(q.last_run, 0) < coalesce(c.pass_run, 0)`

// resolveGone is for the pages that end a pass. The next pass begins where the first record stood that the
// position waits for, so it reads the places of all of those; one that reads all there is reads the others
// too.
func (a *attempt) resolveGone(ctx context.Context) error {
	for _, p := range a.live {
		if p.MidPass || p.Stream.Span != "" || !p.Isolated {
			continue
		}
		if err := a.resolve(ctx, p, resolveGone, pgx.NamedArgs{"as": "gone", "covers": p.Covers}); err != nil {
			return err
		}
	}
	return nil
}

// Quarantined says which records of the stream, by their bodies, a run before this one has put into
// quarantine, and whether somebody has accepted them.
func (w *Writer) Quarantined(ctx context.Context, s finance.Stream, run int64, bodies []finance.Hash) (
	map[finance.Hash]finance.Met, error) {
	asked := make([][]byte, len(bodies))
	for i := range bodies {
		asked[i] = bodies[i][:]
	}
	rows, err := w.pool.Query(ctx, `SELECT body_hash, resolved_as IS NOT NULL FROM quarantine
		WHERE consent_id = $1
		AND dataset = $2
		AND account_id = $3
		AND body_hash = ANY ($4)
		AND (resolved_as = 'accepted' OR resolved_at IS NULL AND (times > 1 OR last_run IS DISTINCT FROM $5))`,
		s.Consent, string(s.Dataset), s.Account, asked, pg.NullInt(run))
	if err != nil {
		return nil, fmt.Errorf("look into the quarantine of %s: %w", streamName(s), pg.Describe(err))
	}
	known := map[finance.Hash]finance.Met{}
	var body []byte
	var met finance.Met
	_, err = pgx.ForEachRow(rows, []any{&body, &met.Accepted}, func() error {
		known[finance.Hash(body)] = met
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look into the quarantine of %s: %w", streamName(s), pg.Describe(err))
	}
	return known, nil
}

// OpenQuarantine is how many records of an item's streams are in quarantine and not resolved. Of a backfill
// only those count that its own run has met.
func (w *Writer) OpenQuarantine(ctx context.Context, s finance.Stream, run int64) (n int, err error) {
	err = w.pool.QueryRow(ctx, `SELECT count(*) FROM quarantine
		WHERE consent_id = $1
		AND dataset = $2
		AND resolved_at IS NULL
		AND ($3 = '' OR last_run = $4)`, s.Consent, string(s.Dataset), s.Span, run).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the quarantine of %s: %w", streamName(s), pg.Describe(err))
	}
	return n, nil
}
