package report

import (
	"time"

	"syncer/persist/admit"
	"syncer/persist/queue"
	"syncer/persist/read"
)

// Run is the JSON of `runs list`.
type Run struct {
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

// RunOf is a run for programs.
func RunOf(r queue.Run) Run {
	j := Run{
		Run: r.ID, Job: r.Job, Connection: r.Connection, Kind: string(r.Kind), ScheduledFor: r.ScheduledFor, OfRun: r.OfRun,
		Datasets: []string{}, WindowFrom: r.WindowFrom.String(), WindowTo: r.WindowTo.String(), Expected: r.Expected,
		Skipped: r.Skipped, Overlapped: r.Overlapped, Verdict: string(r.Verdict), CreatedAt: r.CreatedAt, SettledAt: instant(r.SettledAt),
	}
	for _, d := range r.Datasets {
		j.Datasets = append(j.Datasets, string(d))
	}
	return j
}

// instant is a time that is left out where there is none.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Counts are the items of a dataset by their outcomes, and its records.
type Counts struct {
	Dataset     string `json:"dataset"`
	Expected    int    `json:"expected"`
	Rows        int    `json:"rows"`
	Empty       int    `json:"empty"`
	Partial     int    `json:"partial"`
	Excused     int    `json:"excused"`
	Failed      int    `json:"failed"`
	Missing     int    `json:"missing"`
	Quarantined int    `json:"quarantined"`
	RecordCounts
	Figures *RecordCounts `json:"figures,omitempty"` // balances of accounts, which are none of the records
}

// RecordCounts are records that were read, reruns included, and what became of them.
type RecordCounts struct {
	Records   int `json:"records"`
	Unchanged int `json:"unchanged"`
	Inserted  int `json:"inserted"`
	Updated   int `json:"updated"`
	Removed   int `json:"removed"` // none of records
}

// countsOf are the counts of a dataset for programs.
func countsOf(c read.Counts) Counts {
	j := Counts{
		Dataset: string(c.Dataset), Expected: c.Expected, Rows: c.Rows, Empty: c.Empty, Partial: c.Partial, Excused: c.Excused,
		Failed: c.Failed, Missing: c.Missing, Quarantined: c.Rejected, RecordCounts: recordCountsOf(c.Records),
	}
	if c.Figures != (read.Records{}) {
		figures := recordCountsOf(c.Figures)
		j.Figures = &figures
	}
	return j
}

func recordCountsOf(r read.Records) RecordCounts {
	return RecordCounts{r.Read, r.Unchanged(), r.Inserted, r.Updated, r.Removed}
}

// SlowItem is one of the items that took longest.
type SlowItem struct {
	Batch    int64   `json:"batch"`
	Consent  int64   `json:"consent"`
	External string  `json:"external_id,omitempty"` // the provider's id of the consent
	Dataset  string  `json:"dataset"`
	Seconds  float64 `json:"seconds"`
	Pages    int     `json:"pages"`
}

// Batches are the batches of a run by their states.
type Batches struct {
	Pending int `json:"pending"`
	Working int `json:"working"`
	Parked  int `json:"parked"`
	Done    int `json:"done"`
}

// ParkedConnection is why nothing is called over the run's connection now.
type ParkedConnection struct {
	Since  time.Time `json:"since"`
	Class  string    `json:"class"`
	Reason string    `json:"reason"`
}

// Report is the JSON of a run: a line of `run`, `rerun` and `backfill` as it goes, and the first line of `runs show`.
type Report struct {
	Event string `json:"event"` // report; progress while the run is going
	Run
	State        string             `json:"state"`
	Reruns       []int64            `json:"reruns,omitempty"`
	NothingRead  string             `json:"nothing_read,omitempty"` // why
	Counts       []Counts           `json:"counts"`
	Calls        int                `json:"calls"`
	CallsByClass map[string]int     `json:"calls_by_class,omitempty"`
	Pauses       int                `json:"pauses"`
	PausedFor    float64            `json:"paused_seconds"`
	LeftAlone    int                `json:"left_alone,omitempty"` // times, because the provider failed all the time
	FailedWith   string             `json:"failed_with,omitempty"`
	Closed       []ClosedGate       `json:"closed,omitempty"`       // now, of the connection; of those of one alone the longest
	ClosedAlone  int                `json:"closed_alone,omitempty"` // how many hold up one consent or account alone
	WallTime     float64            `json:"wall_seconds"`
	Batches      Batches            `json:"batches"`
	ParkedUntil  *time.Time         `json:"parked_until,omitempty"`
	ParkReason   string             `json:"park_reason,omitempty"`
	Unworked     string             `json:"unworked,omitempty"` // nobody works the open run, and what to do about it
	Over         *ParkedConnection  `json:"connection_parked,omitempty"`
	Quarantine   []QuarantineCause  `json:"quarantine,omitempty"` // why records could not be read or stored
	Removals     []WithheldRemovals `json:"withheld_removals,omitempty"`
	Drifts       []Drift            `json:"drifts,omitempty"`                  // members that most records had, and none of the run's
	NewAccounts  int                `json:"new_accounts_of_renewed,omitempty"` // while others of these consents are gone
	History      *HistoryGap        `json:"history_raised,omitempty"`
	Slowest      []SlowItem         `json:"slowest,omitempty"`
	NotComplete  *Causes            `json:"not_complete_causes,omitempty"`
	Withheld     *Causes            `json:"withheld_causes,omitempty"`
}

// ProgressOf is where a run stands, without the items.
func ProgressOf(r read.Report) Report {
	j := Report{
		Event: "progress", Run: RunOf(r.Run), State: runState(r), Reruns: r.Reruns, Counts: []Counts{},
		Calls: r.Calls, Pauses: r.Pauses, PausedFor: r.Paused.Seconds(), WallTime: r.Wall.Seconds(),
		Batches:   Batches{r.Batches.Pending, r.Batches.Working, r.Batches.Parked, r.Batches.Done},
		LeftAlone: r.LeftAlone, FailedWith: r.FailedWith, NewAccounts: r.NewAccounts,
		ParkReason: r.ParkReason, Unworked: unworkedText(r), ParkedUntil: instant(r.ParkedUntil), NothingRead: nothingRead(r),
	}
	if len(r.Gates) > 0 {
		shown, alone := fewAlone(r.Gates)
		j.Closed = ClosedGatesOf(shown)
		j.ClosedAlone = alone
	}
	if r.Over.Parked {
		j.Over = &ParkedConnection{r.Over.ParkedAt, r.Over.ParkedClass, r.Over.ParkedReason}
	}
	if len(r.Drifts) > 0 {
		j.Drifts = driftsOf(r.Drifts)
	}
	for _, g := range r.Guards {
		j.Removals = append(j.Removals, WithheldRemovalsOf(g))
	}
	for _, c := range r.Counts {
		j.Counts = append(j.Counts, countsOf(c))
	}
	return j
}

// ReportOf is everything that is known of a run.
func ReportOf(r read.Report) Report {
	j := ProgressOf(r)
	j.Event = "report"
	j.CallsByClass = map[string]int{}
	for _, c := range r.ByClass {
		j.CallsByClass[string(c.Class)] = c.Calls
	}
	for _, s := range r.Slowest {
		j.Slowest = append(j.Slowest, SlowItem{s.Batch, s.Consent, shownID(s.External), string(s.Dataset), s.Took.Seconds(), s.Pages})
	}
	j.Quarantine = quarantineCausesOf(r.Quarantine)
	j.NotComplete, j.Withheld = causesOf(r.Run.Connection, r.Causes), causesOf(r.Run.Connection, r.WithheldCauses)
	return j
}

// fewAlone leaves out gates of one consent or account alone, of which there may be one for each, and counts them all.
func fewAlone(gates []admit.ClosedGate) (shown []admit.ClosedGate, alone int) {
	for _, g := range gates {
		if g.Alone {
			alone++
		}
		if !g.Alone || alone <= read.ListedCauses {
			shown = append(shown, g)
		}
	}
	return shown, alone
}
