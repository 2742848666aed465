package persist_test

import (
	"fmt"
	"testing"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/consents"
)

// The connection's number of reads a day is that of all consents that name none, those that are there
// already too, and reads that were made before it was set are counted.
func TestReadsOfAConnection(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	plain := h.consents(t, 1)[0]
	own := h.consents(t, 1, func(c *consents.Import) { c.ReadsPerDay = 6 })[0]
	n := 0
	call := func(consent int64, batch int, dataset finance.Dataset, purpose string, attempt int, ago string) {
		n++
		id := fmt.Sprintf("00000000-0000-0000-0000-%012d", n)
		h.exec(t, `INSERT INTO calls (id, connection, bucket, method, path, waited_us, duration_us, class,
				purpose, batch_id, consent_id, dataset, attempt, sent_at)
			VALUES ($1::uuid, 'bank', 'bank', 'GET', '/', 0, 1, 'ok',
				$2, $3, $4, $5, $6, now() - $7::interval)`,
			id, purpose, batch, consent, string(dataset), attempt, ago)
	}
	call(plain, 1, finance.Accounts, "data", 1, "25 hours") // yesterday's
	call(plain, 2, finance.Accounts, "data", 1, "3 hours")
	call(plain, 2, finance.Accounts, "data", 2, "179 minutes") // again
	call(plain, 2, finance.Accounts, "data", 1, "178 minutes") // the next page
	call(plain, 2, finance.Transactions, "data", 1, "177 minutes")
	call(plain, 2, finance.Transactions, "data", 1, "176 minutes")
	call(plain, 2, finance.Transactions, "status", 1, "175 minutes")
	call(own, 2, finance.Accounts, "data", 1, "3 hours")
	if err := h.Consents.BoundReads(ctx, "nowhere", 4); err == nil {
		t.Error("a connection there is not has a bound")
	}
	reads := func(id int64, want int) {
		t.Helper()
		c, err := h.Consents.ByID(ctx, id)
		if err != nil || c.ReadsPerDay != want {
			t.Errorf("consent %d may be read %d times a day, want %d; %v", id, c.ReadsPerDay, want, err)
		}
	}
	spent := func(id int64, want int64) {
		t.Helper()
		if got := queryInt(t, h.pool, "SELECT count(*) FROM consent_reads WHERE consent_id = $1", id); got != want {
			t.Errorf("%d reads of consent %d are written down, want %d", got, id, want)
		}
	}
	for range 2 {
		must(t, h.Consents.BoundReads(ctx, "bank", 4))
		reads(plain, 4)
		reads(own, 6)
		spent(plain, 3)
		spent(own, 0)
	}
	opening := ask(0)
	opening.Opening, opening.Task = true, calls.Task{Consent: &finance.Consent{ID: plain}}
	for _, want := range []finance.Class{"", finance.Spent} {
		if a := admission(t, h.Store, opening); a.Refusal != want {
			t.Errorf("refused as %+v, want %q", a, want)
		}
	}
	later := h.consents(t, 1)[0]
	reads(later, 4)
	must(t, h.Consents.BoundReads(ctx, "bank", 2))
	reads(plain, 2)
	must(t, h.Consents.BoundReads(ctx, "bank", 0))
	reads(plain, 0)
	reads(later, 0)
	reads(own, 6)
	must(t, h.Consents.BoundReads(ctx, "bank", 3))

	// A list that names a number makes it the consent's own, and an empty cell takes it back.
	list := []consents.Import{{ExternalID: "consent-0", ReadsPerDay: 9}, {ExternalID: "consent-1"}}
	_, err := h.Consents.Import(ctx, "bank", list)
	must(t, err)
	list = []consents.Import{{ExternalID: "consent-2"}}
	_, err = h.Consents.Import(ctx, "bank", list, consents.Keep("reads_per_day"))
	must(t, err)
	must(t, h.Consents.BoundReads(ctx, "bank", 5))
	reads(plain, 9)
	reads(own, 5)
	reads(later, 5)
	if _, err := h.Consents.Give(ctx, "bank", given("consent-1", "")); err != nil {
		t.Fatal(err)
	}
	must(t, h.Consents.BoundReads(ctx, "bank", 7))
	reads(own, 7)

	// Of more reads than the bound as many are written down as it takes: the next one may be when they say.
	must(t, h.Consents.BoundReads(ctx, "bank", 0))
	h.exec(t, "DELETE FROM consent_reads")
	for i := range 5 {
		call(own, 10+i, finance.Debts, "data", 1, fmt.Sprintf("%d minutes", 10*i))
	}
	must(t, h.Consents.BoundReads(ctx, "bank", 2))
	spent(own, 2)
	oldest := queryInt(t, h.pool, "SELECT extract(minute FROM now() - min(at))::int8 FROM consent_reads")
	if oldest != 10 {
		t.Errorf("the second newest is %d minutes old", oldest)
	}
}
