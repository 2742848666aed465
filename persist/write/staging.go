package write

import (
	"context"
	"fmt"

	"syncer/finance"
	"syncer/persist/pg"
)

// Staging says of a page that its stream's rows have keys that are made in another way than those of its records. What it
// brings is staged, and nothing of it is seen in the tables of records until ReplaceKeys has put all of a pass in the place
// of those rows.
type Staging struct {
	Since      finance.Date // the day that the pass was to begin with; on its first page, zero on all others
	Given      finance.Date // the first day that the provider gives, where it has refused older ones
	Dated      bool         // the stream is asked for by days
	Incomplete bool         // the page lacks something that the provider has
	Whole      bool         // it ends a set that is proven whole
}

// stage keeps what the pages bring of streams whose keys are being replaced.
func (a *attempt) stage(ctx context.Context) error {
	for _, p := range a.live {
		if p.Staged == nil {
			continue
		}
		if err := a.stagePage(ctx, p); err != nil {
			return err
		}
		p.compared = true
	}
	return nil
}

func (a *attempt) stagePage(ctx context.Context, p *page) error {
	if p.Opens { // what an earlier pass has staged would add rows that the provider does not show any more
		if err := a.forgetStaged(ctx, p.Stream); err != nil {
			return err
		}
		if err := a.reopenChange(ctx, p.Stream); err != nil {
			return err
		}
	}
	var h finance.Hasher
	r := &p.Records
	if err := stageRecords(ctx, a, p, &accountKind, r.Accounts, &h); err != nil {
		return err
	}
	if err := stageRecords(ctx, a, p, &balanceKind, r.Balances, &h); err != nil {
		return err
	}
	if err := stageRecords(ctx, a, p, &transactionKind, r.Transactions, &h); err != nil {
		return err
	}
	if err := stageRecords(ctx, a, p, &debtKind, r.Debts, &h); err != nil {
		return err
	}
	if err := a.notePass(ctx, p); err != nil {
		return err
	}
	if p.MidPass || p.Whole == nil || p.Whole.Status != "" {
		return nil
	}
	some, err := a.anyStaged(ctx, p.Stream)
	if err != nil || some {
		return err
	}
	return a.remove(ctx, p) // nothing is there to replace the old rows: they go as on any other night, behind the guard
}

// StagedTables are the tables in which a dataset is staged, the one of its records first.
func StagedTables(d finance.Dataset) []string {
	switch d {
	case finance.Accounts:
		return []string{accountKind.staged(), balanceKind.staged()}
	case finance.Transactions:
		return []string{transactionKind.staged()}
	}
	return []string{debtKind.staged()}
}

func (k *kind[T]) staged() string { return "staged_" + k.table }

func (a *attempt) forgetStaged(ctx context.Context, s finance.Stream) error {
	for _, table := range StagedTables(s.Dataset) {
		_, err := a.tx.Exec(ctx, `DELETE FROM `+table+`
			WHERE consent_id = $1 AND stream = $2 AND span = $3`, s.Consent, s.Account, s.Span)
		if err != nil {
			return fmt.Errorf("forget what was staged of %s: %w", streamName(s), pg.Describe(err))
		}
	}
	_, err := a.tx.Exec(ctx, `DELETE FROM key_passes
		WHERE consent_id = $1 AND dataset = $2 AND account_id = $3 AND span = $4`,
		s.Consent, string(s.Dataset), s.Account, s.Span)
	if err != nil {
		return fmt.Errorf("forget what was staged of %s: %w", streamName(s), pg.Describe(err))
	}
	return nil
}

// reopenChange says that a pass is being staged which reads all days anew: also those whose keys were replaced before.
func (a *attempt) reopenChange(ctx context.Context, s finance.Stream) error {
	if s.Span != "" {
		return nil
	}
	_, err := a.tx.Exec(ctx, `UPDATE key_changes SET days = '{(,)}'
		WHERE consent_id = $1 AND dataset = $2 AND account_id IN ('', $3)
			AND NOT upper_inf(days)`, s.Consent, string(s.Dataset), s.Account)
	if err != nil {
		return fmt.Errorf("note that %s is read from the beginning: %w", streamName(s), pg.Describe(err))
	}
	return nil
}

func (a *attempt) anyStaged(ctx context.Context, s finance.Stream) (some bool, err error) {
	err = a.tx.QueryRow(ctx, `SELECT EXISTS (
			SELECT FROM `+StagedTables(s.Dataset)[0]+`
			WHERE consent_id = $1 AND stream = $2 AND span = $3
		)`, s.Consent, s.Account, s.Span).Scan(&some)
	if err != nil {
		return false, fmt.Errorf("look what is staged of %s: %w", streamName(s), pg.Describe(err))
	}
	return some, nil
}

const notePass = `INSERT INTO key_passes AS k
		(consent_id, dataset, account_id, span, since, given, dated, lacks, whole, done)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
	ON CONFLICT (consent_id, dataset, account_id, span) DO UPDATE SET
		since = coalesce(k.since, excluded.since),
		given = coalesce(excluded.given, k.given),
		dated = k.dated OR excluded.dated,
		lacks = k.lacks OR excluded.lacks,
		whole = excluded.whole,
		done = excluded.done`

// notePass notes what the pass covers with the page.
func (a *attempt) notePass(ctx context.Context, p *page) error {
	s := p.Stream
	of := p.Staged
	_, err := a.tx.Exec(ctx, notePass, s.Consent, string(s.Dataset), s.Account, s.Span,
		pg.NullDate(of.Since), pg.NullDate(of.Given), of.Dated, of.Incomplete || p.missed() > 0, of.Whole, !p.MidPass)
	if err != nil {
		return fmt.Errorf("note what the pass of %s covers: %w", streamName(s), pg.Describe(err))
	}
	return nil
}

// stageRecords copies the records of a page into the table where they are staged.
func stageRecords[T any](ctx context.Context, a *attempt, p *page, k *kind[T], records []T, h *finance.Hasher) error {
	if len(records) == 0 {
		return nil
	}
	es := entriesOf(k, p, records, h)
	list := make([]*entry[T], len(es))
	for i := range es {
		list[i] = &es[i]
	}
	return k.copyTo(ctx, a, &copySource[T]{kind: k, entries: list, staged: true})
}
