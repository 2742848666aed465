package app

import (
	"context"
	"maps"
	"slices"

	"syncer/jobs"
	"syncer/persist/write"
)

// EngineSpec says what an engine is for. A connection that nothing here needs is not opened, so that one job runs
// while the credentials of another's are missing.
type EngineSpec struct {
	Jobs        []string // the jobs it knows, with their connections
	Connections []string // further connections
	Gone        []Gone   // jobs that the configuration has no more
	Work        bool     // works the batches of Jobs; else it only plans
	Only        bool     // of Jobs it works only the runs that it is told to, see jobs.Engine.WorkRuns
	Watch       bool     // tells the log of open runs that nobody works
	Rest        bool     // a job that can't be worked is left out and told in the log; the others go on
}

// Gone is a job of which runs are left, and the configured one whose settings hold for them.
type Gone struct{ Job, Heir string }

// Engine builds an engine with its connections and the writer of pages. It is not started. ctx is the life of what
// it writes with, so it must outlast Engine.Stop.
func (inst *Installation) Engine(ctx context.Context, spec EngineSpec) (*jobs.Engine, error) {
	o := jobs.Options{
		Store: inst.Store, Pool: inst.Pool, Log: inst.opt.Log, Batches: inst.Config.Worker.Batches,
		Lease: inst.Config.Worker.Lease.Std(), Heartbeat: inst.Config.Worker.Heartbeat.Std(),
		Sweep: inst.Config.Worker.Sweep.Std(), Drain: inst.Config.Worker.Drain.Std(), Step: inst.opt.Step,
	}
	o.Only, o.Watch = spec.Only, spec.Watch
	needed := slices.Clone(spec.Connections)
	var all []jobs.Job
	left := &leftOut{h: inst, rest: spec.Rest}
	for _, name := range spec.Jobs {
		job, bad := inst.Job(name)
		if err := left.out(bad, name); err != nil {
			return nil, err
		}
		if bad == nil {
			all = append(all, job)
			needed = append(needed, job.Connection)
		}
	}
	for _, g := range spec.Gone {
		job, err := inst.Job(g.Heir)
		if err != nil {
			return nil, err
		}
		job.Name = g.Job
		all = append(all, job)
		needed = append(needed, job.Connection)
	}
	slices.Sort(needed)
	opened := map[string]bool{}
	for _, name := range slices.Compact(needed) {
		conn, bad := inst.connection(name)
		if bad == nil && spec.Rest { // one that leads elsewhere must not stop the others either
			bad = inst.Store.Connections.CheckEndpoint(ctx, name, conn.Endpoint)
		}
		if err := left.out(bad, jobsOver(all, name)...); err != nil {
			return nil, err
		}
		if bad == nil {
			o.Connections = append(o.Connections, conn)
			opened[name] = true
		}
	}
	for _, job := range all {
		if opened[job.Connection] {
			o.Jobs = append(o.Jobs, job)
		}
	}
	if len(o.Jobs) == 0 && len(spec.Jobs) > 0 {
		return nil, left.last
	}
	o.Known = slices.Sorted(maps.Keys(inst.Config.Jobs))
	if spec.Work {
		for _, job := range o.Jobs {
			o.Serve = append(o.Serve, job.Name)
		}
	}
	o.Pages = write.NewWriter(inst.Pool, inst.sealer, write.WriterOptions{Step: inst.opt.Step})
	o.Committer = inst.committer(ctx, o.Pages)
	return jobs.New(o)
}

// leftOut is what is done about a job that can't be worked.
type leftOut struct {
	h    *Installation
	rest bool
	last error
}

// out leaves the jobs out for which there is an error, or gives it back: one missing secret must not
// stop the service for all jobs.
func (l *leftOut) out(err error, names ...string) error {
	if err == nil || !l.rest {
		return err
	}
	l.last = err
	l.h.opt.Log.Error().Err(err).Strs("jobs", names).Msg("these jobs are left out: mend it and start again")
	return nil
}

// jobsOver are the names of the jobs over a connection.
func jobsOver(all []jobs.Job, connection string) (names []string) {
	for _, job := range all {
		if job.Connection == connection {
			names = append(names, job.Name)
		}
	}
	return names
}

// committer starts what commits pages side by side; closing the installation ends it.
func (inst *Installation) committer(ctx context.Context, w *write.Writer) *write.Committer {
	ctx, cancel := context.WithCancel(ctx)
	c := write.StartCommitter(ctx, w, 0)
	inst.closers = append(inst.closers, func() {
		cancel()
		c.Wait()
	})
	return c
}
