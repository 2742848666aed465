package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"syncer/finance"
	"syncer/persist"
)

func (a *app) rerunCommand() *cobra.Command {
	var only []string
	var planOnly, wait bool
	c := &cobra.Command{
		Use:   "rerun RUN",
		Short: "Run again what a run has not proven complete",
		Long: "Takes the items of RUN that are failed, partial, excused or undecided, says first what they will cost,\n" +
			"and works them in the foreground. The verdict of RUN is settled anew by the outcome.\n\n" +
			"--only narrows it, and may be repeated: failed, partial, class=CLASS, consent=ID.",
		Example: "  syncer rerun 12 --plan\n  syncer rerun 12 --only failed\n  syncer rerun 12 --only class=transient --only consent=4711",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := runID(args[0])
			if err != nil {
				return err
			}
			selection, err := parseSelection(only)
			if err != nil {
				return err
			}
			return a.rerun(cmd.Context(), run, selection, planOnly, !wait)
		},
	}
	c.Flags().StringArrayVar(&only, "only", nil, "failed, partial, class=CLASS or consent=ID (may be repeated)")
	c.Flags().BoolVar(&planOnly, "plan", false, "only print what it would take and cost")
	c.Flags().BoolVar(&wait, "wait", false, "leave the work to other processes and only wait for the verdict")
	return c
}

func runID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("%q is not the number of a run: `syncer runs` lists them", text)
	}
	return id, nil
}

// parseSelection reads the values of --only.
func parseSelection(only []string) (persist.Selection, error) {
	var s persist.Selection
	for _, text := range only {
		key, value, _ := strings.Cut(text, "=")
		switch {
		case text == "failed":
			s.Failed = true
		case text == "partial":
			s.Partial = true
		case key == "class" && slices.Contains(finance.Classes(), finance.Class(value)):
			s.Classes = append(s.Classes, value)
		case key == "class":
			return s, usagef("--only %q: there is no such class; there are %s", text, strings.Trim(fmt.Sprint(finance.Classes()), "[]"))
		case key == "consent" && value != "":
			id, err := strconv.ParseInt(value, 10, 64)
			if err != nil || id < 1 {
				return s, usagef("--only %s: a consent is named by its number; `syncer consents list` shows them", printable(text))
			}
			s.Consents = append(s.Consents, id)
		default:
			return s, usagef("--only %q: write failed, partial, class=CLASS or consent=ID", text)
		}
	}
	return s, nil
}

func (a *app) rerun(ctx context.Context, id int64, selection persist.Selection, planOnly, work bool) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	h, err := a.house(ctx, cfg, a.quieter(cfg))
	if err != nil {
		return err
	}
	defer h.Close()
	run, err := h.run(ctx, id)
	if err != nil {
		return err
	}
	cost, err := h.Store.RerunCost(ctx, run.ID, selection)
	if err != nil {
		return fmt.Errorf("reckon what a rerun of run %d costs: %w", id, err)
	}
	if err := a.showCost(run, cost); err != nil || planOnly {
		return err
	}
	if cost.Items == 0 {
		return a.nothingToRerun(ctx, h, run)
	}
	s, err := a.begin(ctx, h, run.Job, work)
	if err != nil {
		return err
	}
	defer s.end()
	if !work {
		a.hint("Waiting for other processes to do it: `syncer work` and `syncer serve` are such.")
	}
	return s.rerun(ctx, run, selection)
}

// rerun plans the rerun, follows it and tells what became of the run it is for.
func (s *shift) rerun(ctx context.Context, of persist.Run, selection persist.Selection) error {
	again, created, err := s.engine.Rerun(ctx, of, selection)
	switch {
	case errors.Is(err, persist.ErrNothingToRerun):
		return s.app.nothingToRerun(ctx, s.house, of)
	case errors.Is(err, persist.ErrUnsettled):
		return fmt.Errorf("rerun run %d: it is not settled yet: %s goes on with it", of.ID, goesOn(of))
	case err != nil:
		return err
	}
	if !created {
		s.app.hint("Run %d is being run again already, as run %d: this goes on with that, whatever --only says.", of.ID, again.ID)
	}
	report, err := s.finish(ctx, again)
	if err != nil {
		return err
	}
	root, err := s.house.Store.RunByID(ctx, again.OfRun)
	if err != nil {
		return fmt.Errorf("look at run %d after its rerun: %w", again.OfRun, err)
	}
	s.app.hint("\nRun %d, with this rerun: %s", root.ID, root.Verdict)
	return verdictError(report.Run.Verdict)
}

// nothingToRerun says how the run stands of which nothing was chosen. That nothing is left to do is not that all is well.
func (a *app) nothingToRerun(ctx context.Context, h *house, of persist.Run) (err error) {
	if of.OfRun != 0 {
		if of, err = h.run(ctx, of.OfRun); err != nil {
			return err
		}
	}
	switch {
	case of.Verdict == "":
		return fmt.Errorf("rerun run %d: it is not settled yet: %s goes on with it", of.ID, goesOn(of))
	case a.json:
	case of.Verdict == persist.VerdictComplete:
		a.say("Nothing to do: run %d is complete.", of.ID)
	default:
		a.say("Nothing to do, and run %d stays %s: what it lacks was not selected, or belongs to consents that have ended.\n"+
			"`syncer runs show %d` names it.", of.ID, of.Verdict, of.ID)
	}
	return verdictError(of.Verdict)
}

// run finds a run, or says where to look.
func (h *house) run(ctx context.Context, id int64) (persist.Run, error) {
	run, err := h.Store.RunByID(ctx, id)
	if errors.Is(err, persist.ErrNotFound) {
		return run, fmt.Errorf("there is no run %d: `syncer runs` lists them", id)
	}
	return run, err
}

type costJSON struct {
	Event    string `json:"event"` // cost
	Run      int64  `json:"run"`
	Job      string `json:"job"`
	Consents int    `json:"consents"`
	Items    int    `json:"items"`
	Calls    int    `json:"calls"`
	Budgeted int    `json:"budgeted_consents"`
	Spent    int    `json:"spent_consents"`
	Ended    int    `json:"ended_consents"`
}

// showCost says what a rerun takes, before it takes it.
func (a *app) showCost(run persist.Run, c persist.Cost) error {
	if a.json {
		return a.line(costJSON{"cost", run.ID, run.Job, c.Consents, c.Items, c.Calls, c.Budgeted, c.Spent, c.Ended})
	}
	if c.Items > 0 {
		a.say("A rerun of run %d (%s) takes %s of %s, about %s.", run.ID, run.Job, count(c.Items, "item"), count(c.Consents, "consent"), count(c.Calls, "call"))
	}
	if c.Budgeted > 0 {
		a.say("%s a daily number of reads, and %s none left for now: those will be refused.", countHave(c.Budgeted, "consent"), countHave(c.Spent, "of them"))
	}
	if c.Ended > 0 {
		a.say("%s ended since, and what they lack is left out.", countHave(c.Ended, "consent"))
	}
	return nil
}

// countHave is "1 consent has" or "3 consents have".
func countHave(n int, noun string) string {
	has := "have"
	if n == 1 {
		has = "has"
	}
	if strings.HasPrefix(noun, "of ") {
		return thousands(n) + " " + noun + " " + has
	}
	return count(n, noun) + " " + has
}
