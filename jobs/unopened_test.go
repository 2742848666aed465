package jobs_test

import (
	"strings"
	"testing"

	"syncer/persist/consents"
	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// What can't be opened fails its own item with the reason, without a call, and holds up nobody beside
// it: a national id, and the stored answer of a single-use consent.
func TestWhatCantBeOpenedFailsItsItemAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 3}, banksim.Options{Customers: 3, Transactions: 20})
	l.importBank(3)
	l.importNG(3)
	change := func(sql string, args ...any) {
		t.Helper()
		_, err := l.db.Pool.Exec(t.Context(), sql, args...)
		l.must(err)
	}
	change("UPDATE consents SET subject_sealed = 'other bytes' WHERE external_id = 'agreement-1'")
	change("UPDATE consents SET single_use = true WHERE id = $1", l.consent(1).ID)
	change(`INSERT INTO inbox (consent_id, call_id, answered_at, status, body)
		VALUES ($1, gen_random_uuid(), now(), 200, 'other bytes')`, l.consent(1).ID)
	n := l.start(nodeOptions{})
	for job, want := range map[string]struct {
		decided, failed int
		reason          string
	}{
		money: {6, 2, "--replace-national-ids"},
		debt:  {3, 1, "can't be opened"},
	} {
		r := l.run(n, job)
		failed := 0
		for _, item := range r.NotComplete {
			if item.Class != "malformed" || !strings.Contains(item.Reason, want.reason) {
				t.Errorf("%s: %+v", job, item)
			}
			failed++
		}
		if r.Run.Expected != want.decided || failed != want.failed || r.Run.Verdict != queue.VerdictPartial {
			t.Errorf("%s: %d items, %d failed, %s", job, r.Run.Expected, failed, r.Run.Verdict)
		}
	}
	calls := l.number(`SELECT count(*) FROM calls k JOIN consents c ON c.id = k.consent_id
		WHERE c.external_id = 'agreement-1'`)
	if calls != 0 {
		t.Errorf("%d calls were made for the one that can't be opened", calls)
	}
	if n := l.calls(1); n != 0 {
		t.Errorf("%d calls were made for the single-use one, whose answer is there", n)
	}
	// Its list, imported again with that said, opens it.
	list := []consents.Import{
		{ExternalID: "agreement-1", NationalID: l.bank.Customer(1).CustomerID, KeepPlain: true},
	}
	_, err := l.store.Consents.Import(t.Context(), bank, list, consents.ReplaceSubjects())
	l.must(err)
	if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("afterwards: %s, %+v", r.Run.Verdict, r.NotComplete)
	}
}
