package jobs_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/persist/streams"
)

// The ids of debts are made of their creditors.
func byCreditor() []string {
	return []string{"fields: { id: id, creditor", "fields: { id: { hash: [creditor] }, creditor"}
}

// Records whose keys would be made in another way are not asked for, and the log is told once a run. The old key put back is
// all that it takes; so is a dataset of which nothing is stored.
func TestAChangedKeyIsRefused(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 3)
	a.datasets = []finance.Dataset{finance.Debts}
	for i := range 3 {
		a.answers([]string{"c0/debt", "c1/debt", "c2/debt"}[i], debtsOf("a 0 100", "b 0 7"))
	}
	n := a.start(nodeOptions{more: a, batchSize: 1})
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	n.stop()

	a.edits = byCreditor()
	a.took()
	var log bytes.Buffer
	n = a.start(nodeOptions{more: a, batchSize: 1, log: zerolog.New(zerolog.SyncWriter(&log))})
	r := a.run(n, a.name)
	n.stop()
	if r.Run.Verdict != queue.VerdictFailed || len(r.NotComplete) != 3 {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	for _, item := range r.NotComplete {
		for _, says := range []string{"the key of debt over connection aggregator has changed", "Put the old key back",
			"syncer streams reset --connection aggregator --dataset debt --key --yes"} {
			if item.Class != finance.Rejected || !strings.Contains(item.Reason, says) {
				t.Errorf("%q is not said: %+v", says, item)
			}
		}
	}
	if asked := a.took(); len(asked) > 0 {
		t.Errorf("asked for %v", asked)
	}
	if told := strings.Count(log.String(), `"level":"error"`); told != 1 {
		t.Errorf("the log was told %d times:\n%s", told, log.String())
	}

	a.edits = nil
	n = a.start(nodeOptions{more: a})
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("with the old key: %s: %+v", r.Run.Verdict, r.NotComplete)
	}
	n.stop()
	_, err := a.db.Pool.Exec(t.Context(), "WITH gone AS (DELETE FROM debts) DELETE FROM pages")
	a.must(err)
	a.edits = byCreditor()
	n = a.start(nodeOptions{more: a})
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("where nothing is stored: %s: %+v", r.Run.Verdict, r.NotComplete)
	}
}

// resetKeys takes the keys that the description makes now.
func (a *aggregator) resetKeys(datasets ...finance.Dataset) {
	a.Helper()
	o := nodeOptions{}
	o.settle()
	connector := a.connection(a.store, o).Connector
	var resets []streams.KeyReset
	for _, d := range datasets {
		alone := !slices.Contains(datasets, finance.Accounts)
		resets = append(resets, streams.KeyReset{
			Dataset: d, Made: fetch.KeysOf(connector, d).Made, PerAccount: alone && connector.PerAccount(d),
		})
	}
	_, err := a.store.Streams.ResetKeys(a.Context(), a.name, resets)
	a.must(err)
}

// debtPages answers with debts in pages of one. Each is called as its creditor.
func debtPages(names ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &n)
		if n+1 < len(names) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, n+1))
		}
		if len(names) == 0 {
			fmt.Fprint(w, `{"debts": []}`)
			return
		}
		fmt.Fprintf(w, `{"debts": [{"id": "id-%s", "creditor": %q, "balance": 7}]}`, names[n], names[n])
	}
}

