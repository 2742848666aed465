package jobs_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// renewalLab is an aggregator with one person, whose consents tell the same under whatever id.
func renewalLab(t *testing.T) (*aggregator, *node) {
	t.Helper()
	return renewalLabOf(t, newAggregator(t, 1, "a1", "a2"), nodeOptions{})
}

func renewalLabOf(t *testing.T, a *aggregator, o nodeOptions) (*aggregator, *node) {
	t.Helper()
	for _, id := range []string{"c0", "r0", "r1"} {
		a.listed[id] = []string{"a1", "a2"}
		for _, account := range a.listed[id] {
			a.answer[txPath(id, account)] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(rowsOf(account)))
			}
		}
	}
	o.more = a
	n := a.start(o)
	if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
		t.Fatalf("the first night: %+v", r)
	}
	a.took()
	return a, n
}

// renew imports that an id renews another one.
func (a *aggregator) renew(id, renews string) consents.ImportResult {
	a.Helper()
	r, err := a.store.Consents.Import(a.Context(), a.name, []consents.Import{{ExternalID: id, Renews: renews}})
	a.must(err)
	if r.Renewed+r.Renewing != 1 {
		a.Fatalf("renew %s: %+v", renews, r)
	}
	return r
}

func (a *aggregator) end(id string) {
	a.Helper()
	c, err := a.store.Consents.ByExternalID(a.Context(), a.name, id)
	a.must(err)
	_, err = a.store.Consents.End(a.Context(), c.ID, finance.ConsentRevoked, "told", consents.FromFeed, finance.CallID{})
	a.must(err)
}

// numbers checks what the database counts.
func (a *aggregator) numbers(want map[string]int) {
	a.Helper()
	for sql, n := range want {
		if got := a.number(sql); got != n {
			a.Errorf("%s: %d, want %d", sql, got, n)
		}
	}
}

// asIfNothing checks that the tables hold what they held before: no row twice, no history, no position anew.
func (a *aggregator) asIfNothing(runs int) {
	a.Helper()
	a.numbers(map[string]int{
		"SELECT count(*) FROM accounts WHERE removed_at IS NULL":        2,
		"SELECT count(*) FROM transactions WHERE removed_at IS NULL":    4,
		"SELECT count(*) FROM accounts":                                 2,
		"SELECT count(*) FROM transactions":                             4,
		"SELECT count(*) FROM accounts_history":                         0,
		"SELECT count(*) FROM transactions_history":                     0,
		"SELECT count(*) FROM absences":                                 0,
		"SELECT count(*) FROM cursors WHERE NOT mid_pass":               3,
		"SELECT count(*) FROM consents WHERE connection = 'aggregator'": 1,
		"SELECT count(*) FROM runs WHERE verdict = 'complete'":          runs,
		"SELECT count(*) FROM renewals WHERE state = 'trial'":           0,
	})
	a.kept()
}

// under are the ids that were called for, in order.
func under(paths []string) []string {
	var ids []string
	for _, p := range paths {
		if p != "ping" {
			ids = append(ids, strings.Split(p, "/")[0])
		}
	}
	return slices.Compact(ids)
}

