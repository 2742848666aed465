package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/config"
	"syncer/persist"
	"syncer/persist/embedded"
	"syncer/persist/pg"
	"syncer/persist/schema"
)

func (p *Program) dbCommand() *cobra.Command {
	d := &dbFlags{}
	c := group("db", "Start, stop and look at the embedded database",
		d.command(p, "start", "Start the embedded database, and make it where there is none", p.dbStart),
		d.command(p, "stop", "Stop the embedded database; the next command that needs it starts it again", p.dbStop),
		d.command(p, "status", "Say where the database is, whether it runs, and its schema's version", p.dbStatus),
		d.urlCommand(p),
		fetchCommand(p),
		p.accountable(d.command(p, "migrate",
			"Bring the database to the schema that this binary knows", p.dbMigrate), ""),
		d.acceptRestoreCommand(p),
		d.removeCommand(p))
	c.PersistentFlags().StringVar(&d.dir, "dir", "", "the embedded server's folder (default: the config's, or syncer's own)")
	return c
}

// dbFlags are the flags of the db commands.
type dbFlags struct {
	dir          string
	withPassword bool
	yes          bool
}

// database is which database a db command means.
type database struct {
	cfg *config.Config
	dir string // of the embedded server; empty: the configured one is meant
}

// find says which database is meant. The db commands work without a config file.
func (d *dbFlags) find(p *Program) (database, error) {
	cfg, err := p.configOrDefault()
	if err != nil {
		return database{}, err
	}
	if d.dir != "" {
		return database{cfg, d.dir}, nil
	}
	if !cfg.Database.URL.IsZero() {
		return database{cfg: cfg}, nil
	}
	dir, err := app.EmbeddedDir(cfg)
	return database{cfg, dir}, err
}

func (d *dbFlags) command(p *Program, use, short string, f func(context.Context, database) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: usageArgs(cobra.NoArgs), Example: "  syncer db " + use,
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := d.find(p)
			if err != nil {
				return err
			}
			return f(cmd.Context(), db)
		}}
}

func (d *dbFlags) urlCommand(p *Program) *cobra.Command {
	c := d.command(p, "url", "Print the database's URL, without its password unless it is asked for", func(ctx context.Context, db database) error {
		return p.dbURL(ctx, db, d.withPassword)
	})
	c.Example = "  syncer db url\n  psql \"$(syncer db url --with-password)\""
	c.Flags().BoolVar(&d.withPassword, "with-password", false, "print the password too")
	return c
}

func (d *dbFlags) removeCommand(p *Program) *cobra.Command {
	c := d.command(p, "remove", "Stop the embedded database and delete it with everything in it", func(ctx context.Context, db database) error {
		if !d.yes {
			return usagef("db remove deletes every row in %s: say --yes if that is meant", db.dir)
		}
		return p.dbRemove(ctx, db)
	})
	c.Example = "  syncer db remove --yes"
	c.Flags().BoolVar(&d.yes, "yes", false, "it is meant")
	return c
}

// isEmbedded refuses to start or stop a server that is not ours.
func (db database) isEmbedded() error {
	if db.dir == "" {
		return errors.New("database.url is set, so there is no embedded database to start, stop or remove: your server is managed by you")
	}
	return nil
}

func (p *Program) dbStart(ctx context.Context, db database) error {
	if err := db.isEmbedded(); err != nil {
		return err
	}
	return p.startEmbedded(ctx, db, embedded.Options{Dir: db.dir, Log: p.note}, false)
}

// startEmbedded starts the embedded database. One that was just made is migrated, and any other where that is meant.
func (p *Program) startEmbedded(ctx context.Context, db database, opt embedded.Options, migrate bool) error {
	server, err := embedded.Start(ctx, opt)
	if errors.Is(err, embedded.ErrNoCluster) {
		return fmt.Errorf("%w: `syncer db start` makes one", err)
	}
	if err != nil {
		return err
	}
	if err := p.migrate(ctx, db, server.URL(), migrate); err != nil {
		return err
	}
	return p.told(map[string]any{"dir": server.Dir(), "pid": server.PID(), "started": server.Started()},
		"The embedded database in %s is running (process %d).", server.Dir(), server.PID())
}

func (p *Program) dbStop(ctx context.Context, db database) error {
	if err := db.isEmbedded(); err != nil {
		return err
	}
	err := embedded.Stop(ctx, db.dir)
	if errors.Is(err, embedded.ErrNotRunning) {
		return p.told(map[string]any{"dir": db.dir, "stopped": false}, "No embedded database is running in %s.", db.dir)
	}
	if err != nil {
		return err
	}
	return p.told(map[string]any{"dir": db.dir, "stopped": true}, "The embedded database in %s is stopped.", db.dir)
}