// Wherever a worker dies, no state of the tables that anybody can see has rows under both keys, or none at all, and the next
// whole pass replaces the old ones.
func TestOldAndNewKeysAreNeverLiveTogether(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1)
	a.datasets = []finance.Dataset{finance.Debts}
	paged := []string{"records: debts", "records: debts\n    pagination: { link_header: {} }"}
	pages := debtPages("Fjord", "Nord", "Vik")
	a.answers("c0/debt", func(w http.ResponseWriter, r *http.Request) {
		// The page before is committed, so that a worker which dies now breaks a pass in its middle.
		for r.URL.Query().Has("page") && a.number("SELECT count(*) FROM cursors WHERE mid_pass") == 0 {
			<-time.After(time.Millisecond)
		}
		pages(w, r)
	})

	var kill atomic.Pointer[string]
	var nth atomic.Int32
	look := func() {
		both := a.texts(`SELECT count(*) FILTER (WHERE debt_id LIKE 'id-%') || ' old, ' || count(*) FILTER (WHERE debt_id LIKE 'h-%')
			|| ' new' FROM debts WHERE removed_at IS NULL`)
		if !slices.Contains([]string{"3 old, 0 new", "0 old, 3 new"}, both[0]) {
			t.Errorf("live: %s", both[0])
		}
	}
	started := false
	step := func(name string) {
		if started {
			look()
		}
		if at := kill.Load(); at == nil || *at != name || nth.Add(-1) != 0 {
			return
		}
		kill.Store(nil)
		_, err := a.db.Pool.Exec(t.Context(), `UPDATE batches SET fence = fence + 1, state = 'pending', holder = NULL,
			wake_at = clock_timestamp() WHERE state = 'working'`)
		a.must(err)
	}
	night := func(what string, old bool, want queue.Verdict) {
		t.Helper()
		a.edits = slices.Clone(paged)
		if !old {
			a.edits = append(a.edits, byCreditor()...)
		}
		n := a.start(nodeOptions{more: a, step: step})
		defer n.stop()
		r := a.run(n, a.name)
		if r.Run.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", what, r.Run.Verdict, want, r.NotComplete)
		}
		a.kept()
	}
	keys := func() string { return strings.Join(a.texts("SELECT debt_id FROM debts WHERE removed_at IS NULL"), " ") }
	night("the first", true, queue.VerdictComplete)
	started = true
	old := true
	for _, at := range []struct {
		step string
		nth  int32
		want queue.Verdict // a pass that went on in its middle proves nothing
	}{
		{"no", 1, queue.VerdictComplete},
		{"page.decoded", 2, queue.VerdictPartial},
		{"commit.done", 1, queue.VerdictPartial},
		{"keys.replacing", 1, queue.VerdictComplete},
		{"keys.committed", 1, queue.VerdictComplete},
		{"item.deciding", 1, queue.VerdictComplete},
	} {
		before := keys()
		old = !old
		a.edits = slices.Clone(paged)
		if !old {
			a.edits = append(a.edits, byCreditor()...)
		}
		a.resetKeys(finance.Debts)
		if now := keys(); now != before {
			t.Errorf("after the reset %s, want %s", now, before)
		}
		nth.Store(at.nth)
		kill.Store(&at.step)
		night("killed at "+at.step, old, at.want)
		if at.step != "no" && kill.Load() != nil {
			t.Errorf("%s was never reached", at.step)
		}
		kill.Store(nil)
		if at.want == queue.VerdictPartial {
			if now := keys(); now != before {
				t.Errorf("%s: %s without a whole pass, want %s", at.step, now, before)
			}
			night("the night after "+at.step, old, queue.VerdictComplete)
		}
		if now := keys(); now == before || len(strings.Fields(now)) != 3 {
			t.Errorf("%s: %s, before %s", at.step, now, before)
		}
		if left := a.number("SELECT count(*) FROM key_changes") + a.number("SELECT count(*) FROM staged_debts"); left != 0 {
			t.Errorf("%s: %d rows of the change are left", at.step, left)
		}
	}
	// The warehouse sees a removed row and a new one, with the version before in the history.
	const sql = `SELECT count(DISTINCT h.debt_id) FROM debts_history h JOIN debts d USING (consent_id, debt_id)
		WHERE d.removed_at IS NOT NULL AND h.replaced_by = d.call_id`
	if replaced := a.number(sql); replaced != 3 {
		t.Errorf("%d removed rows have their version before in the history", replaced)
	}
}

