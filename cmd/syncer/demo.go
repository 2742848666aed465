package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"syncer/config"
	"syncer/persist"
	"syncer/persist/embedded"
)

// demoDir is where the demo keeps its configuration, keys and the sandbox's secrets, below the working directory.
const demoDir = ".syncer/demo"

// demoDatabase is the demo's own database in the embedded cluster. Each demo begins with a new one.
const demoDatabase = "syncer_demo"

type demoOptions struct {
	scale int
	seed  uint64
	keep  bool
}

func (a *app) demoCommand() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "See a whole nightly run, with faults, against simulated providers",
		Long: "Brings up an embedded Postgres and a simulator of every provider on loopback, lets them misbehave, imports\n" +
			"consents and runs all nightly jobs: paused, refused, killed, resumed and re-run.\n" +
			"Nothing leaves this machine. The database stays for a look around, unless --keep=false.",
		Example: "  syncer demo\n  syncer demo --scale 5\n  syncer demo --keep=false",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.scale < 1 {
				return usagef("--scale %d: it must be at least 1", o.scale)
			}
			return a.demo(cmd.Context(), o)
		},
	}
	c.Flags().IntVar(&o.scale, "scale", 1, "how many times the usual world")
	c.Flags().Uint64Var(&o.seed, "seed", 1, "the simulated world: the same seed is the same world")
	c.Flags().BoolVar(&o.keep, "keep", true, "keep the database afterwards")
	return c
}

// foreign says whether a variable of the environment is a setting of syncer's that the demo does not follow. It asks
// where its own Postgres is; any other would lead its simulated night to a real database.
func foreign(name string) bool {
	return strings.HasPrefix(name, "SYNCER_") && name != "SYNCER_STATE_DIR" && name != "SYNCER_PG_BIN"
}

// ownEnv is an environment without foreign settings.
func ownEnv(env config.Env) config.Env {
	return func(name string) (string, bool) {
		if foreign(name) {
			return "", false
		}
		return env(name)
	}
}

// demo is the whole night.
func (a *app) demo(ctx context.Context, o demoOptions) error {
	began := time.Now()
	a.env = ownEnv(a.env)
	world, err := newDemoWorld(o.seed, o.scale)
	if err != nil {
		return err
	}
	defer world.server.Close()
	a.say("%s on loopback, a Postgres of our own, and a night that goes wrong.", count(len(world.parts), "simulated provider"))
	server, err := a.demoServer(ctx)
	if err != nil {
		return err
	}
	alone, err := onlyDemo(ctx, server.URL())
	if err != nil {
		return err
	}
	defer alone.Close(context.WithoutCancel(ctx))
	cfg, path, err := a.demoHouse(ctx, world, server.URL())
	if err != nil {
		return err
	}
	if !o.keep {
		defer forgetDemo(context.WithoutCancel(ctx), server.URL())
	}
	h, err := a.house(ctx, cfg, a.logger(cfg.Log.Level))
	if err != nil {
		return err
	}
	defer h.Close()
	night := &demoNight{app: a, world: world, house: h, config: path}
	if err := night.run(ctx); err != nil {
		return err
	}
	a.say("The whole night took %s.\n", took(time.Since(began)))
	if o.keep {
		a.tryNext(path, night.runs)
	}
	return nil
}

// demoServer brings up the embedded Postgres.
func (a *app) demoServer(ctx context.Context) (*embedded.Server, error) {
	base, err := config.Parse(nil, config.DefaultPath, a.env)
	if err != nil {
		return nil, err
	}
	dir, err := embeddedDir(base)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Log: a.note})
	if err != nil {
		return nil, err
	}
	a.say("  Postgres is up in %s (%s).", server.Dir(), took(time.Since(began)))
	return server, nil
}