func (p *Program) dbRemove(ctx context.Context, db database) error {
	if err := db.isEmbedded(); err != nil {
		return err
	}
	if err := embedded.Remove(ctx, db.dir); err != nil {
		return err
	}
	return p.told(map[string]any{"dir": db.dir, "removed": true}, "The embedded database in %s is gone.", db.dir)
}

// url is the database's URL if it can be reached without starting anything.
func (p *Program) url(ctx context.Context, db database) (string, error) {
	if db.dir == "" {
		return app.ConfiguredURL(db.cfg, p.env)
	}
	server, err := embedded.Find(ctx, db.dir)
	if errors.Is(err, embedded.ErrNotRunning) {
		return "", fmt.Errorf("no embedded database is running in %s: `syncer db start` starts it", db.dir)
	}
	if err != nil {
		return "", err
	}
	return server.URL(), nil
}

func (p *Program) dbURL(ctx context.Context, db database, withPassword bool) error {
	text, err := p.url(ctx, db)
	if err != nil {
		return err
	}
	if !withPassword {
		if text, err = withoutPassword(text); err != nil {
			return err
		}
	}
	return p.told(map[string]any{"url": text}, "%s", text)
}

// withoutPassword takes the password out of a URL. What is not a URL (libpq's key=value form) is not shown at all: a
// password in it could be overlooked.
func withoutPassword(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" && u.RawQuery == "" {
		return "", errors.New("the database's address is not a URL, so its password can't be left out for sure: --with-password prints it as it is")
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	query := u.Query()
	for _, key := range []string{"password", "sslpassword"} {
		query.Del(key)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

func (p *Program) dbStatus(ctx context.Context, db database) error {
	where := db.dir
	if where == "" {
		where = "database.url"
	}
	text, err := p.url(ctx, db)
	if err != nil {
		return err
	}
	pool, err := pg.Open(ctx, text, pg.Options{Schema: db.cfg.Database.Schema, ReadOnly: true})
	if err != nil {
		return err
	}
	defer pool.Close()
	state, err := schema.Look(ctx, pool)
	if err != nil {
		return err
	}
	told := map[string]any{"where": where, "running": true, "schema": state.Have, "wanted_schema": state.Want}
	err = p.told(told, "The database (%s) answers; its schema is %d, and this binary wants %d.", where, state.Have, state.Want)
	if err != nil {
		return err
	}
	switch misfit := state.Check(); {
	case misfit != nil:
		p.hint("%s.", misfit)
	case state.Newer():
		p.hint("The schema is newer than this binary, which works with it.")
	}
	return nil
}

func (p *Program) dbMigrate(ctx context.Context, db database) error {
	if db.dir != "" {
		return p.startEmbedded(ctx, db, embedded.Options{Dir: db.dir, Existing: true, Log: p.note}, true)
	}
	text, err := p.url(ctx, db)
	if err != nil {
		return err
	}
	if err := p.migrate(ctx, db, text, true); err != nil {
		return err
	}
	return p.told(map[string]any{"migrated": true}, "The database has the schema that this binary knows.")
}

// migrate migrates the database, or only one that has no schema yet. Of any other it says whether the schema fits.
func (p *Program) migrate(ctx context.Context, db database, url string, always bool) error {
	pool, err := pg.Open(ctx, url, pg.Options{Schema: db.cfg.Database.Schema})
	if err != nil {
		return err
	}
	defer pool.Close()
	before, err := schema.Look(ctx, pool)
	if err != nil {
		return err
	}
	if misfit := before.Check(); !always && before.Have > 0 {
		if misfit != nil {
			p.hint("%s.", misfit)
		}
		return nil
	}
	if err := schema.Migrate(ctx, pool, p.logger("warn")); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if err := p.warnOfMakers(ctx, db, pool); err != nil {
		return err
	}
	if before.Newer() {
		p.hint("The schema, version %d, is newer than this binary, which works with it. Nothing was done.", before.Have)
	}
	if before.Have >= before.Want {
		return nil
	}
	store := persist.NewStore(pool, nil, pg.Worker{}) // nothing is sealed
	return store.Acting(ctx, p.act("database", ""), func(_ *persist.Store, act *persist.Act) error {
		act.Details = map[string]any{"from": before.Have, "to": before.Want}
		return nil
	})
}

// warnOfMakers names who else may make functions in the schema of a configured database. An embedded one has one role.
func (p *Program) warnOfMakers(ctx context.Context, db database, pool *pgxpool.Pool) error {
	if db.dir != "" {
		return nil
	}
	dangers, err := schema.Makers(ctx, pool)
	for _, d := range dangers {
		p.hint("Warning: %s", d.What)
	}
	return err
}

// told prints what was done, for a person or as a JSON document.
func (p *Program) told(doc map[string]any, format string, args ...any) error {
	if p.json {
		return p.document(doc)
	}
	p.say(format, args...)
	return nil
}