// daysAgo is a day as the aggregator writes it.
func daysAgo(n int) string { return time.Now().UTC().AddDate(0, 0, -n).Format(time.DateOnly) }

// byText makes the ids of transactions of what they say.
func byText() []string {
	return []string{"\n    fields:\n      id: id", "\n    fields:\n      id: { hash: [booked_on, text] }"}
}

// txDays answers with a transaction on each of the days that are asked for, called by how long ago it was. Days before the
// first one are refused.
func txDays(refuses int, ago ...int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, to := r.URL.Query().Get("from"), r.URL.Query().Get("to")
		if from < daysAgo(refuses) {
			withStatus(http.StatusBadRequest)(w, r)
			return
		}
		var rows []string
		for _, n := range ago {
			if day := daysAgo(n); day >= from && day <= to {
				rows = append(rows, fmt.Sprintf(`{"id": "id-%d", "day": %q, "amount": "-1.00", "currency": "NOK", "text": "%d"}`, n, day, n))
			}
		}
		fmt.Fprintf(w, `{"rows": [%s]}`, strings.Join(rows, ", "))
	}
}

// Of a stream that is asked for by days, rows of days that the pass did not bring keep their old keys: nothing of them is
// there twice. A backfill replaces them. One account that is refused holds up no other.
func TestNewKeysReplaceTheDaysThatWereRead(t *testing.T) {
	t.Parallel()
	const ever = 10_000
	a := newAggregator(t, 1, "a1", "a2", "a3")
	a.dated = true
	live := func(want string) {
		t.Helper()
		got := strings.Join(a.texts(`SELECT account_id || ' ' || text || CASE WHEN transaction_id LIKE 'h-%' THEN ' new' ELSE ' old' END
			FROM transactions WHERE removed_at IS NULL ORDER BY account_id, booked_on`), ", ")
		if got != want {
			t.Errorf("live: %s\nwant: %s", got, want)
		}
		a.kept()
	}
	all := txDays(ever, 600, 100, 2)
	for _, account := range []string{"a1", "a2", "a3"} {
		a.answers(txPath("c0", account), all)
	}
	n := a.start(nodeOptions{more: a})
	job, err := n.Job(a.name)
	a.must(err)
	window := jobs.Windows(finance.DateOf(time.Now().UTC().AddDate(0, 0, -610)), finance.DateOf(time.Now().UTC().AddDate(0, 0, -590)), 90)
	backfill := func() {
		t.Helper()
		plan, err := n.Backfill(t.Context(), job, jobs.BackfillSpec{Windows: window, Again: true})
		a.must(err)
		for _, run := range plan.Runs {
			if r := a.settled(n, run); r.Run.Verdict != queue.VerdictComplete {
				t.Errorf("backfill: %s: %+v", r.Run.Verdict, r.NotComplete)
			}
		}
	}
	night := func(what string, want queue.Verdict) {
		t.Helper()
		if r := a.run(n, a.name); r.Run.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", what, r.Run.Verdict, want, r.NotComplete)
		}
	}
	night("the first", queue.VerdictComplete)
	backfill()
	live("a1 600 old, a1 100 old, a1 2 old, a2 600 old, a2 100 old, a2 2 old, a3 600 old, a3 100 old, a3 2 old")
	n.stop()

	a.edits = byText()
	a.resetKeys(finance.Transactions)
	a.answers(txPath("c0", "a2"), txDays(50, 600, 100, 2))
	a.answers(txPath("c0", "a3"), withStatus(http.StatusForbidden))
	n = a.start(nodeOptions{more: a})
	night("the one after the reset", queue.VerdictPartial)
	live("a1 600 old, a1 100 new, a1 2 new, a2 600 old, a2 100 old, a2 2 new, a3 600 old, a3 100 old, a3 2 old")
	day := func(ago int) finance.Date { return finance.DateOf(time.Now().UTC().AddDate(0, 0, -ago)) }
	left := func(what string, want read.KeysLeft) {
		t.Helper()
		list, err := a.store.Read.KeysLeft(t.Context(), a.name)
		a.must(err)
		want.Dataset = finance.Transactions
		if len(list) != 1 || list[0] != want {
			t.Errorf("%s: %+v, want %+v", what, list, want)
		}
	}
	left("one account waits", read.KeysLeft{Consents: 1, Older: 1, From: day(600), To: day(100)})
	a.answers(txPath("c0", "a3"), all)
	night("the next", queue.VerdictComplete)
	left("none waits", read.KeysLeft{Older: 1, From: day(600), To: day(100)})
	live("a1 600 old, a1 100 new, a1 2 new, a2 600 old, a2 100 old, a2 2 new, a3 600 old, a3 100 new, a3 2 new")
	a.answers(txPath("c0", "a2"), all)
	backfill()
	live("a1 600 new, a1 100 new, a1 2 new, a2 600 new, a2 100 old, a2 2 new, a3 600 new, a3 100 new, a3 2 new")
	if left := a.number("SELECT count(*) FROM key_changes"); left != 1 {
		t.Errorf("%d streams have old keys, want that of a2", left)
	}
	written := a.number("SELECT count(*) FROM transactions_history")
	night("a quiet one", queue.VerdictComplete)
	if more := a.number("SELECT count(*) FROM transactions_history") - written; more != 0 {
		t.Errorf("a quiet night changed %d rows", more)
	}
	n.stop()
	a.history, a.lookback = 700, 650 // a job that looks back further than the one that has replaced them
	n = a.start(nodeOptions{more: a})
	night("one that looks further back", queue.VerdictComplete)
	live("a1 600 new, a1 100 new, a1 2 new, a2 600 new, a2 100 new, a2 2 new, a3 600 new, a3 100 new, a3 2 new")
	if left := a.number("SELECT count(*) FROM key_changes"); left != 0 {
		t.Errorf("%d streams have old keys", left)
	}
}

