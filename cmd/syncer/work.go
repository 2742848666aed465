package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) workCommand() *cobra.Command {
	var only []string
	c := &cobra.Command{
		Use:   "work",
		Short: "Work batches until a signal comes",
		Long: "Works the batches of all jobs, or of those named, beside any number of other processes. It fires no\n" +
			"schedule and plans nothing. A signal finishes the pages in hand and leaves.",
		Example: "  syncer work\n  syncer work --job nightly-debt --job nightly-accounts",
		Args:    usageArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.work(cmd.Context(), only) },
	}
	c.Flags().StringSliceVar(&only, "job", nil, "work only this job (may be repeated)")
	_ = c.RegisterFlagCompletionFunc("job", a.jobNames)
	return c
}

func (a *app) work(ctx context.Context, only []string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if len(only) == 0 {
		only = sortedKeys(cfg.Jobs)
	}
	if len(only) == 0 {
		return fmt.Errorf("work: %s has no jobs: write one under jobs", a.path())
	}
	h, err := a.house(ctx, cfg, a.logger(cfg.Log.Level))
	if err != nil {
		return err
	}
	defer h.Close()
	life := context.WithoutCancel(ctx) // the first signal asks to leave; the pages in hand are finished
	engine, err := h.Engine(life, engineSpec{Jobs: only, Work: true})
	if err != nil {
		return err
	}
	if err := engine.Start(life); err != nil {
		return err
	}
	h.opt.Log.Info().Strs("jobs", only).Msg("working")
	<-ctx.Done()
	h.opt.Log.Info().Str("at_most", engine.Drain.String()).Msg("leaving: the pages in hand are finished first")
	return engine.Stop(life)
}
