package app

import (
	"context"
	"fmt"

	"syncer/jobs"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report"
)

// overviewRuns is how many unfinished runs the screen has room for.
const overviewRuns = 8

// Judged is the report of a run with what this installation's configuration says of it.
func (inst *Installation) Judged(r read.Report) read.Report {
	r.Over = inst.AsConfigured(r.Over)
	r.NotConfigured = inst.NotConfigured(r.Run)
	return r
}

// NotConfigured says, for people, why nobody with this configuration works a run, which is open; empty: somebody may, or it has
// its verdict.
func (inst *Installation) NotConfigured(run queue.Run) string {
	job, known := inst.Config.Jobs[run.Job]
	switch {
	case run.Verdict != "":
		return ""
	case !known:
		return report.OrphanText(run)
	case job.Connection != run.Connection:
		return jobs.Elsewhere(run)
	}
	return ""
}

// Overview gathers what there is to know at a glance.
func (inst *Installation) Overview(ctx context.Context) (report.Overview, error) {
	var o report.Overview
	var err error
	if o.Restored, err = inst.Store.Restore.Look(ctx); err != nil {
		return o, err
	}
	open, err := inst.Store.Read.Runs(ctx, read.RunFilter{Open: true, Limit: overviewRuns})
	if err != nil {
		return o, err
	}
	for _, run := range open {
		report, err := inst.Store.Read.Report(ctx, run.ID)
		if err != nil {
			return o, fmt.Errorf("report of run %d: %w", run.ID, err)
		}
		o.Open = append(o.Open, inst.Judged(report))
	}
	if o.Last, err = inst.Store.Read.LastOfJobs(ctx); err != nil {
		return o, err
	}
	connections, err := inst.Store.Connections.List(ctx)
	if err != nil {
		return o, err
	}
	for _, c := range connections {
		if c = inst.AsConfigured(c); c.Parked {
			o.Parked = append(o.Parked, c)
		}
	}
	if o.Guards, err = inst.Store.Read.WithheldRemovals(ctx); err != nil {
		return o, err
	}
	if o.Drifts, err = inst.Store.Read.Drifts(ctx); err != nil {
		return o, err
	}
	if o.Closed, err = inst.Store.Admit.ClosedGates(ctx, ""); err != nil {
		return o, err
	}
	if o.Suspects, err = inst.Store.Read.Suspects(ctx); err != nil {
		return o, err
	}
	if o.Quotas, err = inst.dayQuotas(ctx); err != nil {
		return o, err
	}
	o.Workers, err = inst.Store.Read.Workers(ctx)
	return o, err
}
