package jobs_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/sandbox"
)

// accountRefusal is a way in which a bank refuses one account, and its class.
type accountRefusal struct {
	name  string
	how   http.HandlerFunc
	class finance.Class
}

// accountRefusals are the ways that are tried.
var accountRefusals = []accountRefusal{
	{"400", withStatus(400), finance.Rejected},
	{"403", withStatus(403), finance.Rejected},
	{"404", withStatus(404), finance.Rejected},
	{"409", withStatus(409), finance.Rejected},
	{"410", withStatus(410), finance.Rejected},
	{"422", withStatus(422), finance.Rejected},
	{"423", withStatus(423), finance.Transient},
	{"500", withStatus(500), finance.Transient},
	{"503", withStatus(503), finance.Transient},
	{"reset", reset, finance.Transient},
	{"cut", cut, finance.Transient},
}

var threeAccounts = []string{"a1", "a2", "a3"}

// subsetsOfThree are the accounts refused in each case: all subsets but the empty one.
func subsetsOfThree() [][]string {
	var subsets [][]string
	for bits := 1; bits < 8; bits++ {
		var chosen []string
		for i, account := range threeAccounts {
			if bits&(1<<i) != 0 {
				chosen = append(chosen, account)
			}
		}
		subsets = append(subsets, chosen)
	}
	return subsets
}

// Every account gets its turn: whatever subset of a consent's three accounts is refused, and however, the others' rows are
// there in each of three nights, of which the second is killed and goes on elsewhere. The reason names the refused ones, and
// a rerun asks for the list and for them.
func TestARefusedAccountCostsNoOther(t *testing.T) {
	t.Parallel()
	subsets := subsetsOfThree()
	refusals := accountRefusals
	if testing.Short() {
		refusals = []accountRefusal{refusals[2], refusals[7], refusals[10]} // one of each class, and a cut
	}
	a := newAggregator(t, len(refusals)*len(subsets), threeAccounts...)
	refused := map[string][]string{} // by the consent's own id
	class := map[string]finance.Class{}
	for i, kind := range refusals {
		for j, subset := range subsets {
			consent := fmt.Sprintf("c%d", i*len(subsets)+j)
			refused[consent], class[consent] = subset, kind.class
			for _, account := range subset {
				a.answers(txPath(consent, account), kind.how)
			}
		}
	}
	n := a.start(nodeOptions{more: a, batchSize: 100})
	for night := range 3 {
		run := a.fire(n, a.name)
		if night == 1 {
			a.eventually("half of the night's work", func() bool { return a.number(decidedItems, run.ID) > len(refused) })
			n.stop()
			n = a.start(nodeOptions{more: a, batchSize: 100})
		}
		r := a.settled(n, run)
		if r.Run.Verdict != queue.VerdictPartial {
			t.Fatalf("night %d: %s", night, r.Run.Verdict)
		}
		a.checkRefused(r, refused, class)
	}
	a.checkRows(refused)

	a.took()
	r := a.run(n, a.name)
	a.took()
	rerun, _ := a.rerun(n, r.Run, plan.Selection{})
	a.checkRefused(rerun, refused, class)
	var want []string
	for consent, accounts := range refused {
		want = append(want, consent+"/accounts")
		for _, account := range accounts {
			want = append(want, txPath(consent, account))
		}
	}
	if diff := cmp.Diff(distinct(want), distinct(a.took())); diff != "" {
		t.Errorf("a rerun asks for the list and the refused accounts (-want +got):\n%s", diff)
	}

	for consent, accounts := range refused {
		for _, account := range accounts {
			a.answers(txPath(consent, account), nil)
		}
	}
	if _, root := a.rerun(n, r.Run, plan.Selection{}); root.Run.Verdict != queue.VerdictComplete {
		t.Errorf("when the bank answers again: %s, %+v", root.Run.Verdict, root.NotComplete)
	}
	a.checkRows(nil)
}

const decidedItems = `SELECT count(*) FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.run_id = $1 AND i.outcome IS NOT NULL`