func TestARenewedConsentGoesOnAsIfNothingHadHappened(t *testing.T) {
	t.Parallel()
	type lab struct {
		*aggregator
		*node
	}
	night := func(l lab) { l.aggregator.run(l.node, l.name) }
	for name, test := range map[string]struct {
		do    func(lab)
		under []string
		runs  int
	}{
		"before its end": {func(l lab) {
			l.renew("r0", "c0")
			night(l)
		}, []string{"r0"}, 2},
		"after its end": {func(l lab) {
			l.end("c0")
			l.renew("r0", "c0")
			night(l)
		}, []string{"r0"}, 2},
		"twice": {func(l lab) {
			l.renew("r0", "c0")
			night(l)
			l.renew("r1", "c0")
			l.end("r0")
			night(l)
		}, []string{"r0", "r1"}, 3},
		"twice before it is tried": {func(l lab) {
			l.renew("r0", "c0")
			l.renew("r1", "r0")
			night(l)
		}, []string{"r1"}, 2},
		"refused, in the list": {func(l lab) {
			l.answers("r0/accounts", withStatus(http.StatusForbidden))
			l.renew("r0", "c0")
			night(l)
			night(l) // and not tried again that soon
			l.answers("r0/accounts", nil)
			_, err := l.db.Pool.Exec(l.Context(), "UPDATE renewals SET not_before = clock_timestamp()")
			l.must(err)
			night(l)
		}, []string{"r0", "c0", "r0"}, 4},
		"the old one is refused before it is tried": {func(l lab) {
			l.renew("r0", "c0")
			_, err := l.db.Pool.Exec(l.Context(), "UPDATE renewals SET not_before = 'infinity'")
			l.must(err)
			l.answers("c0/accounts", func(w http.ResponseWriter, r *http.Request) {
				_, err := l.db.Pool.Exec(l.Context(), "UPDATE renewals SET not_before = '-infinity'")
				l.must(err)
				withStatus(http.StatusForbidden)(w, r)
			})
			night(l)
		}, []string{"c0", "r0"}, 2},
		"in the middle of a run": {func(l lab) {
			l.answers("c0/accounts", func(w http.ResponseWriter, _ *http.Request) {
				l.end("c0")
				l.renew("r0", "c0")
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"accounts": [{"id": "a1", "name": "a1", "currency": "NOK"}, ` +
					`{"id": "a2", "name": "a2", "currency": "NOK"}]}`))
			})
			night(l)
		}, []string{"c0", "r0"}, 2},
		"a late refusal of the old id": {func(l lab) {
			l.answers("c0/accounts", func(w http.ResponseWriter, r *http.Request) {
				l.end("c0")
				l.renew("r0", "c0")
				withStatus(http.StatusForbidden)(w, r)
			})
			night(l)
		}, []string{"c0", "r0"}, 2},
		"a late refusal of an account under the old id": {func(l lab) {
			l.answers(txPath("c0", "a2"), func(w http.ResponseWriter, r *http.Request) {
				l.end("c0")
				l.renew("r0", "c0")
				withStatus(http.StatusNotFound)(w, r)
			})
			night(l)
		}, []string{"c0", "r0"}, 2},
		"in the middle of a pass, whose next page is linked under the old id": {func(l lab) {
			paged := func(id string, second http.HandlerFunc) {
				path := txPath(id, "a1")
				l.answers(path, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Query().Get("page") == "2" {
						second(w, r)
						return
					}
					w.Header().Set("Link", fmt.Sprintf(`<%s/v1/%s?page=2>; rel="next"`, l.url, path))
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(rowsOf("a1")))
				})
			}
			paged("c0", withStatus(http.StatusBadGateway))
			night(l)
			if n := l.number("SELECT count(*) FROM cursors WHERE mid_pass AND position LIKE '%c0%'"); n != 1 {
				l.Errorf("%d passes have broken off at a link", n)
			}
			paged("r0", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"rows": []}`))
			})
			l.end("c0")
			l.renew("r0", "c0")
			night(l)
		}, []string{"c0", "r0"}, 2},
		"nothing but bad moments under the new id": {func(l lab) {
			l.answers("r0/accounts", withStatus(http.StatusBadGateway))
			l.renew("r0", "c0")
			night(l)
			l.answers("r0/accounts", nil)
			_, err := l.db.Pool.Exec(l.Context(), "UPDATE renewals SET not_before = clock_timestamp()")
			l.must(err)
			night(l)
		}, []string{"r0", "c0", "r0"}, 3},
		"in the middle of a run, before its end": {func(l lab) {
			l.answers("c0/accounts", func(w http.ResponseWriter, _ *http.Request) {
				l.renew("r0", "c0")
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"accounts": [{"id": "a1", "name": "a1", "currency": "NOK"}, ` +
					`{"id": "a2", "name": "a2", "currency": "NOK"}]}`))
			})
			night(l)
			night(l)
		}, []string{"c0", "r0"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, n := renewalLab(t)
			test.do(lab{a, n})
			if got := under(a.took()); !slices.Equal(got, test.under) {
				t.Errorf("called under %v, want %v", got, test.under)
			}
			a.asIfNothing(test.runs)
		})
	}
}

// An id that is turned away for its rate is answered by nothing but bad moments: the one before goes on in the same night.
// A pause is of the id that it was told for, and holds up no other one.
func TestAnIDIsTurnedAwayForItsRate(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]http.HandlerFunc{
		"alone, for hours": spent("7200", false, nil),
		"without an end":   withStatus(http.StatusTooManyRequests),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAggregator(t, 1, "a1", "a2")
			a.rules = ", { code: SPENT, class: throttled, pauses: consent }"
			a, n := renewalLabOf(t, a, nodeOptions{maxWait: 300 * time.Millisecond})
			again := func() {
				_, err := a.db.Pool.Exec(t.Context(), "UPDATE renewals SET not_before = clock_timestamp()")
				a.must(err)
				_, err = a.db.Pool.Exec(t.Context(), "UPDATE batches SET wake_at = now() WHERE state = 'parked'")
				a.must(err)
			}
			a.answers("r0/accounts", away)
			a.renew("r0", "c0")
			run := a.fire(n, a.name)
			a.eventually("the old id is back", func() bool {
				return a.number("SELECT count(*) FROM renewals WHERE state = 'waiting' AND reason <> ''") == 1
			})
			_, err := a.db.Pool.Exec(t.Context(), "UPDATE gates SET not_before = now()")
			a.must(err)
			a.eventually("the run is over", func() bool {
				_, err := a.db.Pool.Exec(t.Context(), "UPDATE batches SET wake_at = now() WHERE state = 'parked'")
				a.must(err)
				return a.number("SELECT count(*) FROM runs WHERE id = $1 AND verdict = 'complete'", run.ID) == 1
			})
			if got := under(a.took()); !slices.Equal(got, []string{"r0", "c0"}) {
				t.Errorf("called under %v", got)
			}
			if name != "alone, for hours" {
				a.asIfNothing(2)
				return
			}
			again() // while its pause lasts it is not called, and the old one is
			a.answers("r0/accounts", nil)
			a.run(n, a.name)
			if got := under(a.took()); !slices.Equal(got, []string{"c0"}) {
				t.Errorf("while the new one is paused: called under %v", got)
			}
			_, err = a.db.Pool.Exec(t.Context(), "DELETE FROM lone_gates")
			a.must(err)
			a.answers("c0/accounts", away) // and the other way round, over a third id
			again()
			_, err = a.db.Pool.Exec(t.Context(), "UPDATE renewals SET not_before = 'infinity'")
			a.must(err)
			a.run(n, a.name)
			a.renew("r1", "c0")
			a.run(n, a.name)
			if got := under(a.took()); !slices.Equal(got, []string{"c0", "r1"}) {
				t.Errorf("while the old one is paused: called under %v", got)
			}
		})
	}
}

// A process that dies on trial leaves it to the next one: before the answer is known, or right behind it.
func TestATrialOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"renewed.tried", "renewed.answered", "item.deciding"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			a, n := renewalLab(t)
			n.stop()
			wake, asleep := make(chan struct{}), make(chan struct{})
			var once sync.Once
			sleeper := a.start(nodeOptions{more: a, mute: true, step: func(step string) {
				if step == at {
					once.Do(func() {
						close(asleep)
						<-wake
					})
				}
			}})
			a.renew("r0", "c0")
			run := a.fire(sleeper, a.name)
			<-asleep
			a.lapse()
			a.settled(a.start(nodeOptions{more: a}), run)
			close(wake)
			sleeper.stop()
			if got := under(a.took()); !slices.Equal(got, []string{"r0"}) {
				t.Errorf("called under %v", got)
			}
			a.asIfNothing(2)
		})
	}
}

// Accounts that have other ids after a renewal go on as they were where the description says what stays; without that
// they are new, the report says so, and the old ones are looked for once more before they are removed.
func TestAccountsWhoseIDsChangeAtARenewal(t *testing.T) {
	t.Parallel()
	list := func(ids ...string) http.HandlerFunc {
		var rows []string
		for i, id := range ids {
			rows = append(rows, fmt.Sprintf(`{"id": %q, "name": "n%d", "currency": "NOK", "iban": "NO%d"}`, id, i, i))
		}
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"accounts": [%s]}`, strings.Join(rows, ", "))
		}
	}
	rows := func(account string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(rowsOf(account)))
		}
	}
	for _, sameAs := range []bool{true, false} {
		t.Run(fmt.Sprint("same_as ", sameAs), func(t *testing.T) {
			t.Parallel()
			a := newAggregator(t, 1)
			if sameAs {
				a.accounts = "\n    same_as: iban"
			}
			a.answers("c0/accounts", list("a1", "a2"))
			a.answers("r0/accounts", list("b1", "b2"))
			for old, now := range map[string]string{"a1": "b1", "a2": "b2"} {
				a.answers(txPath("c0", old), rows(old))
				a.answers(txPath("r0", now), rows(old))
				a.answers(txPath("r0", old), withStatus(http.StatusNotFound))
			}
			n := a.start(nodeOptions{more: a})
			a.run(n, a.name)
			seen := a.number("SELECT count(*) FROM accounts WHERE first_seen_at < now()")
			a.took()
			a.end("c0")
			a.renew("r0", "c0")
			report := a.run(n, a.name)
			asked := distinct(a.took())
			if sameAs {
				if want := []string{"r0/accounts", txPath("r0", "b1"), txPath("r0", "b2")}; !slices.Equal(asked, want) {
					t.Errorf("asked for %v", asked)
				}
				if report.Run.Verdict != queue.VerdictComplete || report.NewAccounts != 0 {
					t.Errorf("the report: %s, %d new accounts: %+v", report.Run.Verdict, report.NewAccounts, report.NotComplete)
				}
				a.numbers(map[string]int{
					"SELECT count(*) FROM accounts WHERE account_id IN ('b1', 'b2') AND removed_at IS NULL": seen,
					"SELECT count(*) FROM accounts":                                                                         2,
					"SELECT count(*) FROM transactions WHERE account_id IN ('b1', 'b2')":                                    4,
					"SELECT count(*) FROM transactions":                                                                     4,
					"SELECT count(*) FROM transactions_history":                                                             0,
					"SELECT count(*) FROM cursors WHERE account_id IN ('a1', 'a2')":                                         0,
					"SELECT count(*) FROM cursors":                                                                          3,
					"SELECT count(*) FROM accounts_history WHERE account_id IN ('b1', 'b2')":                                2,
					"SELECT count(*) FROM account_moves":                                                                    2,
					"SELECT count(*) FROM accounts a JOIN accounts_history h USING (consent_id, account_id, first_seen_at)": 2,
					"SELECT count(*) FROM absences":                                                                         0,
				})
			} else {
				if report.NewAccounts != 2 {
					t.Errorf("the report tells of %d new accounts", report.NewAccounts)
				}
				if got := a.number("SELECT count(*) FROM accounts WHERE removed_at IS NULL"); got != 4 {
					t.Errorf("%d accounts after the first look", got)
				}
				a.answers(txPath("r0", "a1"), nil) // they are asked for until they are known to be gone
				a.answers(txPath("r0", "a2"), nil)
				a.run(n, a.name)
				if got := a.number("SELECT count(*) FROM accounts WHERE removed_at IS NULL"); got != 2 {
					t.Errorf("%d accounts after the second look", got)
				}
			}
			a.kept()
		})
	}
}

