package main

import (
	"context"
	"fmt"
	"strings"

	"syncer/jobs"
	"syncer/persist"
)

// historyJSON is what of a job's history its streams were never asked for.
type historyJSON struct {
	Streams int    `json:"streams"`
	From    string `json:"from"`
	To      string `json:"to"`
	Command string `json:"command"`
	Calls   int    `json:"calls_at_least"`
}

// historyGap is what of a configured job's history, as it is today, its streams were never asked for.
func (h *house) historyGap(ctx context.Context, name string) (persist.HistoryGap, error) {
	job, err := h.job(name)
	if err != nil {
		return persist.HistoryGap{}, err
	}
	zone, err := h.zone(job.Connection)
	if err != nil {
		return persist.HistoryGap{}, err
	}
	return job.HistoryGap(ctx, h.Store, zone)
}

// tellHistory adds to a report of the job's own run what of its history was never asked for. A job that the config no
// longer has says nothing, and no report fails for this.
func (a *app) tellHistory(ctx context.Context, h *house, r persist.Report, j *reportJSON) {
	_, known := h.Config.Jobs[r.Run.Job]
	if !known || r.Run.Kind == persist.Backfill || r.Run.Kind == persist.Rerun {
		return
	}
	gap, err := h.historyGap(ctx, r.Run.Job)
	if err != nil {
		a.hint("Whether the job's history was raised since the first load is not known: %s", printable(err.Error()))
		return
	}
	if gap.Streams == 0 {
		return
	}
	if j != nil {
		command := fmt.Sprintf("syncer backfill %s --from %s --to %s", r.Run.Job, gap.From, gap.To)
		j.History = &historyJSON{gap.Streams, gap.From.String(), gap.To.String(), command, gap.Calls()}
		return
	}
	said := strings.Join(wrapped("  ", jobs.HistoryAdvice(r.Run.Job, gap)), "\n")
	a.say("\n%s", painter(a.out, a.env).warn(said))
}