// checkRefused looks at each consent's item of transactions.
func (a *aggregator) checkRefused(r read.Report, refused map[string][]string, class map[string]finance.Class) {
	a.Helper()
	ours := a.consentIDs()
	seen := 0
	for _, item := range r.NotComplete {
		consent := ours[item.Consent]
		accounts := refused[consent]
		if item.Dataset != finance.Transactions || len(accounts) == 0 {
			a.Errorf("run %d: %+v", r.Run.ID, item)
			continue
		}
		seen++
		want := finance.Partial
		if len(accounts) == len(threeAccounts) {
			want = finance.Failed
		}
		if item.Outcome != want || item.Class != class[consent] {
			a.Errorf("run %d, %s with %v refused: %s (%s), want %s (%s)", r.Run.ID, consent, accounts, item.Outcome,
				item.Class, want, class[consent])
		}
		if !strings.HasPrefix(item.Reason, fmt.Sprintf("%d of 3 accounts refused: ", len(accounts))) || item.Call.IsZero() {
			a.Errorf("run %d, %s: %q, call %s", r.Run.ID, consent, item.Reason, item.Call)
		}
		for _, account := range threeAccounts {
			if strings.Contains(item.Reason, account+" (") != slices.Contains(accounts, account) {
				a.Errorf("run %d, %s with %v refused: %q", r.Run.ID, consent, accounts, item.Reason)
			}
		}
	}
	if seen != len(refused) {
		a.Errorf("run %d names %d items, want %d", r.Run.ID, seen, len(refused))
	}
}

// checkRows wants two rows of each account that is not refused, and none of the others.
func (a *aggregator) checkRows(refused map[string][]string) {
	a.Helper()
	want := map[string]int{}
	for consent, accounts := range a.listed {
		for _, account := range accounts {
			if !slices.Contains(refused[consent], account) {
				want[consent+" "+account] = 2
			}
		}
	}
	got := map[string]int{}
	for _, key := range a.texts(`SELECT c.external_id || ' ' || t.account_id FROM transactions t
		JOIN consents c ON c.id = t.consent_id WHERE t.removed_at IS NULL`) {
		got[key]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		a.Errorf("rows by account (-want +got):\n%s", diff)
	}
}

// consentIDs are the consents' own ids by ours.
func (a *aggregator) consentIDs() map[int64]string {
	a.Helper()
	ids := map[int64]string{}
	for id := range a.listed {
		c, err := a.store.Consents.ByExternalID(a.Context(), a.name, id)
		a.must(err)
		ids[c.ID] = id
	}
	return ids
}

// An account that the provider withholds is named, and does not make the item partial: there is nothing to be had.
func TestAWithheldAccountIsNamed(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 2, threeAccounts...)
	withheld := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		fmt.Fprint(w, `{"code": "RESOURCE_UNKNOWN"}`)
	}
	a.answers(txPath("c0", "a1"), withheld)
	n := a.start(nodeOptions{more: a})
	r := a.run(n, a.name)
	if r.Run.Verdict != queue.VerdictComplete || len(r.NotComplete) != 0 || len(r.Withheld) != 1 {
		t.Fatalf("%s: %+v, withheld %+v", r.Run.Verdict, r.NotComplete, r.Withheld)
	}
	if got := r.Withheld[0]; got.Outcome != finance.Rows || !strings.HasPrefix(got.Reason, "1 of 3 accounts withheld by the provider: a1 (") {
		t.Errorf("%+v", got)
	}
	a.checkRows(map[string][]string{"c0": {"a1"}})

	a.answers(txPath("c0", "a2"), withStatus(500))
	r = a.run(n, a.name)
	if len(r.NotComplete) != 1 || r.NotComplete[0].Outcome != finance.Partial || !strings.Contains(r.NotComplete[0].Reason, "withheld by the provider: a1 (") {
		t.Errorf("one withheld and one refused: %+v", r.NotComplete)
	}

	a.answers(txPath("c0", "a2"), withheld)
	a.answers(txPath("c0", "a3"), withheld)
	r = a.run(n, a.name)
	if len(r.NotComplete) != 1 || r.NotComplete[0].Outcome != finance.Excused || r.NotComplete[0].Class != finance.Withheld {
		t.Errorf("all withheld: %+v", r.NotComplete)
	}
}

