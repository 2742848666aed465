package persist

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// Refusal is a provider's word that a consent is over, met while an item was worked.
type Refusal struct {
	Connection   string
	Credentials  string // the fingerprint of those that the call was made with
	Batch, Fence int64
	Item         Decided // how the item ends if the word is believed
	Status       finance.ConsentStatus
	Reason       string
}

// Disbelief says when refusals are too many to be true: more than Handful within Window, and either more than Percent of
// all consents of the connection or at least half of its newest calls, are a broken token or a broken provider, not
// revocations. The share of the calls is what finds a large connection out whose calls are slow: in ten minutes it could
// not refuse so many of its consents.
type Disbelief struct {
	Handful, Percent int
	Window           time.Duration
}

// RefuseConsent ends a consent that its provider has refused and decides its item, in one commit. It disbelieves the
// word when the connection is parked, and when too many were refused: then it parks the connection, and the consents
// that answers have ended within the window are active again and their items have failed, so that a rerun takes them.
// A disbelieved refusal gives the reason and leaves the item undecided. parked says that this call has parked the
// connection. It fails with ErrFenced when the batch is another's.
func (s *Store) RefuseConsent(ctx context.Context, r Refusal, d Disbelief) (reason string, parked bool, err error) {
	err = s.inTx(ctx, fmt.Sprintf("end the refused consent %d", r.Item.Consent), func(tx pgx.Tx) error {
		// Refusals of a connection go one by one, or each of two could miss that the other makes them too many.
		err := tx.QueryRow(ctx, `SELECT coalesce(c.parked_reason, (SELECT p.reason FROM credential_parks p
			WHERE p.connection = c.name AND p.credentials = $2), '') FROM connections c WHERE c.name = $1 FOR NO KEY UPDATE OF c`,
			r.Connection, r.Credentials).Scan(&reason)
		if err != nil {
			return err
		}
		if reason != "" {
			return believeGrant(ctx, tx, r.Item.Consent)
		}
		end := consentEnd{r.Item.Consent, r.Status, r.Reason, FromAnswer, r.Item.Call}
		if _, err := endConsent(ctx, tx, end); err != nil {
			return err
		}
		var refused, all, bad, calls int
		if err := tx.QueryRow(ctx, countRefused, r.Connection, micros(d.Window)).Scan(&refused, &all, &bad, &calls); err != nil {
			return err
		}
		if refused <= d.Handful || refused*100 <= all*d.Percent && bad*2 < max(calls, 1) {
			return decideItems(ctx, tx, r.Batch, r.Fence, []Decided{r.Item})
		}
		parked, reason = true, fmt.Sprintf("%d consents refused within %s: a broken token or provider, not revocations; nothing was revoked",
			refused, d.Window)
		return disbelieve(ctx, tx, r.Connection, d.Window, reason)
	})
	return reason, parked && err == nil, err
}

// Ending is a consent that is over by the status its provider gave for it.
type Ending struct {
	Consent int64
	Status  finance.ConsentStatus
	Reason  string
}

// EndByStatus ends the consents that their provider, asked for the statuses of so many, says are over, all or none. It
// disbelieves the word as RefuseConsent does, where the newest calls are those asked: a registry that does not know the
// ids that we have, because they are another environment's, calls every one of them inactive. changed are those that were
// active until now.
func (s *Store) EndByStatus(ctx context.Context, connection string, ended []Ending, asked int, d Disbelief) (changed int, reason string, parked bool, err error) {
	err = s.inTx(ctx, fmt.Sprintf("end %d consents of %s by their statuses", len(ended), connection), func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, "SELECT coalesce(parked_reason, '') FROM connections WHERE name = $1 FOR NO KEY UPDATE",
			connection).Scan(&reason)
		if err != nil || reason != "" {
			return err
		}
		for _, e := range ended {
			now, err := endConsent(ctx, tx, consentEnd{e.Consent, e.Status, e.Reason, FromStatus, finance.CallID{}})
			if err != nil {
				return err
			}
			if now {
				changed++
			}
		}
		var refused, all, bad, calls int
		if err := tx.QueryRow(ctx, countRefused, connection, micros(d.Window)).Scan(&refused, &all, &bad, &calls); err != nil {
			return err
		}
		if refused <= d.Handful || refused*100 <= all*d.Percent && len(ended)*2 < max(asked, 1) {
			return nil
		}
		changed, parked = 0, true
		reason = fmt.Sprintf("%d consents are over by their statuses within %s: ids of another environment, or a broken provider, not revocations; nothing was revoked",
			refused, d.Window)
		return disbelieve(ctx, tx, connection, d.Window, reason)
	})
	return changed, reason, parked && err == nil, err
}

