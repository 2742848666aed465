package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/config"
	"syncer/demo"
	"syncer/persist/read"
	"syncer/report"
)

func (p *Program) demoCommand() *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use:   "demo",
		Short: "See a whole nightly run, with faults, against simulated providers",
		Long: "Brings up an embedded Postgres and a simulator of every provider on loopback, lets them misbehave, imports\n" +
			"consents and runs all nightly jobs: paused, refused, killed, resumed and re-run.\n" +
			"Nothing leaves this machine. The database stays for a look around; with --keep=false it goes, and\n" +
			"the Postgres that the demo has started is stopped.",
		Example: "  syncer demo\n  syncer demo --scale 5\n  syncer demo --keep=false --json | jq -c '.runs[] | [.job, .verdict]'",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Scale < 1 {
				return usagef("--scale %d: it must be at least 1", o.Scale)
			}
			r, err := demo.Run(cmd.Context(), p.forDemo(o))
			if err != nil || !p.json {
				return err
			}
			return p.document(report.DemoOf(r.Config, r.Kept, r.Took, r.Runs))
		},
	}
	c.Flags().IntVar(&o.Scale, "scale", 1, "how many times the usual world")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "the simulated world: the same seed is the same world")
	c.Flags().BoolVar(&o.Keep, "keep", true, "keep the database afterwards")
	return c
}

// unseen is a display of nothing.
type unseen struct{}

// Show shows nothing.
func (unseen) Show(read.Report) {}

// Hide hides nothing.
func (unseen) Hide() {}

// forDemo lets the demo show itself as a command does. From then on the environment is the demo's own.
func (p *Program) forDemo(o demo.Options) demo.Options {
	p.env = demo.OwnEnv(p.env)
	o.Env, o.Out, o.Paint, o.Hint = p.env, p.out, painter(p.out, p.env), p.hint
	o.Display = func() app.Display { return &progress{program: p} }
	if p.json { // one document in the end, and nothing before it
		o.Out = io.Discard
		o.Display = func() app.Display { return unseen{} }
	}
	o.Open = func(ctx context.Context, cfg *config.Config) (*app.Installation, error) {
		return p.open(ctx, cfg, p.logger(cfg.Log.Level))
	}
	return o
}
