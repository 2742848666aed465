package write

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/admit"
	"syncer/persist/pg"
)

// streamKeys are keys of streams, one column a slice.
type streamKeys struct {
	consent                []int64
	dataset, account, span []string
}

func (k *streamKeys) add(s finance.Stream) {
	k.consent = append(k.consent, s.Consent)
	k.dataset = append(k.dataset, string(s.Dataset))
	k.account = append(k.account, s.Account)
	k.span = append(k.span, s.Span)
}

func (k *streamKeys) args() []any { return []any{k.consent, k.dataset, k.account, k.span} }

// streamMoves are the cursors of a transaction, one column a slice, sorted by key. Of several pages of a stream only
// the last one moves the cursor.
type streamMoves struct {
	streamKeys
	position []string
	midPass  []bool
	run      []*int64
	call     [][16]byte
	gaps     []string // empty: nothing
	since    []*time.Time
	reported [][]byte // nil: as before
}

// moveCursors adds what the pages lack to what the pass lacked before them; a pass begins behind the end of another.
const moveCursors = `INSERT INTO cursors AS c (consent_id, dataset, account_id, span, position, mid_pass,
	run_id, pass_run, call_id, lacks, since, reported)
SELECT u.consent_id, u.dataset, u.account_id, u.span, u.position, u.mid_pass,
	u.run_id, u.run_id, u.call_id, nullif(u.lacks, ''), u.since, u.reported
FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::int8[], $8::uuid[], $9::text[],
	$10::date[], $11::bytea[])
AS u(consent_id, dataset, account_id, span, position, mid_pass, run_id, call_id, lacks, since, reported)
ON CONFLICT (consent_id, dataset, account_id, span) DO UPDATE SET position = excluded.position,
mid_pass = excluded.mid_pass, version = c.version + 1, run_id = excluded.run_id,
pass_run = CASE WHEN c.mid_pass THEN c.pass_run ELSE excluded.pass_run END, call_id = excluded.call_id, moved_at = now(),
since = coalesce(c.since, excluded.since),
reported = coalesce(excluded.reported, c.reported),
lacks = CASE WHEN NOT c.mid_pass OR c.lacks IS NULL THEN excluded.lacks
	WHEN excluded.lacks IS NULL OR strpos(c.lacks, excluded.lacks) > 0 THEN c.lacks ELSE c.lacks || '; ' || excluded.lacks END`

// tellNoted makes moveCursors tell which consents have notes in absences, so that nobody else need ask. It is left out
// where no page shows records: most pages of a night are as they were, and the question costs as much as the cursor.
const tellNoted = `
RETURNING consent_id, EXISTS (SELECT FROM absences n WHERE n.consent_id = c.consent_id)`

// lockCursors takes the locks that moveCursors takes, in the same order, and gives each stream's last call.
const lockCursors = `INSERT INTO cursors AS c (consent_id, dataset, account_id, span, position, mid_pass)
SELECT u.*, '', false FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[]) AS u
ON CONFLICT (consent_id, dataset, account_id, span) DO UPDATE SET version = c.version RETURNING call_id`

func (a *attempt) moveCursors(ctx context.Context) error {
	last := map[finance.Stream]*page{}
	gaps := map[finance.Stream][]string{}
	for _, p := range a.live {
		last[p.Stream] = p
		if s := p.gaps(); s != "" && !slices.Contains(gaps[p.Stream], s) {
			gaps[p.Stream] = append(gaps[p.Stream], s)
		}
	}
	pages := slices.SortedFunc(maps.Values(last), func(x, y *page) int { return compareStreams(x.Stream, y.Stream) })
	m := &a.streams
	for _, p := range pages {
		m.add(p.Stream)
		m.position = append(m.position, p.Position)
		m.midPass = append(m.midPass, p.MidPass)
		m.run = append(m.run, pg.NullInt(p.Task.Run))
		m.call = append(m.call, p.Call.ID)
		m.gaps = append(m.gaps, strings.Join(gaps[p.Stream], "; "))
		m.since = append(m.since, pg.NullDate(p.Since))
		var reported []byte
		if p.Reported != nil {
			reported = p.Reported.Encode()
		}
		m.reported = append(m.reported, reported)
	}
	args := append(m.args(), m.position, m.midPass, m.run, m.call, m.gaps, m.since, m.reported)
	a.noted = map[int64]bool{}
	if !slices.ContainsFunc(a.live, (*page).showsRecords) {
		if _, err := a.tx.Exec(ctx, moveCursors, args...); err != nil {
			return fmt.Errorf("move the cursors: %w", pg.Describe(err))
		}
		return nil
	}
	rows, err := a.tx.Query(ctx, moveCursors+tellNoted, args...)
	if err != nil {
		return fmt.Errorf("move the cursors: %w", pg.Describe(err))
	}
	var consent int64
	var noted bool
	_, err = pgx.ForEachRow(rows, []any{&consent, &noted}, func() error {
		if noted {
			a.noted[consent] = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("move the cursors: %w", pg.Describe(err))
	}
	return nil
}

// showsRecords says whether the page brings records that are looked at.
func (p *page) showsRecords() bool { return p.Records.Len() > 0 }

// lacks says what of the page we don't have; empty if we have all.
func (p *page) gaps() string {
	if p.missed() > 0 {
		return cmp.Or(pg.Clean(p.Partial), "records that could not be read")
	}
	return pg.Clean(p.Partial)
}

// missed is how many records of the page are in quarantine and accepted by nobody.
func (p *page) missed() (n int) {
	for i := range p.Rejects {
		if !p.Rejects[i].Accepted {
			n++
		}
	}
	return n
}

func compareStreams(x, y finance.Stream) int {
	return cmp.Or(cmp.Compare(x.Consent, y.Consent), cmp.Compare(x.Dataset, y.Dataset),
		cmp.Compare(x.Account, y.Account), cmp.Compare(x.Span, y.Span))
}

// copyRows copies a few rows of the ledger. Unlike the records' own COPY it goes by pgx, which suits one row a page.
func (a *attempt) copyRows(ctx context.Context, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if _, err := a.tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows)); err != nil {
		return fmt.Errorf("write %s: %w", table, pg.Describe(err))
	}
	return nil
}

