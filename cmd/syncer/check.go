package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/config"
	"syncer/jobs"
	"syncer/persist"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Prove that the config works, with one harmless call per connection",
		Long: "Reads the config, its secrets and keys; connects to the database; fetches one token and makes one\n" +
			"harmless call over each connection; compares clocks; and shows when each job fires next. Each line has\n" +
			"a tick or a reason, and the exit code is 1 if anything is wrong.",
		Example: "  syncer check\n  syncer check --json | jq -c 'select(.state == \"failed\")'",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := &check{app: a, paint: painter(a.out, a.env)}
			c.all(cmd.Context())
			if context.Cause(cmd.Context()) != nil {
				return context.Cause(cmd.Context())
			}
			if c.failed > 0 {
				return exitCode(exitError)
			}
			return nil
		},
	}
}

// check goes through everything that a run needs. What can't be tried because something before it failed is left out.
type check struct {
	app    *app
	paint  paint
	failed int
}

type checkJSON struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, note or failed
	Detail string `json:"detail"`
}

func (c *check) ok(what, format string, args ...any) {
	c.tell(what, "ok", fmt.Sprintf(format, args...))
}
func (c *check) note(what, format string, args ...any) {
	c.tell(what, "note", fmt.Sprintf(format, args...))
}

// fail tells an error; a list of problems gets a line for each.
func (c *check) fail(what string, err error) {
	var problems config.Problems
	if !errors.As(err, &problems) {
		c.failed++
		c.tell(what, "failed", err.Error())
		return
	}
	for _, p := range problems {
		c.failed++
		c.tell(what, "failed", p.Error())
	}
}

// checkName is how wide the names of checks are.
const checkName = 28

func (c *check) tell(what, state, detail string) {
	if c.app.json {
		_ = c.app.line(checkJSON{what, state, detail})
		return
	}
	mark := map[string]string{"ok": c.paint.good("✓"), "note": c.paint.warn("!"), "failed": c.paint.bad("✗")}[state]
	lines := wrap(detail, screenWidth-checkName-2)
	if len(lines) == 0 {
		lines = []string{""}
	}
	name := shorten(printable(what), checkName-1)
	for _, l := range lines {
		c.app.say("%s", strings.TrimRight(fmt.Sprintf("%s %-*s%s", mark, checkName, name, l), " "))
		mark, name = " ", ""
	}
}

func (c *check) all(ctx context.Context) {
	cfg, err := c.app.config()
	if err != nil {
		c.fail("config", err)
		return
	}
	c.ok("config", "%s: %s, %s", c.app.path(), count(len(cfg.Connections), "connection"), count(len(cfg.Jobs), "job"))
	if err := cfg.CheckSecrets(c.app.env); err != nil {
		c.fail("secrets", err)
	} else {
		c.ok("secrets", "%s readable", count(len(cfg.Secrets()), "secret"))
	}
	// The jobs need nothing but the config, so they are told even when the database is away.
	h := &house{Config: cfg, opt: openOptions{Providers: providers(), Env: c.app.env, Log: c.app.logger("error"), Note: c.app.note}}
	defer func() { h.Close() }()
	if opened := c.open(ctx, h); opened {
		for _, name := range sortedKeys(cfg.Connections) {
			c.connection(ctx, h, name)
		}
	}
	for _, name := range sortedKeys(cfg.Jobs) {
		c.job(ctx, h, name)
	}
}

// open opens what a house opens, telling each part. It migrates the embedded database, which is ours, but not a
// configured one: that is for a command that means to work.
func (c *check) open(ctx context.Context, h *house) bool {
	sealer, keys := openKeys(h.Config.Keys.File)
	if keys != nil {
		c.fail("keys", keys)
	} else {
		c.ok("keys", "%s", h.Config.Keys.File)
	}
	pool, err := openDatabase(ctx, h.Config, h.opt, "syncer")
	if err != nil {
		c.fail("database", err)
		return false
	}
	h.closers = append(h.closers, pool.Close)
	if h.Config.Database.URL.IsZero() {
		if err := persist.Migrate(ctx, pool, h.opt.Log); err != nil {
			c.fail("database", err)
			return false
		}
	}
	have, want, err := persist.SchemaVersion(ctx, pool)
	switch {
	case err != nil:
		c.fail("database", err)
		return false
	case have > want:
		c.fail("database", fmt.Errorf("%w: it has version %d, this binary knows %d: use the newer binary", persist.ErrSchemaTooNew, have, want))
		return false
	case have < want:
		c.fail("database", fmt.Errorf("it answers, and its schema is version %d of %d: run syncer db migrate", have, want))
		return false
	}
	c.ok("database", "answers, schema version %d", have)
	if keys != nil {
		return false
	}
	h.Pool, h.sealer, h.Store = pool, sealer, persist.NewStore(pool, sealer, persist.Worker{})
	return true
}

// job shows when a job fires next, in its own time zone.
func (c *check) job(ctx context.Context, h *house, name string) {
	job, err := h.job(name)
	if err != nil {
		c.fail("job "+name, err)
		return
	}
	if h.Store != nil {
		defer c.history(ctx, h, name)
	}
	if job.Schedule == nil {
		c.ok("job "+name, "fires by hand only")
		return
	}
	var next []string
	at := time.Now()
	for range 3 {
		if at = job.Schedule.Next(at); at.IsZero() {
			break
		}
		next = append(next, at.In(job.Zone).Format("Mon 2006-01-02 15:04 MST"))
	}
	c.ok("job "+name, "fires next %s (%s)", strings.Join(next, ", "), job.Zone)
}

// history tells when a job's history was raised after the first load, which reads nothing older by itself.
func (c *check) history(ctx context.Context, h *house, name string) {
	gap, err := h.historyGap(ctx, name)
	switch {
	case err != nil:
		c.fail("job "+name+" history", err)
	case gap.Streams > 0:
		c.note("job "+name+" history", "%s", jobs.HistoryAdvice(name, gap))
	}
}
