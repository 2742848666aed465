package consents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
)

var (
	// ErrNotEnded says that a consent is active, so that there is no end to undo.
	ErrNotEnded = errors.New("it is active")
	// ErrValidityOver says that the window of a consent has closed, so that it would end again at once.
	ErrValidityOver = errors.New("its validity is over")
	// ErrEndWasTold says that the provider's feed has told the end of a consent, and when it was: that
	// is no mistake.
	ErrEndWasTold = errors.New("the provider's feed has told its end")
)

// Restore undoes the end of a consent, or the suspicion of one, which was a mistake: it is active again, and so is
// the grant that it was given by. was is how it had ended. It fails, and changes nothing, with ErrNotFound,
// ErrNotEnded, ErrUsedUp, ErrValidityOver or ErrEndWasTold.
func (s *Store) Restore(ctx context.Context, id int64,
	reason string) (was finance.ConsentStatus, err error) {
	err = s.db.InTx(ctx, fmt.Sprintf("restore consent %d", id), func(tx pgx.Tx) error {
		var ended *time.Time
		if was, ended, err = restorable(ctx, tx, id); err != nil {
			return err
		}
		if err := bringBackWithdrawn(ctx, tx, id, ended); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `WITH restored AS (
				UPDATE consents SET status = 'active',
					ended_at = NULL,
					ended_reason = NULL,
					status_asked_at = NULL,
					`+ForgetSuspicion+`
				WHERE id = $1
				RETURNING id
			), regranted AS (
				UPDATE grants SET refused_at = NULL
				WHERE consent_id = $1
			)
			INSERT INTO consent_events (consent_id, at, source, from_status, to_status, reason)
			SELECT id, clock_timestamp(), 'operator', $2, 'active', $3 FROM restored`,
			id, string(was), pg.Clean(reason))
		return err
	})
	return was, err
}

// restorable locks a consent whose end can be undone, and tells how and when it has ended.
func restorable(ctx context.Context, tx pgx.Tx, id int64) (was finance.ConsentStatus, ended *time.Time, err error) {
	var over, told bool
	var until *time.Time
	err = tx.QueryRow(ctx, `SELECT c.status, c.ended_at, least(c.valid_until, c.listed_until),
			coalesce(least(c.valid_until, c.listed_until) <= clock_timestamp(), false),
			coalesce((
				SELECT e.source FROM consent_events e
				WHERE e.consent_id = c.id AND e.to_status = c.status
				ORDER BY e.id DESC LIMIT 1
			) = 'feed', false)
		FROM consents c WHERE c.id = $1
		FOR UPDATE`, id).Scan(&was, &ended, &until, &over, &told)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return was, ended, pg.ErrNotFound
	case err != nil:
		return was, ended, err
	case was == finance.ConsentActive:
		return was, ended, ErrNotEnded
	case was == finance.ConsentConsumed || was == finance.ConsentConsumedUnknown:
		return was, ended, ErrUsedUp
	case told:
		return was, ended, ErrEndWasTold
	case over:
		return was, ended, fmt.Errorf("%w since %s", ErrValidityOver, until.UTC().Format(time.RFC3339))
	}
	return was, ended, nil
}
