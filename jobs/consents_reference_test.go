package jobs_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"syncer/finance"
)

// answer is what the reference gets for a consent.
type answer struct {
	consent int64
	call    finance.CallID
	sent    time.Time
	took    time.Duration
	body    []byte
}

// get fetches the answers of n consents, with as many calls in flight as syncer has.
func (l *lender) get(b *testing.B, n int, each func(answer) error) int {
	transport := &http.Transport{MaxIdleConnsPerHost: l.flying, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var group errgroup.Group
	group.SetLimit(l.flying)
	for i := range n {
		group.Go(func() error {
			a := answer{consent: int64(i + 1), call: finance.CallID(uuid.Must(uuid.NewV7())), sent: time.Now()}
			address := fmt.Sprintf("%s/mandates/mandate-%05d/claims", l.url, i)
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, address, nil)
			if err != nil {
				return err
			}
			req.Header.Set("Authorization", "Bearer a-token-of-the-lender")
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			a.body, err = io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				return fmt.Errorf("status %d: %w", resp.StatusCode, err)
			}
			a.took = time.Since(a.sent)
			return each(a)
		})
	}
	must(b, group.Wait())
	return n
}

// download gets the answers and throws them away.
func (l *lender) download(b *testing.B) int {
	return l.get(b, benchConsents, func(answer) error { return nil })
}

// The books of the reference: the same facts as syncer's, in tables of its own.
const referenceTables = `DROP TABLE IF EXISTS ref_calls, ref_answers, ref_debts, ref_cursors, ref_items;
	CREATE TABLE ref_calls (LIKE calls INCLUDING ALL);
	CREATE TABLE ref_answers (consent_id int8 PRIMARY KEY, call_id uuid, body_hash bytea, body bytea);
	CREATE TABLE ref_debts (consent_id int8, debt_id text, creditor text, kind text, balance numeric, original_balance numeric,
		reported_at timestamptz, content_hash bytea, call_id uuid, PRIMARY KEY (consent_id, debt_id));
	CREATE TABLE ref_cursors (consent_id int8 PRIMARY KEY, call_id uuid, moved_at timestamptz, run_id int8);
	CREATE TABLE ref_items (run_id int8, consent_id int8, outcome text, records int, finished_at timestamptz, call_id uuid,
		PRIMARY KEY (run_id, consent_id))`

// referenceCommit writes what is at hand: calls, and of answers that are new their bytes and records; cursors and items.
const referenceCommit = `WITH u AS (
		SELECT * FROM unnest($1::int8[], $2::uuid[], $3::timestamptz[], $4::int8[], $5::bytea[], $6::bytea[], $7::int4[])
		AS u(consent_id, call_id, sent_at, took, hash, body, records)
	), called AS (
		INSERT INTO ref_calls (id, connection, bucket, purpose, run_id, consent_id, dataset, method, path, attempt, sent_at, waited_us,
			duration_us, status, bytes, class)
		SELECT u.call_id, 'lender', 'lender', 'data', $8, u.consent_id, 'debt', 'GET', '/mandates', 1, u.sent_at, 0,
			u.took, 200, length(u.body), 'ok'
		FROM u
	), answered AS (
		INSERT INTO ref_answers AS a (consent_id, call_id, body_hash, body)
		SELECT u.consent_id, u.call_id, u.hash, u.body FROM u
		ON CONFLICT (consent_id) DO UPDATE SET call_id = excluded.call_id, body_hash = excluded.body_hash, body = excluded.body
		WHERE a.body_hash <> excluded.body_hash
	), moved AS (
		INSERT INTO ref_cursors (consent_id, call_id, moved_at, run_id)
		SELECT u.consent_id, u.call_id, now(), $8 FROM u
		ON CONFLICT (consent_id) DO UPDATE SET call_id = excluded.call_id, moved_at = excluded.moved_at, run_id = excluded.run_id
	)
	INSERT INTO ref_items (run_id, consent_id, outcome, records, finished_at, call_id)
	SELECT $8, u.consent_id, 'rows', u.records, now(), u.call_id FROM u`

