package jobs_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"syncer/finance"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// spent answers the first call, or every one, as a bank does whose reads for one consent are used up.
func spent(retryAfter string, once bool, then http.HandlerFunc) http.HandlerFunc {
	var first sync.Once
	return func(w http.ResponseWriter, r *http.Request) {
		told := false
		tell := func() {
			told = true
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"code": "SPENT"}`)
		}
		if !once {
			tell()
			return
		}
		first.Do(tell)
		if !told {
			then(w, r)
		}
	}
}

// A pause of hours that is one consent's alone fails its items, and the others are read.
func TestAPauseOfOneConsentFailsItAlone(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 4, "a1", "a2")
	a.rules = ", { code: SPENT, class: throttled, pauses: consent }"
	a.answers("c0/accounts", spent("7200", false, nil))
	a.answers(txPath("c2", "a1"), spent("7200", false, nil))
	n := a.start(nodeOptions{more: a})
	r := a.settled(n, a.fire(n, a.name))
	if r.Run.Verdict != queue.VerdictPartial || r.Pauses != 2 {
		t.Fatalf("%s with %d pauses: %+v", r.Run.Verdict, r.Pauses, r.NotComplete)
	}
	for _, c := range r.Counts {
		want := read.Counts{Dataset: c.Dataset, Expected: 4, Rows: 3, Failed: 1}
		if c.Dataset == finance.Transactions {
			want = read.Counts{Dataset: c.Dataset, Expected: 4, Rows: 2, Failed: 2}
		}
		c.Records, c.Figures = read.Records{}, read.Records{}
		if c != want {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	for _, item := range r.NotComplete {
		if item.Class != finance.Throttled || !strings.Contains(item.Reason, "this one alone") {
			t.Errorf("%+v", item)
		}
	}
	asked := a.took()
	for path, want := range map[string]int{"c0/accounts": 1, txPath("c0", "a1"): 0, txPath("c2", "a1"): 1, txPath("c2", "a2"): 0, txPath("c3", "a2"): 1} {
		if got := len(slices.DeleteFunc(slices.Clone(asked), func(p string) bool { return p != path })); got != want {
			t.Errorf("%s was asked for %d times, want %d", path, got, want)
		}
	}
}

// A short one is waited for behind the others.
func TestAShortPauseOfOneConsentIsPutOff(t *testing.T) {
	t.Parallel()
	a := newAggregator(t, 3, "a1")
	a.rules = ", { code: SPENT, class: throttled, pauses: consent }"
	a.answers("c0/accounts", spent("4", true, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"accounts": [{"id": "a1", "name": "a1", "currency": "NOK"}]}`)
	}))
	n := a.start(nodeOptions{more: a, concurrency: 1})
	r := a.settled(n, a.fire(n, a.name))
	if r.Run.Verdict != queue.VerdictComplete || r.Pauses != 1 {
		t.Fatalf("%s with %d pauses: %+v", r.Run.Verdict, r.Pauses, r.NotComplete)
	}
	asked := a.took()
	if last := asked[len(asked)-1]; last != txPath("c0", "a1") {
		t.Errorf("asked for in the order %q: the one that was to wait held up the others", asked)
	}
}
