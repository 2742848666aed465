package jobs_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
)

// An answer that is not the whole one removes nothing, however often it comes; one that is removes what is missing from it at the
// second look. What it was is told.
func TestAnswersThatAreNotWholeRemoveNothing(t *testing.T) {
	t.Parallel()
	const none = `{"accounts": []}`
	with := func(status int, body string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	cases := []struct {
		how  http.HandlerFunc
		says string // empty: it is whole
	}{
		{with(200, none), ""},
		{with(202, none), "not ready yet"},
		{with(206, none), "a part of one"},
		{with(207, none), "parts with a status each"},
		{with(200, none, "Content-Range", "accounts 0-0/3"), "by its Content-Range"},
		{with(200, none, "Content-Range", "accounts */3"), "by its Content-Range"},
		{with(208, none), "not known what it shows"},
		{with(200, `{"error": "overloaded", "accounts": []}`), "an error beside no records"},
		{with(200, `{"accounts": [{"id": "a1", "name": "a1", "currency": "NOK"}`), "JSON that was cut off"},
		{with(200, `<html>`), "an HTML page"},
		{with(200, ``), "an empty body"},
		{with(304, ``), "status 304"},
	}
	a := newAggregator(t, len(cases), threeAccounts...)
	a.datasets = []finance.Dataset{finance.Accounts}
	n := a.start(nodeOptions{more: a})
	a.run(n, a.name)
	for i, c := range cases {
		a.answers(fmt.Sprintf("c%d/accounts", i), c.how)
	}
	for night := range 2 {
		r := a.run(n, a.name)
		if len(r.NotComplete) != len(cases)-1 {
			t.Errorf("night %d: %+v", night, r.NotComplete)
		}
		reasons := ""
		for _, item := range r.NotComplete {
			reasons += item.Reason + "\n"
		}
		for _, c := range cases {
			if !strings.Contains(reasons, c.says) {
				t.Errorf("night %d: %q is not told:\n%s", night, c.says, reasons)
			}
		}
	}
	left := map[string]int{}
	want := map[string]int{}
	for i, c := range cases {
		id := fmt.Sprintf("c%d", i)
		left[id] = a.number("SELECT count(*) FROM accounts JOIN consents c ON c.id = consent_id "+
			"WHERE removed_at IS NULL AND c.external_id = $1", id)
		want[id] = len(threeAccounts)
		if c.says == "" {
			want[id] = 0
		}
	}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("accounts that are left: %s", diff)
	}
}
