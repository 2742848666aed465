package consents

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/seal"
)

// Filter chooses consents, in the order of their ids; zero fields choose all.
type Filter struct {
	Connection string
	Status     finance.ConsentStatus
	After      int64 // only consents with a larger id: the next page
	Limit      int   // 0: 100
}

// EventSource is where the news of a consent came from.
type EventSource string

// The sources of consent events.
const (
	FromImport   EventSource = "import"
	FromFeed     EventSource = "feed"
	FromAnswer   EventSource = "answer"
	FromOperator EventSource = "operator"
	FromClock    EventSource = "clock"
	FromStatus   EventSource = "status"
	FromRenewal  EventSource = "renewal" // it goes on under another id
)

// Columns are the columns of consent c that a consentScan reads.
const Columns = `c.id, c.connection, c.external_id, c.subject_hmac, c.subject_sealed, c.status, c.purpose,
	c.scopes, c.valid_from, c.valid_until, c.single_use, coalesce(c.reads_per_day, 0),
	c.renewed_at, c.renewals, c.on_trial,
	c.renewals > 0 AND c.external_id IS DISTINCT FROM (
		SELECT r.old_id FROM renewals r
		WHERE r.consent_id = c.id AND r.old_id IS NOT NULL
		ORDER BY r.id
		LIMIT 1
	)`

// Row is a consent as it is stored; open makes the vocabulary's Consent of it.
type Row struct {
	finance.Consent
	hmac, sealed   []byte
	until, renewed *time.Time
}

// Fields are the scan targets of consentColumns.
func (c *Row) Fields() []any {
	return []any{&c.ID, &c.Connection, &c.ExternalID, &c.hmac, &c.sealed, &c.Status, &c.Purpose, &c.Scopes,
		&c.ValidFrom, &c.until, &c.SingleUse, &c.ReadsPerDay,
		&c.renewed, &c.Renewals, &c.OnTrial, &c.LaterID}
}

// Open unseals the subject. One that can't be opened is no reason to hide the consent, or those that are
// listed with it: the Subject says so, and whoever would call for it asks (finance.Subject.Unopened).
func (c *Row) Open(keys *seal.Sealer) finance.Consent {
	c.ValidUntil, c.RenewedAt = pg.OrZero(c.until), pg.OrZero(c.renewed)
	if c.sealed == nil {
		c.Subject = finance.NewSubject(c.hmac, "", keys.SubjectHMAC)
		return c.Consent
	}
	b, err := keys.Unseal(c.sealed, subjectAAD(c.hmac))
	if err != nil {
		err = fmt.Errorf("the national id of consent %d can't be opened (%w): put the keys that have sealed it "+
			"into the key file, or import the consent again with its national id and --replace-national-ids",
			c.ID, err)
		c.Subject = finance.UnopenedSubject(c.hmac, keys.SubjectHMAC, err)
		return c.Consent
	}
	c.Subject = finance.NewSubject(c.hmac, string(b), keys.SubjectHMAC)
	clear(b)
	return c.Consent
}

func (s *Store) scanConsent(row pgx.CollectableRow) (finance.Consent, error) {
	var c Row
	if err := row.Scan(c.Fields()...); err != nil {
		return finance.Consent{}, err
	}
	return c.Open(s.keys), nil
}

// subjectAAD binds a sealed number to its HMAC: moved to another subject's consent it can't be opened.
func subjectAAD(mac []byte) []byte { return append([]byte("subject:"), mac...) }

// ByID is one consent, or ErrNotFound.
func (s *Store) ByID(ctx context.Context, id int64) (finance.Consent, error) {
	rows, err := s.db.Query(ctx, "SELECT "+Columns+" FROM consents c WHERE c.id = $1", id)
	return pg.OneRow(rows, err, s.scanConsent, fmt.Sprintf("load consent %d", id))
}

// ByExternalID is the consent that the provider knows by this id, or ErrNotFound. One that was renewed is
// found by any id that it had, or that a renewal has named.
func (s *Store) ByExternalID(ctx context.Context, connection, externalID string) (finance.Consent, error) {
	rows, err := s.db.Query(ctx, "SELECT "+Columns+` FROM consents c
		WHERE c.id = (SELECT k.id FROM consent_by_any_id($1, $2) k)`, connection, externalID)
	return pg.OneRow(rows, err, s.scanConsent, "load a consent of "+connection)
}

// List lists consents in the order of their ids.
func (s *Store) List(ctx context.Context, f Filter) ([]finance.Consent, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	rows, err := s.db.Query(ctx, "SELECT "+Columns+` FROM consents c
		WHERE ($1 = '' OR c.connection = $1) AND ($2 = '' OR c.status = $2) AND c.id > $3 ORDER BY c.id LIMIT $4`,
		f.Connection, string(f.Status), f.After, limit)
	return pg.AllRows(rows, err, s.scanConsent, "list the consents")
}

