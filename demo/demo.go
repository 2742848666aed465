package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/app"
	"syncer/config"
	"syncer/persist/embedded"
	"syncer/persist/read"
	"syncer/report/text"
)

// folderName is where the demo keeps its configuration, keys and the sandbox's secrets, below the working directory.
const folderName = ".syncer/demo"

// databaseName is the demo's own database in the embedded cluster. Each demo begins with a new one.
const databaseName = "syncer_demo"

// Options say how large the demo is and where it is shown.
type Options struct {
	Scale int    // how many times the usual world
	Seed  uint64 // of the simulated world: the same seed is the same world
	Keep  bool   // the database stays afterwards

	Env     config.Env // of OwnEnv
	Out     io.Writer  // what the demo says, and the reports of its runs
	Paint   text.Paint
	Hint    func(format string, args ...any) // what is told beside that
	Display func() app.Display               // of the progress of one run
	Open    func(ctx context.Context, cfg *config.Config) (*app.Installation, error)
}

// say prints a line.
func (o Options) say(format string, args ...any) { fmt.Fprintf(o.Out, format+"\n", args...) }

// note tells what takes time.
func (o Options) note(text string) { o.Hint("%s", text) }

// Result is what a demo has brought about.
type Result struct {
	Config string // the path of its configuration
	Kept   bool   // the configuration and the database are still there
	Took   time.Duration
	Runs   []read.Report // as they stand after the morning
}

// Run shows a whole night, with faults, against simulated providers on this machine.
func Run(ctx context.Context, o Options) (r Result, err error) {
	began := time.Now()
	world, err := newWorld(o.Seed, o.Scale)
	if err != nil {
		return r, err
	}
	defer world.Close()
	o.say("%s on loopback, a Postgres of our own, and a night that goes wrong.", text.Count(len(world.Parts), "simulated provider"))
	server, err := startServer(ctx, o)
	if err != nil {
		return r, err
	}
	if !o.Keep {
		defer func() { err = errors.Join(err, stopOurs(context.WithoutCancel(ctx), server)) }()
	}
	alone, err := onlyDemo(ctx, server.URL())
	if err != nil {
		return r, err
	}
	defer alone.Close(context.WithoutCancel(ctx))
	cfg, path, err := configure(ctx, o, world, server.URL())
	if err != nil {
		return r, err
	}
	if !o.Keep {
		defer forgetDemo(context.WithoutCancel(ctx), server.URL())
	}
	inst, err := o.Open(ctx, cfg)
	if err != nil {
		return r, err
	}
	defer inst.Close()
	n := &night{Options: o, world: world, inst: inst, config: path}
	if err := n.run(ctx); err != nil {
		return r, err
	}
	r = Result{Config: path, Kept: o.Keep, Took: time.Since(began)}
	for _, run := range n.runs {
		report, err := inst.Store.Read.Report(ctx, run.ID)
		if err != nil {
			return r, err
		}
		r.Runs = append(r.Runs, report)
	}
	o.say("The whole night took %s.\n", text.Took(r.Took))
	if o.Keep {
		o.tryNext(path, n.runs)
	}
	return r, nil
}

// stopOurs stops the server if the demo has started it. One that was running is somebody else's.
func stopOurs(ctx context.Context, server *embedded.Server) error {
	if !server.Started() {
		return nil
	}
	if err := embedded.Stop(ctx, server.Dir()); err != nil && !errors.Is(err, embedded.ErrNotRunning) {
		return fmt.Errorf("stop the Postgres that the demo has started: %w", err)
	}
	return nil
}

// startServer brings up the embedded Postgres.
func startServer(ctx context.Context, o Options) (*embedded.Server, error) {
	base, err := config.Parse(nil, config.DefaultPath, o.Env)
	if err != nil {
		return nil, err
	}
	dir, err := app.EmbeddedDir(base)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Log: o.note})
	if err != nil {
		return nil, err
	}
	o.say("  Postgres is up in %s (%s).", server.Dir(), text.Took(time.Since(began)))
	return server, nil
}

// onlyDemo keeps other demos away from the demo's database for as long as the connection lives.
func onlyDemo(ctx context.Context, server string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("look for another demo: %w", err)
	}
	var alone bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtext('`+databaseName+`'))`).Scan(&alone)
	if err == nil && !alone {
		err = errors.New("one is running on this machine: wait for its end, or give this one a Postgres of its own with " +
			"SYNCER_STATE_DIR=/another/folder")
	}
	if err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("look for another demo: %w", err)
	}
	return conn, nil
}

// configure makes a new database, and writes the configuration that the next commands use too.
func configure(ctx context.Context, o Options, world *World, server string) (*config.Config, string, error) {
	address, err := newDatabase(ctx, server)
	if err != nil {
		return nil, "", err
	}
	folder, err := filepath.Abs(folderName)
	if err != nil {
		return nil, "", fmt.Errorf("find the demo's folder: %w", err)
	}
	path, err := world.WriteConfig(folder, address)
	if err != nil {
		return nil, "", err
	}
	cfg, err := config.Load(path, o.Env)
	return cfg, path, err
}

// newDatabase makes the demo's database anew and gives its URL, which holds the password.
func newDatabase(ctx context.Context, server string) (string, error) {
	if err := onServer(ctx, server, `DROP DATABASE IF EXISTS `+databaseName+` WITH (FORCE)`, `CREATE DATABASE `+databaseName); err != nil {
		return "", fmt.Errorf("make the demo's database: %w", err)
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("make the demo's database: the server's address can't be read")
	}
	u.Path = "/" + databaseName
	return u.String(), nil
}

func onServer(ctx context.Context, server string, statements ...string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// forgetDemo removes what the demo made. The files of the cluster stay: other databases may be in it.
func forgetDemo(ctx context.Context, server string) {
	_ = onServer(ctx, server, `DROP DATABASE IF EXISTS `+databaseName+` WITH (FORCE)`)
	_ = os.RemoveAll(folderName)
}
