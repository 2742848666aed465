package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"syncer/jobs"
	"syncer/persist"
)

// shift is a foreground command at work: an engine that works one job's batches while the command follows its runs.
type shift struct {
	app    *app
	house  *house
	engine *jobs.Engine
	log    zerolog.Logger
	life   context.Context // of the engine: it outlasts the first signal, so that the pages in hand can be finished
	ended  bool
}

// begin starts an engine for a job. Without work it only plans, and leaves the batches to other processes.
func (a *app) begin(ctx context.Context, h *house, job string, work bool) (*shift, error) {
	return a.beginAll(ctx, h, engineSpec{Jobs: []string{job}, Work: work})
}

// beginAll starts an engine.
func (a *app) beginAll(ctx context.Context, h *house, spec engineSpec) (*shift, error) {
	life := context.WithoutCancel(ctx)
	engine, err := h.Engine(life, spec)
	if err != nil {
		return nil, err
	}
	s := &shift{app: a, house: h, engine: engine, log: h.opt.Log, life: life}
	if err := engine.Start(life); err != nil {
		return nil, errors.Join(err, s.end())
	}
	return s, nil
}

// end leaves: the pages in hand are finished and the batches given back, within worker.drain. A second call does
// nothing.
func (s *shift) end() error {
	if s.ended {
		return nil
	}
	s.ended = true
	return s.engine.Stop(s.life)
}

const (
	lookEvery = 500 * time.Millisecond // at a run that is being followed
	patience  = time.Minute            // with a database that doesn't answer while a run is followed
)

// follow shows a run's progress until its verdict. A database that is away for a moment, as in a failover, is waited
// for: the workers do the same.
func (s *shift) follow(ctx context.Context, run int64) (persist.Report, error) {
	p := &progress{app: s.app}
	seen := time.Now()
	for {
		report, err := s.engine.Follow(ctx, run, lookEvery, func(r persist.Report) {
			seen = time.Now()
			p.show(r)
		})
		s.app.live.clear()
		if err == nil || ctx.Err() != nil || time.Since(seen) > patience {
			return report, err
		}
		s.log.Warn().Err(err).Int64("run", run).Msg("can't see how the run stands; trying again")
		select {
		case <-ctx.Done():
			return report, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// finish follows a run to its verdict, ends the shift and prints the report. An interruption ends with the exit code
// that says so: the run is not lost.
func (s *shift) finish(ctx context.Context, run persist.Run) (persist.Report, error) {
	report, err := s.follow(ctx, run.ID)
	if err != nil && ctx.Err() != nil {
		return report, s.interrupted(run)
	}
	if err != nil {
		return report, errors.Join(err, s.end())
	}
	return report, s.app.showReport(ctx, s.house, report)
}

// interrupted leaves and says how the run goes on.
func (s *shift) interrupted(run persist.Run) error {
	s.app.hint("Leaving: the pages in hand are finished first (a second signal leaves at once).")
	if err := s.end(); err != nil {
		s.log.Warn().Err(err).Msg("not everything was given back in order; the leases will end by themselves")
	}
	s.app.hint("Run %d is not finished. %s goes on with it.", run.ID, goesOn(run))
	return exitCode(exitInterrupted)
}

// goesOn is the command that goes on with an unfinished run.
func goesOn(r persist.Run) string {
	switch r.Kind {
	case persist.Rerun:
		return fmt.Sprintf("`syncer rerun %d`", r.OfRun)
	case persist.Backfill:
		return fmt.Sprintf("`syncer backfill %s` with the same days", r.Job)
	case persist.Final:
		return fmt.Sprintf("`syncer work --job %s`", r.Job)
	}
	return fmt.Sprintf("`syncer run %s`", r.Job)
}

// showReport prints a report on stdout: for a script with every item that is not complete.
func (a *app) showReport(ctx context.Context, h *house, r persist.Report) (err error) {
	r.Over = h.asConfigured(r.Over)
	if a.json {
		if r.NotComplete, err = h.Store.NotComplete(ctx, r.Run); err != nil {
			return err
		}
		j := toReportJSON(r)
		a.tellHistory(ctx, h, r, &j)
		return a.line(j)
	}
	writeReport(a.out, painter(a.out, a.env), r)
	a.tellHistory(ctx, h, r, nil)
	return nil
}