// ibans is an answer with accounts, each of which is an id and an IBAN with a colon between.
func ibans(accounts ...string) http.HandlerFunc {
	var rows []string
	for _, a := range accounts {
		id, iban, _ := strings.Cut(a, ":")
		rows = append(rows, fmt.Sprintf(`{"id": %q, "name": "n%s", "currency": "NOK", "iban": %q}`, id, iban, iban))
	}
	return withBody(fmt.Sprintf(`{"accounts": [%s]}`, strings.Join(rows, ", ")))
}

func withBody(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}
}

// ibansLab is an aggregator whose consent c0 has the accounts a1 and a2, with what stays of them, and was read once.
func ibansLab(t *testing.T) (*aggregator, *node) {
	t.Helper()
	a := newAggregator(t, 1)
	a.accounts = "\n    same_as: iban"
	a.answers("c0/accounts", ibans("a1:NO1", "a2:NO2"))
	for _, account := range []string{"a1", "a2"} {
		a.answers(txPath("c0", account), withBody(rowsOf(account)))
	}
	return renewalLabOf(t, a, nodeOptions{})
}

// A consent that goes on under another id in the middle of an item, behind its list of accounts, may have accounts of other
// ids: they are listed first, and what is answered for one of the old ones says nothing of the consent.
func TestATrialBeginsWithTheListOfAccounts(t *testing.T) {
	t.Parallel()
	a, n := ibansLab(t)
	a.answers("r0/accounts", ibans("b1:NO1", "b2:NO2"))
	for old, now := range map[string]string{"a1": "b1", "a2": "b2"} {
		a.answers(txPath("r0", now), withBody(rowsOf(old)))
		a.answers(txPath("r0", old), withStatus(http.StatusNotFound))
	}
	var once sync.Once
	a.answers(txPath("c0", "a1"), func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { a.renew("r0", "c0") })
		withStatus(http.StatusForbidden)(w, r)
	})
	report := a.run(n, a.name)
	want := []string{"c0/accounts", txPath("c0", "a1"), "r0/accounts", txPath("r0", "b1"), txPath("r0", "b2")}
	if asked := distinct(a.took()); !slices.Equal(asked, want) {
		t.Errorf("asked for %v", asked)
	}
	if report.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the report: %s: %+v", report.Run.Verdict, report.NotComplete)
	}
	a.numbers(map[string]int{
		"SELECT count(*) FROM transactions WHERE account_id IN ('b1', 'b2')": 4,
		"SELECT count(*) FROM transactions":                                  4,
		"SELECT count(*) FROM renewals WHERE state = 'done'":                 1,
	})
}

