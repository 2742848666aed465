package main

import (
	"time"

	"syncer/persist"
)

// The JSON of runs and reports: names in snake case, durations in seconds, an absent time left out. It is what
// scripts read, so it changes only by additions.

type runJSON struct {
	Run          int64      `json:"run"`
	Job          string     `json:"job"`
	Connection   string     `json:"connection"`
	Kind         string     `json:"kind"`
	ScheduledFor time.Time  `json:"scheduled_for"`
	OfRun        int64      `json:"of_run,omitempty"`
	Datasets     []string   `json:"datasets"`
	WindowFrom   string     `json:"window_from,omitempty"`
	WindowTo     string     `json:"window_to,omitempty"`
	Expected     int        `json:"expected"`
	Skipped      int        `json:"skipped"`
	Overlapped   int        `json:"overlapped"`
	Verdict      string     `json:"verdict,omitempty"`
	CreatedAt    time.Time  `json:"created_at"`
	SettledAt    *time.Time `json:"settled_at,omitempty"`
}

func toRunJSON(r persist.Run) runJSON {
	j := runJSON{
		Run: r.ID, Job: r.Job, Connection: r.Connection, Kind: string(r.Kind), ScheduledFor: r.ScheduledFor, OfRun: r.OfRun,
		Datasets: []string{}, WindowFrom: r.WindowFrom.String(), WindowTo: r.WindowTo.String(), Expected: r.Expected,
		Skipped: r.Skipped, Overlapped: r.Overlapped, Verdict: string(r.Verdict), CreatedAt: r.CreatedAt, SettledAt: instant(r.SettledAt),
	}
	for _, d := range r.Datasets {
		j.Datasets = append(j.Datasets, string(d))
	}
	return j
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type countsJSON struct {
	Dataset     string `json:"dataset"`
	Expected    int    `json:"expected"`
	Rows        int    `json:"rows"`
	Empty       int    `json:"empty"`
	Partial     int    `json:"partial"`
	Excused     int    `json:"excused"`
	Failed      int    `json:"failed"`
	Missing     int    `json:"missing"`
	Records     int    `json:"records"`
	Inserted    int    `json:"inserted"`
	Updated     int    `json:"updated"`
	Removed     int    `json:"removed"`
	Quarantined int    `json:"quarantined"`
}

type slowJSON struct {
	Batch   int64   `json:"batch"`
	Consent int64   `json:"consent"`
	Dataset string  `json:"dataset"`
	Seconds float64 `json:"seconds"`
	Pages   int     `json:"pages"`
}

type itemJSON struct {
	Run         int64  `json:"run"`
	Batch       int64  `json:"batch"`
	Consent     int64  `json:"consent"`
	Dataset     string `json:"dataset"`
	Outcome     string `json:"outcome,omitempty"`
	Class       string `json:"class,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Correlation string `json:"correlation_id,omitempty"`
	Call        string `json:"call,omitempty"`
}

type batchesJSON struct {
	Pending int `json:"pending"`
	Working int `json:"working"`
	Parked  int `json:"parked"`
	Done    int `json:"done"`
}

// overJSON is why nothing is called over the run's connection now.
type overJSON struct {
	Since  time.Time `json:"since"`
	Class  string    `json:"class"`
	Reason string    `json:"reason"`
}

type reportJSON struct {
	Event string `json:"event"` // report; progress while the run is going
	runJSON
	State        string         `json:"state"`
	Reruns       []int64        `json:"reruns,omitempty"`
	NothingRead  string         `json:"nothing_read,omitempty"` // why
	Counts       []countsJSON   `json:"counts"`
	Calls        int            `json:"calls"`
	CallsByClass map[string]int `json:"calls_by_class,omitempty"`
	Pauses       int            `json:"pauses"`
	PausedFor    float64        `json:"paused_seconds"`
	LeftAlone    int            `json:"left_alone,omitempty"` // times, because the provider failed all the time
	FailedWith   string         `json:"failed_with,omitempty"`
	Closed       []gateJSON     `json:"closed,omitempty"` // now, of the connection
	WallTime     float64        `json:"wall_seconds"`
	Batches      batchesJSON    `json:"batches"`
	ParkedUntil  *time.Time     `json:"parked_until,omitempty"`
	ParkReason   string         `json:"park_reason,omitempty"`
	Over         *overJSON      `json:"connection_parked,omitempty"`
	Removals     []removalsJSON `json:"withheld_removals,omitempty"`
	History      *historyJSON   `json:"history_raised,omitempty"`
	Slowest      []slowJSON     `json:"slowest,omitempty"`
	NotComplete  []itemJSON     `json:"not_complete,omitempty"`
	Withheld     []itemJSON     `json:"withheld,omitempty"`
}

// progressJSON is where a run stands, without the items.
func progressJSON(r persist.Report) reportJSON {
	j := reportJSON{
		Event: "progress", runJSON: toRunJSON(r.Run), State: runState(r), Reruns: r.Reruns, Counts: []countsJSON{},
		Calls: r.Calls, Pauses: r.Pauses, PausedFor: r.Paused.Seconds(), WallTime: r.Wall.Seconds(),
		Batches:   batchesJSON{r.Batches.Pending, r.Batches.Working, r.Batches.Parked, r.Batches.Done},
		LeftAlone: r.LeftAlone, FailedWith: r.FailedWith,
		ParkReason: r.ParkReason, ParkedUntil: instant(r.ParkedUntil), NothingRead: nothingRead(r),
	}
	if len(r.Gates) > 0 {
		j.Closed = toGatesJSON(r.Gates)
	}
	if r.Over.Parked {
		j.Over = &overJSON{r.Over.ParkedAt, r.Over.ParkedClass, r.Over.ParkedReason}
	}
	for _, g := range r.Guards {
		j.Removals = append(j.Removals, toRemovalsJSON(g))
	}
	for _, c := range r.Counts {
		j.Counts = append(j.Counts, countsJSON{string(c.Dataset), c.Expected, c.Rows, c.Empty, c.Partial, c.Excused, c.Failed,
			c.Missing, c.Records, c.Inserted, c.Updated, c.Removed, c.Rejected})
	}
	return j
}

// toReportJSON is everything that is known of a run.
func toReportJSON(r persist.Report) reportJSON {
	j := progressJSON(r)
	j.Event, j.CallsByClass = "report", map[string]int{}
	for _, c := range r.ByClass {
		j.CallsByClass[string(c.Class)] = c.Calls
	}
	for _, s := range r.Slowest {
		j.Slowest = append(j.Slowest, slowJSON{s.Batch, s.Consent, string(s.Dataset), s.Took.Seconds(), s.Pages})
	}
	j.NotComplete, j.Withheld = toItemsJSON(r.NotComplete), toItemsJSON(r.Withheld)
	return j
}

func toItemsJSON(list []persist.OpenItem) []itemJSON {
	var items []itemJSON
	for _, i := range list {
		item := itemJSON{Run: i.Run, Batch: i.Batch, Consent: i.Consent, Dataset: string(i.Dataset), Outcome: string(i.Outcome),
			Class: string(i.Class), Reason: i.Reason, Correlation: i.Correlation}
		if !i.Call.IsZero() {
			item.Call = i.Call.String()
		}
		items = append(items, item)
	}
	return items
}