// End is how and why a consent ends.
type End struct {
	Consent int64
	Status  finance.ConsentStatus
	Reason  string
	Source  EventSource
	Call    finance.CallID
	Of      string // the id that was told to be over; empty: the one in force. Of another one nothing is said
}

// EndWithin ends a consent that is active or suspected, and writes its history in the same statement. One that has ended
// stays as it ended first. What a provider tells of one on trial ends the trial alone: the id before may be good yet.
func EndWithin(ctx context.Context, tx pgx.Tx, e End) (changed bool, err error) {
	switch e.Source {
	case FromAnswer, FromStatus, FromFeed:
		back, err := endTrial(ctx, tx, e)
		if back || err != nil {
			return back, err
		}
	}
	tag, err := tx.Exec(ctx, `WITH was AS (
			SELECT id, status FROM consents
			WHERE id = $1 AND status IN ('active', 'suspected') AND ($6 = '' OR external_id = $6)
			FOR NO KEY UPDATE
		), ended AS (
			UPDATE consents c SET status = $2, ended_at = clock_timestamp(), ended_reason = $3, `+endSuspicion+`
			FROM was WHERE c.id = was.id RETURNING c.id, was.status AS was
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
		SELECT id, clock_timestamp(), $4, was, $2, $3, $5 FROM ended`,
		e.Consent, string(e.Status), pg.Clean(e.Reason), string(e.Source), pg.NullID(e.Call), e.Of)
	return tag.RowsAffected() == 1, err
}

// End ends a consent that is active or suspected: no further call is made for it, its rows stay. changed is false
// if it had ended before; then nothing is written.
func (s *Store) End(ctx context.Context, id int64, status finance.ConsentStatus, reason string, source EventSource,
	call finance.CallID) (changed bool, err error) {
	if status == finance.ConsentActive || status == finance.ConsentSuspected {
		return false, fmt.Errorf("end consent %d: %s is not an end", id, status)
	}
	err = s.db.InTx(ctx, fmt.Sprintf("end consent %d", id), func(tx pgx.Tx) error {
		changed, err = EndWithin(ctx, tx, End{Consent: id, Status: status, Reason: reason, Source: source, Call: call})
		if err == nil && source == FromOperator { // a person wants no further call, under whatever id
			err = withdrawRenewals(ctx, tx, "the consent was ended by an operator", id)
		}
		return err
	})
	return changed && err == nil, err
}

// Expire ends the consents whose window has closed by the database's clock, suspected ones too, and gives their
// number. Those of which a renewal waits go on under its id.
func (s *Store) Expire(ctx context.Context) (int, error) {
	// By connection, and by now(), which an index can be asked for: a sweep must not read all consents.
	tag, err := s.db.Exec(ctx, `WITH was AS (
			SELECT c.id, c.status
			FROM connections n
			JOIN consents c ON c.connection = n.name
			WHERE c.status = 'active' AND c.valid_until <= now()
			UNION ALL
			SELECT c.id, c.status
			FROM connections n
			JOIN consents c ON c.connection = n.name
			WHERE c.status = 'suspected' AND c.valid_until <= now()
		), ended AS (
			UPDATE consents c SET status = 'expired', ended_at = c.valid_until, ended_reason = 'its validity ended', `+endSuspicion+`
			FROM was WHERE c.id = was.id
			AND c.status = was.status
			AND c.valid_until <= now()
			RETURNING c.id, was.status AS was
		)
		INSERT INTO consent_events (consent_id, source, from_status, to_status, reason)
		SELECT id, 'clock', was, 'expired', 'its validity ended' FROM ended`)
	if err != nil {
		return 0, fmt.Errorf("expire consents: %w", err)
	}
	if err := s.db.InTx(ctx, "settle the renewals of consents that have ended", func(tx pgx.Tx) error {
		return takeUpEnded(ctx, tx)
	}); err != nil {
		return 0, err
	}
	return int(tag.RowsAffected()), nil
}

// EndAll ends the consents of a connection that have not ended, by an operator's word, and gives their number.
func EndAll(ctx context.Context, tx pgx.Tx, connection, reason string) (int, error) {
	tag, err := tx.Exec(ctx, `WITH was AS (
			SELECT id, status FROM consents
			WHERE connection = $1 AND status IN ('active', 'suspected')
			FOR NO KEY UPDATE
		), ended AS (
			UPDATE consents c SET
				status = 'revoked',
				ended_at = clock_timestamp(),
				ended_reason = $2,
				`+endSuspicion+`
			FROM was
			WHERE c.id = was.id
			RETURNING c.id, was.status AS was
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
		SELECT id, clock_timestamp(), 'operator', was, 'revoked', $2
		FROM ended`, connection, pg.Clean(reason))
	return int(tag.RowsAffected()), err
}