// onlyDemo keeps other demos away from the demo's database for as long as the connection lives.
func onlyDemo(ctx context.Context, server string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("look for another demo: %w", err)
	}
	var alone bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtext('`+demoDatabase+`'))`).Scan(&alone)
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

// demoHouse makes a new database, and writes the configuration that the next commands use too.
func (a *app) demoHouse(ctx context.Context, world *demoWorld, server string) (*config.Config, string, error) {
	address, err := newDemoDatabase(ctx, server)
	if err != nil {
		return nil, "", err
	}
	folder, err := filepath.Abs(demoDir)
	if err != nil {
		return nil, "", fmt.Errorf("find the demo's folder: %w", err)
	}
	path, err := world.writeConfig(folder, address)
	if err != nil {
		return nil, "", err
	}
	cfg, err := config.Load(path, a.env)
	return cfg, path, err
}

// newDemoDatabase makes the demo's database anew and gives its URL, which holds the password.
func newDemoDatabase(ctx context.Context, server string) (string, error) {
	if err := onServer(ctx, server, `DROP DATABASE IF EXISTS `+demoDatabase+` WITH (FORCE)`, `CREATE DATABASE `+demoDatabase); err != nil {
		return "", fmt.Errorf("make the demo's database: %w", err)
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("make the demo's database: the server's address can't be read")
	}
	u.Path = "/" + demoDatabase
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

// forgetDemo removes what the demo made. The cluster itself stays: other databases may be in it.
func forgetDemo(ctx context.Context, server string) {
	_ = onServer(ctx, server, `DROP DATABASE IF EXISTS `+demoDatabase+` WITH (FORCE)`)
	_ = os.RemoveAll(demoDir)
}

// demoNight is the runs of a demo.
type demoNight struct {
	app    *app
	world  *demoWorld
	house  *house
	config string
	shift  *shift
	runs   []persist.Run
}

func (n *demoNight) run(ctx context.Context) error {
	if err := n.importConsents(ctx); err != nil {
		return err
	}
	if err := n.world.misbehave(); err != nil {
		return err
	}
	var err error
	if n.shift, err = n.app.beginAll(ctx, n.house, engineSpec{Jobs: n.world.jobs(), Work: true}); err != nil {
		return err
	}
	defer n.shift.end()
	if err := n.theNight(ctx); err != nil {
		return err
	}
	return n.theMorning(ctx)
}

func (n *demoNight) importConsents(ctx context.Context) error {
	for _, p := range n.world.parts {
		if err := n.house.Store.UpsertConnection(ctx, p.Connection, n.house.Config.Connections[p.Connection].Provider); err != nil {
			return err
		}
		result, err := n.house.Store.ImportConsents(ctx, p.Connection, p.Consents)
		if err != nil {
			return err
		}
		n.app.say("  %s imported for %s.", count(result.Inserted, "consent"), p.Connection)
	}
	return nil
}

// theNight plans all jobs, kills a worker in the middle, has a person revoke a consent, and follows the runs to their
// verdicts.
func (n *demoNight) theNight(ctx context.Context) error {
	helper, err := n.helper(ctx)
	if err != nil {
		return err
	}
	defer helper.kill()
	for _, name := range n.world.jobs() {
		run, err := n.shift.pick(ctx, name, true)
		if err != nil {
			return err
		}
		n.runs = append(n.runs, run)
	}
	n.app.say("\nThe night: %s at once, in two processes.", count(len(n.runs), "job"))
	go n.meddle(ctx, helper)
	for _, run := range n.runs {
		report, err := n.shift.follow(ctx, run.ID)
		if err != nil {
			return err
		}
		n.app.say("")
		writeReport(n.app.out, painter(n.app.out, n.app.env), brief(report))
	}
	return nil
}

// brief is a report with a few of its items: the demo has many runs to show, and `syncer runs show` has the rest.
func brief(r persist.Report) persist.Report {
	const few = 3
	r.Slowest, r.NotComplete = r.Slowest[:min(few, len(r.Slowest))], r.NotComplete[:min(few, len(r.NotComplete))]
	return r
}

// meddle waits until the work is well under way, then kills the helping process with SIGKILL and revokes a consent
// that is still to come.
func (n *demoNight) meddle(ctx context.Context, helper *demoHelper) {
	enough := n.world.consents() / 3
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for n.world.kit.Journal.Arrivals() < enough {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	told := n.world.meddle()
	helper.kill()
	n.app.hint("  (%s)", strings.Join(append([]string{"the second worker process has just been killed with SIGKILL"}, told...), "; "))
}

// demoHelper is a second process that works the same jobs.
type demoHelper struct{ cmd *exec.Cmd }

func (n *demoNight) helper(ctx context.Context) (*demoHelper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program to start a second worker: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "work", "--config", n.config, "--log-level", "error")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { name, _, _ := strings.Cut(v, "="); return foreign(name) })
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a second worker: %w", err)
	}
	return &demoHelper{cmd}, nil
}

// kill is kill -9. A second call does nothing.
func (h *demoHelper) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// theMorning re-runs what failed, now that the providers behave again.
func (n *demoNight) theMorning(ctx context.Context) error {
	n.world.behave()
	n.app.say("\nThe morning: the providers behave again, so what is not complete is run again.")
	for _, run := range n.runs {
		again, _, err := n.shift.engine.Rerun(ctx, run, persist.Selection{})
		if err != nil {
			if strings.Contains(err.Error(), persist.ErrNothingToRerun.Error()) {
				continue
			}
			return err
		}
		if _, err := n.shift.follow(ctx, again.ID); err != nil {
			return err
		}
		before, err := n.house.Store.RunByID(ctx, run.ID)
		if err != nil {
			return err
		}
		n.app.say("  Run %d of %s is now %s: run %d asked for %s again.", run.ID, run.Job, before.Verdict, again.ID, count(again.Expected, "item"))
	}
	return nil
}

// unset is what a command line begins with so that settings in the environment do not lead it away from the demo.
func unset(environ []string) string {
	text := ""
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); foreign(name) && name != config.EnvPath {
			text += " -u " + name
		}
	}
	if text == "" {
		return ""
	}
	return "env" + text + " "
}

func (a *app) tryNext(path string, runs []persist.Run) {
	if rel, err := filepath.Rel(".", path); err == nil && !strings.HasPrefix(rel, "..") {
		path = rel
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil {
			path = rel
		}
	}
	prefix := "  " + unset(os.Environ()) + "SYNCER_CONFIG=" + path + " go run ./cmd/syncer "
	a.say("Worth trying next (the simulators are gone, the database is still there):")
	a.say("%sruns show %d", prefix, runs[0].ID)
	a.say("%sstatus", prefix)
	a.say("%sverify", prefix)
}
