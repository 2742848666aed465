package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"syncer/finance"
	"syncer/persist/queue"
	"syncer/persist/streams"
)

func (a *aggregator) lists(consent string, accounts ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listed[consent] = accounts
}

// Two lists of accounts that are swapped for a night store and remove nothing. The items name the other
// consent, the known accounts are read, and the next night is as ever. What is true after all is taken
// when the stream is reset.
func TestSwappedAnswersStoreNothing(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 3)
	right := func() {
		a.lists("c0", "a1", "a2")
		a.lists("c1", "b1")
		a.lists("c2", "d1")
	}
	right()
	log := &lines{}
	n := a.start(nodeOptions{more: a, log: zerolog.New(log)})
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	numbers := map[string]int{}
	for _, id := range []string{"c0", "c1"} {
		numbers[id] = a.number("SELECT id FROM consents WHERE connection = $1 AND external_id = $2", a.name, id)
	}
	const state = `SELECT account_id || ' ' || call_id || ' ' || coalesce(removed_at::text, 'here')
		FROM accounts ORDER BY 1`
	before := a.texts(state)

	a.lists("c0", "b1")
	a.lists("c1", "a1", "a2")
	a.took()
	night := a.run(n, a.name)
	if diff := cmp.Diff(before, a.texts(state)); diff != "" {
		t.Errorf("the accounts have changed (-before +after):\n%s", diff)
	}
	failed, partial := 0, 0
	for _, item := range night.NotComplete {
		other := numbers["c0"]
		if item.Consent == int64(other) {
			other = numbers["c1"]
		}
		says := fmt.Sprintf("the accounts of consent %d, which is another subject's", other)
		if !strings.Contains(item.Reason, says) {
			t.Errorf("consent %d %s: %s", item.Consent, item.Dataset, item.Reason)
		}
		switch {
		case item.Dataset == finance.Transactions && item.Outcome == finance.Partial:
			partial++
		case item.Dataset == finance.Accounts && item.Class == finance.Malformed && item.Outcome == finance.Failed:
			failed++
		}
	}
	if failed != 2 || partial != 2 || night.Run.Verdict != queue.VerdictPartial {
		t.Errorf("%s, %d failed, %d partial: %+v", night.Run.Verdict, failed, partial, night.NotComplete)
	}
	if said := log.with("another consent's accounts"); len(said) != 2 {
		t.Errorf("the log says it %d times", len(said))
	}
	own := []string{txPath("c0", "a1"), txPath("c0", "a2"), txPath("c1", "b1"), txPath("c2", "d1")}
	for _, path := range a.took() {
		if strings.HasSuffix(path, "tx") && !strings.Contains(strings.Join(own, " "), path) {
			t.Errorf("%s was asked for", path)
		}
	}

	right()
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the night after it is %s: %+v", r.Run.Verdict, r.NotComplete)
	}
	a.lists("c0", "b1")
	_, err := a.store.Streams.ResetStreams(t.Context(), streams.Filter{
		Connection: a.name, Consent: int64(numbers["c0"]), Dataset: finance.Accounts,
	})
	a.must(err)
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("after the reset it is %s: %+v", r.Run.Verdict, r.NotComplete)
	}
	shared := a.number("SELECT count(*) FROM accounts WHERE account_id = 'b1' AND removed_at IS NULL")
	if shared != 2 {
		t.Errorf("%d consents have the account that both list", shared)
	}
}

// The same where the list is read for the transactions alone.
func TestSwappedListsOfTransactionsAreRefused(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 2)
	a.datasets = []finance.Dataset{finance.Transactions}
	a.lists("c0", "a1")
	a.lists("c1", "b1")
	n := a.start(nodeOptions{more: a})
	a.run(n, a.name)
	a.lists("c0", "b1")
	a.took()
	r := a.run(n, a.name)
	if len(r.NotComplete) != 1 || r.NotComplete[0].Outcome != finance.Partial ||
		!strings.Contains(r.NotComplete[0].Reason, "which is another subject's") {
		t.Errorf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	want := []string{txPath("c0", "a1"), "c0/accounts", txPath("c1", "b1"), "c1/accounts"}
	if diff := cmp.Diff(distinct(want), distinct(a.took())); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if n := a.number("SELECT count(*) FROM accounts WHERE removed_at IS NULL"); n != 2 {
		t.Errorf("%d accounts", n)
	}
}
