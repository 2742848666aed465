package app

import (
	"context"
	"fmt"

	"syncer/jobs"
	"syncer/persist/read"
	"syncer/report"
)

// overviewRuns is how many unfinished runs the screen has room for.
const overviewRuns = 8

// Judged is the report of a run with what this installation's configuration says of it.
func (inst *Installation) Judged(r read.Report) read.Report {
	r.Over = inst.AsConfigured(r.Over)
	job, known := inst.Config.Jobs[r.Run.Job]
	switch {
	case !r.Running:
	case !known:
		r.NotConfigured = report.OrphanText(r.Run)
	case job.Connection != r.Run.Connection:
		r.NotConfigured = jobs.Elsewhere(r.Run)
	}
	return r
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
