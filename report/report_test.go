package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/admit"
	"syncer/persist/connections"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report/text"
)

// nightReport has everything that a report can hold, and words of a provider that try to take the terminal over.
func nightReport() read.Report {
	planned := time.Date(2026, 11, 21, 2, 30, 0, 0, time.UTC)
	r := read.Report{
		Run: queue.Run{ID: 1204, Job: "nightly-debt", Connection: "ng-prod", Kind: queue.Scheduled, ScheduledFor: planned,
			Datasets: []finance.Dataset{finance.Debts}, Expected: 1_204_331, Skipped: 3, Verdict: queue.VerdictPartial,
			CreatedAt: planned, SettledAt: planned.Add(time.Hour)},
		Reruns: []int64{1205, 1207},
		Counts: []read.Counts{{Dataset: finance.Debts, Expected: 1_204_331, Rows: 1_000_000, Empty: 204_300, Partial: 10,
			Excused: 9, Failed: 12, Rejected: 1,
			Records: read.Records{Read: 5_500_000, Inserted: 120, Updated: 44, Removed: 7}}},
		Calls:   1_210_000,
		ByClass: []read.ClassCount{{Class: finance.OK, Calls: 1_209_000}, {Class: finance.Throttled, Calls: 900}, {Class: finance.Transient, Calls: 100}},
		Pauses:  900, Paused: 31 * time.Minute,
		Slowest: []read.SlowItem{{Batch: 41, Consent: 9, External: "agreement-00009", Dataset: finance.Debts, Took: 83 * time.Second, Pages: 2}},
		Wall:    time.Hour, Batches: read.BatchCounts{Done: 2409},
	}
	item := func(consent int) read.OpenItem {
		return read.OpenItem{Run: 1204, Batch: 41, Consent: int64(consent), External: fmt.Sprintf("agreement-%05d", consent),
			Dataset: finance.Debts, Outcome: finance.Failed, Class: finance.Rejected, Correlation: "0HMV\x1b]0;owned\x07",
			Reason: "the provider says: \x1b[2Jinvalid scope\nfor this client, in words that go on and on until they need a second line",
			Call:   finance.CallID{1, byte(consent)}}
	}
	open := read.OpenItem{Run: 1204, Batch: 41, Consent: 2, External: "15088512909", Dataset: finance.Debts}
	one := item(1)
	one.Outcome = finance.Partial
	r.Causes = read.Causes{Items: 12_031, More: 3, MoreItems: 29, List: []read.Cause{
		{Dataset: finance.Debts, Outcome: finance.Failed, Class: finance.Rejected, Kind: "the provider says: …", Items: 12_000,
			First: item(3), Newest: item(12)},
		{Dataset: finance.Debts, Outcome: finance.Partial, Class: finance.Rejected, Items: 1, First: one, Newest: one},
		{Dataset: finance.Debts, Items: 1, First: open, Newest: open},
	}}
	r.Quarantine = read.QuarantineCauses{More: 4, List: []read.QuarantineCause{
		{Dataset: finance.Debts, Reason: "balance: not an amount", Records: 3, ID: 17, Consent: 9, External: "agreement-00009"},
		{Dataset: finance.Debts, Reason: "no record at all", Records: 1, ID: 21, Consent: 12, External: "agreement-00012"},
	}}
	return r
}

// sized is a screen of so many columns; 0: it is none.
type sized struct {
	bytes.Buffer
	columns int
}

func (s *sized) Columns() int { return s.columns }

// screens are the widths that reports are looked at, by what their golden files are called.
var screens = map[string]int{"-60": 60, "": 80, "-180": 180, "-piped": 0}