const referenceRows = `INSERT INTO ref_debts AS d (consent_id, debt_id, creditor, kind, balance, original_balance, reported_at, content_hash, call_id)
	SELECT * FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::numeric[], $7::timestamptz[], $8::bytea[], $9::uuid[])
	ON CONFLICT (consent_id, debt_id) DO UPDATE SET balance = excluded.balance, content_hash = excluded.content_hash
	WHERE d.content_hash <> excluded.content_hash`

// reference is what two nights of n consents cost that keep the same books in the plainest way, with at most so many answers a
// transaction; 0: all that are at hand.
func (l *lender) reference(b *testing.B, n, most int) (got twice) {
	l.exec(b, referenceTables)
	kept := map[int64][32]byte{}
	l.exec(b, "CHECKPOINT")
	got.first = l.measure(b, func() int { return l.referenceNight(b, 1, n, most, kept) })
	l.exec(b, "CHECKPOINT")
	got.unchanged = l.measure(b, func() int { return l.referenceNight(b, 2, n, most, kept) })
	return got
}

// referenceNight fetches all, and has one goroutine commit what is at hand. An answer with the bytes of last time is not decoded.
func (l *lender) referenceNight(b *testing.B, run int64, n, most int, kept map[int64][32]byte) int {
	type handed struct {
		answer
		done chan error
	}
	hand := make(chan handed, benchConsents)
	var writer errgroup.Group
	writer.Go(func() error {
		for first := range hand {
			group := []handed{first}
			for len(group) != most && len(hand) > 0 {
				group = append(group, <-hand)
			}
			answers := make([]answer, len(group))
			for i := range group {
				answers[i] = group[i].answer
			}
			err := l.referenceWrite(b.Context(), run, answers, kept)
			for _, h := range group {
				h.done <- err
			}
		}
		return nil
	})
	l.get(b, n, func(a answer) error {
		h := handed{a, make(chan error, 1)}
		hand <- h
		return <-h.done
	})
	close(hand)
	must(b, writer.Wait())
	return n
}

func (l *lender) referenceWrite(ctx context.Context, run int64, group []answer, kept map[int64][32]byte) error {
	var consents, took []int64
	var calls, recordCalls [][16]byte
	var sent, reported []time.Time
	var hashes, bodies, contents [][]byte
	var counts []int32
	var owners []int64
	var ids, creditors, kinds, balances, originals []string
	for _, a := range group {
		hash := sha256.Sum256(a.body)
		consents = append(consents, a.consent)
		calls = append(calls, a.call)
		sent = append(sent, a.sent)
		took = append(took, a.took.Microseconds())
		hashes = append(hashes, hash[:])
		bodies = append(bodies, a.body)
		counts = append(counts, int32(l.records))
		if kept[a.consent] == hash {
			continue
		}
		kept[a.consent] = hash
		var shown struct {
			Claims []struct {
				ID       string    `json:"claim_id"`
				Creditor string    `json:"creditor"`
				Kind     string    `json:"kind"`
				Owed     string    `json:"owed"`
				Lent     string    `json:"lent"`
				AsOf     time.Time `json:"as_of"`
			} `json:"claims"`
		}
		if err := json.Unmarshal(a.body, &shown); err != nil {
			return err
		}
		for _, c := range shown.Claims {
			content := sha256.Sum256([]byte(c.ID + c.Creditor + c.Kind + c.Owed + c.Lent))
			owners = append(owners, a.consent)
			ids = append(ids, c.ID)
			creditors = append(creditors, c.Creditor)
			kinds = append(kinds, c.Kind)
			balances = append(balances, c.Owed)
			originals = append(originals, c.Lent)
			reported = append(reported, c.AsOf)
			contents = append(contents, content[:])
			recordCalls = append(recordCalls, a.call)
		}
	}
	tx, err := l.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if len(ids) > 0 {
		_, err = tx.Exec(ctx, referenceRows, owners, ids, creditors, kinds, balances, originals, reported, contents, recordCalls)
		if err != nil {
			return err
		}
	}
	if _, err = tx.Exec(ctx, referenceCommit, consents, calls, sent, took, hashes, bodies, counts, run); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
