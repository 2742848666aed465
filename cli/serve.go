package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/jobs"
)

func (p *Program) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Be the service: fire the schedules, work batches, answer health checks",
		Long: "Fires the schedules of all jobs and works their batches beside any number of others; the database\n" +
			"sees to it that each firing becomes one run. Answers /healthz (the process lives) and /readyz (the\n" +
			"database answers, the heartbeat is fresh, and it is not leaving) on server.listen. A signal finishes\n" +
			"the pages in hand and leaves within worker.drain; a second one leaves at once.",
		Example: "  syncer serve\n  SYNCER_SERVER_LISTEN=0.0.0.0:8080 syncer serve --log-format json",
		Args:    usageArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context()) },
	}
}

func (p *Program) serve(ctx context.Context) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	if len(cfg.Jobs) == 0 {
		return fmt.Errorf("serve: %s has no jobs: write one under jobs", p.path())
	}
	log := p.logger(cfg.Log.Level)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Server.Listen)
	if err != nil {
		return fmt.Errorf("listen on server.listen %s: %w (is another syncer serving there?)", cfg.Server.Listen, err)
	}
	defer listener.Close()
	inst, err := p.open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer inst.Close()
	life := context.WithoutCancel(ctx) // the first signal asks to leave; the pages in hand are finished
	engine, err := p.startEngine(ctx, inst, app.EngineSpec{Jobs: slices.Sorted(maps.Keys(cfg.Jobs)), Work: true, Watch: true, Rest: true})
	if err != nil {
		return err
	}
	log.Info().Str("listen", listener.Addr().String()).Int("jobs", len(engine.Jobs)).Msg("serving")
	return serving(ctx, life, engine, listener, ready{ctx, inst.Store.Workers}, log)
}

// serving ticks and answers until ctx ends, or until the web server fails: then the process leaves, for its supervisor
// to start it again. It answers until the work is given back, so that nobody takes a draining process for a dead one.
func serving(ctx, life context.Context, engine *jobs.Engine, listener net.Listener, probe ready, log zerolog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	probe.leaving = ctx
	web := &http.Server{Handler: healthHandler(probe), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	var clock sync.WaitGroup
	clock.Go(func() { engine.Tick(ctx) })

	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
		log.Error().Err(failed).Msg("serving ended by itself")
	}
	cancel()
	clock.Wait()
	log.Info().Str("at_most", engine.Drain.String()).Msg("leaving: the pages in hand are finished first")
	err := engine.Stop(life)
	within, done := context.WithTimeout(life, 5*time.Second)
	defer done()
	return errors.Join(failed, err, web.Shutdown(within))
}

// liveness is the part of the store that knows whether this process is alive to its siblings.
type liveness interface {
	Alive(ctx context.Context) (bool, error)
}

// ready answers whether work may be expected of this process.
type ready struct {
	leaving context.Context // has ended: the process is asked to leave
	worker  liveness
}

// check says why not, or nothing.
func (r ready) check(ctx context.Context) error {
	if r.leaving.Err() != nil {
		return errors.New("leaving")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	alive, err := r.worker.Alive(ctx)
	switch {
	case err != nil:
		return errors.New("the database does not answer") // its own words are for the log, not for whoever asks
	case !alive:
		return errors.New("the heartbeat is not fresh: other workers may take the batches over")
	}
	return nil
}

func healthHandler(probe ready) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := probe.check(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}