// When the list of accounts can't be read in a bad moment, the accounts known from before are read all the same. A refusal
// may be meant for them too, so then they are left alone.
func TestAccountsAreReadWithoutTheirList(t *testing.T) {
	t.Parallel()
	asked := [][]finance.Dataset{{finance.Accounts, finance.Transactions}, {finance.Transactions}}
	type answer struct {
		name string
		how  http.HandlerFunc
		read bool
	}
	answers := []answer{
		{"500", withStatus(500), true},
		{"cut", cut, true},
		{"404", withStatus(404), false},
	}
	if testing.Short() {
		asked = asked[:1]
	} else {
		answers = append(answers,
			answer{"503", withStatus(503), true},
			answer{"423", withStatus(423), true},
			answer{"reset", reset, true},
			answer{"403", withStatus(403), false},
			answer{"410", withStatus(410), false},
			answer{"401", withStatus(401), false},
		)
	}
	for _, tt := range answers {
		for _, datasets := range asked {
			t.Run(fmt.Sprintf("%s with %d items", tt.name, len(datasets)), func(t *testing.T) {
				t.Parallel()
				a := newAggregator(t, 1, threeAccounts...)
				a.datasets = datasets
				n := a.start(nodeOptions{more: a})
				if r := a.run(n, a.name); r.Run.Verdict != queue.VerdictComplete {
					t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
				}
				a.took()
				a.answers("c0/accounts", tt.how)
				r := a.run(n, a.name)
				a.checkUnlisted(r, tt.read)
			})
		}
	}
}

func (a *aggregator) checkUnlisted(r read.Report, goesOn bool) {
	a.Helper()
	asked := slices.DeleteFunc(distinct(a.took()), func(path string) bool { return !strings.HasSuffix(path, "/tx") })
	want, outcome := 0, finance.Failed
	if goesOn {
		want, outcome = len(threeAccounts), finance.Partial
	}
	if len(asked) != want {
		a.Errorf("asked for %v, want %d accounts", asked, want)
	}
	place := slices.IndexFunc(r.NotComplete, func(i read.OpenItem) bool { return i.Dataset == finance.Transactions })
	if place < 0 {
		a.Fatalf("the transactions are complete: %s, %+v", r.Run.Verdict, r.NotComplete)
	}
	item := r.NotComplete[place]
	if item.Outcome != outcome || r.Run.Verdict == queue.VerdictComplete || !strings.Contains(item.Reason, "the list of accounts could not be read") {
		a.Errorf("%s, %+v", r.Run.Verdict, item)
	}
}

// The second page of the list counts like the first: what is known is read.
func TestAccountsAreReadWithoutTheRestOfTheirList(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, threeAccounts...)
	a.datasets = []finance.Dataset{finance.Transactions}
	n := a.start(nodeOptions{more: a})
	a.run(n, a.name)
	a.took()
	a.answers("c0/accounts", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			w.WriteHeader(500)
			return
		}
		w.Header().Set("Link", `<http://`+r.Host+`/v1/c0/accounts?page=2>; rel="next"`)
		fmt.Fprint(w, `{"accounts": [{"id": "a1", "name": "a1", "currency": "NOK"}]}`)
	})
	r := a.run(n, a.name)
	a.checkUnlisted(r, true)
	if n := a.number("SELECT count(*) FROM accounts WHERE removed_at IS NULL"); n != 3 {
		t.Errorf("%d accounts are left of 3", n)
	}
}

