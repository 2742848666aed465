package persist

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// Act is what somebody has done by a command that changes something.
type Act struct {
	ID      int64
	At      time.Time
	Who     string
	Why     string
	Name    string // the command, such as "consents revoke"
	Kind    string // of the object: connection, consent, run, record, job, keys, database
	Object  string // its name or number; empty: there are several, or there is no need to say
	Details map[string]any
	DoneAt  time.Time // zero: it was broken off, or is still at work

	// Vain is for who makes the change to say that there was nothing to change: then no act is kept.
	Vain bool
}

// Acting makes a change and keeps who has made it, in one transaction. change makes it with the Store
// that it is given, all of whose transactions become parts of this one, and completes the act. Where it
// fails nothing is kept of either.
func (s *Store) Acting(ctx context.Context, act Act, change func(*Store, *Act) error) error {
	return pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		within := s.on(s.db.Within(tx))
		if err := change(within, &act); err != nil || act.Vain {
			return err
		}
		act.ID = 0
		if err := within.writeAct(ctx, &act); err != nil {
			return err
		}
		return within.endAct(ctx, act)
	})
}

// ActingInSteps makes a change that takes several transactions, or is made elsewhere than in the
// database. The act is kept before it begins, so that a change that is broken off has one, and completed
// when it ends. change says with Vain that nothing was changed; a change that fails keeps its act
// otherwise, with "failed" among its details.
func (s *Store) ActingInSteps(ctx context.Context, act Act, change func(*Act) error) error {
	act.ID = 0
	if err := s.writeAct(ctx, &act); err != nil {
		return err
	}
	changed := change(&act)
	// Also for who has been interrupted: what was changed until then has been changed.
	ctx = context.WithoutCancel(ctx)
	var err error
	switch {
	case act.Vain:
		_, err = s.db.Exec(ctx, "DELETE FROM acts WHERE id = $1", act.ID)
	case changed != nil:
		act.tell("failed", true)
		fallthrough
	default:
		err = s.endAct(ctx, act)
	}
	if changed != nil || err == nil {
		return changed
	}
	return fmt.Errorf("it is done, but who did it could not be written down: %w", err)
}

// tell adds to the details.
func (a *Act) tell(key string, value any) {
	if a.Details == nil {
		a.Details = map[string]any{}
	}
	a.Details[key] = value
}

// writeAct keeps an act and gives it its number.
func (s *Store) writeAct(ctx context.Context, act *Act) error {
	err := s.db.QueryRow(ctx, `INSERT INTO acts (who, why, act, kind, object)
		VALUES ($1, $2, $3, $4, $5)
		RETURNING id`, pg.Clean(act.Who), pg.Clean(act.Why), act.Name, act.Kind, pg.Clean(act.Object)).Scan(&act.ID)
	if err != nil {
		return fmt.Errorf("write down who does %s: %w", act.Name, pg.Describe(err))
	}
	return nil
}

// endAct writes what is known of an act when it is through.
func (s *Store) endAct(ctx context.Context, act Act) error {
	details := act.Details
	if details == nil {
		details = map[string]any{}
	}
	_, err := s.db.Exec(ctx, `UPDATE acts SET object = $2, details = $3, done_at = clock_timestamp()
		WHERE id = $1`, act.ID, pg.Clean(act.Object), details)
	if err != nil {
		return fmt.Errorf("write down what came of %s: %w", act.Name, pg.Describe(err))
	}
	return nil
}

// Acts are the last acts, at most so many, the newest first.
func (s *Store) Acts(ctx context.Context, last int) ([]Act, error) {
	rows, err := s.db.Query(ctx, `SELECT id, at, who, why, act, kind, object, details, done_at
		FROM acts ORDER BY id DESC LIMIT $1`, last)
	return pg.AllRows(rows, err, func(row pgx.CollectableRow) (a Act, err error) {
		var done *time.Time
		err = row.Scan(&a.ID, &a.At, &a.Who, &a.Why, &a.Name, &a.Kind, &a.Object, &a.Details, &done)
		a.DoneAt = pg.OrZero(done)
		return a, err
	}, "list the acts")
}
