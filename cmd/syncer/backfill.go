package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
)

func (a *app) backfillCommand() *cobra.Command {
	var from, to string
	var size int
	c := &cobra.Command{
		Use:   "backfill JOB --from DAY --to DAY",
		Short: "Load a range of days again, cut into windows",
		Long: "Plans one run of the job's transactions for each window of the range, oldest first, and works them in\n" +
			"the foreground. The nightly watermarks neither move nor wait. The same command goes on with what is not\n" +
			"finished. The exit code is that of the worst verdict, as for syncer run.",
		Example:           "  syncer backfill nightly-accounts --from 2025-01-01 --to 2025-12-31\n  syncer backfill nightly-accounts --from 2025-01-01 --to 2025-12-31 --days 30",
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: a.jobNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			windows, err := parseWindows(from, to, size, latestDay(time.Now()))
			if err != nil {
				return err
			}
			return a.backfill(cmd.Context(), args[0], windows)
		},
	}
	c.Flags().StringVar(&from, "from", "", "first day, YYYY-MM-DD")
	c.Flags().StringVar(&to, "to", "", "last day, included")
	c.Flags().IntVar(&size, "days", 90, "days in a window")
	return c
}

// latestDay is the day where it begins first.
func latestDay(now time.Time) finance.Date { return finance.DateOf(now.UTC().Add(14 * time.Hour)) }

// maxWindows is where a range is more likely a slip of the finger than a wish.
const maxWindows = 1000

func parseWindows(from, to string, size int, today finance.Date) ([]jobs.Window, error) {
	first, err := finance.ParseDate(from)
	if err != nil || first.IsZero() {
		return nil, usagef("--from %q: write the first day as YYYY-MM-DD", from)
	}
	last, err := finance.ParseDate(to)
	if err != nil || last.IsZero() {
		return nil, usagef("--to %q: write the last day as YYYY-MM-DD", to)
	}
	switch {
	case size < 1:
		return nil, usagef("--days %d: a window has at least one day", size)
	case last > today:
		return nil, usagef("--to %s lies after today", last)
	case last < first:
		return nil, usagef("--to %s lies before --from %s", last, first)
	case int(last-first)/size >= maxWindows:
		return nil, usagef("%d days in windows of %d are more than %d runs: make --days larger", int(last-first)+1, size, maxWindows)
	}
	return jobs.Windows(first, last, size), nil
}

func (a *app) backfill(ctx context.Context, job string, windows []jobs.Window) error {
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
	set, err := s.engine.Job(job)
	if err != nil {
		return err
	}
	runs, err := s.engine.Backfill(ctx, set, windows)
	if errors.Is(err, jobs.ErrNoDays) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%d of %d windows are planned and will be worked: %w", len(runs), len(windows), err)
	}
	a.hint("%s of %s.", count(len(runs), "run"), job)
	return s.finishAll(ctx, runs)
}

// finishAll follows the runs one after the other, while all of them are worked, and ends with the worst verdict.
func (s *shift) finishAll(ctx context.Context, runs []persist.Run) error {
	worst := persist.VerdictComplete
	for _, run := range runs {
		report, err := s.finish(ctx, run)
		if err != nil {
			return err
		}
		if !s.app.json {
			s.app.say("")
		}
		if v := report.Run.Verdict; worse(v, worst) {
			worst = v
		}
	}
	return verdictError(worst)
}

func worse(a, b persist.Verdict) bool { return badness(a) > badness(b) }

func badness(v persist.Verdict) int {
	switch v {
	case persist.VerdictComplete:
		return 0
	case persist.VerdictPartial:
		return 1
	}
	return 2
}