// Of an account whose id holds a national identity number the reason tells the place.
func TestAnAccountIsNamedWithoutItsOwner(t *testing.T) {
	t.Parallel()
	owner := sandbox.NationalID(1, 1)
	a := newAggregator(t, 1, "kid-"+owner, "no-9")
	a.answers(txPath("c0", "kid-"+owner), withStatus(400))
	n := a.start(nodeOptions{more: a})
	r := a.run(n, a.name)
	if len(r.NotComplete) != 1 {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	if reason := r.NotComplete[0].Reason; strings.Contains(reason, owner) || !strings.Contains(reason, "account number 1 in the order of ids (") {
		t.Errorf("the reason is %q", strings.ReplaceAll(reason, owner, "[the number]"))
	}
}

// A bank that is down is not asked for each of a consent's many accounts, and the reason names a few of them.
func TestABankThatIsDownIsNotAskedForEveryAccount(t *testing.T) {
	t.Parallel()
	var accounts []string
	for i := range 30 {
		accounts = append(accounts, fmt.Sprintf("a%02d", i))
	}
	a := newAggregator(t, 1, accounts...)
	for _, account := range accounts {
		a.answers(txPath("c0", account), withStatus(500))
	}
	n := a.start(nodeOptions{more: a})
	r := a.run(n, a.name)
	const want = " and 15 more; 10 more were not asked for, because 20 in a row failed"
	if len(r.NotComplete) != 1 || !strings.HasSuffix(r.NotComplete[0].Reason, want) {
		t.Errorf("%+v", r.NotComplete)
	}
	if asked := distinct(a.took()); len(asked) != 21 {
		t.Errorf("%d addresses were asked", len(asked))
	}

	for _, account := range accounts[19:] {
		a.answers(txPath("c0", account), nil)
	}
	r = a.run(n, a.name)
	if len(r.NotComplete) != 1 || r.NotComplete[0].Outcome != finance.Partial || a.number("SELECT count(DISTINCT account_id) FROM transactions") != 11 {
		t.Errorf("the accounts behind the 19th have %d rows: %+v", a.number("SELECT count(*) FROM transactions"), r.NotComplete)
	}
}

// With two reads a day a bad moment of the second account takes the second read. The third account needs none, and gets
// its turn.
func TestAccountsBehindASpentReadAreRead(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, threeAccounts...)
	a.datasets = []finance.Dataset{finance.Transactions}
	a.budget(2)
	a.answers(txPath("c0", "a2"), withStatus(503))
	n := a.start(nodeOptions{more: a})
	r := a.run(n, a.name)
	if r.Run.Verdict != queue.VerdictPartial || len(r.NotComplete) != 1 {
		t.Fatalf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	item := r.NotComplete[0]
	if item.Outcome != finance.Partial || item.Class != finance.Transient ||
		!strings.HasPrefix(item.Reason, "1 of 3 accounts refused: a2 (transient: REFUSED; not asked again: daily reads spent: next at ") {
		t.Errorf("%+v", item)
	}
	a.checkRows(map[string][]string{"c0": {"a2"}})
	if spent := a.number("SELECT count(*) FROM consent_reads"); spent != 2 {
		t.Errorf("%d reads are spent", spent)
	}
}

// A consent with more accounts than one run reads is partial, and says which limit it met. The next run goes on with those
// that were read longest ago, also after a kill, and a rerun with those that the run has left.
func TestMoreAccountsThanOneRunReads(t *testing.T) {
	t.Parallel()
	var accounts []string
	for i := range 25 {
		accounts = append(accounts, fmt.Sprintf("a%02d", i))
	}
	a := newAggregator(t, 1, accounts...)
	a.most = 10
	n := a.start(nodeOptions{more: a})
	read := func() int {
		return len(slices.DeleteFunc(distinct(a.took()), func(path string) bool { return !strings.HasSuffix(path, "/tx") }))
	}
	for night, have := range []int{10, 20, 25} {
		run := a.fire(n, a.name)
		if night == 1 {
			a.eventually("some accounts are read", func() bool {
				return a.number("SELECT count(*) FROM cursors WHERE dataset = 'transactions' AND run_id = $1", run.ID) > 2
			})
			n.stop()
			n = a.start(nodeOptions{more: a})
		}
		r := a.settled(n, run)
		if got := read(); got != 10 {
			t.Errorf("night %d: %d accounts were asked for", night, got)
		}
		if got := a.number("SELECT count(DISTINCT account_id) FROM transactions"); got != have {
			t.Errorf("night %d: %d accounts have rows, want %d", night, got, have)
		}
		const want = "15 of 25 accounts were not read: limits.accounts of the connection is 10, and the next run goes on with them"
		if len(r.NotComplete) != 1 || r.NotComplete[0].Outcome != finance.Partial || r.NotComplete[0].Reason != want {
			t.Errorf("night %d: %+v", night, r.NotComplete)
		}
	}

	root := a.run(n, a.name)
	a.took()
	for again, want := range []struct {
		read    int
		verdict queue.Verdict
	}{{10, queue.VerdictPartial}, {5, queue.VerdictComplete}} {
		_, now := a.rerun(n, root.Run, plan.Selection{})
		if got := read(); got != want.read || now.Run.Verdict != want.verdict {
			t.Errorf("rerun %d: %d accounts were asked for, and the run is %s", again, got, now.Run.Verdict)
		}
	}
}

// A token that is refused for one account, and is good for those around it, parks nothing. One that is refused for the next
// account too ends the item, and still nobody else's work: the list was read with it.
func TestATokenRefusedForOneAccount(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 1, threeAccounts...)
	a.answers(txPath("c0", "a2"), withStatus(401))
	n := a.start(nodeOptions{more: a})
	r := a.run(n, a.name)
	if r.Over.Parked || len(r.Over.Refused) > 0 || len(r.NotComplete) != 1 || r.NotComplete[0].Outcome != finance.Partial ||
		!strings.HasPrefix(r.NotComplete[0].Reason, "1 of 3 accounts refused: a2 (rejected: the token is refused for this account: ") {
		t.Errorf("parked %v: %+v", r.Over.Parked, r.NotComplete)
	}
	a.checkRows(map[string][]string{"c0": {"a2"}})

	a.answers(txPath("c0", "a3"), withStatus(401))
	a.took()
	r = a.run(n, a.name)
	if len(r.Over.Refused) != 0 || len(r.NotComplete) != 1 || r.NotComplete[0].Class != finance.Rejected {
		t.Errorf("refused %v: %+v", r.Over.Refused, r.NotComplete)
	}
}

