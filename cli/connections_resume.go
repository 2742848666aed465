package cli

import (
	"context"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/persist"
	"syncer/persist/admit"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) resumeCommand() *cobra.Command {
	resume := &cobra.Command{
		Use: "resume NAME --reason TEXT", Short: "End a pause of days that the provider can't have meant", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Ends the pauses of a connection that are longer than a day, such as one until 2036 from a provider that wrote a\n" +
			"wrong date. One call asks, and the others wait for what it hears: if the provider tells to wait, that holds.\n" +
			"Ask the provider first: whoever calls inside a pause that was meant may be switched off. A shorter pause is waited\n" +
			"for. `syncer status` shows what is closed.",
		Example:           "  syncer connections resume ng-prod --reason 'their support says it was a mistake (case 4711)'",
		ValidArgsFunction: p.connectionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !p.reasoned() {
				return usagef("--reason is missing: it is kept beside the pause that it ends")
			}
			return p.change(cmd.Context(), func(inst *app.Installation) error {
				return p.resumeConnection(cmd.Context(), inst, args[0])
			})
		},
	}
	return p.accountable(resume, "why the pause can be ended; kept beside it")
}

func (p *Program) resumeConnection(ctx context.Context, inst *app.Installation, name string) error {
	if _, err := inst.Provider(name); err != nil {
		return err
	}
	var ended []admit.ClosedGate
	err := inst.Store.Acting(ctx, p.act("connection", name),
		func(s *persist.Store, act *persist.Act) (err error) {
			ended, err = s.Admit.EndPauses(ctx, name, "by an operator: "+act.Why)
			act.Vain = len(ended) == 0
			act.Details = map[string]any{"ended": len(ended)}
			return err
		})
	if err != nil {
		return err
	}
	closed, err := inst.Store.Admit.ClosedGates(ctx, name)
	if err != nil {
		return err
	}
	if p.json {
		return p.document(report.ResumedConnection{Connection: name, Ended: report.ClosedGatesOf(ended), Closed: report.ClosedGatesOf(closed)})
	}
	for _, g := range ended {
		p.say("%s is open; it was closed until %s: %s", text.Printable(g.Name), text.Clock(g.Until), text.Printable(g.Reason))
	}
	paused := 0
	for _, g := range closed {
		if !g.Rate {
			paused++
		}
		p.say("%s", report.ClosedText(g))
	}
	switch {
	case len(ended) > 0:
		p.say("Parked batches go on within %s. One call asks; what the provider answers decides.",
			text.Took(inst.Config.Worker.Sweep.Std()))
	case len(closed) == 0:
		p.say("Nothing of connection %s is closed.", name)
	case paused == 0:
		p.say("No pause holds up connection %s.", name)
	default:
		p.say("Nothing of connection %s is closed for longer than %s, so nothing was done: a pause is the provider's word.",
			name, text.Took(admit.LongPause))
	}
	return nil
}
