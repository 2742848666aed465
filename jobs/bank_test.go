package jobs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// A backfill reads its windows with cursors of their own: the nightly watermark stays where it is, and the rows that
// both read are there once.
func TestBackfillLeavesTheWatermarkAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 1, Transactions: 80})
	l.importBank(1)
	n := l.start(nodeOptions{})
	if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	const nightly = "SELECT dataset || account_id || position || version FROM cursors WHERE span = '' AND dataset = 'transactions' ORDER BY 1"
	watermarks, rows := l.texts(nightly), l.number("SELECT count(*) FROM transactions")

	job, err := n.Job(money)
	l.must(err)
	today := finance.DateOf(l.kit.Clock.Now())
	windows := jobs.Windows(today.AddDays(-120), today.AddDays(-61), 30)
	plan, err := n.Backfill(t.Context(), job, jobs.BackfillSpec{Windows: windows})
	runs := plan.Runs
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for _, run := range runs {
		if r := l.settled(n, run); r.Run.Verdict != queue.VerdictComplete || r.Run.Kind != queue.Backfill {
			t.Errorf("%s: %+v", r.Run.Verdict, r.NotComplete)
		}
	}
	if diff := cmp.Diff(watermarks, l.texts(nightly)); diff != "" {
		t.Errorf("the nightly watermarks moved:\n%s", diff)
	}
	spans := l.texts("SELECT DISTINCT span FROM cursors WHERE span <> '' AND dataset = 'transactions' ORDER BY 1")
	want := []string{windows[0].From.String() + ".." + windows[0].To.String(), windows[1].From.String() + ".." + windows[1].To.String()}
	if diff := cmp.Diff(want, spans); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if n := l.number("SELECT count(*) FROM transactions"); n != rows {
		t.Errorf("%d rows, %d before the backfill", n, rows)
	}
	l.noHistory()
}

// What was reserved one night and is booked the next stands once among the live rows, and twin purchases stand twice.
func TestReservedThenBookedIsOne(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 2, Transactions: 120, Days: 40, Reservations: 3, Twins: true})
	l.importBank(2)
	n := l.start(nodeOptions{})
	night := func(want map[string]int) {
		t.Helper()
		if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
			t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
		}
		got := map[string]int{
			"booked":   l.number("SELECT count(*) FROM transactions WHERE status = 'booked' AND removed_at IS NULL"),
			"reserved": l.number("SELECT count(*) FROM transactions WHERE status = 'pending' AND removed_at IS NULL"),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("live rows (-want +got):\n%s", diff)
		}
	}
	accounts := 0
	for _, c := range l.bank.Customers() {
		accounts += len(c.Accounts)
	}
	night(map[string]int{"booked": accounts * 120, "reserved": accounts * 3})
	if twins := l.number(`SELECT count(*) FROM (SELECT FROM transactions WHERE removed_at IS NULL GROUP BY consent_id, account_id, booked_on, amount, text, purchased_on
		HAVING count(*) > 1) x`); twins == 0 {
		t.Error("there are no twins: the test proves nothing of them")
	}
	for _, c := range l.bank.Customers() {
		for _, a := range c.Accounts {
			l.bank.Book(a.AccountID)
		}
	}
	night(map[string]int{"booked": accounts * 123, "reserved": 0})
	night(map[string]int{"booked": accounts * 123, "reserved": 0})
}

// A reservation that is let go vanishes from the recent list while the archive, whose pages come before it in the pass,
// has the bytes of last night.
func TestAReleasedReservationIsRemoved(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{}, banksim.Options{Customers: 1, Transactions: 60, Days: 40, Reservations: 3})
	l.importBank(1)
	n := l.start(nodeOptions{})
	const pending = "SELECT count(*) FROM transactions WHERE status = 'pending' AND removed_at IS NULL"
	// Two nights: what was unchanged in the second is skipped in the third.
	for range 2 {
		if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
			t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
		}
	}
	before := l.number(pending)
	if !l.bank.Release(l.bank.Customer(0).Accounts[0].AccountID) {
		t.Fatal("nothing was released")
	}
	if r := l.run(n, money); r.Run.Verdict != queue.VerdictComplete {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	if after := l.number(pending); before == 0 || after != before-3 {
		t.Errorf("%d reservations, %d before those of an account were released", after, before)
	}
}

func (l *lab) texts(sql string) (list []string) {
	l.Helper()
	rows, err := l.db.Pool.Query(l.Context(), sql)
	l.must(err)
	for rows.Next() {
		var s string
		l.must(rows.Scan(&s))
		list = append(list, s)
	}
	l.must(rows.Err())
	return list
}
