package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/persist/read"
	"syncer/report/text"
)

// What is said of members that are missing stands in a run's report and in status, for people and for
// scripts.
func TestDriftsAreTold(t *testing.T) {
	t.Parallel()
	list := []read.Drift{{
		Run: 1204, Job: "nightly", Connection: "bank", Kind: "transactions", Member: "text",
		Records: 3400, Consents: 250, Held: 12_000, Before: 12_345, Runs: 6, At: time.Date(2026, 11, 21, 2, 41, 7, 0, time.UTC),
	}}
	const said = `
drift: transactions.text: in 12000 of 12345 records of the 6 runs before,
in none of 3400 records of 250 consents
compare an answer with what is read from it, or ask the provider; the rows are as they were answered`
	report := read.Report{Drifts: list}
	s := Overview{Drifts: list}
	var shown, screen bytes.Buffer
	writeReportHead(&shown, text.Paint{}, report)
	s.Write(&screen, text.Paint{})
	for name, c := range map[string]struct{ text, want string }{
		"report": {shown.String(), said},
		"status": {screen.String(), "Members that are missing\nrun 1204 nightly, over bank: " + said[1:]},
	} {
		plain := strings.Join(strings.Fields(c.text), " ")
		if want := strings.Join(strings.Fields(c.want), " "); !strings.Contains(plain, want) {
			t.Errorf("%s does not say %q:\n%s", name, want, c.text)
		}
		for line := range strings.Lines(c.text) {
			if len(strings.TrimSuffix(line, "\n")) > text.Width {
				t.Errorf("%s: wider than %d columns: %q", name, text.Width, line)
			}
		}
	}
	want := `[{"run":1204,"job":"nightly","connection":"bank","kind":"transactions","member":"text",` +
		`"records":3400,"consents":250,"before_with":12000,"before_records":12345,"before_runs":6,"at":"2026-11-21T02:41:07Z"}]`
	for name, doc := range map[string]any{"report": ProgressOf(report), "status": StatusOf(s)} {
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Drifts json.RawMessage `json:"drifts"`
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got.Drifts)); diff != "" {
			t.Errorf("the JSON of %s (-want +got):\n%s", name, diff)
		}
	}
}
