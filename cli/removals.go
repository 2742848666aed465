package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/persist/pg"
	"syncer/persist/streams"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) removalsCommand() *cobra.Command {
	decide := func(use, short, long, example string, f func(context.Context, *app.Installation, int64) error) *cobra.Command {
		return p.accountable(&cobra.Command{
			Use: use + " RUN", Short: short, Long: long, Example: example, Args: usageArgs(cobra.ExactArgs(1)),
			RunE: func(cmd *cobra.Command, args []string) error {
				id, err := runID(args[0])
				if err != nil {
					return err
				}
				return p.change(cmd.Context(), func(inst *app.Installation) error { return f(cmd.Context(), inst, id) })
			},
		}, "")
	}
	return group("removals", "List removals that are withheld, make them after all, or undo what went before",
		&cobra.Command{
			Use: "list", Short: "List the runs whose removals are withheld, the newest first", Args: usageArgs(cobra.NoArgs),
			Long: "Lists the runs in which more records were missing than one night explains. From then on the run removed\n" +
				"nothing more of that dataset: those records stay until a later night shows them, or misses them too, or\n" +
				"somebody has decided.",
			Example: "  syncer removals list",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return p.look(cmd.Context(), func(inst *app.Installation) error { return p.listRemovals(cmd.Context(), inst) })
			},
		},
		decide("accept", "Remove what a run withholds: the provider means it",
			"Removes now what is withheld of RUN, and nothing later: the next night is guarded again. Records that were\n"+
				"shown again since are not removed. The items of RUN stay partial until a rerun proves them.",
			"  syncer removals accept 12 && syncer rerun 12", p.acceptRemovals),
		decide("undo", "Bring back what a run removed before it began to withhold: the provider was wrong",
			"Brings back what RUN and its reruns removed before they began to withhold, as far as it has not come back\n"+
				"since: the same values, first seen when they were, as a new change. What is withheld is there still, and\n"+
				"what was accepted stays removed. The items of those consents become partial: a rerun asks for them again.",
			"  syncer removals undo 12", p.undoRemovals))
}

func (p *Program) listRemovals(ctx context.Context, inst *app.Installation) error {
	guards, err := inst.Store.Read.WithheldRemovals(ctx)
	if err != nil {
		return err
	}
	for i, g := range guards {
		if p.json {
			if err := p.line(report.WithheldRemovalsOf(g)); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			p.say("")
		}
		report.WriteGuard(p.out, painter(p.out, p.env), g)
	}
	if len(guards) == 0 {
		p.hint("No removal is withheld.")
	}
	return nil
}

// changeRemovals accepts or undoes removals, which goes in steps.
func (p *Program) changeRemovals(ctx context.Context, inst *app.Installation, run int64,
	change func(context.Context, int64) (streams.RemovalChange, error),
) (did streams.RemovalChange, err error) {
	err = inst.Store.ActingInSteps(ctx, p.act("run", run), func(act *persist.Act) (err error) {
		did, err = change(ctx, run)
		act.Vain = did.Consents == 0
		act.Details = map[string]any{"records": did.Records, "consents": did.Consents}
		return err
	})
	return did, err
}

func (p *Program) acceptRemovals(ctx context.Context, inst *app.Installation, run int64) error {
	did, err := p.changeRemovals(ctx, inst, run, inst.Store.Streams.AcceptRemovals)
	if err != nil {
		return removalError(run, err)
	}
	if p.json {
		return p.line(report.RemovalChange{Event: "accepted", Run: run, Records: did.Records, Consents: did.Consents})
	}
	p.say("Removed %s of %s.", text.Count(did.Records, "record"), text.Count(did.Consents, "consent"))
	if did.Consents == 0 {
		p.did("Nothing of run %d was withheld any more.", run)
		return nil
	}
	p.hint("The items of run %d stay partial until `syncer rerun %d` proves them.", run, run)
	return nil
}

func (p *Program) undoRemovals(ctx context.Context, inst *app.Installation, run int64) error {
	did, err := p.changeRemovals(ctx, inst, run, inst.Store.Streams.UndoRemovals)
	if err != nil {
		return removalError(run, err)
	}
	if p.json {
		return p.line(report.RemovalChange{
			Event: "undone", Run: run, Records: did.Records, Consents: did.Consents, Rekeyed: did.Rekeyed,
		})
	}
	p.say("Brought back %s of %s.", text.Count(did.Records, "record"), text.Count(did.Consents, "consent"))
	if did.Rekeyed > 0 {
		p.say("Left removed: %s. Their keys have changed since that run, and what the\n"+
			"provider shows stands there under the new ones: the rows would be there twice.", text.Count(did.Rekeyed, "record"))
	}
	switch {
	case did.Consents > 0:
		p.hint("Their items are partial now. When the provider is right again, `syncer rerun %d` asks once more.", run)
	case did.Rekeyed == 0:
		p.did("Nothing that run %d removed before it began to withhold is missing any more.", run)
		p.hint("What was accepted stays removed, until the provider shows it again.")
	}
	return nil
}

// removalError says where to look when a run has nothing to accept or to undo.
func removalError(run int64, err error) error {
	switch {
	case errors.Is(err, pg.ErrNotFound):
		return fmt.Errorf("there is no run %d: `syncer runs` lists them", run)
	case errors.Is(err, streams.ErrGuardOpen):
		return fmt.Errorf("run %d has withheld no removal, so there is nothing to accept or undo: `syncer removals list` "+
			"lists the runs that have", run)
	}
	return err
}
