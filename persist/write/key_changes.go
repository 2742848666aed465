package write

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/pg"
)

// replacedPlace is the place of a row that was removed because it stands there under another key. removals undo leaves such
// rows alone.
const replacedPlace = "-2"

// rekeyedPlace is the place of a row that was removed before the keys of its stream were replaced. Brought back by removals
// undo it would stand beside itself, so that leaves it alone, too.
const rekeyedPlace = "-3"

// KeyChange names streams whose rows still have their old keys. An Account that is empty means all streams of the consent
// and dataset.
type KeyChange struct {
	Consent int64
	Dataset finance.Dataset
	Account string
	// Until is the last day of which that is so, of a stream that was read under the new keys from a later day on. Zero: it
	// is so of all that the run may read.
	Until finance.Date
}

// Replacement asks for rows with old keys to be replaced by what is staged.
type Replacement struct {
	Task   calls.Task // of the item that has read them
	Change KeyChange
	Span   string
	// Accounts are those of the streams whose passes are needed, all of them whole; one that is empty where the dataset
	// is read at once.
	Accounts []string
	Whole    bool // a pass must have been proven to show all there is
	// Last says that nothing will be read of these streams again. So the passes replace the rows whatever they lack: what was
	// paid for would stay unseen otherwise.
	Last bool
}

// Replaced is what has become of a Replacement.
type Replaced struct {
	Done bool
	// Why says why it was not done. Empty though it was not: nothing is staged, and an empty list replaces nothing.
	Why string
}

// ReplaceKeys puts what was staged in the place of the rows with old keys, in one commit. Rows of days that the passes did
// not read stay. It is asked again after a break, and then says that it is done.
func (w *Writer) ReplaceKeys(ctx context.Context, r Replacement) (did Replaced, err error) {
	err = pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, planReplace); err != nil {
			return err
		}
		w.step("keys.replacing")
		did, err = newReplacing(tx, r).run(ctx)
		if err != nil {
			return err
		}
		w.step("keys.replaced")
		return nil
	})
	if err != nil && classify(err) == data { // to try again would bring the same
		return Replaced{Why: "the key has changed, and what was read under the new one can't be stored: " + err.Error()}, nil
	}
	if err != nil {
		return Replaced{}, fmt.Errorf("replace the old keys of %s of consent %d: %w", r.Change.Dataset, r.Change.Consent, err)
	}
	w.step("keys.committed")
	return did, nil
}

// planReplace keeps the planner from comparing every row of a stream with every other, and from reading whole tables: what
// was just staged has no statistics, so it takes it for a handful of rows.
const planReplace = `SET LOCAL enable_nestloop = off; SET LOCAL enable_seqscan = off; SET LOCAL jit = off;
SET LOCAL plan_cache_mode = force_custom_plan`

// replacing is one transaction of ReplaceKeys.
type replacing struct {
	Replacement
	tx   pgx.Tx
	args pgx.NamedArgs
	pass stagedPass

	booked bool // what is pending does not matter any more
}

func newReplacing(tx pgx.Tx, r Replacement) *replacing {
	return &replacing{Replacement: r, tx: tx, args: pgx.NamedArgs{
		"batch": r.Task.Batch, "fence": r.Task.Fence, "item": string(r.Task.Dataset),
		"consent": r.Change.Consent, "dataset": string(r.Change.Dataset), "account": r.Change.Account,
		"accounts": r.Accounts, "span": r.Span,
	}}
}

func (x *replacing) run(ctx context.Context) (Replaced, error) {
	open, err := x.lock(ctx)
	if err != nil {
		return Replaced{}, err
	}
	if !open {
		return Replaced{Done: true}, nil
	}
	if err := x.load(ctx); err != nil {
		return Replaced{}, err
	}
	if why := x.missing(); why != "" {
		return Replaced{Why: why}, nil
	}
	if err := x.loadDays(ctx); err != nil {
		return Replaced{}, err
	}
	if err := x.loadEdges(ctx); err != nil {
		return Replaced{}, err
	}
	if x.pass.any {
		if err := x.replace(ctx); err != nil {
			return Replaced{}, err
		}
	} else if left, err := x.live(ctx); err != nil || left {
		return Replaced{}, err
	} else if undoable, err := x.undoable(ctx); err != nil || undoable {
		return Replaced{Done: true}, err
	}
	return Replaced{Done: true}, x.finish(ctx)
}