// Where the keys of accounts change, the transactions of a consent wait for all of its accounts.
func TestNewKeysOfAccounts(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, "a1", "a2", "a3")
	step := func(string) {}
	live := func(want string) {
		t.Helper()
		got := strings.Join(a.texts(`SELECT k || ' ' || count(*) FROM (
				SELECT CASE WHEN account_id LIKE 'h-%' THEN 'new ' ELSE 'old ' END || 'accounts' AS k FROM accounts WHERE removed_at IS NULL
				UNION ALL SELECT CASE WHEN account_id LIKE 'h-%' THEN 'new ' ELSE 'old ' END || 'transactions' FROM transactions
				WHERE removed_at IS NULL) x GROUP BY k ORDER BY k`), ", ")
		if got != want {
			t.Errorf("live: %s, want %s", got, want)
		}
		a.kept()
	}
	night := func(what string, want queue.Verdict) {
		t.Helper()
		n := a.start(nodeOptions{more: a, step: func(name string) { step(name) }})
		defer n.stop()
		if r := a.run(n, a.name); r.Run.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", what, r.Run.Verdict, want, r.NotComplete)
		}
	}
	night("the first", queue.VerdictComplete)
	live("old accounts 3, old transactions 6")

	a.edits = []string{"fields: { id: id, name", "fields: { id: { hash: [name] }, name"}
	a.resetKeys(finance.Accounts, finance.Transactions)
	a.answers("c0/accounts", withStatus(http.StatusInternalServerError))
	a.took()
	night("without a list", queue.VerdictFailed)
	live("old accounts 3, old transactions 6")
	if asked := distinct(a.took()); len(asked) != 1 {
		t.Errorf("asked for %v, want the list alone", asked)
	}
	a.answers("c0/accounts", nil)

	var refused atomic.Value
	refused.Store("")
	step = func(name string) {
		if both := a.number(`SELECT count(*) FROM (SELECT FROM transactions WHERE removed_at IS NULL
			GROUP BY consent_id HAVING count(DISTINCT account_id LIKE 'h-%') > 1) x`); both > 0 {
			t.Errorf("%s: transactions are live under old and new accounts", name)
		}
		if name != "keys.committed" || refused.Load() != "" {
			return
		}
		live("new accounts 3, old transactions 6")
		one := txPath("c0", a.texts("SELECT max(account_id) FROM accounts WHERE removed_at IS NULL")[0])
		refused.Store(one)
		a.answers(one, withStatus(http.StatusForbidden))
	}
	night("one account is refused", queue.VerdictPartial)
	live("new accounts 3, old transactions 6")
	a.answers(refused.Load().(string), func(w http.ResponseWriter, _ *http.Request) { // it is withheld, and not waited for
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code": "RESOURCE_UNKNOWN"}`)
	})
	night("all that are given are read", queue.VerdictComplete)
	live("new accounts 3, new transactions 4")
	if left := a.number("SELECT count(*) FROM key_changes"); left != 0 {
		t.Errorf("%d changes are left", left)
	}
	night("a quiet one", queue.VerdictComplete)
	live("new accounts 3, new transactions 4")
}

