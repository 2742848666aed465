package cli

import (
	"context"
	"math"
	"runtime/debug"

	"github.com/rs/zerolog"

	"syncer/app"
	"syncer/config"
)

// options are those of a command that changes what is in a database that is there, and not its schema.
func (p *Program) options(log zerolog.Logger) app.Options {
	return app.Options{Providers: p.setup.Providers, Env: p.env, Log: log, Note: p.note, Step: p.setup.Step}
}

// open opens what the command's config describes, for a command that works: it migrates the database, and waits for one that
// is there and takes no work just now.
func (p *Program) open(ctx context.Context, cfg *config.Config, log zerolog.Logger) (*app.Installation, error) {
	boundMemory(cfg)
	opt := p.options(log)
	opt.Migrate = true
	opt.Stay = true
	return app.Open(ctx, cfg, opt)
}

// look opens the installation for a command that only looks into it, and closes it when f has done so. A role that can only
// read will do.
func (p *Program) look(ctx context.Context, f func(*app.Installation) error) error {
	opt := p.options(p.logger("warn"))
	opt.Look = true
	return p.inInstallation(ctx, opt, f)
}

// lookOver is look for a list of one connection, which must be there: of a mistyped name there is nothing to list, and that
// would look like a good answer. Empty: of all.
func (p *Program) lookOver(ctx context.Context, connection string, f func(*app.Installation) error) error {
	return p.look(ctx, func(inst *app.Installation) error {
		if err := inst.CheckNamed(ctx, connection); err != nil {
			return err
		}
		return f(inst)
	})
}

// change opens the installation for a command that changes something, and closes it when f is done.
func (p *Program) change(ctx context.Context, f func(*app.Installation) error) error {
	return p.inInstallation(ctx, p.options(p.logger("warn")), f)
}

// migrateAndChange is change for a command that migrates the database too.
func (p *Program) migrateAndChange(ctx context.Context, f func(*app.Installation) error) error {
	opt := p.options(p.logger("warn"))
	opt.Migrate = true
	return p.inInstallation(ctx, opt, f)
}

// changeOrMake is migrateAndChange for a command that may be the first one here: it makes the embedded database if there is
// none.
func (p *Program) changeOrMake(ctx context.Context, f func(*app.Installation) error) error {
	opt := p.options(p.logger("warn"))
	opt.Make = true
	opt.Migrate = true
	return p.inInstallation(ctx, opt, f)
}

func (p *Program) inInstallation(ctx context.Context, opt app.Options, f func(*app.Installation) error) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	boundMemory(cfg)
	inst, err := app.Open(ctx, cfg, opt)
	if err != nil {
		return err
	}
	defer inst.Close()
	return f(inst)
}

// besideAnswers is the memory of a process that holds no answer, and some for what a collection leaves behind.
const besideAnswers = 64 << 20

// boundMemory has the garbage collected before the process takes much more than its answers may. An operator's own GOMEMLIMIT
// holds.
func boundMemory(cfg *config.Config) {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(cfg.Worker.Memory.Bytes() + besideAnswers)
	}
}

// note tells a person what takes time.
func (p *Program) note(text string) { p.hint("%s", text) }
