package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"syncer/app"
	"syncer/config"
	"syncer/jobs"
	"syncer/persist/embedded"
	"syncer/persist/pg"
	"syncer/persist/schema"
	"syncer/report"
	"syncer/report/text"
)

func (p *Program) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Prove that the config works, with one harmless call per connection",
		Long: "Reads the config, its secrets and keys; connects to the database; fetches one token and makes one\n" +
			"harmless call over each connection; compares clocks; and shows when each job fires next. Each line has\n" +
			"a tick or a reason, and the exit code is 1 if anything is wrong.",
		Example: "  syncer check\n  syncer check --json | jq -c 'select(.state == \"failed\")'",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := &check{program: p, paint: painter(p.out, p.env)}
			c.all(cmd.Context())
			if context.Cause(cmd.Context()) != nil {
				return context.Cause(cmd.Context())
			}
			if c.failed > 0 {
				return exitCode(ExitError)
			}
			return nil
		},
	}
}

// check goes through everything that a run needs. What can't be tried because something before it failed is left out.
type check struct {
	program *Program
	paint   text.Paint
	failed  int
}

func (c *check) ok(what, format string, args ...any) {
	c.tell(what, "ok", fmt.Sprintf(format, args...))
}
func (c *check) note(what, format string, args ...any) {
	c.tell(what, "note", fmt.Sprintf(format, args...))
}

// fail tells an error; a list of problems gets a line for each.
func (c *check) fail(what string, err error) {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
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
	if c.program.json {
		_ = c.program.line(report.CheckResult{Check: what, State: state, Detail: detail})
		return
	}
	mark := map[string]string{"ok": c.paint.Good("✓"), "note": c.paint.Warn("!"), "failed": c.paint.Bad("✗")}[state]
	lines := text.Wrap(detail, text.Prose(c.program.out)-checkName-2)
	if len(lines) == 0 {
		lines = []string{""}
	}
	name := text.Short(c.program.out, what, checkName-1)
	if utf8.RuneCountInString(name) >= checkName { // a pipe is given it whole
		c.program.say("%s %s", mark, name)
		mark = " "
		name = ""
	}
	for _, l := range lines {
		c.program.say("%s", strings.TrimRight(fmt.Sprintf("%s %-*s%s", mark, checkName, name, l), " "))
		mark = " "
		name = ""
	}
}

func (c *check) all(ctx context.Context) {
	cfg, err := c.program.config()
	if err != nil {
		c.fail("config", err)
		return
	}
	c.ok("config", "%s: %s, %s", c.program.path(), text.Count(len(cfg.Connections), "connection"), text.Count(len(cfg.Jobs), "job"))
	if err := cfg.CheckSecrets(c.program.env); err != nil {
		c.fail("secrets", err)
	} else {
		c.ok("secrets", "%s readable", text.Count(len(cfg.Secrets()), "secret"))
	}
	// The jobs need nothing but the config, so they are told even when the database is away.
	opt := c.program.options(c.program.logger("error"))
	opt.Look = true // until it is known that it can be written
	inst := app.Configured(cfg, opt)
	defer inst.Close()
	if opened := c.open(ctx, inst); opened {
		for _, name := range slices.Sorted(maps.Keys(cfg.Connections)) {
			c.connection(ctx, inst, name)
		}
		c.forgotten(ctx, inst)
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Jobs)) {
		c.job(ctx, inst, name)
	}
}

// open opens an installation part by part, telling each. It migrates nothing: that is for a command that means to work.
func (c *check) open(ctx context.Context, inst *app.Installation) bool {
	keys := inst.ReadKeys()
	if keys != nil {
		c.fail("keys", keys)
	} else {
		c.ok("keys", "%s", inst.Config.Keys.File)
		if open := inst.KeysOpenTo(); open != "" {
			c.note("keys", "%s", open)
		}
	}
	if plain := inst.Unencrypted(); plain != "" {
		c.note("database", "%s", plain)
	}
	err := inst.Connect(ctx, "syncer")
	if errors.Is(err, embedded.ErrNoCluster) {
		c.noInstallation(inst.Config)
		return false
	}
	if err != nil {
		c.fail("database", err)
		return false
	}
	if !c.schema(ctx, inst) || keys != nil {
		return false
	}
	writes, err := inst.CanWrite(ctx)
	if err != nil {
		c.fail("database", err)
		return false
	}
	if writes {
		inst.Writes()
	}
	if err := inst.UseKeys(ctx, pg.Worker{}); err != nil {
		c.fail("keys", err)
		return false
	}
	c.sealed(ctx, inst)
	switch state, err := inst.Store.Restore.Look(ctx); {
	case err != nil:
		c.fail("database", err)
	case state.Restored:
		c.fail("database", errors.New(report.RestoredText(state)))
	}
	c.dangers(ctx, inst, writes)
	if !writes {
		c.note("database", "this role can only read, so no connection is tried: each call is written down")
	}
	return writes
}