// An API that is not asked for days, and does not claim to show all there is, replaces what it shows: from its oldest day on.
// A reset that was a mistake is taken back by another one, and changes no row.
func TestNewKeysReplaceWhatIsShown(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, "a1")
	ids := func() string {
		return strings.Join(a.texts(`SELECT text || ' ' || left(transaction_id, 2) FROM transactions WHERE removed_at IS NULL ORDER BY booked_on`), ", ")
	}
	shows := func(ago ...int) {
		var rows []string
		for _, n := range ago {
			rows = append(rows, fmt.Sprintf(`{"id": "id-%[1]d", "day": %[2]q, "amount": "-1.00", "currency": "NOK", "text": "%[1]d"}`, n, daysAgo(n)))
		}
		a.answers(txPath("c0", "a1"), func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"rows": [%s]}`, strings.Join(rows, ", "))
		})
	}
	step := func(string) {}
	night := func(what string, want queue.Verdict, rows string) {
		t.Helper()
		n := a.start(nodeOptions{more: a, step: func(name string) { step(name) }})
		defer n.stop()
		if r := a.run(n, a.name); r.Run.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", what, r.Run.Verdict, want, r.NotComplete)
		}
		if got := ids(); got != rows {
			t.Errorf("%s: %s, want %s", what, got, rows)
		}
		a.kept()
	}
	shows(90, 30, 3)
	night("the first", queue.VerdictComplete, "90 id, 30 id, 3 id")
	a.edits = byText()
	a.resetKeys(finance.Transactions)
	a.edits = nil
	night("the old key, after the reset", queue.VerdictPartial, "90 id, 30 id, 3 id")
	a.resetKeys(finance.Transactions)
	night("the old key, taken back", queue.VerdictComplete, "90 id, 30 id, 3 id")
	if old := a.number("SELECT count(*) FROM transactions_history"); old != 0 {
		t.Errorf("%d rows were changed by the same keys", old)
	}
	a.edits = byText()
	a.resetKeys(finance.Transactions)
	shows(30, 3, 1)
	night("the new key", queue.VerdictComplete, "90 id, 30 h-, 3 h-, 1 h-")
	shows(30, 3, 1, 0)
	night("the next", queue.VerdictComplete, "90 id, 30 h-, 3 h-, 1 h-, 0 h-")

	// A pass of which something was written before the staging began replaces nothing.
	a.edits = nil
	a.resetKeys(finance.Transactions)
	step = func(name string) {
		if name == "keys.replacing" {
			_, err := a.db.Pool.Exec(t.Context(), "UPDATE key_passes SET since = NULL")
			a.must(err)
		}
	}
	night("half of a pass", queue.VerdictPartial, "90 id, 30 h-, 3 h-, 1 h-, 0 h-")
	step = func(string) {}
	night("a whole pass", queue.VerdictComplete, "90 id, 30 id, 3 id, 1 id, 0 id")
}

// A night in which everybody's list is empty replaces nothing: it is held up by the guard, as on any other night.
func TestAnEmptyListReplacesNothing(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 4)
	a.datasets = []finance.Dataset{finance.Debts}
	answer := func(how http.HandlerFunc) {
		for i := range 4 {
			a.answers(fmt.Sprintf("c%d/debt", i), how)
		}
	}
	night := func(what string, want queue.Verdict, rows int) {
		t.Helper()
		n := a.start(nodeOptions{more: a, batchSize: 1})
		defer n.stop()
		if r := a.run(n, a.name); r.Run.Verdict != want {
			t.Errorf("%s: %s, want %s: %+v", what, r.Run.Verdict, want, r.NotComplete)
		}
		if live := a.number("SELECT count(*) FROM debts WHERE removed_at IS NULL"); live != rows {
			t.Errorf("%s: %d rows, want %d", what, live, rows)
		}
		a.kept()
	}
	answer(debtPages("Fjord"))
	night("the first", queue.VerdictComplete, 4)
	a.edits = byCreditor()
	a.resetKeys(finance.Debts)
	answer(debtPages())
	night("all are empty", queue.VerdictPartial, 2)
	answer(debtPages("Fjord"))
	night("they are back", queue.VerdictComplete, 4)
	if left := a.number("SELECT count(*) FROM debts WHERE removed_at IS NULL AND debt_id NOT LIKE 'h-%'"); left != 0 {
		t.Errorf("%d old keys are live", left)
	}
}

// What a run removed before the keys were replaced does not come back beside the new ones. While the change is open it does
// come back, and is replaced with the others.
func TestUndoneRemovalsComeBackUnderOneKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		order string // E: a night in which all are empty; R: the reset; N: a night; U: undo
		back  streams.RemovalChange
	}{
		"after the replacement":        {"ERNUN", streams.RemovalChange{Rekeyed: 2}},
		"before the replacement":       {"ERUN", streams.RemovalChange{Consents: 2, Records: 2}},
		"of an empty night in between": {"REUN", streams.RemovalChange{Consents: 2, Records: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAggregator(t, 4)
			a.datasets = []finance.Dataset{finance.Debts}
			night := func(how http.HandlerFunc) int64 {
				for i := range 4 {
					a.answers(fmt.Sprintf("c%d/debt", i), how)
				}
				n := a.start(nodeOptions{more: a, batchSize: 1})
				defer n.stop()
				r := a.run(n, a.name)
				a.kept()
				return r.Run.ID
			}
			night(debtPages("Fjord"))
			var empty int64
			for _, do := range c.order {
				switch do {
				case 'E':
					empty = night(debtPages())
				case 'R':
					a.edits = byCreditor()
					a.resetKeys(finance.Debts)
				case 'N':
					night(debtPages("Fjord"))
				case 'U':
					back, err := a.store.Streams.UndoRemovals(t.Context(), empty)
					a.must(err)
					if back != c.back {
						t.Errorf("undone: %+v, want %+v", back, c.back)
					}
				}
			}
			const live = "SELECT count(*) || ', old ' || count(*) FILTER (WHERE debt_id LIKE 'id-%') FROM debts WHERE removed_at IS NULL"
			if got := a.texts(live)[0]; got != "4, old 0" {
				t.Errorf("live: %s, want 4, old 0", got)
			}
			if left := a.number("SELECT count(*) FROM key_changes"); left != 0 {
				t.Errorf("%d changes are left", left)
			}
		})
	}
}

// Reservations that have no day are there once, too, where a backfill up to today comes before the night.
func TestNewKeysOfReservationsWithoutADay(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, "a1")
	a.dated = true
	reserved := []string{"records: rows", `records: [ { path: rows, status: booked }, { path: reserved, status: pending, optional: true } ]
    whole_pending: true`}
	a.answers(txPath("c0", "a1"), func(w http.ResponseWriter, r *http.Request) {
		pending := ""
		if r.URL.Query().Get("to") >= daysAgo(0) {
			pending = `{"id": "id-p", "other": "new-p", "amount": "-2.00", "currency": "NOK", "text": "p"}`
		}
		fmt.Fprintf(w, `{"rows": [{"id": "id-b", "other": "new-b", "day": %q, "amount": "-1.00", "currency": "NOK", "text": "b"}],
			"reserved": [%s]}`, daysAgo(2), pending)
	})
	live := func(what, want string) {
		t.Helper()
		got := strings.Join(a.texts(`SELECT transaction_id FROM transactions WHERE removed_at IS NULL ORDER BY 1`), ", ")
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
		a.kept()
	}
	a.edits = reserved
	n := a.start(nodeOptions{more: a})
	a.run(n, a.name)
	n.stop()
	live("the first", "id-b, id-p")

	a.edits = append(slices.Clone(reserved), "\n    fields:\n      id: id", "\n    fields:\n      id: other")
	a.resetKeys(finance.Transactions)
	n = a.start(nodeOptions{more: a})
	job, err := n.Job(a.name)
	a.must(err)
	backfill := func(first, last int) {
		t.Helper()
		days := jobs.Windows(finance.DateOf(time.Now().UTC().AddDate(0, 0, -first)), finance.DateOf(time.Now().UTC().AddDate(0, 0, -last)), 90)
		plan, err := n.Backfill(t.Context(), job, jobs.BackfillSpec{Windows: days, Again: true})
		a.must(err)
		for _, run := range plan.Runs {
			if r := a.settled(n, run); r.Run.Verdict != queue.VerdictComplete {
				t.Errorf("backfill: %s: %+v", r.Run.Verdict, r.NotComplete)
			}
		}
	}
	backfill(30, 20)
	live("a window that shows none", "id-p, new-b")
	backfill(10, 0)
	live("a window up to today", "new-b, new-p")
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the night: %s: %+v", r.Run.Verdict, r.NotComplete)
	}
	live("the night", "new-b, new-p")
	if left := a.number("SELECT count(*) FROM key_changes"); left != 0 {
		t.Errorf("%d changes are left", left)
	}
}

// Where the booking day is read from another member under the new key, rows at the edges of what was asked for are there once
// all the same: those that the provider shows for a day that the old row does not have, and those that it does not show.
func TestNewKeysWithOtherBookingDays(t *testing.T) {
	t.Parallel()
	const old = "\n      id: id\n      booked_on: day"
	for name, c := range map[string]struct {
		was, is string
		moved   int // the old day, compared to the one that is asked for
	}{
		"the old day was earlier":    {"booked_on: early", "booked_on: day", -3},
		"the old day was later":      {"booked_on: late", "booked_on: day", 3},
		"the new one is earlier":     {"booked_on: day", "booked_on: early", 0},
		"from one side to the other": {"booked_on: late", "booked_on: early", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAggregator(t, 1, "a1")
			a.dated, a.history = true, 100
			a.answers(txPath("c0", "a1"), func(w http.ResponseWriter, r *http.Request) {
				var rows []string
				for n := 1; n < 140; n++ {
					if day := daysAgo(n); day < r.URL.Query().Get("from") || day > r.URL.Query().Get("to") {
						continue
					}
					rows = append(rows, fmt.Sprintf(`{"id": "id-%d", "other": "new-%[1]d", "early": %q, "day": %q, "late": %q,
						"amount": "-1.00", "currency": "NOK", "text": "%[5]d"}`, n, daysAgo(n+3), daysAgo(n), daysAgo(n-3), n/2))
				}
				fmt.Fprintf(w, `{"rows": [%s]}`, strings.Join(rows, ", "))
			})
			live := func(what string, rows int) {
				t.Helper()
				const split = `SELECT substring(transaction_id FROM '[0-9]+$') FROM transactions WHERE removed_at IS NULL
					GROUP BY 1 HAVING count(*) > 1`
				if twice := a.texts(split); len(twice) > 0 {
					t.Errorf("%s: twice are %v", what, twice)
				}
				if got := a.number("SELECT count(*) FROM transactions WHERE removed_at IS NULL"); got != rows {
					t.Errorf("%s: %d rows, want %d", what, got, rows)
				}
				a.kept()
			}
			edit := func(id, day string) []string { return []string{old, "\n      id: " + id + "\n      " + day} }
			a.edits = edit("id", c.was)
			n := a.start(nodeOptions{more: a})
			backfill := func(first, last finance.Date) {
				t.Helper()
				job, err := n.Job(a.name)
				a.must(err)
				plan, err := n.Backfill(t.Context(), job, jobs.BackfillSpec{Windows: jobs.Windows(first, last, 90), Again: true})
				a.must(err)
				for _, run := range plan.Runs {
					if r := a.settled(n, run); r.Run.Verdict != queue.VerdictComplete {
						t.Errorf("backfill: %s: %+v", r.Run.Verdict, r.NotComplete)
					}
				}
			}
			today := finance.DateOf(time.Now().UTC())
			a.run(n, a.name)
			backfill(today.AddDays(-150), today.AddDays(-101))
			live("before", 139)
			n.stop()
			a.edits = edit("other", c.is)
			a.resetKeys(finance.Transactions)
			n = a.start(nodeOptions{more: a})
			a.run(n, a.name)
			live("the night", 139)
			backfill(today.AddDays(-300), today.AddDays(-200)) // ends nothing
			live("a backfill of other days", 139)
			backfill(today.AddDays(-150), today.AddDays(-101))
			live("the backfill", 139)
			if left := a.number("SELECT count(*) FROM key_changes"); left != 0 {
				t.Errorf("%d changes are left", left)
			}
			if left := a.number("SELECT count(*) FROM transactions WHERE removed_at IS NULL AND transaction_id LIKE 'id-%'"); left != 0 {
				t.Errorf("%d old keys are live", left)
			}
		})
	}
}

// What a single-use consent has paid for is not asked for again, so it replaces the old rows whatever is missing from it.
func TestASingleUseAnswerReplacesInAnyCase(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1)
	a.datasets = []finance.Dataset{finance.Debts}
	shows := func(balance string) {
		a.answers("c0/debt", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"debts": [{"id": "1", "creditor": "Fjord", "balance": 7}, {"id": "2", "creditor": "Nord", "balance": 8},
				{"id": "3", "creditor": "Vik", "balance": %s}]}`, balance)
		})
	}
	night := func(want queue.Verdict) {
		t.Helper()
		n := a.start(nodeOptions{more: a})
		defer n.stop()
		if r := a.run(n, a.name); r.Run.Verdict != want {
			t.Errorf("%s, want %s: %+v", r.Run.Verdict, want, r.NotComplete)
		}
	}
	shows("9")
	night(queue.VerdictComplete)
	_, err := a.db.Pool.Exec(t.Context(), "UPDATE consents SET single_use = true") // it was renewed so
	a.must(err)
	a.edits = byCreditor()
	a.resetKeys(finance.Debts)
	shows(`"rubbish"`)
	night(queue.VerdictPartial)
	const live = "SELECT count(*) || ', new ' || count(*) FILTER (WHERE debt_id LIKE 'h-%') FROM debts WHERE removed_at IS NULL"
	if got := a.texts(live)[0]; got != "2, new 2" {
		t.Errorf("live: %s, want 2, new 2", got)
	}
	if left := a.number("SELECT count(*) FROM key_changes") + a.number("SELECT count(*) FROM staged_debts"); left != 0 {
		t.Errorf("%d rows of the change are left", left)
	}
}