// Accounts that are refused every night do not keep those behind them from ever being read: not where so many in a row fail
// that the rest is not asked for, and not where one run reads a few of them only.
func TestAccountsThatAlwaysFailStarveNoOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		accounts, bad, most, nights int
		how                         http.HandlerFunc
	}{
		"twenty in a row": {25, 20, 0, 3, withStatus(500)},
		"limits.accounts": {7, 3, 3, 12, withStatus(404)},
	} {
		var accounts []string
		for i := range c.accounts {
			accounts = append(accounts, fmt.Sprintf("a%02d", i))
		}
		a := newAggregator(t, 1, accounts...)
		a.most = c.most
		for _, account := range accounts[:c.bad] {
			a.answers(txPath("c0", account), c.how)
		}
		n := a.start(nodeOptions{more: a})
		for range c.nights {
			a.run(n, a.name)
		}
		if got := a.number("SELECT count(DISTINCT account_id) FROM transactions"); got != c.accounts-c.bad {
			t.Errorf("%s: %d of %d good accounts were read in %d nights", name, got, c.accounts-c.bad, c.nights)
		}
	}
}

// What a rerun costs is the list and the accounts that were not read, not the pages that came.
func TestARerunCostsWhatItAsksFor(t *testing.T) {
	t.Parallel()
	var accounts []string
	for i := range 12 {
		accounts = append(accounts, fmt.Sprintf("a%02d", i))
	}
	a := newAggregator(t, 1, accounts...)
	a.answers(txPath("c0", "a03"), withStatus(404))
	n := a.start(nodeOptions{more: a})
	r := a.run(n, a.name)
	cost, err := a.store.Read.RerunCost(t.Context(), r.Run.ID, plan.Selection{})
	a.must(err)
	a.took()
	a.rerun(n, r.Run, plan.Selection{})
	if asked := len(a.took()); cost.Calls != asked || asked != 2 {
		t.Errorf("a rerun was to cost %d calls, and %d were made", cost.Calls, asked)
	}
}