// The first lists after a renewal may be short of something. Until a whole one has told which accounts were known before, no new
// one is read: what was read of it could never be joined to the old rows.
func TestNewAccountsWaitForAWholeList(t *testing.T) {
	t.Parallel()
	for name, lists := range map[string][]http.HandlerFunc{
		"a bad record":        {withBody(`{"accounts": [{"id": "b1", "name": "n", "currency": "NOK", "iban": "NO1"}, {"name": "bad"}]}`)},
		"an empty list":       {ibans()},
		"empty lists, thrice": {ibans(), ibans(), ibans()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, n := ibansLab(t)
			for old, now := range map[string]string{"a1": "b1", "a2": "b2"} {
				a.answers(txPath("r0", now), withBody(rowsOf(old)))
				a.answers(txPath("r0", old), withStatus(http.StatusNotFound))
			}
			a.end("c0")
			a.renew("r0", "c0")
			for _, list := range lists {
				a.answers("r0/accounts", list)
				r := a.run(n, a.name)
				if got := a.number("SELECT count(*) FROM transactions"); got != 4 {
					t.Fatalf("%d transactions: %+v", got, r.NotComplete)
				}
				if name == "a bad record" && !slices.ContainsFunc(r.NotComplete, func(i read.OpenItem) bool {
					return i.Dataset == finance.Transactions && strings.Contains(i.Reason, "wait for a whole list")
				}) {
					t.Errorf("not told: %+v", r.NotComplete)
				}
			}
			a.answers("r0/accounts", ibans("b1:NO1", "b2:NO2", "b3:NO3"))
			a.answers(txPath("r0", "b3"), withBody(`{"rows": []}`))
			a.run(n, a.name)
			a.numbers(map[string]int{
				"SELECT count(*) FROM transactions WHERE account_id IN ('b1', 'b2')": 4,
				"SELECT count(*) FROM transactions":                                  4,
				"SELECT count(*) FROM accounts WHERE removed_at IS NULL":             3,
				"SELECT count(*) FROM account_moves":                                 2,
			})
			a.kept()
		})
	}
}