// exec executes a statement with the arguments that it names.
func (x *replacing) exec(ctx context.Context, sql string) (rows int64, err error) {
	tag, err := x.tx.Exec(ctx, sql, x.args)
	return tag.RowsAffected(), pg.Describe(err)
}

// lock sees to it that nobody else writes these streams. It says whether their keys are still to be replaced.
func (x *replacing) lock(ctx context.Context) (open bool, err error) {
	held, err := x.exec(ctx, `SELECT FROM batches
		WHERE id = @batch AND fence = @fence AND state = 'working'
		FOR SHARE`)
	if err == nil && held == 0 {
		err = pg.ErrFenced
	}
	if err != nil {
		return false, err
	}
	_, err = x.exec(ctx, `SELECT FROM cursors
		WHERE consent_id = @consent
		ORDER BY consent_id, dataset, account_id, span
		FOR UPDATE`)
	if err != nil {
		return false, err
	}
	var reset time.Time
	err = x.tx.QueryRow(ctx, `SELECT since
		FROM key_changes
		WHERE consent_id = @consent AND dataset = @dataset AND account_id = @account
		FOR UPDATE`, x.args).Scan(&reset)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	x.args["reset"] = reset
	return true, err
}

// passes are the streams k that take part, staged their rows s.
const (
	passes = "k.consent_id = @consent AND k.dataset = @dataset AND k.account_id = ANY (@accounts) AND k.span = @span"
	staged = "s.consent_id = @consent AND s.stream = ANY (@accounts) AND s.span = @span"
)

// finish forgets what was staged, and the change itself where no row has an old key any more.
func (x *replacing) finish(ctx context.Context) error {
	if err := x.closeUndo(ctx); err != nil {
		return err
	}
	var left string
	var moved int
	var some bool
	err := x.tx.QueryRow(ctx, `UPDATE key_changes SET days = days - @days::datemultirange
		WHERE consent_id = @consent AND dataset = @dataset AND account_id = @account
		RETURNING days::text, moved, upper_inf(days)`, x.args).Scan(&left, &moved, &some)
	if err != nil {
		return err
	}
	if !some { // the nightly stream is through, and so all reservations are
		x.args["days"], x.args["moved"], x.booked = left, moved, true
		if some, err = x.live(ctx); err != nil {
			return err
		}
	}
	ofChange := func(account, span string) string {
		of := "(@account = '' OR " + account + " = @account)"
		if some {
			of += " AND " + span + " = @span"
		}
		return of
	}
	forget := []string{
		// A stream in the middle of a pass, such as that of an account that is not listed any more, must not go on
		// without what it has staged.
		`DELETE FROM cursors c
			USING key_passes k
			WHERE c.consent_id = @consent
				AND ` + SameStream("c", "k") + `
				AND NOT k.done
				AND k.consent_id = @consent AND k.dataset = @dataset AND ` + ofChange("k.account_id", "k.span"),
		`DELETE FROM key_passes k
			WHERE k.consent_id = @consent AND k.dataset = @dataset AND ` + ofChange("k.account_id", "k.span"),
	}
	for _, table := range StagedTables(x.Change.Dataset) {
		forget = append(forget, `DELETE FROM `+table+` s
			WHERE s.consent_id = @consent AND `+ofChange("s.stream", "s.span"))
	}
	if !some {
		if err := x.closeUndo(ctx); err != nil {
			return err
		}
		forget = append(forget, `DELETE FROM key_changes
			WHERE consent_id = @consent AND dataset = @dataset AND account_id = @account`)
	}
	for _, sql := range forget {
		if _, err := x.exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}
