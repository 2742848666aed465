package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"syncer/app"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report"
	"syncer/report/text"
)

// night is the runs of a demo.
type night struct {
	Options
	world  *World
	inst   *app.Installation
	config string
	work   *app.Foreground
	runs   []queue.Run
}

func (n *night) run(ctx context.Context) error {
	if err := n.importConsents(ctx); err != nil {
		return err
	}
	if err := n.world.Misbehave(); err != nil {
		return err
	}
	var err error
	if n.work, err = n.inst.Start(ctx, app.EngineSpec{Jobs: n.world.Jobs(), Work: true}); err != nil {
		return err
	}
	defer n.work.Stop()
	if err := n.theNight(ctx); err != nil {
		return err
	}
	return n.theMorning(ctx)
}

func (n *night) importConsents(ctx context.Context) error {
	for _, p := range n.world.Parts {
		if err := n.inst.Store.Connections.Use(ctx, p.Connection, n.inst.Endpoint(p.Connection)); err != nil {
			return err
		}
		result, err := n.inst.Store.Consents.Import(ctx, p.Connection, p.Consents)
		if err != nil {
			return err
		}
		n.say("  %s imported for %s.", text.Count(result.Inserted, "consent"), p.Connection)
	}
	return nil
}

// theNight plans all jobs, kills a worker in the middle, has a person revoke a consent, and follows the runs to their
// verdicts.
func (n *night) theNight(ctx context.Context) error {
	helper, err := n.helper(ctx)
	if err != nil {
		return err
	}
	defer helper.kill()
	for _, name := range n.world.Jobs() {
		job, err := n.work.Engine.Job(name)
		if err != nil {
			return err
		}
		run, _, err := n.work.Engine.Fire(ctx, job, queue.Manual, time.Now())
		if err != nil {
			return err
		}
		n.runs = append(n.runs, run)
	}
	n.say("\nThe night: %s at once, in two processes.", text.Count(len(n.runs), "job"))
	go n.meddle(ctx, helper)
	for _, run := range n.runs {
		seen, err := n.work.Follow(ctx, run, n.Display())
		if err != nil {
			return err
		}
		n.say("")
		report.WriteReport(n.Out, n.Paint, brief(seen))
	}
	return nil
}

// brief is a report with a few of its causes: the demo has many runs to show, and `syncer runs show` has the rest.
func brief(r read.Report) read.Report {
	const few = 3
	r.Slowest = r.Slowest[:min(few, len(r.Slowest))]
	listed := &r.Causes
	for _, c := range listed.List[min(few, len(listed.List)):] {
		listed.More++
		listed.MoreItems += c.Items
	}
	listed.List = listed.List[:min(few, len(listed.List))]
	return r
}

// meddle waits until the work is well under way, then kills the helping process with SIGKILL and revokes a consent
// that is still to come.
func (n *night) meddle(ctx context.Context, helper *helper) {
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
	n.Hint("  (%s)", strings.Join(append([]string{"the second worker process has just been killed with SIGKILL"}, told...), "; "))
}

// helper is a second process that works the same jobs.
type helper struct{ cmd *exec.Cmd }

func (n *night) helper(ctx context.Context) (*helper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program to start a second worker: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "work", "--config", n.config, "--log-level", "error")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { name, _, _ := strings.Cut(v, "="); return foreign(name) })
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a second worker: %w", err)
	}
	return &helper{cmd}, nil
}

// kill is kill -9. A second call does nothing.
func (h *helper) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// theMorning re-runs what failed, now that the providers behave again.
func (n *night) theMorning(ctx context.Context) error {
	n.world.behave()
	n.say("\nThe morning: the providers behave again, so what is not complete is run again.")
	for _, run := range n.runs {
		again, _, err := n.work.Engine.Rerun(ctx, run, plan.Selection{})
		if err != nil {
			if strings.Contains(err.Error(), plan.ErrNothingToRerun.Error()) {
				continue
			}
			return err
		}
		if _, err := n.work.Follow(ctx, again, n.Display()); err != nil {
			return err
		}
		before, err := n.inst.Store.Queue.RunByID(ctx, run.ID)
		if err != nil {
			return err
		}
		n.say("  Run %d of %s is now %s: run %d asked for %s again.", run.ID, run.Job, before.Verdict, again.ID, text.Count(again.Expected, "item"))
	}
	return nil
}

// tryNext says what there is to look at now.
func (o Options) tryNext(path string, runs []queue.Run) {
	if rel, err := filepath.Rel(".", path); err == nil && !strings.HasPrefix(rel, "..") {
		path = rel
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil {
			path = rel
		}
	}
	prefix := "  " + unset(os.Environ()) + "SYNCER_CONFIG=" + path + " go run ./cmd/syncer "
	o.say("Worth trying next (the simulators are gone, the database is still there):")
	o.say("%sruns show %d", prefix, runs[0].ID)
	o.say("%sstatus", prefix)
	o.say("%sverify", prefix)
}
