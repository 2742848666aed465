package write

import (
	"context"
	"fmt"

	"syncer/persist/pg"
)

const noteAbsences = `INSERT INTO absences (consent_id, kind, account_id, record_id, call_id, run_id)
SELECT $1, $2, u.account_id, u.record_id, $3, $4 FROM unnest($5::text[], $6::text[]) AS u(account_id, record_id)
ON CONFLICT DO NOTHING`

// noteAbsent writes down rows that a proven pass lacks for the first time. They stay until another pass lacks them too.
func noteAbsent[T any](ctx context.Context, a *attempt, p *page, k *kind[T], list []missingRow) error {
	if len(list) == 0 {
		return nil
	}
	accounts, records := missingKeys(list)
	_, err := a.tx.Exec(ctx, noteAbsences, p.Stream.Consent, k.table, [16]byte(p.Call.ID), pg.NullInt(p.Task.Run),
		accounts, records)
	if err != nil {
		return fmt.Errorf("note what is missing of %s: %w", k.table, pg.Describe(err))
	}
	p.written.Noted += len(list)
	a.noted[p.Stream.Consent] = true
	return nil
}

const forgetAbsences = `DELETE FROM absences n USING unnest($3::text[], $4::text[]) AS u(account_id, record_id)
WHERE n.consent_id = $1 AND n.kind = $2 AND n.account_id = u.account_id AND n.record_id = u.record_id`

// showRecords takes away the notes of rows that a page shows, whatever it proves: a row that was seen again must be
// lacked twice anew. Only a consent that has notes is asked for them.
func (a *attempt) showRecords(ctx context.Context, p *page) error {
	if !a.noted[p.Stream.Consent] || !p.showsRecords() {
		return nil
	}
	r := &p.Records
	if err := forgetAbsent(ctx, a, p, &accountKind, r.Accounts); err != nil {
		return err
	}
	if err := forgetAbsent(ctx, a, p, &balanceKind, r.Balances); err != nil {
		return err
	}
	if err := forgetAbsent(ctx, a, p, &transactionKind, r.Transactions); err != nil {
		return err
	}
	return forgetAbsent(ctx, a, p, &debtKind, r.Debts)
}

func forgetAbsent[T any](ctx context.Context, a *attempt, p *page, k *kind[T], shown []T) error {
	if len(shown) == 0 {
		return nil
	}
	accounts := make([]string, len(shown))
	records := make([]string, len(shown))
	for i := range shown {
		accounts[i], records[i] = k.noted(&shown[i])
	}
	if _, err := a.tx.Exec(ctx, forgetAbsences, p.Stream.Consent, k.table, accounts, records); err != nil {
		return fmt.Errorf("forget what was missing of %s: %w", k.table, pg.Describe(err))
	}
	return nil
}

// noted is a record's key as its note in absences has it.
func (k *kind[T]) noted(rec *T) (account, record string) {
	key := k.id(rec)
	switch len(k.key) {
	case 1:
		return "", key[0]
	case 2:
		return key[0], key[1]
	}
	return key[0], key[1] + " " + key[2]
}
