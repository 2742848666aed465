package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/persist"
)

func (a *app) removalsCommand() *cobra.Command {
	settle := func(use, short, long, example string, f func(context.Context, *house, int64) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " RUN", Short: short, Long: long, Example: example, Args: usageArgs(cobra.ExactArgs(1)),
			RunE: func(cmd *cobra.Command, args []string) error {
				id, err := runID(args[0])
				if err != nil {
					return err
				}
				return a.look(cmd.Context(), func(h *house) error { return f(cmd.Context(), h, id) })
			},
		}
	}
	return group("removals", "List removals that are withheld, make them after all, or undo what went before",
		&cobra.Command{
			Use: "list", Short: "List the runs whose removals are withheld, the newest first", Args: usageArgs(cobra.NoArgs),
			Long: "Lists the runs in which more records were missing than one night explains. From then on the run removed\n" +
				"nothing more of that dataset: those records stay until a later night shows them, or misses them too, or\n" +
				"somebody has decided.",
			Example: "  syncer removals list",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.look(cmd.Context(), func(h *house) error { return a.listRemovals(cmd.Context(), h) })
			},
		},
		settle("accept", "Remove what a run withholds: the provider means it",
			"Removes now what is withheld of RUN, and nothing later: the next night is guarded again. Records that were\n"+
				"shown again since are not removed. The items of RUN stay partial until a rerun proves them.",
			"  syncer removals accept 12 && syncer rerun 12", a.acceptRemovals),
		settle("undo", "Bring back what a run removed before it began to withhold: the provider was wrong",
			"Brings back what RUN and its reruns removed before they began to withhold, as far as it has not come back\n"+
				"since: the same values, first seen when they were, as a new change. What is withheld is there still.",
			"  syncer removals undo 12", a.undoRemovals))
}

type removalsJSON struct {
	Run        int64      `json:"run"`
	Job        string     `json:"job"`
	Connection string     `json:"connection"`
	Dataset    string     `json:"dataset"`
	ClosedAt   time.Time  `json:"withheld_from"`
	Reason     string     `json:"reason"`
	Withheld   int        `json:"withheld_records"`
	WithheldOf int        `json:"withheld_consents"`
	Removed    int        `json:"removed_records"` // before
	RemovedOf  int        `json:"removed_consents"`
	FirstAt    *time.Time `json:"missing_since,omitempty"`
}

func toRemovalsJSON(g persist.RemovalGuard) removalsJSON {
	return removalsJSON{
		Run: g.Run, Job: g.Job, Connection: g.Connection, Dataset: string(g.Dataset), ClosedAt: g.ClosedAt, Reason: g.Reason,
		Withheld: g.Withheld, WithheldOf: g.WithheldOf, Removed: g.Records, RemovedOf: g.Consents,
		FirstAt: instant(g.FirstWithheldAt),
	}
}

func (a *app) listRemovals(ctx context.Context, h *house) error {
	guards, err := h.Store.WithheldRemovals(ctx)
	if err != nil {
		return err
	}
	for i, g := range guards {
		if a.json {
			if err := a.line(toRemovalsJSON(g)); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			a.say("")
		}
		writeGuard(a.out, painter(a.out, a.env), g)
	}
	if len(guards) == 0 {
		a.hint("No removal is withheld.")
	}
	return nil
}

// writeGuard says what a run withholds, why, and what a person can do about it.
func writeGuard(w io.Writer, p paint, g persist.RemovalGuard) {
	what := fmt.Sprintf("run %d %s, %s: ", g.Run, shorten(printable(g.Job), 44), g.Dataset)
	if g.Withheld == 0 {
		what += "removals were withheld, and none is any more"
	} else {
		what += fmt.Sprintf("removals withheld, %s of %s", count(g.Withheld, "record"), count(g.WithheldOf, "consent"))
	}
	fmt.Fprintln(w, p.warn(strings.Join(wrapped("  ", what), "\n")))
	why := "from " + clock(g.ClosedAt) + " on, because " + g.Reason
	if g.Records > 0 {
		why += fmt.Sprintf("; %s of %s had been removed before", count(g.Records, "record"), count(g.Consents, "consent"))
	}
	fmt.Fprintln(w, strings.Join(wrapped("    ", why), "\n"))
	if g.Withheld == 0 {
		return
	}
	todo := fmt.Sprintf("ask the provider whether it means it; if so: syncer removals accept %d; if not", g.Run)
	if g.Records > 0 {
		todo += fmt.Sprintf(": syncer removals undo %d, and", g.Run)
	}
	todo += " the next good night ends this"
	fmt.Fprintln(w, strings.Join(wrapped("    ", todo), "\n"))
}

type removalChangeJSON struct {
	Event    string `json:"event"` // accepted or undone
	Run      int64  `json:"run"`
	Records  int    `json:"records"`
	Consents int    `json:"consents"`
}

func (a *app) acceptRemovals(ctx context.Context, h *house, run int64) error {
	did, err := h.Store.AcceptRemovals(ctx, run)
	if err != nil {
		return removalError(run, err)
	}
	if a.json {
		return a.line(removalChangeJSON{"accepted", run, did.Records, did.Consents})
	}
	a.say("Removed %s of %s.", count(did.Records, "record"), count(did.Consents, "consent"))
	if did.Consents == 0 {
		a.hint("Nothing of run %d was withheld any more.", run)
		return nil
	}
	a.hint("The items of run %d stay partial until `syncer rerun %d` proves them.", run, run)
	return nil
}

func (a *app) undoRemovals(ctx context.Context, h *house, run int64) error {
	did, err := h.Store.UndoRemovals(ctx, run)
	if err != nil {
		return removalError(run, err)
	}
	if a.json {
		return a.line(removalChangeJSON{"undone", run, did.Records, did.Consents})
	}
	a.say("Brought back %s of %s.", count(did.Records, "record"), count(did.Consents, "consent"))
	if did.Consents == 0 {
		a.hint("Nothing that run %d removed is missing any more.", run)
	}
	return nil
}

// removalError says where to look when a run has nothing to accept or to undo.
func removalError(run int64, err error) error {
	switch {
	case errors.Is(err, persist.ErrNotFound):
		return fmt.Errorf("there is no run %d: `syncer runs` lists them", run)
	case errors.Is(err, persist.ErrGuardOpen):
		return fmt.Errorf("run %d has withheld no removal, so there is nothing to accept or undo: `syncer removals list` "+
			"lists the runs that have", run)
	}
	return err
}
