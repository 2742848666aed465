package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/config"
	"syncer/fetch"
	"syncer/persist"
	"syncer/persist/embedded"
)

// openOptions are what a house needs besides its configuration.
type openOptions struct {
	Providers []fetch.Provider // which there are
	Env       config.Env       // where env: secrets are looked up
	Log       zerolog.Logger
	Note      func(string) // hears what takes time while the embedded server is brought up; may be nil
	Step      func(string) // is called at the named points of a batch's and a commit's life; may be nil
}

// house is a running database with the store on it. Engine adds the providers and the worker; commands that only look
// don't.
type house struct {
	Config *config.Config
	Pool   *pgxpool.Pool
	Store  *persist.Store

	opt     openOptions
	sealer  *persist.Sealer
	closers []func() // undone in the opposite order
}

// openHouse opens the keys and the database, starting the embedded one if none is configured, and migrates it.
// Close it in the end. ctx bounds the opening only.
func openHouse(ctx context.Context, cfg *config.Config, opt openOptions) (*house, error) {
	sealer, err := openKeys(cfg.Keys.File)
	if err != nil {
		return nil, err
	}
	id := uuid.New()
	pool, err := openDatabase(ctx, cfg, opt, persist.ApplicationName(id))
	if err != nil {
		return nil, err
	}
	if err := persist.Migrate(ctx, pool, opt.Log); err != nil {
		pool.Close()
		return nil, fmt.Errorf("migrate the database: %w", err)
	}
	host, _ := os.Hostname() // a name for people; an empty one works
	worker := persist.Worker{ID: id, Host: cmp.Or(cfg.Worker.ID, host), PID: os.Getpid(), Version: buildVersion().Version}
	return &house{
		Config: cfg, Pool: pool, Store: persist.NewStore(pool, sealer, worker),
		opt: opt, sealer: sealer, closers: []func(){pool.Close},
	}, nil
}

// Close gives everything back. An engine is stopped before.
func (h *house) Close() {
	for _, undo := range slices.Backward(h.closers) {
		undo()
	}
	h.closers = nil
}

// openKeys reads the key file.
func openKeys(path string) (*persist.Sealer, error) {
	keys, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key file %s does not exist: make one with `syncer init`, or restore yours", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	sealer, err := persist.OpenSealer(keys)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	sealer.Follow(func() ([]byte, error) { return os.ReadFile(path) }) // `syncer keys rotate` stops nobody
	return sealer, nil
}

// openDatabase connects to the configured database, or to the embedded one, which it starts.
func openDatabase(ctx context.Context, cfg *config.Config, opt openOptions, name string) (*pgxpool.Pool, error) {
	url, err := databaseURL(ctx, cfg, opt)
	if err != nil {
		return nil, err
	}
	return persist.Open(ctx, url, persist.OpenOptions{ApplicationName: name, Log: opt.Log})
}

// databaseURL holds the password: it is never printed or logged.
func databaseURL(ctx context.Context, cfg *config.Config, opt openOptions) (string, error) {
	if !cfg.Database.URL.IsZero() {
		url, err := cfg.Database.URL.Reveal(opt.Env)
		if err != nil {
			return "", cfg.Problemf("database.url", "%s", err)
		}
		return url, nil
	}
	dir, err := embeddedDir(cfg)
	if err != nil {
		return "", err
	}
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Log: opt.Note})
	if err != nil {
		return "", err
	}
	return server.URL(), nil
}

// house opens what the command's config describes.
func (a *app) house(ctx context.Context, cfg *config.Config, log zerolog.Logger) (*house, error) {
	return openHouse(ctx, cfg, openOptions{Providers: providers(), Env: a.env, Log: log, Note: a.note, Step: a.step})
}

// look opens the house for a command that only looks into it, and closes it when f has done so.
func (a *app) look(ctx context.Context, f func(*house) error) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	h, err := a.house(ctx, cfg, a.logger("warn"))
	if err != nil {
		return err
	}
	defer h.Close()
	return f(h)
}

// note tells a person what takes time.
func (a *app) note(text string) { a.hint("%s", text) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
