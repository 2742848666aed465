package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"syncer/persist"
)

func (a *app) runCommand() *cobra.Command {
	var fresh bool
	c := &cobra.Command{
		Use:   "run JOB",
		Short: "Run a job now and follow it to its verdict",
		Long: "Plans a run of JOB for now, or goes on with one that is not finished, and works it in the foreground.\n" +
			"Other processes (syncer work, syncer serve) may help. A signal finishes the pages in hand and leaves;\n" +
			"the same command goes on from there.\n\n" +
			"Exit codes: 0 complete, 3 partial, 4 failed, 130 interrupted, 1 anything else, 2 wrong command line.",
		Example:           "  syncer run nightly-debt\n  syncer run nightly-debt --new --json | jq -c '.state'",
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: a.jobNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runJob(cmd.Context(), args[0], fresh)
		},
	}
	c.Flags().BoolVar(&fresh, "new", false, "plan a new run even if one of the job is not finished")
	return c
}

func (a *app) runJob(ctx context.Context, job string, fresh bool) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	h, err := a.house(ctx, cfg, a.quieter(cfg))
	if err != nil {
		return err
	}
	defer h.Close()
	s, err := a.begin(ctx, h, job, true)
	if err != nil {
		return err
	}
	defer s.end()
	run, err := s.pick(ctx, job, fresh)
	if err != nil {
		return err
	}
	report, err := s.finish(ctx, run)
	if err != nil {
		return err
	}
	if expected(report) == 0 {
		a.hint("\nNothing was read: no consent of %s is active. `syncer consents import FILE --connection %s` brings some.", run.Connection, run.Connection)
	}
	return verdictError(report.Run.Verdict)
}

func expected(r persist.Report) int {
	_, all := decided(r)
	return all
}

// pick goes on with the job's unfinished run, or plans one for now.
func (s *shift) pick(ctx context.Context, job string, fresh bool) (persist.Run, error) {
	if !fresh {
		run, found, err := s.house.Store.UnfinishedRun(ctx, job)
		if err != nil {
			return run, err
		}
		if found {
			s.app.hint("Going on with run %d (%s, for %s), which is not finished; --new would plan another.", run.ID, run.Kind, clock(run.ScheduledFor))
			return run, nil
		}
	}
	set, err := s.engine.Job(job)
	if err != nil {
		return persist.Run{}, err
	}
	run, _, err := s.engine.Fire(ctx, set, persist.Manual, time.Now().Truncate(time.Microsecond))
	return run, err
}