func (a *attempt) copyCalls(ctx context.Context) error {
	var rows [][]any
	for _, p := range a.live {
		if !p.Call.Durable {
			rows = append(rows, admit.CallRow(p.Call, p.KeptCall))
		}
	}
	return a.copyRows(ctx, "calls", admit.CallColumns, rows)
}

var answerColumns = []string{"call_id", "consent_id", "body_hash", "bytes", "body", "keep_until"}

func (a *attempt) copyAnswers(ctx context.Context) error {
	var rows [][]any
	now := time.Now()
	for _, p := range a.live {
		if p.Keep <= 0 || p.Unchanged || !p.news() {
			continue
		}
		if err := a.seal(p); err != nil {
			return err
		}
		row := []any{[16]byte(p.Call.ID), p.Stream.Consent, p.Hash[:], int32(len(p.Body)), p.sealed, now.Add(p.Keep)}
		if !p.Call.Durable {
			rows = append(rows, row)
			continue
		}
		// The answer of a single-use consent can be read again from the inbox, in another run.
		_, err := a.tx.Exec(ctx, "INSERT INTO answers ("+strings.Join(answerColumns, ", ")+
			") VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (call_id) DO NOTHING", row...)
		if err != nil {
			return fmt.Errorf("keep an answer: %w", pg.Describe(err))
		}
	}
	return a.copyRows(ctx, "answers", answerColumns, rows)
}

// seal seals the body of an answer that is to be kept, once for all attempts.
func (a *attempt) seal(p *page) (err error) {
	if p.sealed == nil {
		if p.sealed, err = a.archive.SealBody(p.Body, p.Call.ID); err != nil {
			return &dataError{err: fmt.Errorf("seal the answer of call %s: %w", p.Call.ID, err)}
		}
	}
	return nil
}

// rememberPages writes nothing for a page without news whose bytes are those remembered, and leaves the call of one
// without news alone: that call's answer is the one kept.
const rememberPages = `INSERT INTO pages AS p (consent_id, dataset, account_id, span, page_key, body_hash, call_id, facts)
SELECT u.consent_id, u.dataset, u.account_id, u.span, u.page_key, u.body_hash, coalesce(k.call_id, u.call_id), u.facts
FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::uuid[], $8::jsonb[], $9::bool[])
AS u(consent_id, dataset, account_id, span, page_key, body_hash, call_id, facts, news)
LEFT JOIN pages k ON NOT u.news AND k.consent_id = u.consent_id AND k.dataset = u.dataset
AND k.account_id = u.account_id AND k.span = u.span AND k.page_key = u.page_key
WHERE k.call_id IS NULL OR k.body_hash <> u.body_hash OR k.facts <> u.facts
ON CONFLICT (consent_id, dataset, account_id, span, page_key)
DO UPDATE SET body_hash = excluded.body_hash, call_id = excluded.call_id, facts = excluded.facts`

const forgetPages = `DELETE FROM pages p USING unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::bytea[])
AS u(consent_id, dataset, account_id, span, page_key) WHERE p.consent_id = u.consent_id AND p.dataset = u.dataset
AND p.account_id = u.account_id AND p.span = u.span AND p.page_key = u.page_key`

