package consents

import (
	"context"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

// onRenewals does what events say of ids that are not the one that a consent goes by for good, and gives the others. A
// renewal is seldom open, so mostly it only looks.
func onRenewals(ctx context.Context, tx pgx.Tx, connection string, events []Event) ([]Event, error) {
	var open bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (
			SELECT FROM renewals r JOIN consents c ON c.id = r.consent_id
			WHERE r.state IN ('waiting', 'trial') AND c.connection = $1
		)`, connection).Scan(&open)
	if err != nil || !open {
		return events, err
	}
	var others []Event
	for _, e := range events {
		done, err := onRenewal(ctx, tx, connection, e)
		if err != nil {
			return nil, err
		}
		if !done {
			others = append(others, e)
		}
	}
	return others, nil
}

func onRenewal(ctx context.Context, tx pgx.Tx, connection string, e Event) (done bool, err error) {
	if e.Status == finance.ConsentActive {
		return false, nil
	}
	rows, err := tx.Query(ctx, `SELECT r.id, r.consent_id, r.state, r.new_id = $2
		FROM consent_ids k
		JOIN renewals r ON r.consent_id = k.consent_id AND r.state IN ('waiting', 'trial')
		WHERE k.connection = $1
		AND k.external_id = $2
		AND (r.new_id = $2 OR r.state = 'trial' AND r.old_id = $2)`,
		connection, pg.Clean(e.ExternalID))
	if err != nil {
		return false, err
	}
	type openRenewal struct {
		ID, Consent int64
		State       string
		New         bool // the event is of the id that the renewal brings
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[openRenewal])
	if err != nil || len(list) == 0 {
		return false, err
	}
	r := list[0]
	switch {
	case r.State == "waiting":
		err = giveUpWaiting(ctx, tx, "the provider's feed has told its end: "+e.Reason, r.Consent)
	case r.New:
		_, err = putBack(ctx, tx, TrialEnd{Consent: r.Consent, ExternalID: e.ExternalID, Reason: e.Reason, Named: true,
			Call: e.Call}, "")
	default: // if the new one is refused, there is none to go back to
		_, err = tx.Exec(ctx, `UPDATE renewals SET terms = terms || jsonb_build_object(
				'status', $2::text, 'ended_at', clock_timestamp(), 'ended_reason', $3::text, 'suspected_until', NULL,
				'suspected_as', NULL, 'suspected_reason', NULL, 'suspected_dataset', NULL, 'held_at', NULL, 'held_told', false)
			WHERE id = $1`, r.ID, string(e.Status), pg.Clean(e.Reason))
	}
	return true, err
}
