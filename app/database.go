package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"syncer/config"
	"syncer/persist/embedded"
	"syncer/persist/pg"
)

// database is the address of the configured database, or of the embedded one, which it starts, and how to connect to it;
// nil: as usual. The address holds the password: it is never printed or logged.
func (inst *Installation) database(ctx context.Context) (url string, dial pg.DialFunc, err error) {
	if !inst.Config.Database.URL.IsZero() {
		url, err = ConfiguredURL(inst.Config, inst.opt.Env)
		return url, nil, err
	}
	dir, err := EmbeddedDir(inst.Config)
	if err != nil {
		return "", nil, err
	}
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Existing: !inst.opt.Make, Log: inst.opt.Note})
	if errors.Is(err, embedded.ErrNoCluster) {
		return "", nil, fmt.Errorf("%w: if there should be one, SYNCER_STATE_DIR or database.state_dir names another folder; "+
			"`syncer consents import` and `syncer db start` make a new one", err)
	}
	if err != nil {
		return "", nil, err
	}
	// Its address is read anew at each connect: somebody may stop it and start it, or kill it, while this process works.
	again := func(text string) { inst.opt.Log.Warn().Msg(text) }
	dialer, err := embedded.NewDialer(embedded.Options{Dir: dir, Log: again}, pg.Dial)
	if err != nil {
		return "", nil, err
	}
	return server.URL(), dialer.Dial, nil
}

// Unencrypted is what there is to say of a connection to the database that may go over a network in plain; empty: nothing.
func (inst *Installation) Unencrypted() string {
	if inst.Config.Database.URL.IsZero() || inst.Config.Database.Plaintext {
		return ""
	}
	url, err := ConfiguredURL(inst.Config, inst.opt.Env)
	if err != nil {
		return ""
	}
	hosts := pg.Unencrypted(url)
	if len(hosts) == 0 {
		return ""
	}
	return fmt.Sprintf("the connection to the database at %s may be unencrypted, and the next release refuses that: write "+
		"sslmode=verify-full (or require) into database.url, or database.plaintext: true where the network is yours alone",
		strings.Join(hosts, ", "))
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