type pageName struct {
	stream finance.Stream
	key    finance.PageKey
}

// forgetOthers drops what is remembered of pages whose rows may have come by another page since, so that the same bytes would
// no longer vouch for them: those that a pass, now at its end, has not asked for, and those beside a backfill.
func (a *attempt) forgetOthers(ctx context.Context) error {
	var forget pageKeys
	for _, p := range a.live {
		for _, key := range p.Forget {
			forget.addKey(p.Stream, key)
		}
	}
	if len(forget.key) > 0 {
		if _, err := a.tx.Exec(ctx, forgetPages, forget.args()...); err != nil {
			return fmt.Errorf("forget pages that were not asked for: %w", pg.Describe(err))
		}
	}
	return a.forgetUsual(ctx)
}

const forgetStream = `DELETE FROM pages
WHERE consent_id = $1
AND dataset = $2
AND account_id = $3
AND span = $4`

// forgetUsual drops what is remembered of the nightly pages of a stream whose rows a backfill has written.
func (a *attempt) forgetUsual(ctx context.Context) error {
	done := map[finance.Stream]bool{}
	for _, p := range a.live {
		wrote := p.written.Inserted + p.written.Updated + p.written.Removed
		if p.Stream.Span == "" || wrote == 0 || done[p.Stream] {
			continue
		}
		done[p.Stream] = true
		if _, err := a.tx.Exec(ctx, forgetStream, p.Stream.Consent, p.Stream.Dataset, p.Stream.Account, ""); err != nil {
			return fmt.Errorf("forget the nightly pages of %s: %w", streamName(p.Stream), pg.Describe(err))
		}
	}
	return nil
}

// rememberPages keeps the hashes of pages that may be skipped next time, and forgets the others: an older hash of
// such a page would vouch for rows that have changed since.
func (a *attempt) rememberPages(ctx context.Context) error {
	last := map[pageName]*page{}
	for _, p := range a.live {
		if !p.Unchanged {
			last[pageName{p.Stream, p.Key}] = p
		}
	}
	var keep, forget pageKeys
	var hashes, facts [][]byte
	var calls [][16]byte
	var news []bool
	for _, p := range a.live {
		if last[pageName{p.Stream, p.Key}] != p {
			continue
		}
		if !p.Remember || p.keepsRows() || p.aside > 0 || p.written.Contested > 0 {
			forget.add(p)
			continue
		}
		f, err := json.Marshal(p.Facts)
		if err != nil {
			return fmt.Errorf("%w: remember a page: %w", errInternal, err)
		}
		keep.add(p)
		hashes = append(hashes, p.Hash[:])
		facts = append(facts, f)
		calls = append(calls, p.Call.ID)
		news = append(news, p.news())
	}
	if len(keep.key) > 0 {
		if _, err := a.tx.Exec(ctx, rememberPages, append(keep.args(), hashes, calls, facts, news)...); err != nil {
			return fmt.Errorf("remember the pages: %w", pg.Describe(err))
		}
	}
	if len(forget.key) > 0 {
		if _, err := a.tx.Exec(ctx, forgetPages, forget.args()...); err != nil {
			return fmt.Errorf("forget pages: %w", pg.Describe(err))
		}
	}
	return a.forgetContested(ctx)
}

// forgetContested drops what is remembered of the streams in which a key has two contents on two pages: passed over, the one page
// would leave the word to the other, and nobody would know that there are two.
func (a *attempt) forgetContested(ctx context.Context) error {
	for _, p := range a.live {
		if len(p.contested) == 0 {
			continue
		}
		s := p.Stream
		if _, err := a.tx.Exec(ctx, forgetStream, s.Consent, s.Dataset, s.Account, s.Span); err != nil {
			return fmt.Errorf("forget the pages of a stream with a contested key: %w", pg.Describe(err))
		}
	}
	return nil
}

// pageKeys are keys of pages, one column a slice.
type pageKeys struct {
	streamKeys
	key [][]byte
}

func (k *pageKeys) add(p *page) { k.addKey(p.Stream, p.Key) }

func (k *pageKeys) addKey(s finance.Stream, key finance.PageKey) {
	k.streamKeys.add(s)
	k.key = append(k.key, key[:])
}

func (k *pageKeys) args() []any { return append(k.streamKeys.args(), k.key) }

// SameStream is the condition that rows of the tables a and b are of one stream.
func SameStream(a, b string) string {
	same := ""
	for i, c := range []string{"consent_id", "dataset", "account_id", "span"} {
		if i > 0 {
			same += " AND "
		}
		same += a + "." + c + " = " + b + "." + c
	}
	return same
}
