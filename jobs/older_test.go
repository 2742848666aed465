package jobs_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/queue"
	"syncer/persist/streams"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// debtsOf is an answer with debts, each "id day balance": when in November it was made, and what is owed.
// Day 0: that is not told.
func debtsOf(list ...string) http.HandlerFunc {
	var debts []string
	for _, text := range list {
		var id string
		var day, balance int
		if _, err := fmt.Sscan(text, &id, &day, &balance); err != nil {
			panic(err)
		}
		made := ""
		if day > 0 {
			made = fmt.Sprintf(`"made": "2026-11-%02dT04:00:00Z", `, day)
		}
		const debt = `{"id": %q, %s"creditor": "Fjord", "balance": %d}`
		debts = append(debts, fmt.Sprintf(debt, id, made, balance))
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"debts": [%s]}`, strings.Join(debts, ", "))
	}
}

// An answer that is older than the last one writes nothing and removes nothing, and says so with both
// times. The next newer one is read as usual, and so is the one from before it.
func TestAnOlderAnswerOverwritesNothing(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1)
	a.datasets = []finance.Dataset{finance.Debts}
	n := a.start(nodeOptions{more: a})
	rows := func() []string {
		return a.texts(`SELECT debt_id || ' ' || balance FROM debts WHERE removed_at IS NULL ORDER BY 1`)
	}
	nights := []struct {
		what   string
		answer http.HandlerFunc
		says   []string // of the item; none: the run is complete
		rows   []string
	}{
		{"first", debtsOf("a 1 100", "b 1 100"), nil, []string{"a 100", "b 100"}},
		{"as it was", debtsOf("a 1 100", "b 1 100"), nil, []string{"a 100", "b 100"}},
		{"newer, another content of a alone", debtsOf("a 3 200", "b 3 100", "c 3 7"), nil,
			[]string{"a 200", "b 100", "c 7"}},
		{"older: nothing is written, c stays, what it alone has is not taken",
			debtsOf("a 2 150", "b 2 100", "z 2 1"),
			[]string{"than the last one: 2 of 3", "from 2026-11-03T04:00:00Z to 2026-11-02T04:00:00Z", "nothing"},
			[]string{"a 200", "b 100", "c 7"}},
		{"older, the very same once more",
			debtsOf("a 2 150", "b 2 100", "z 2 1"), []string{"older than the last one"},
			[]string{"a 200", "b 100", "c 7"}},
		{"as it was before", debtsOf("a 3 200", "b 3 100", "c 3 7"), nil, []string{"a 200", "b 100", "c 7"}},
		{"the newest is gone, and the others are as they were",
			debtsOf("a 3 200", "b 3 100"), nil, []string{"a 200", "b 100"}},
		{"newer", debtsOf("a 5 300", "b 5 100"), nil, []string{"a 300", "b 100"}},
		{"one is older: the newer ones are taken, nothing goes", debtsOf("a 4 250", "n 6 9", "m 4 8"),
			[]string{"1 of 3 records has gone back", "only one that is newer"}, []string{"a 300", "b 100", "n 9"}},
		{"newer again", debtsOf("a 7 400", "n 7 9"), nil, []string{"a 400", "n 9"}},
		{"no time is told", debtsOf("a 0 450", "n 0 9"), nil, []string{"a 450", "n 9"}},
		{"older than before that", debtsOf("a 6 390", "n 6 9"), []string{"2 of 2 records have gone back"},
			[]string{"a 450", "n 9"}},
		{"all is paid", debtsOf(), nil, nil},
		{"and again", debtsOf(), nil, nil},
		{"older than before that", debtsOf("n 6 9"), []string{"1 of 1 records has gone back"}, nil},
		{"newer than all", debtsOf("n 8 10"), nil, []string{"n 10"}},
	}
	for _, night := range nights {
		a.answers("c0/debt", night.answer)
		r := a.run(n, a.name)
		want := queue.VerdictComplete
		if len(night.says) > 0 {
			want = queue.VerdictPartial
		}
		if r.Run.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", night.what, r.Run.Verdict, want, r.NotComplete)
		}
		for _, says := range night.says {
			if len(r.NotComplete) != 1 || !strings.Contains(r.NotComplete[0].Reason, says) {
				t.Errorf("%s: %q is not said: %+v", night.what, says, r.NotComplete)
			}
		}
		if diff := cmp.Diff(night.rows, rows()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", night.what, diff)
		}
	}
}

// A provider whose times have gone back for good is read again when its stream is reset.
func TestAResetTakesWhatIsOlder(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1)
	a.datasets = []finance.Dataset{finance.Debts}
	n := a.start(nodeOptions{more: a})
	a.answers("c0/debt", debtsOf("a 9 100"))
	a.run(n, a.name)
	a.answers("c0/debt", debtsOf("a 3 200"))
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictPartial {
		t.Fatalf("%s: nothing is proven of a reset", r.Run.Verdict)
	}
	_, err := a.store.Streams.ResetStreams(t.Context(), streams.Filter{Connection: a.name, Dataset: finance.Debts})
	a.must(err)
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	if owed := a.number("SELECT balance FROM debts"); owed != 200 {
		t.Errorf("%d is owed", owed)
	}
}

// The registry's loans tell when their creditors made them. Answers of another year, with other content,
// change nothing.
func TestTheRegistrysOlderAnswersOverwriteNothing(t *testing.T) {
	t.Parallel()
	const people = 6
	l := newLab(t, ngsim.Options{Consents: people}, banksim.Options{})
	l.importNG(people)
	n := l.start(nodeOptions{})
	l.run(n, debt)
	const state = `SELECT debt_id || ' ' || content_hash::text || ' ' || coalesce(removed_at::text, 'here')
		FROM debts ORDER BY 1`
	before := l.texts(state)
	clear := l.fault(sandbox.Rule{Template: debtTemplate, Action: sandbox.Action{
		Kind: sandbox.Replace, Old: `"timestamp":"20`, New: `"other":"content","timestamp":"19`,
	}})
	night := l.run(n, debt)
	if diff := cmp.Diff(before, l.texts(state)); diff != "" {
		t.Errorf("rows have changed (-before +after):\n%s", diff)
	}
	owing := l.number("SELECT count(DISTINCT consent_id) FROM debts")
	older := 0
	for _, item := range night.NotComplete {
		if item.Outcome == finance.Partial && strings.Contains(item.Reason, "older than the last one") {
			older++
		}
	}
	if older != owing || owing == 0 {
		t.Errorf("%d of %d items say that their answer is older: %+v", older, owing, night.NotComplete)
	}
	clear()
	if r := l.run(n, debt); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the next night is %s: %+v", r.Run.Verdict, r.NotComplete)
	}
	if diff := cmp.Diff(before, l.texts(state)); diff != "" {
		t.Errorf("rows have changed (-before +after):\n%s", diff)
	}
}
