package jobs_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// Items that fail alike have one cause in the tables, in each run; those that fail otherwise have another, and
// those that are whole none.
func TestItemsThatFailAlikeHaveOneCause(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 5}, banksim.Options{})
	l.importNG(5)
	for i, status := range []int{http.StatusBadRequest, http.StatusBadRequest, http.StatusUnprocessableEntity} {
		l.fault(sandbox.Rule{Subject: l.ng.Consent(i).ID, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: status}})
	}
	n := l.start(nodeOptions{})
	for range 2 {
		l.run(n, debt)
	}
	rows, err := l.db.Pool.Query(t.Context(), `SELECT i.cause, i.class, i.reason, coalesce(i.correlation_id, ''), i.call_id
		FROM items i
		WHERE i.outcome = 'failed'`)
	l.must(err)
	var cause int64
	var class finance.Class
	var reason, correlation string
	var call [16]byte
	items := map[int64]int{}
	_, err = pgx.ForEachRow(rows, []any{&cause, &class, &reason, &correlation, &call}, func() error {
		items[cause]++
		kind := finance.KindOf(reason, correlation, finance.CallID(call).String())
		if want := finance.Fingerprint(ng, class, kind); cause != want {
			return fmt.Errorf("an item has the cause %d, want %d: %s (%s)", cause, want, reason, kind)
		}
		return nil
	})
	l.must(err)
	var times []int
	for _, n := range items {
		times = append(times, n)
	}
	if diff := cmp.Diff(map[int]bool{2: true, 4: true}, setOf(times)); diff != "" || len(times) != 2 {
		t.Errorf("items by cause over two runs: %v, want 4 of one and 2 of another", times)
	}
	if n := l.number("SELECT count(*) FROM items WHERE outcome IN ('rows', 'empty') AND cause IS NOT NULL"); n > 0 {
		t.Errorf("%d items that are whole have a cause", n)
	}
	l.kept()
}

func setOf(numbers []int) map[int]bool {
	set := map[int]bool{}
	for _, n := range numbers {
		set[n] = true
	}
	return set
}
