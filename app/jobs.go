package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"syncer/config"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/report/text"
)

// Job turns a configured job into what the engine works with.
func (inst *Installation) Job(name string) (jobs.Job, error) {
	set, ok := inst.Config.Jobs[name]
	if !ok {
		return jobs.Job{}, fmt.Errorf("no job %q in the config; there are: %s", name, text.List(slices.Sorted(maps.Keys(inst.Config.Jobs))))
	}
	at := "jobs." + name
	job := jobs.Job{
		Name: name, Connection: set.Connection, Zone: set.Location(), CatchUp: jobs.CatchUp(set.CatchUp),
		BatchSize: set.BatchSize, Lookback: days(set.Lookback), History: days(set.History), Purposes: set.Purposes,
	}
	has, err := inst.datasets(set.Connection)
	if err != nil {
		return job, err
	}
	for _, dataset := range set.Datasets {
		d, err := finance.ParseDataset(dataset)
		if err == nil && !slices.Contains(has.list, d) {
			err = fmt.Errorf("%s has no %s; it has %s", has.whose, d, text.List(has.list))
		}
		if err != nil {
			return job, inst.Config.Problemf(at+".datasets", "%s", err)
		}
		job.Datasets = append(job.Datasets, d)
	}
	if set.Schedule != "" {
		if job.Schedule, err = jobs.ParseSchedule(set.Schedule, job.Zone); err != nil {
			return job, inst.Config.Problemf(at+".schedule", "%s", err)
		}
	}
	return job, nil
}

// datasets are what a connection can be asked for.
type datasets struct {
	whose string // for people
	list  []finance.Dataset
}

// datasets are those of a configured connection: its provider's, or those that its settings leave of them.
func (inst *Installation) datasets(connection string) (d datasets, err error) {
	provider, conn, err := inst.settled(connection)
	if err != nil {
		return d, err
	}
	if provider.DatasetsOf == nil {
		return datasets{provider.Title, provider.Datasets}, nil
	}
	list, err := provider.DatasetsOf(conn)
	if err != nil {
		return d, inst.Config.Problemf("connections."+connection, "%s", err)
	}
	return datasets{"the description of " + connection, list}, nil
}

// days rounds up: nobody loses a day that was asked for.
func days(d config.Duration) int {
	const day = 24 * time.Hour
	return int((d.Std() + day - 1) / day)
}

// HistoryGap is what of a configured job's history, as it is today, its streams were never asked for.
func (inst *Installation) HistoryGap(ctx context.Context, name string) (read.HistoryGap, error) {
	job, err := inst.Job(name)
	if err != nil {
		return read.HistoryGap{}, err
	}
	zone, err := inst.Zone(job.Connection)
	if err != nil {
		return read.HistoryGap{}, err
	}
	return job.HistoryGap(ctx, inst.Store, zone)
}

// BackfillJob names a job that reads transactions over a connection.
func (inst *Installation) BackfillJob(connection string) string {
	for _, name := range slices.Sorted(maps.Keys(inst.Config.Jobs)) {
		job := inst.Config.Jobs[name]
		if job.Connection == connection && slices.Contains(job.Datasets, string(finance.Transactions)) {
			return name
		}
	}
	return "JOB"
}

// FindRun finds a run, or says where to look.
func (inst *Installation) FindRun(ctx context.Context, id int64) (queue.Run, error) {
	run, err := inst.Store.Queue.RunByID(ctx, id)
	if errors.Is(err, pg.ErrNotFound) {
		return run, fmt.Errorf("there is no run %d: `syncer runs` lists them", id)
	}
	return run, err
}

// Orphans are the open runs of jobs that the configuration does not have: nobody works them.
func (inst *Installation) Orphans(ctx context.Context) ([]queue.Run, error) {
	open, err := inst.Store.Read.Runs(ctx, read.RunFilter{Open: true})
	if err != nil {
		return nil, err
	}
	known := func(r queue.Run) bool {
		_, configured := inst.Config.Jobs[r.Job]
		return configured
	}
	return slices.DeleteFunc(open, known), nil
}
