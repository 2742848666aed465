package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"syncer/finance"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report/text"
)

// A report says plainly that nothing was read, whatever the verdict.
func TestAReportSaysThatNothingWasRead(t *testing.T) {
	t.Parallel()
	items := func(c read.Counts) []read.Counts {
		c.Dataset, c.Expected = finance.Debts, 2
		return []read.Counts{c}
	}
	for _, tt := range []struct {
		name    string
		verdict queue.Verdict
		counts  []read.Counts
		left    int // to an earlier run
		want    string
	}{
		{"no consents", queue.VerdictPartial, nil, 0, "nothing was read: there was no consent to read"},
		{"all left to an earlier run", queue.VerdictPartial, nil, 4, "nothing was read: an earlier run of the job was still at all of its items"},
		{"all excused", queue.VerdictComplete, items(read.Counts{Excused: 2}), 0, "nothing was read: every item was excused or failed"},
		{"all failed", queue.VerdictFailed, items(read.Counts{Failed: 2}), 0, "nothing was read: every item was excused or failed"},
		{"failed behind the first page", queue.VerdictFailed, items(read.Counts{Failed: 2, Records: read.Records{Read: 9}}), 0, ""},
		{"one is empty", queue.VerdictComplete, items(read.Counts{Empty: 1, Excused: 1}), 0, ""},
		{"going on", "", items(read.Counts{Missing: 2}), 0, ""},
	} {
		r := read.Report{Run: queue.Run{ID: 1, Job: "nightly", Verdict: tt.verdict, Overlapped: tt.left}, Counts: tt.counts}
		var shown bytes.Buffer
		WriteReport(&shown, text.Paint{}, r)
		if got := strings.Contains(shown.String(), "nothing was read"); got != (tt.want != "") || !strings.Contains(shown.String(), tt.want) {
			t.Errorf("%s:\n%s", tt.name, shown.String())
		}
		raw, err := json.Marshal(ReportOf(r))
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
	item := read.OpenItem{Run: 7, Consent: 3, Dataset: finance.Transactions, Outcome: finance.Rows, Class: finance.Withheld,
		Reason: "1 of 3 accounts withheld by the provider: a1 (withheld: not yours)"}
	r := read.Report{
		Run:    queue.Run{ID: 7, Job: "nightly", Verdict: queue.VerdictComplete},
		Counts: []read.Counts{{Dataset: finance.Transactions, Expected: 1, Rows: 1, Records: read.Records{Read: 4}}},
		WithheldCauses: read.Causes{Items: 1, List: []read.Cause{{Dataset: item.Dataset, Outcome: item.Outcome,
			Class: item.Class, Items: 1, First: item, Newest: item}}},
	}
	var shown bytes.Buffer
	WriteReport(&shown, text.Paint{}, r)
	for _, want := range []string{"Withheld by the provider: accounts of 1 item", "consent 3 transactions: rows (withheld)", "a1 (withheld: not yours)"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is missing in\n%s", want, shown.String())
		}
	}
	if strings.Contains(shown.String(), "Not complete") {
		t.Errorf("it is complete:\n%s", shown.String())
	}
}
