package app

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

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
	Providers  []fetch.Provider // which there are
	Env        config.Env       // where env: secrets are looked up
	Log        zerolog.Logger
	Note       func(string) // hears what takes time while the embedded server is brought up; may be nil
	Make       bool         // an embedded database may be made where there is none
	Migrate    bool         // the schema is brought up to date, unless database.migrate says that others do that
	Stay       bool         // a database that is there, and takes no work just now, is waited for
	AcceptKeys bool         // somebody says that the key file is the database's, where that can't tell
	Look       bool         // nothing is changed: a role that can only read will do, and the database learns no keys
	Step       func(string) // is called at the named points of a batch's and a commit's life; may be nil
}

// Installation is a configuration with its keys and its database. Engine adds the connections and the worker; commands
// that only look need neither.
type Installation struct {
	Config *config.Config
	Pool   *pgxpool.Pool  // nil before Connect
	Store  *persist.Store // nil before UseKeys

	opt      Options
	sealer   *seal.Sealer
	keysOpen string        // why the key file is not safe from others
	memory   *fetch.Memory // of all connections
	closers  []func()      // undone in the opposite order
}

// Configured is an installation that is not open: it knows its jobs and connections, and has no database. Open opens one
// at once; ReadKeys, Connect and UseKeys do it in parts.
func Configured(cfg *config.Config, opt Options) *Installation {
	return &Installation{Config: cfg, opt: opt, memory: fetch.NewMemory(cfg.Worker.Memory.Bytes())}
}

// Open opens the keys and the database, starting the embedded one if none is configured, and migrates it if that is
// meant. Close it in the end. ctx bounds the opening only.
func Open(ctx context.Context, cfg *config.Config, opt Options) (*Installation, error) {
	met := false // the database was there
	for wait := time.Second; ; wait = min(2*wait, mostWait) {
		inst := Configured(cfg, opt)
		err := inst.openAll(ctx)
		if err == nil {
			return inst, nil
		}
		met = met || inst.Pool != nil
		inst.Close()
		if !opt.Stay || ctx.Err() != nil || !pg.Refused(err) && !(met && pg.Passing(err)) {
			return nil, err
		}
		opt.Log.Warn().Err(err).Stringer("wait", wait).Msg("the database is not to be had just now; it is tried again")
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// mostWait is the longest time between two tries to have a database that is not to be had.
const mostWait = 15 * time.Second

// Stay does a step until the database is to be had for it, or ctx ends. What fails for another reason is given back at once.
func (inst *Installation) Stay(ctx context.Context, step func() error) error {
	for wait := time.Second; ; wait = min(2*wait, mostWait) {
		err := step()
		_, called := errors.AsType[*fetch.Error](err) // a provider's connection may break, too
		if err == nil || called || ctx.Err() != nil || !pg.Passing(err) {
			return err
		}
		inst.opt.Log.Warn().Err(err).Stringer("wait", wait).Msg("the database is not to be had just now; it is tried again")
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

func (inst *Installation) openAll(ctx context.Context) error {
	if err := inst.ReadKeys(); err != nil {
		return err
	}
	if plain := inst.Unencrypted(); plain != "" {
		inst.opt.Log.Warn().Msg(plain)
	}
	if inst.keysOpen != "" {
		inst.opt.Log.Warn().Msg(inst.keysOpen)
	}
	id := uuid.New()
	if err := inst.Connect(ctx, workers.ApplicationName(id)); err != nil {
		return err
	}
	if err := inst.readySchema(ctx); err != nil {
		return err
	}
	host, _ := os.Hostname() // a name for people; an empty one works
	return inst.UseKeys(ctx, pg.Worker{
		ID: id, Host: cmp.Or(inst.Config.Worker.ID, host), PID: os.Getpid(), Version: report.ThisBuild().Version,
		Schema: schema.Wanted(),
	})
}

// ReadKeys reads the key file.
func (inst *Installation) ReadKeys() (err error) {
	inst.sealer, inst.keysOpen, err = openKeys(inst.Config.Keys.File)
	return err
}

// Connect connects to the database, under a name that its server shows, and starts the embedded server where that is
// meant. It migrates nothing.
func (inst *Installation) Connect(ctx context.Context, name string) error {
	url, dial, err := inst.database(ctx)
	if err != nil {
		return err
	}
	pool, err := pg.Open(ctx, url, pg.Options{
		ApplicationName: name, Schema: inst.Config.Database.Schema, ReadOnly: inst.opt.Look, Dial: dial, Log: inst.opt.Log,
	})
	if err != nil {
		return err
	}
	inst.Pool = pool
	inst.closers = append(inst.closers, pool.Close)
	return nil
}

// UseKeys makes the store, if the database was written with these keys. worker is this process.
func (inst *Installation) UseKeys(ctx context.Context, worker pg.Worker) error {
	if err := inst.checkKeys(ctx); err != nil {
		return foreignKeys(inst.Config, err)
	}
	inst.Store = persist.NewStore(inst.Pool, inst.sealer, worker)
	_, err := inst.Store.Restore.Look(ctx) // before anything is called for that may be spent
	return err
}

// checkKeys compares the keys with those of the database. One that knows none yet, and is empty, learns these from whoever can
// write in it.
func (inst *Installation) checkKeys(ctx context.Context) error {
	if inst.opt.AcceptKeys {
		return seal.AcceptKeys(ctx, inst.Pool, inst.sealer)
	}
	if !inst.opt.Look {
		return seal.CheckKeys(ctx, inst.Pool, inst.sealer)
	}
	writes, err := inst.CanWrite(ctx)
	if err != nil {
		return err
	}
	if !writes {
		return seal.CompareKeys(ctx, inst.Pool, inst.sealer)
	}
	err = seal.CheckKeys(ctx, inst.Pool, inst.sealer)
	if errors.Is(err, seal.ErrUnprovenKeys) { // nobody is harmed by a look
		return nil
	}
	return err
}

// Close gives everything back. An engine is stopped before.
func (inst *Installation) Close() {
	for _, undo := range slices.Backward(inst.closers) {
		undo()
	}
	inst.closers = nil
}
