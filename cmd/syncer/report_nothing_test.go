package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"syncer/finance"
	"syncer/persist"
)

// A report says plainly that nothing was read, whatever the verdict.
func TestAReportSaysThatNothingWasRead(t *testing.T) {
	t.Parallel()
	items := func(c persist.Counts) []persist.Counts {
		c.Dataset, c.Expected = finance.Debts, 2
		return []persist.Counts{c}
	}
	for _, tt := range []struct {
		name    string
		verdict persist.Verdict
		counts  []persist.Counts
		left    int // to an earlier run
		want    string
	}{
		{"no consents", persist.VerdictPartial, nil, 0, "nothing was read: there was no consent to read"},
		{"all left to an earlier run", persist.VerdictPartial, nil, 4, "nothing was read: an earlier run of the job was still at all of its items"},
		{"all excused", persist.VerdictComplete, items(persist.Counts{Excused: 2}), 0, "nothing was read: every item was excused or failed"},
		{"all failed", persist.VerdictFailed, items(persist.Counts{Failed: 2}), 0, "nothing was read: every item was excused or failed"},
		{"failed behind the first page", persist.VerdictFailed, items(persist.Counts{Failed: 2, Records: 9}), 0, ""},
		{"one is empty", persist.VerdictComplete, items(persist.Counts{Empty: 1, Excused: 1}), 0, ""},
		{"going on", "", items(persist.Counts{Missing: 2}), 0, ""},
	} {
		r := persist.Report{Run: persist.Run{ID: 1, Job: "nightly", Verdict: tt.verdict, Overlapped: tt.left}, Counts: tt.counts}
		var text bytes.Buffer
		writeReport(&text, paint{}, r)
		if got := strings.Contains(text.String(), "nothing was read"); got != (tt.want != "") || !strings.Contains(text.String(), tt.want) {
			t.Errorf("%s:\n%s", tt.name, text.String())
		}
		raw, err := json.Marshal(toReportJSON(r))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			NothingRead string `json:"nothing_read"`
		}
		if err := json.Unmarshal(raw, &got); err != nil || got.NothingRead != tt.want {
			t.Errorf("%s: %q, %v", tt.name, got.NothingRead, err)
		}
	}
}

// What a provider withholds is named, although the item is proven.
func TestAReportNamesWhatIsWithheld(t *testing.T) {
	t.Parallel()
	r := persist.Report{
		Run:    persist.Run{ID: 7, Job: "nightly", Verdict: persist.VerdictComplete},
		Counts: []persist.Counts{{Dataset: finance.Transactions, Expected: 1, Rows: 1, Records: 4}},
		Withheld: []persist.OpenItem{{Run: 7, Consent: 3, Dataset: finance.Transactions, Outcome: finance.Rows, Class: finance.Withheld,
			Reason: "1 of 3 accounts withheld by the provider: a1 (withheld: not yours)"}},
	}
	var text bytes.Buffer
	writeReport(&text, paint{}, r)
	for _, want := range []string{"Withheld by the provider: accounts of 1 item", "consent 3 transactions: rows (withheld)", "a1 (withheld: not yours)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "Not complete") {
		t.Errorf("it is complete:\n%s", text.String())
	}
}
