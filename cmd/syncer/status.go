package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncer/persist"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show on one screen what runs, what is parked and why, and who works",
		Args: usageArgs(cobra.NoArgs), Example: "  syncer status\n  syncer status --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.look(cmd.Context(), func(h *house) error {
				s, err := standing(cmd.Context(), h)
				if err != nil {
					return err
				}
				if a.json {
					return a.document(s.json())
				}
				s.write(a, painter(a.out, a.env))
				return nil
			})
		},
	}
}

// statusRuns is how many unfinished runs the screen has room for.
const statusRuns = 8

// status is what there is to know at a glance.
type status struct {
	open    []persist.Report // of the unfinished runs, the newest first, at most statusRuns
	last    []persist.Run    // the newest finished ones
	parked  []persist.Connection
	guards  []persist.RemovalGuard // that withhold something now
	closed  []persist.ClosedGate
	workers []persist.WorkerState
}

func standing(ctx context.Context, h *house) (status, error) {
	var s status
	open, err := h.Store.Runs(ctx, persist.RunFilter{Open: true, Limit: statusRuns})
	if err != nil {
		return s, err
	}
	for _, run := range open {
		report, err := h.Store.RunReport(ctx, run.ID)
		if err != nil {
			return s, fmt.Errorf("report of run %d: %w", run.ID, err)
		}
		report.Over = h.asConfigured(report.Over)
		s.open = append(s.open, report)
	}
	recent, err := h.Store.Runs(ctx, persist.RunFilter{Limit: 30})
	if err != nil {
		return s, err
	}
	for _, run := range recent {
		if run.Verdict != "" && len(s.last) < 5 {
			s.last = append(s.last, run)
		}
	}
	connections, err := h.Store.Connections(ctx)
	if err != nil {
		return s, err
	}
	for _, c := range connections {
		if c = h.asConfigured(c); c.Parked {
			s.parked = append(s.parked, c)
		}
	}
	if s.guards, err = h.Store.WithheldRemovals(ctx); err != nil {
		return s, err
	}
	if s.closed, err = h.Store.ClosedGates(ctx, ""); err != nil {
		return s, err
	}
	s.workers, err = h.Store.Workers(ctx)
	return s, err
}

func (s status) write(a *app, p paint) {
	a.say("%s", p.bold("Runs that are not finished"))
	if len(s.open) == 0 {
		a.say("  none")
	}
	for _, r := range s.open {
		done, all := decided(r)
		line := fmt.Sprintf("%s, %s of %s items, %s, %s", runState(r), thousands(done), thousands(all), count(r.Calls, "call"), took(r.Wall))
		a.say("  run %d %s: %s", r.Run.ID, printable(r.Run.Job), line)
		if !r.ParkedUntil.IsZero() {
			a.say("%s", strings.Join(wrapped("    ", fmt.Sprintf("%s parked, the first until %s: %s", batchesParked(r.Batches.Parked), clock(r.ParkedUntil), r.ParkReason)), "\n"))
		}
		for _, g := range r.Gates {
			if g.Stops() {
				a.say("%s", strings.Join(wrapped("    ", closedText(g)), "\n"))
			}
		}
		if r.LeftAlone > 0 {
			a.say("%s", strings.Join(wrapped("    ", leftAlone(r)), "\n"))
		}
	}
	writeClosed(a.out, p, s.closed)
	a.say("\n%s", p.bold("Connections that are parked"))
	if len(s.parked) == 0 {
		a.say("  none")
	}
	for _, c := range s.parked {
		a.say("  %s since %s (%s)", p.bad(printable(c.Name)), clock(c.ParkedAt), c.ParkedClass)
		a.say("%s", strings.Join(wrapped("    ", c.ParkedReason+"; "+toOpen(c)), "\n"))
	}
	if len(s.guards) > 0 {
		a.say("\n%s", p.bold("Removals that are withheld"))
	}
	for _, g := range s.guards {
		writeGuard(a.out, p, g)
	}
	a.say("\n%s", p.bold("Workers"))
	if len(s.workers) == 0 {
		a.say("  none: syncer serve, syncer work and syncer run work batches")
	}
	t := newTable("~host", ">pid", "since", ">batches", "state")
	t.indent = "  "
	for _, w := range s.workers {
		t.add(w.Host, w.PID, clock(w.StartedAt), w.Batches, workerState(w))
	}
	t.write(a.out)
	if len(s.last) > 0 {
		a.say("\n%s", p.bold("Finished last"))
	}
	t = newTable(">run", "~job", "for", "verdict")
	t.indent = "  "
	for _, r := range s.last {
		t.add(r.ID, r.Job, clock(r.ScheduledFor), r.Verdict)
	}
	t.write(a.out)
}

func workerState(w persist.WorkerState) string {
	if w.Alive {
		return "alive"
	}
	return "silent"
}

type workerJSON struct {
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Version   string    `json:"version,omitempty"`
	StartedAt time.Time `json:"started_at"`
	ExpiresAt time.Time `json:"expires_at"`
	State     string    `json:"state"`
	Batches   int       `json:"batches"`
}

type statusJSON struct {
	Open    []reportJSON     `json:"open_runs"`
	Last    []runJSON        `json:"finished_last"`
	Parked  []connectionJSON `json:"parked_connections"`
	Closed  []gateJSON       `json:"pauses"`
	Guards  []removalsJSON   `json:"withheld_removals"`
	Workers []workerJSON     `json:"workers"`
}

func (s status) json() statusJSON {
	j := statusJSON{
		Open: []reportJSON{}, Last: []runJSON{}, Parked: []connectionJSON{}, Guards: []removalsJSON{},
		Workers: []workerJSON{}, Closed: toGatesJSON(s.closed),
	}
	for _, r := range s.open {
		j.Open = append(j.Open, progressJSON(r))
	}
	for _, r := range s.last {
		j.Last = append(j.Last, toRunJSON(r))
	}
	for _, c := range s.parked {
		j.Parked = append(j.Parked, toConnectionJSON(c))
	}
	for _, g := range s.guards {
		j.Guards = append(j.Guards, toRemovalsJSON(g))
	}
	for _, w := range s.workers {
		j.Workers = append(j.Workers, workerJSON{w.Host, w.PID, w.Version, w.StartedAt, w.ExpiresAt, workerState(w), w.Batches})
	}
	return j
}

// toOpen says what opens a parked connection.
func toOpen(c persist.Connection) string {
	if c.ParkedFor != "" {
		return "other credentials are used as soon as they are there; to try the same ones again: syncer connections open " + c.Name
	}
	return "when that is mended: syncer check, then syncer connections open " + c.Name
}

func batchesParked(n int) string {
	if n == 1 {
		return "1 batch is"
	}
	return thousands(n) + " batches are"
}
