package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist"
)

// nightReport has everything that a report can hold, and words of a provider that try to take the terminal over.
func nightReport() persist.Report {
	planned := time.Date(2026, 11, 21, 2, 30, 0, 0, time.UTC)
	r := persist.Report{
		Run: persist.Run{ID: 1204, Job: "nightly-debt", Connection: "ng-prod", Kind: persist.Scheduled, ScheduledFor: planned,
			Datasets: []finance.Dataset{finance.Debts}, Expected: 1_204_331, Skipped: 3, Verdict: persist.VerdictPartial,
			CreatedAt: planned, SettledAt: planned.Add(time.Hour)},
		Reruns: []int64{1205, 1207},
		Counts: []persist.Counts{{Dataset: finance.Debts, Expected: 1_204_331, Rows: 1_000_000, Empty: 204_300, Partial: 10,
			Excused: 9, Failed: 12, Records: 5_500_000, Inserted: 120, Updated: 44, Removed: 7, Rejected: 1}},
		Calls:   1_210_000,
		ByClass: []persist.ClassCount{{Class: finance.OK, Calls: 1_209_000}, {Class: finance.Throttled, Calls: 900}, {Class: finance.Transient, Calls: 100}},
		Pauses:  900, Paused: 31 * time.Minute,
		Slowest: []persist.SlowItem{{Batch: 41, Consent: 9, Dataset: finance.Debts, Took: 83 * time.Second, Pages: 2}},
		Wall:    time.Hour, Batches: persist.BatchCounts{Done: 2409},
	}
	for i := range 12 {
		r.NotComplete = append(r.NotComplete, persist.OpenItem{Run: 1204, Batch: 41, Consent: int64(i + 1), Dataset: finance.Debts,
			Outcome: finance.Failed, Class: finance.Rejected, Correlation: "0HMV\x1b]0;owned\x07",
			Reason: "the provider says: \x1b[2Jinvalid scope\nfor this client, in words that go on and on until they need a second line",
			Call:   finance.CallID{1, byte(i)}})
	}
	r.NotComplete[1] = persist.OpenItem{Run: 1204, Batch: 41, Consent: 2, Dataset: finance.Debts}
	return r
}

// TestReportIsGolden compares the rendering with testdata/report; UPDATE_GOLDEN=1 writes it anew.
func TestReportIsGolden(t *testing.T) {
	parked := nightReport()
	planned := parked.Run.ScheduledFor
	parked.Run.Verdict, parked.Run.SettledAt, parked.Run.Kind, parked.Run.OfRun = "", time.Time{}, persist.Rerun, 1100
	parked.Batches = persist.BatchCounts{Pending: 3, Parked: 5, Done: 2}
	parked.ParkedUntil, parked.ParkReason = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC), "bucket ng-prod is closed: retry-after"
	parked.NotComplete, parked.Slowest, parked.Reruns, parked.Pauses = nil, nil, nil, 0
	parked.Counts[0].Partial, parked.Counts[0].Excused, parked.Counts[0].Failed = 0, 0, 0
	parked.Counts = append(parked.Counts, persist.Counts{Dataset: finance.Accounts})
	refused := nightReport()
	refused.Run.Verdict, refused.NotComplete = persist.VerdictFailed, refused.NotComplete[:1]
	refused.Over = persist.Connection{Name: "ng-prod", Parked: true, ParkedAt: planned.Add(time.Minute), ParkedClass: "token",
		ParkedReason: "POST /oauth2/token on ng-prod: fatal: \x1b[2Jstatus 401: invalid_client"}
	backfill := persist.Report{Run: persist.Run{ID: 7, Job: strings.Repeat("long-name-", 9), Connection: "b", Kind: persist.Backfill,
		ScheduledFor: parked.Run.ScheduledFor, WindowFrom: finance.NewDate(2026, 1, 1), WindowTo: finance.NewDate(2026, 3, 31),
		Verdict: persist.VerdictComplete}}
	held := parked
	held.Batches, held.ParkedUntil, held.ParkReason = persist.BatchCounts{Working: 2, Done: 2}, time.Time{}, ""
	held.LeftAlone, held.FailedWith = 3, "GET /v1/debt/{consent}: \x1b[2Jstatus 500"
	held.Gates = []persist.ClosedGate{
		{Name: "ng-prod@https://api.example.com", Connection: "ng-prod", Until: planned.Add(72 * time.Hour), Left: 71 * time.Hour, Reason: "retry-after"},
		{Name: "ng-prod@https://api.example.com#consent 7", Connection: "ng-prod", Alone: true, Until: planned.Add(time.Hour), Left: time.Hour, Reason: "retry-after"},
	}
	for name, r := range map[string]persist.Report{"night": nightReport(), "paused": held, "parked": parked, "refused": refused, "backfill": backfill} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			writeReport(&out, paint{}, r)
			for _, line := range strings.Split(out.String(), "\n") {
				if utf8.RuneCountInString(line) > screenWidth {
					t.Errorf("wider than %d columns: %q", screenWidth, line)
				}
			}
			if i := strings.IndexFunc(out.String(), func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
				t.Errorf("a control character reached the screen: %q", out.String()[i:])
			}
			golden := filepath.Join("testdata", "report", name+".txt")
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
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

// The numbers of the JSON are those of the report, and nothing is cut.
func TestReportAsJSON(t *testing.T) {
	text, err := json.Marshal(toReportJSON(nightReport()))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Event   string  `json:"event"`
		Verdict string  `json:"verdict"`
		State   string  `json:"state"`
		Paused  float64 `json:"paused_seconds"`
		Counts  []struct{ Expected, Rows, Quarantined int }
		Items   []struct{ Reason, Call string } `json:"not_complete"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	c := got.Counts[0]
	if got.Event != "report" || got.Verdict != "partial" || got.State != "partial" || got.Paused != 1860 ||
		c.Expected != 1_204_331 || c.Rows != 1_000_000 || c.Quarantined != 1 || len(got.Items) != 12 || got.Items[1].Call != "" {
		t.Errorf("JSON does not tell what the report does: %s", text)
	}
}