// An id that is another account's after a renewal is not taken for the one that it was: nothing is stored or asked for, whether the
// list is whole or not, until somebody has looked.
func TestKnownIDsOfOtherAccountsAreRefused(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]http.HandlerFunc{
		"swapped":   ibans("a1:NO2", "a2:NO1"),
		"not whole": withBody(`{"accounts": [{"id": "a1", "name": "nNO9", "currency": "NOK", "iban": "NO9"}, {"name": "bad"}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, n := ibansLab(t)
			a.end("c0")
			a.renew("r0", "c0")
			a.answers("r0/accounts", list)
			for range 2 {
				r := a.run(n, a.name)
				if asked := distinct(a.took()); !slices.Equal(asked, []string{"r0/accounts"}) {
					t.Errorf("asked for %v", asked)
				}
				if len(r.NotComplete) != 2 || !strings.Contains(r.NotComplete[0].Reason, "another account's now: a1") {
					t.Errorf("not told: %+v", r.NotComplete)
				}
			}
			if got := a.number("SELECT count(*) FROM accounts_history") + a.number("SELECT count(*) FROM accounts WHERE name NOT IN ('nNO1', 'nNO2')"); got != 0 {
				t.Error("something was stored")
			}
			a.answers("r0/accounts", ibans("a1:NO1", "a2:NO2")) // the provider has mended it
			for _, account := range []string{"a1", "a2"} {
				a.answers(txPath("r0", account), withBody(rowsOf(account)))
			}
			if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
				t.Errorf("afterwards: %+v", r.NotComplete)
			}
		})
	}
}

// While two processes work, consents end and are renewed under their hands. Whoever has the old id in memory goes on with
// the new one: none is called under the old id once it was called under the new one, and every item is proven.
func TestRenewalsUnderTheHandsOfTwoProcesses(t *testing.T) {
	t.Parallel()
	const consents = 24
	a := newAggregator(t, consents, "a1", "a2", "a3")
	slow := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			<-time.After(3 * time.Millisecond)
			next(w, r)
		}
	}
	for i := range consents {
		for _, id := range []string{fmt.Sprintf("c%d", i), fmt.Sprintf("r%d", i)} {
			a.listed[id] = []string{"a1", "a2", "a3"}
			for _, account := range a.listed[id] {
				path := txPath(id, account)
				a.answers(path, slow(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(rowsOf(fmt.Sprint(i) + account)))
				}))
			}
		}
	}
	n := a.start(nodeOptions{more: a, batchSize: 4})
	a.start(nodeOptions{more: a, batchSize: 4})
	run := a.fire(n, a.name)
	for i := range consents {
		id := fmt.Sprintf("c%d", i)
		if i%2 == 0 {
			a.end(id)
		}
		a.renew(fmt.Sprintf("r%d", i), id)
	}
	report := a.settled(n, run)
	if report.Run.Verdict != queue.VerdictComplete {
		t.Errorf("the run: %+v", report.NotComplete)
	}
	a.run(n, a.name)
	last := map[string]string{}
	both := 0
	for _, path := range a.took() {
		id, _, _ := strings.Cut(path, "/")
		if len(id) < 2 || id == "ping" {
			continue
		}
		switch who := id[1:]; {
		case id[0] == 'c' && last[who] == "r":
			t.Errorf("%s was called after its renewal was", path)
		case id[0] == 'r' && last[who] == "c":
			both++
			fallthrough
		default:
			last[who] = id[:1]
		}
	}
	t.Logf("%d of %d consents were called under both ids", both, consents)
	for who, id := range last {
		if id != "r" {
			t.Errorf("consent %s was never called under its new id", who)
		}
	}
	a.numbers(map[string]int{
		"SELECT count(*) FROM transactions": consents * 6, "SELECT count(*) FROM accounts": consents * 3,
		"SELECT count(*) FROM transactions_history": 0, "SELECT count(*) FROM renewals WHERE state = 'done'": consents,
	})
	a.kept()
}
