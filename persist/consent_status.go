package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
)

// consentEnd is the end of one consent and where the news came from.
type consentEnd struct {
	consent int64
	status  finance.ConsentStatus
	reason  string
	source  EventSource
	call    finance.CallID
}

// endConsent ends an active consent and writes the event. changed is false when it had ended before.
func endConsent(ctx context.Context, tx pgx.Tx, e consentEnd) (changed bool, err error) {
	tag, err := tx.Exec(ctx, `WITH ended AS (
			UPDATE consents SET status = $2, ended_at = clock_timestamp(), ended_reason = $3
			WHERE id = $1 AND status = 'active' RETURNING id)
		INSERT INTO consent_events (consent_id, source, from_status, to_status, reason, call_id)
		SELECT id, $4, 'active', $2, $3, $5 FROM ended`, e.consent, string(e.status), clean(e.reason), string(e.source), nullID(e.call))
	return tag.RowsAffected() > 0, err
}

// EndConsent ends a consent. changed is false when it had ended before; its first end stays.
func (s *Store) EndConsent(ctx context.Context, id int64, status finance.ConsentStatus, reason string, source EventSource, call finance.CallID) (changed bool, err error) {
	err = s.inTx(ctx, fmt.Sprintf("end consent %d as %s", id, status), func(tx pgx.Tx) (err error) {
		changed, err = endConsent(ctx, tx, consentEnd{id, status, reason, source, call})
		return err
	})
	return changed, err
}

// ExpireConsents ends the active consents whose window has closed, by the database's clock, and gives their number.
func (s *Store) ExpireConsents(ctx context.Context) (int, error) {
	tag, err := s.pool.Exec(ctx, `WITH ended AS (
			UPDATE consents SET status = 'expired', ended_at = clock_timestamp(), ended_reason = 'its window has closed'
			WHERE status = 'active' AND valid_until <= clock_timestamp() RETURNING id)
		INSERT INTO consent_events (consent_id, source, from_status, to_status, reason)
		SELECT id, 'clock', 'active', 'expired', 'its window has closed' FROM ended`)
	if err != nil {
		return 0, fmt.Errorf("end the consents whose window has closed: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// ApplyConsentEvents applies what a provider's feed said and moves the feed's position, in one transaction. changed
// counts the consents whose status changed. Events of consents that are not ours are passed over; an event that says
// active does not revive a consent which we know has ended, because the feed may be older than that news.
func (s *Store) ApplyConsentEvents(ctx context.Context, connection, position string, events []ConsentEvent) (changed int, err error) {
	err = s.inTx(ctx, "apply the consent events of "+connection, func(tx pgx.Tx) error {
		for _, e := range events {
			if e.Status == finance.ConsentActive {
				continue
			}
			var id int64
			err := tx.QueryRow(ctx, `SELECT id FROM consents WHERE connection = $1 AND external_id = $2`, connection, e.ExternalID).Scan(&id)
			if errors.Is(err, pgx.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			ended, err := endConsent(ctx, tx, consentEnd{id, e.Status, e.Reason, FromFeed, e.Call})
			if err != nil {
				return err
			}
			if ended {
				changed++
			}
		}
		_, err := tx.Exec(ctx, `UPDATE connections SET feed_position = $2, feed_read_at = clock_timestamp() WHERE name = $1`, connection, position)
		return err
	})
	return changed, err
}

// CountRecentRefusals counts the consents of a connection that answers have ended as revoked or expired within the
// window, and those that are active.
func (s *Store) CountRecentRefusals(ctx context.Context, connection string, window time.Duration) (refused, active int, err error) {
	err = s.pool.QueryRow(ctx, `SELECT (SELECT count(DISTINCT c.id) FROM consent_events e JOIN consents c ON c.id = e.consent_id
			WHERE c.connection = $1 AND c.status <> 'active' AND e.source = 'answer' AND e.to_status IN ('revoked', 'expired')
			AND e.at > clock_timestamp() - $2 * interval '1 microsecond'),
		(SELECT count(*) FROM consents WHERE connection = $1 AND status = 'active')`, connection, micros(window)).Scan(&refused, &active)
	if err != nil {
		err = fmt.Errorf("count the refused consents of %s: %w", connection, err)
	}
	return refused, active, err
}

// Consent is the consent of that id, or ErrNotFound.
func (s *Store) Consent(ctx context.Context, id int64) (finance.Consent, error) {
	return s.oneConsent(ctx, fmt.Sprintf("consent %d", id), `c.id = $1`, id)
}

// ConsentByExternal is the consent with the provider's id, or ErrNotFound.
func (s *Store) ConsentByExternal(ctx context.Context, connection, externalID string) (finance.Consent, error) {
	return s.oneConsent(ctx, "a consent of "+connection, `c.connection = $1 AND c.external_id = $2`, connection, externalID)
}

func (s *Store) oneConsent(ctx context.Context, what, where string, args ...any) (finance.Consent, error) {
	list, err := s.selectConsents(ctx, what, `WHERE `+where, args...)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("load %s: %w", what, ErrNotFound)
	}
	if err != nil {
		return finance.Consent{}, err
	}
	return list[0], nil
}

// Consents lists consents in the order of their ids.
func (s *Store) Consents(ctx context.Context, f ConsentFilter) ([]finance.Consent, error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	return s.selectConsents(ctx, "consents", `WHERE ($1 = '' OR c.connection = $1) AND ($2 = '' OR c.status = $2) AND c.id > $3
		ORDER BY c.id LIMIT $4`, f.Connection, string(f.Status), f.After, f.Limit)
}

func (s *Store) selectConsents(ctx context.Context, what, tail string, args ...any) ([]finance.Consent, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+consentColumns+` FROM consents c `+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", what, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (finance.Consent, error) {
		var c consentScan
		if err := row.Scan(c.fields()...); err != nil {
			return finance.Consent{}, err
		}
		return s.open(c)
	})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", what, err)
	}
	return list, nil
}

// ConsentHistory is what happened to a consent, oldest first.
func (s *Store) ConsentHistory(ctx context.Context, id int64) ([]ConsentChange, error) {
	rows, err := s.pool.Query(ctx, `SELECT at, source, coalesce(from_status, ''), to_status, reason, call_id FROM consent_events
		WHERE consent_id = $1 ORDER BY at, id`, id)
	if err != nil {
		return nil, fmt.Errorf("load the history of consent %d: %w", id, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c ConsentChange, err error) {
		var call *[16]byte
		err = row.Scan(&c.At, &c.Source, &c.From, &c.To, &c.Reason, &call)
		if call != nil {
			c.Call = finance.CallID(*call)
		}
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("load the history of consent %d: %w", id, err)
	}
	return list, nil
}