// countRefused counts the consents of a connection that answers or statuses have ended within the window and that are still ended,
// and adds those that are active. Single-use consents that were spent are not refusals. Then it counts the refusals
// among the newest calls for data, and those calls; the ids of calls sort by time, so that it is quick to find them.
const countRefused = `SELECT refused, refused + (SELECT count(*) FROM consents WHERE connection = $1 AND status = 'active'), n.bad, n.calls
FROM (SELECT count(*) FILTER (WHERE k.class = 'consent') AS bad, count(*) AS calls FROM (
	SELECT class FROM (SELECT * FROM calls ORDER BY id DESC LIMIT 5000) newest WHERE connection = $1 AND purpose = 'data'
	AND sent_at > clock_timestamp() - $2 * interval '1 microsecond' LIMIT 100) k) n, (SELECT count(DISTINCT c.id) AS refused FROM consent_events e JOIN consents c ON c.id = e.consent_id
	WHERE e.source IN ('answer', 'status') AND e.at > clock_timestamp() - $2 * interval '1 microsecond'
	AND c.connection = $1 AND c.status = e.to_status AND c.status IN ('revoked', 'expired', 'reauth_required')) x`

const restoreRefused = `WITH wrong AS (
	SELECT c.id, c.status AS was, min(e.at) AS at FROM consent_events e JOIN consents c ON c.id = e.consent_id
	WHERE e.source IN ('answer', 'status') AND e.at > clock_timestamp() - $2 * interval '1 microsecond'
	AND c.connection = $1 AND c.status = e.to_status AND c.status IN ('revoked', 'expired', 'reauth_required') GROUP BY c.id
), restored AS (
	UPDATE consents c SET status = 'active', ended_at = NULL, ended_reason = NULL, status_asked_at = NULL FROM wrong w WHERE c.id = w.id
), regranted AS (
	UPDATE grants g SET refused_at = NULL FROM wrong w WHERE g.consent_id = w.id
), told AS (
	INSERT INTO consent_events (consent_id, source, from_status, to_status, reason) SELECT id, 'answer', was, 'active', $3 FROM wrong
), undone AS (
	UPDATE items i SET outcome = 'failed', class = 'fatal', reason = $3 FROM wrong w
	WHERE i.consent_id = w.id AND i.outcome = 'excused' AND i.finished_at >= w.at RETURNING i.batch_id
)
SELECT DISTINCT r.id, coalesce(r.of_run, r.id) FROM undone u JOIN batches b ON b.id = u.batch_id JOIN runs r ON r.id = b.run_id
WHERE r.verdict IS NOT NULL`

// disbelieve parks a connection, takes back what its refusals have done, and settles anew the runs that had settled
// with them.
func disbelieve(ctx context.Context, tx pgx.Tx, connection string, window time.Duration, reason string) error {
	_, err := tx.Exec(ctx, `UPDATE connections SET state = 'parked', parked_at = clock_timestamp(), parked_class = 'fatal',
		parked_reason = $2 WHERE name = $1`, connection, reason)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, restoreRefused, connection, micros(window), reason)
	if err != nil {
		return err
	}
	settled, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Run, Root int64 }])
	for _, run := range settled {
		if err == nil {
			_, err = tx.Exec(ctx, setVerdict, run.Run)
		}
		if err == nil {
			_, err = tx.Exec(ctx, setRootVerdict, run.Root)
		}
	}
	return err
}
