package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"syncer/config"
	"syncer/persist/embedded"
)

// databaseURL is the address of the configured database, or of the embedded one, which it starts. It holds the
// password: it is never printed or logged.
func (inst *Installation) databaseURL(ctx context.Context) (string, error) {
	if !inst.Config.Database.URL.IsZero() {
		return ConfiguredURL(inst.Config, inst.opt.Env)
	}
	dir, err := EmbeddedDir(inst.Config)
	if err != nil {
		return "", err
	}
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Existing: !inst.opt.Make, Log: inst.opt.Note})
	if errors.Is(err, embedded.ErrNoCluster) {
		return "", fmt.Errorf("%w: if there should be one, SYNCER_STATE_DIR or database.state_dir names another folder; "+
			"`syncer consents import` and `syncer db start` make a new one", err)
	}
	if err != nil {
		return "", err
	}
	return server.URL(), nil
}

// ConfiguredURL is the address of the database that database.url names, with its password.
func ConfiguredURL(cfg *config.Config, env config.Env) (string, error) {
	url, err := cfg.Database.URL.Reveal(env)
	if err != nil {
		return "", cfg.Problemf("database.url", "%s", err)
	}
	return url, nil
}

// EmbeddedDir is the folder of the embedded server: below database.state_dir, or the default.
func EmbeddedDir(cfg *config.Config) (string, error) {
	if cfg.Database.StateDir != "" {
		return filepath.Join(cfg.Database.StateDir, "postgres"), nil
	}
	return embedded.DefaultDir()
}
