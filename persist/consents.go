package persist

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// ConsentFilter chooses consents, in the order of their ids; zero fields choose all.
type ConsentFilter struct {
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
)

// ConsentChange is one line of a consent's history.
type ConsentChange struct {
	At     time.Time
	Source EventSource
	From   finance.ConsentStatus // empty: the consent was new
	To     finance.ConsentStatus
	Reason string
	Call   finance.CallID
}

const consentColumns = `c.id, c.connection, c.external_id, c.subject_hmac, c.subject_sealed, c.status, c.purpose,
	c.scopes, c.valid_from, c.valid_until, c.single_use, coalesce(c.reads_per_day, 0)`

// consentScan is a consent as it is stored; open makes the vocabulary's Consent of it.
type consentScan struct {
	finance.Consent
	hmac, sealed []byte
	until        *time.Time
}

// fields are the scan targets of consentColumns.
func (c *consentScan) fields() []any {
	return []any{&c.ID, &c.Connection, &c.ExternalID, &c.hmac, &c.sealed, &c.Status, &c.Purpose, &c.Scopes,
		&c.ValidFrom, &c.until, &c.SingleUse, &c.ReadsPerDay}
}

// open unseals the subject. A subject that can't be opened is an error: without it the provider would be asked for
// nobody, or an answer accepted unchecked.
func (s *Store) open(c consentScan) (finance.Consent, error) {
	plain := ""
	if c.sealed != nil {
		b, err := s.vault.Unseal(c.sealed, subjectAAD(c.hmac))
		if err != nil {
			return finance.Consent{}, fmt.Errorf("open the subject of consent %d: %w", c.ID, err)
		}
		plain = string(b)
		clear(b)
	}
	c.Subject = finance.NewSubject(c.hmac, plain, s.vault.SubjectHMAC)
	c.ValidUntil = orZero(c.until)
	return c.Consent, nil
}

func (s *Store) scanConsent(row pgx.CollectableRow) (finance.Consent, error) {
	var c consentScan
	if err := row.Scan(c.fields()...); err != nil {
		return finance.Consent{}, err
	}
	return s.open(c)
}

// subjectAAD binds a sealed number to its HMAC: moved to another subject's consent it can't be opened.
func subjectAAD(mac []byte) []byte { return append([]byte("subject:"), mac...) }

// Consent is one consent, or ErrNotFound.
func (s *Store) Consent(ctx context.Context, id int64) (finance.Consent, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+consentColumns+" FROM consents c WHERE c.id = $1", id)
	return oneRow(rows, err, s.scanConsent, fmt.Sprintf("load consent %d", id))
}

// ConsentByExternal is the consent that the provider knows by this id, or ErrNotFound.
func (s *Store) ConsentByExternal(ctx context.Context, connection, externalID string) (finance.Consent, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+consentColumns+
		" FROM consents c WHERE c.connection = $1 AND c.external_id = $2", connection, externalID)
	return oneRow(rows, err, s.scanConsent, "load a consent of "+connection)
}

// Consents lists consents in the order of their ids.
func (s *Store) Consents(ctx context.Context, f ConsentFilter) ([]finance.Consent, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	rows, err := s.pool.Query(ctx, "SELECT "+consentColumns+` FROM consents c
		WHERE ($1 = '' OR c.connection = $1) AND ($2 = '' OR c.status = $2) AND c.id > $3 ORDER BY c.id LIMIT $4`,
		f.Connection, string(f.Status), f.After, limit)
	return allRows(rows, err, s.scanConsent, "list the consents")
}

// consentEnd is how and why a consent ends.
type consentEnd struct {
	consent int64
	status  finance.ConsentStatus
	reason  string
	source  EventSource
	call    finance.CallID
}

// endConsent ends an active consent and writes its history in the same statement. One that has ended stays as it
// ended first.
func endConsent(ctx context.Context, tx pgx.Tx, e consentEnd) (changed bool, err error) {
	tag, err := tx.Exec(ctx, `WITH ended AS (
			UPDATE consents SET status = $2, ended_at = clock_timestamp(), ended_reason = $3
			WHERE id = $1 AND status = 'active' RETURNING id
		)
		INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason, call_id)
		SELECT id, clock_timestamp(), $4, 'active', $2, $3, $5 FROM ended`,
		e.consent, string(e.status), clean(e.reason), string(e.source), nullID(e.call))
	return tag.RowsAffected() == 1, err
}

// EndConsent ends an active consent: no further call is made for it, its rows stay. changed is false if it had ended
// before; then nothing is written.
func (s *Store) EndConsent(ctx context.Context, id int64, status finance.ConsentStatus, reason string, source EventSource,
	call finance.CallID) (changed bool, err error) {
	if status == finance.ConsentActive {
		return false, fmt.Errorf("end consent %d: active is not an end", id)
	}
	err = s.inTx(ctx, fmt.Sprintf("end consent %d", id), func(tx pgx.Tx) error {
		changed, err = endConsent(ctx, tx, consentEnd{id, status, reason, source, call})
		return err
	})
	return changed && err == nil, err
}

// ExpireConsents ends the active consents whose window has closed by the database's clock, and gives their number.
func (s *Store) ExpireConsents(ctx context.Context) (int, error) {
	tag, err := s.pool.Exec(ctx, `WITH ended AS (
			UPDATE consents SET status = 'expired', ended_at = valid_until, ended_reason = 'its validity ended'
			WHERE status = 'active' AND valid_until <= clock_timestamp() RETURNING id
		)
		INSERT INTO consent_events (consent_id, source, from_status, to_status, reason)
		SELECT id, 'clock', 'active', 'expired', 'its validity ended' FROM ended`)
	if err != nil {
		return 0, fmt.Errorf("expire consents: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// ConsentHistory is what happened to a consent, oldest first.
func (s *Store) ConsentHistory(ctx context.Context, id int64) ([]ConsentChange, error) {
	rows, err := s.pool.Query(ctx, `SELECT at, source, coalesce(from_status, ''), to_status, reason, call_id
		FROM consent_events WHERE consent_id = $1 ORDER BY at, id`, id)
	return allRows(rows, err, func(row pgx.CollectableRow) (h ConsentChange, err error) {
		var call *[16]byte
		err = row.Scan(&h.At, &h.Source, &h.From, &h.To, &h.Reason, &call)
		h.Call = orZero(call)
		return h, err
	}, fmt.Sprintf("read the history of consent %d", id))
}