// sealed tells which values can't be opened, since the key file lacks the key that has sealed them. An answer that was kept is
// only missed by who looks at it, and a token is asked for again; without the others nobody can be called.
func (c *check) sealed(ctx context.Context, inst *app.Installation) {
	info, err := app.ReadKeyFile(inst.Config.Keys.File)
	if err != nil {
		return // it is told already
	}
	sealers, err := inst.Store.Seal.Sealers(ctx)
	if err != nil {
		c.fail("keys", err)
		return
	}
	has := slices.Concat(info.Old, []uint32{info.Primary, info.Prepared})
	for _, table := range slices.Sorted(maps.Keys(sealers)) {
		for _, key := range sealers[table] {
			if slices.Contains(has, key) {
				continue
			}
			said := fmt.Sprintf("values in the table %s were sealed with key %s, which %s does not have, so they can't be opened: put the "+
				"key back from a copy of the file; `syncer keys list` counts what each key has sealed", table, report.KeyName(key),
				inst.Config.Keys.File)
			if table == "answers" || table == "tokens" {
				c.note("keys", "%s", said)
			} else {
				c.fail("keys", errors.New(said))
			}
		}
	}
}

// schema tells whether the database has the tables that this program works with.
func (c *check) schema(ctx context.Context, inst *app.Installation) bool {
	state, err := schema.Look(ctx, inst.Pool)
	if err == nil {
		err = state.Check()
	}
	if err != nil {
		c.fail("database", err)
		return false
	}
	if state.Newer() {
		c.note("database", "answers, and its schema, version %d, is newer than this binary, which knows %d and works with it: "+
			"a newer release is at work, or was", state.Have, state.Want)
		return true
	}
	c.ok("database", "answers, schema version %d", state.Have)
	return true
}

// dangers tells what whoever owns the database should change. What only hinders who writes is for those alone.
func (c *check) dangers(ctx context.Context, inst *app.Installation, writes bool) {
	list, err := schema.Dangers(ctx, inst.Pool)
	if err != nil {
		c.fail("database", err)
	}
	for _, d := range list {
		switch {
		case !d.Grave:
			c.note("database", "%s", d.What)
		case writes:
			c.fail("database", errors.New(d.What))
		}
	}
}

// noInstallation tells that there is no embedded database yet. That is right before the first import, and a mistyped folder
// looks the same, so it says which folder it is, by whose word, and that nothing was called.
func (c *check) noInstallation(cfg *config.Config) {
	dir, err := app.EmbeddedDir(cfg)
	if err != nil {
		c.fail("database", err)
		return
	}
	by := "the default; SYNCER_STATE_DIR or database.state_dir names another one"
	if text, _ := c.program.env("SYNCER_STATE_DIR"); text != "" {
		by = "by SYNCER_STATE_DIR"
	} else if cfg.Database.StateDir != "" {
		by = "by database.state_dir"
	}
	c.note("database", "NO INSTALLATION HERE: there is no embedded database in %s (%s), and no connection was tried. "+
		"If there should be one, the folder is mistyped. A new installation begins with `syncer init`, and "+
		"`syncer consents import` or `syncer db start` makes its database", dir, by)
}

// job shows when a job fires next, in its own time zone.
func (c *check) job(ctx context.Context, inst *app.Installation, name string) {
	job, err := inst.Job(name)
	if err != nil {
		c.fail("job "+name, err)
		return
	}
	if inst.Store != nil {
		defer c.history(ctx, inst, name)
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
	if inst.Store != nil {
		c.served(ctx, inst, job)
	}
}

// served tells when no process has a job's schedule: a job that is added under a running service does
// not fire.
func (c *check) served(ctx context.Context, inst *app.Installation, job jobs.Job) {
	what := "job " + job.Name + " schedule"
	switch has, err := inst.Store.Plan.ScheduleExpression(ctx, job.Name); {
	case err != nil:
		c.fail(what, err)
	case has == "":
		c.note(what, "no `syncer serve` knows it yet: it fires when one is started with this configuration")
	case !job.Schedule.Same(has):
		c.note(what, "`syncer serve` was started with %q: the new one holds when it is started again", has)
	}
}

// history tells when a job's history was raised after the first load, which reads nothing older by itself.
func (c *check) history(ctx context.Context, inst *app.Installation, name string) {
	gap, err := inst.HistoryGap(ctx, name)
	switch {
	case err != nil:
		c.fail("job "+name+" history", err)
	case gap.Streams > 0:
		c.note("job "+name+" history", "%s", jobs.HistoryAdvice(name, gap))
	}
}
