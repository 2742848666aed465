package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/jobs"
)

func (p *Program) workCommand() *cobra.Command {
	var only []string
	c := &cobra.Command{
		Use:   "work",
		Short: "Work batches until a signal comes",
		Long: "Works the batches of all jobs, or of those named, beside any number of other processes. It fires no\n" +
			"schedule and plans nothing. A signal finishes the pages in hand and leaves.",
		Example: "  syncer work\n  syncer work --job nightly-debt --job nightly-accounts",
		Args:    usageArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.work(cmd.Context(), only) },
	}
	c.Flags().StringSliceVar(&only, "job", nil, "work only this job (may be repeated)")
	_ = c.RegisterFlagCompletionFunc("job", p.jobNames)
	return c
}

func (p *Program) work(ctx context.Context, only []string) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	all := len(only) == 0
	if all {
		only = slices.Sorted(maps.Keys(cfg.Jobs))
	}
	if len(only) == 0 {
		return fmt.Errorf("work: %s has no jobs: write one under jobs", p.path())
	}
	log := p.logger(cfg.Log.Level)
	inst, err := p.open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer inst.Close()
	life := context.WithoutCancel(ctx) // the first signal asks to leave; the pages in hand are finished
	engine, err := p.startEngine(ctx, inst, app.EngineSpec{Jobs: only, Work: true, Watch: true, Rest: all})
	if err != nil {
		return err
	}
	log.Info().Strs("jobs", engine.Serve).Msg("working")
	<-ctx.Done()
	log.Info().Str("at_most", engine.Drain.String()).Msg("leaving: the pages in hand are finished first")
	return engine.Stop(life)
}

// startEngine starts an engine as soon as the database is to be had. It outlasts ctx: stop it.
func (p *Program) startEngine(ctx context.Context, inst *app.Installation, spec app.EngineSpec) (*jobs.Engine, error) {
	var work *app.Foreground
	err := inst.Stay(ctx, func() (err error) {
		work, err = inst.Start(ctx, spec)
		return err
	})
	if err != nil {
		return nil, err
	}
	return work.Engine, nil
}