// TestReportIsGolden compares the rendering with testdata at several widths, and where it is written to no screen;
// UPDATE_GOLDEN=1 writes it anew.
func TestReportIsGolden(t *testing.T) {
	parked := nightReport()
	planned := parked.Run.ScheduledFor
	parked.Run.Verdict, parked.Run.SettledAt, parked.Run.Kind, parked.Run.OfRun = "", time.Time{}, queue.Rerun, 1100
	parked.Batches = read.BatchCounts{Pending: 3, Parked: 5, Done: 2}
	parked.ParkedUntil, parked.ParkReason = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC), "bucket ng-prod is closed: retry-after"
	parked.Quarantine = read.QuarantineCauses{}
	parked.Causes, parked.Slowest, parked.Reruns, parked.Pauses = read.Causes{}, nil, nil, 0
	parked.Counts[0].Partial, parked.Counts[0].Excused, parked.Counts[0].Failed = 0, 0, 0
	parked.Counts = append(parked.Counts, read.Counts{Dataset: finance.Accounts})
	refused := nightReport()
	refused.Run.Verdict = queue.VerdictFailed
	refused.Causes = read.Causes{Items: 1, List: refused.Causes.List[:1:1]}
	refused.Causes.List[0].Items = 1
	refused.Over = connections.Connection{Name: "ng-prod", Parked: true, ParkedAt: planned.Add(time.Minute), ParkedClass: "token",
		ParkedReason: "POST /oauth2/token on ng-prod: fatal: \x1b[2Jstatus 401: invalid_client"}
	backfill := read.Report{Run: queue.Run{ID: 7, Job: strings.Repeat("long-name-", 9), Connection: "b", Kind: queue.Backfill,
		ScheduledFor: parked.Run.ScheduledFor, WindowFrom: finance.NewDate(2026, 1, 1), WindowTo: finance.NewDate(2026, 3, 31),
		Verdict: queue.VerdictComplete}}
	held := parked
	held.Batches, held.ParkedUntil, held.ParkReason = read.BatchCounts{Working: 2, Done: 2}, time.Time{}, ""
	held.LeftAlone, held.FailedWith = 3, "GET /v1/debt/{consent}: \x1b[2Jstatus 500"
	held.Gates = []admit.ClosedGate{
		{Name: "ng-prod@https://api.example.com", Connection: "ng-prod", Until: planned.Add(72 * time.Hour), Left: 71 * time.Hour, Reason: "retry-after"},
		{Name: "ng-prod@https://api.example.com#consent 7", Connection: "ng-prod", Alone: true, Until: planned.Add(time.Hour), Left: time.Hour, Reason: "retry-after"},
	}
	for name, r := range map[string]read.Report{"night": nightReport(), "paused": held, "parked": parked, "refused": refused, "backfill": backfill} {
		t.Run(name, func(t *testing.T) {
			for screen, columns := range screens {
				checkGolden(t, name+screen, columns, r)
			}
		})
	}
}

func checkGolden(t *testing.T, name string, columns int, r read.Report) {
	t.Helper()
	out := &sized{columns: columns}
	WriteReport(out, text.Paint{}, r)
	for _, line := range strings.Split(out.String(), "\n") {
		if columns > 0 && utf8.RuneCountInString(line) > columns {
			t.Errorf("%s: wider than %d columns: %q", name, columns, line)
		}
	}
	if i := strings.IndexFunc(out.String(), func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
		t.Errorf("a control character reached the screen: %q", out.String()[i:])
	}
	golden := filepath.Join("testdata", name+".txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s: report (-want +got):\n%s", name, diff)
	}
}

// The numbers of the JSON are those of the report, and its causes.
func TestReportAsJSON(t *testing.T) {
	text, err := json.Marshal(ReportOf(nightReport()))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Event   string  `json:"event"`
		Verdict string  `json:"verdict"`
		State   string  `json:"state"`
		Paused  float64 `json:"paused_seconds"`
		Counts  []struct{ Expected, Rows, Quarantined int }
		Items   struct {
			Items, More int
			Causes      []struct {
				Items         int
				First, Newest struct{ Reason, Call string }
			}
		} `json:"not_complete_causes"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	c := got.Counts[0]
	if got.Event != "report" || got.Verdict != "partial" || got.State != "partial" || got.Paused != 1860 ||
		c.Expected != 1_204_331 || c.Rows != 1_000_000 || c.Quarantined != 1 || got.Items.Items != 12_031 || len(got.Items.Causes) != 3 ||
		got.Items.Causes[0].Items != 12_000 || got.Items.Causes[0].Newest.Call == "" || got.Items.Causes[2].First.Call != "" {
		t.Errorf("JSON does not tell what the report does: %s", text)
	}
}
