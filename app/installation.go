package app

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/config"
	"syncer/fetch"
	"syncer/persist"
	"syncer/persist/pg"
	"syncer/persist/schema"
	"syncer/persist/seal"
	"syncer/persist/workers"
	"syncer/report"
)

// Options are what an installation needs besides its configuration.
type Options struct {
	Providers []fetch.Provider // which there are
	Env       config.Env       // where env: secrets are looked up
	Log       zerolog.Logger
	Note      func(string) // hears what takes time while the embedded server is brought up; may be nil
	Make      bool         // an embedded database may be made where there is none
	Step      func(string) // is called at the named points of a batch's and a commit's life; may be nil
}

// Installation is a configuration with its keys and its database. Engine adds the connections and the worker; commands
// that only look need neither.
type Installation struct {
	Config *config.Config
	Pool   *pgxpool.Pool  // nil before Connect
	Store  *persist.Store // nil before UseKeys

	opt     Options
	sealer  *seal.Sealer
	closers []func() // undone in the opposite order
}

// Configured is an installation that is not open: it knows its jobs and connections, and has no database. Open opens one
// at once; ReadKeys, Connect and UseKeys do it in parts.
func Configured(cfg *config.Config, opt Options) *Installation {
	return &Installation{Config: cfg, opt: opt}
}

// Open opens the keys and the database, starting the embedded one if none is configured, and migrates it.
// Close it in the end. ctx bounds the opening only.
func Open(ctx context.Context, cfg *config.Config, opt Options) (*Installation, error) {
	inst := Configured(cfg, opt)
	if err := inst.openAll(ctx); err != nil {
		inst.Close()
		return nil, err
	}
	return inst, nil
}

func (inst *Installation) openAll(ctx context.Context) error {
	if err := inst.ReadKeys(); err != nil {
		return err
	}
	id := uuid.New()
	if err := inst.Connect(ctx, workers.ApplicationName(id)); err != nil {
		return err
	}
	if err := schema.Migrate(ctx, inst.Pool, inst.opt.Log); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	host, _ := os.Hostname() // a name for people; an empty one works
	return inst.UseKeys(ctx, pg.Worker{
		ID: id, Host: cmp.Or(inst.Config.Worker.ID, host), PID: os.Getpid(), Version: report.ThisBuild().Version,
	})
}

// ReadKeys reads the key file.
func (inst *Installation) ReadKeys() (err error) {
	inst.sealer, err = openKeys(inst.Config.Keys.File)
	return err
}

// Connect connects to the database, under a name that its server shows, and starts the embedded server where that is
// meant. It migrates nothing.
func (inst *Installation) Connect(ctx context.Context, name string) error {
	url, err := inst.databaseURL(ctx)
	if err != nil {
		return err
	}
	pool, err := pg.Open(ctx, url, pg.Options{ApplicationName: name, Log: inst.opt.Log})
	if err != nil {
		return err
	}
	inst.Pool = pool
	inst.closers = append(inst.closers, pool.Close)
	return nil
}

// UseKeys makes the store, if the database was written with these keys. worker is this process.
func (inst *Installation) UseKeys(ctx context.Context, worker pg.Worker) error {
	if err := seal.CheckKeys(ctx, inst.Pool, inst.sealer); err != nil {
		return foreignKeys(inst.Config, err)
	}
	inst.Store = persist.NewStore(inst.Pool, inst.sealer, worker)
	return nil
}

// Close gives everything back. An engine is stopped before.
func (inst *Installation) Close() {
	for _, undo := range slices.Backward(inst.closers) {
		undo()
	}
	inst.closers = nil
}
