package cli

import (
	"context"

	"github.com/rs/zerolog"

	"syncer/app"
	"syncer/config"
)

// options are those of a command that works with a database that is there.
func (p *Program) options(log zerolog.Logger) app.Options {
	return app.Options{Providers: p.setup.Providers, Env: p.env, Log: log, Note: p.note, Step: p.setup.Step}
}

// open opens what the command's config describes.
func (p *Program) open(ctx context.Context, cfg *config.Config, log zerolog.Logger) (*app.Installation, error) {
	return app.Open(ctx, cfg, p.options(log))
}

// look opens the installation for a command that only looks into it, and closes it when f has done so.
func (p *Program) look(ctx context.Context, f func(*app.Installation) error) error {
	return p.inInstallation(ctx, p.options(p.logger("warn")), f)
}

// lookOrMake opens the installation for a command that may be the first one here: it makes the embedded database if there
// is none, and closes it when f is done.
func (p *Program) lookOrMake(ctx context.Context, f func(*app.Installation) error) error {
	opt := p.options(p.logger("warn"))
	opt.Make = true
	return p.inInstallation(ctx, opt, f)
}

func (p *Program) inInstallation(ctx context.Context, opt app.Options, f func(*app.Installation) error) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	inst, err := app.Open(ctx, cfg, opt)
	if err != nil {
		return err
	}
	defer inst.Close()
	return f(inst)
}

// note tells a person what takes time.
func (p *Program) note(text string) { p.hint("%s", text) }
