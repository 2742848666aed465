package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"syncer/config"
	"syncer/fetch"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
)

// engineSpec says what an engine is for. A connection that nothing here needs is not opened, so that one job runs
// while the credentials of another's are missing.
type engineSpec struct {
	Jobs        []string // the jobs it knows, with their connections
	Connections []string // further connections
	Work        bool     // works the batches of Jobs; else it only plans
}

// Engine builds an engine with its connections and the writer of pages. It is not started. ctx is the life of what
// it writes with, so it must outlast Engine.Stop.
func (h *house) Engine(ctx context.Context, spec engineSpec) (*jobs.Engine, error) {
	o := jobs.Options{
		Store: h.Store, Pool: h.Pool, Log: h.opt.Log, Batches: h.Config.Worker.Batches,
		Lease: h.Config.Worker.Lease.Std(), Heartbeat: h.Config.Worker.Heartbeat.Std(),
		Sweep: h.Config.Worker.Sweep.Std(), Drain: h.Config.Worker.Drain.Std(), Step: h.opt.Step,
	}
	needed := slices.Clone(spec.Connections)
	for _, name := range spec.Jobs {
		job, err := h.job(name)
		if err != nil {
			return nil, err
		}
		o.Jobs = append(o.Jobs, job)
		needed = append(needed, job.Connection)
	}
	slices.Sort(needed)
	for _, name := range slices.Compact(needed) {
		conn, err := h.connection(name)
		if err != nil {
			return nil, err
		}
		o.Connections = append(o.Connections, conn)
	}
	if spec.Work {
		o.Serve = spec.Jobs
	}
	o.Pages = persist.NewWriter(h.Pool, h.sealer, persist.WriterOptions{Step: h.opt.Step})
	o.Committer = h.committer(ctx, o.Pages)
	return jobs.New(o)
}

// committer starts what commits pages side by side; closing the house ends it.
func (h *house) committer(ctx context.Context, w *persist.Writer) *persist.Committer {
	ctx, cancel := context.WithCancel(ctx)
	c := persist.StartCommitter(ctx, w, 0)
	h.closers = append(h.closers, func() {
		cancel()
		c.Wait()
	})
	return c
}

// job turns a configured job into what the engine works with.
func (h *house) job(name string) (jobs.Job, error) {
	set, ok := h.Config.Jobs[name]
	if !ok {
		return jobs.Job{}, fmt.Errorf("no job %q in the config; there are: %s", name, listed(sortedKeys(h.Config.Jobs)))
	}
	at := "jobs." + name
	job := jobs.Job{
		Name: name, Connection: set.Connection, Zone: set.Location(), CatchUp: jobs.CatchUp(set.CatchUp),
		BatchSize: set.BatchSize, Lookback: days(set.Lookback), History: days(set.History), Purposes: set.Purposes,
	}
	provider, err := h.provider(set.Connection)
	if err != nil {
		return job, err
	}
	for _, text := range set.Datasets {
		d, err := finance.ParseDataset(text)
		if err == nil && !slices.Contains(provider.Datasets, d) {
			err = fmt.Errorf("%s has no %s; it has %s", provider.Title, d, listed(provider.Datasets))
		}
		if err != nil {
			return job, h.Config.Problemf(at+".datasets", "%s", err)
		}
		job.Datasets = append(job.Datasets, d)
	}
	if set.Schedule != "" {
		if job.Schedule, err = jobs.ParseSchedule(set.Schedule, job.Zone, time.Now()); err != nil {
			return job, h.Config.Problemf(at+".schedule", "%s", err)
		}
	}
	return job, nil
}

// days rounds up: nobody loses a day that was asked for.
func days(d config.Duration) int {
	const day = 24 * time.Hour
	return int((d.Std() + day - 1) / day)
}

// provider is the provider of a configured connection.
func (h *house) provider(connection string) (fetch.Provider, error) {
	set, ok := h.Config.Connections[connection]
	if !ok {
		return fetch.Provider{}, fmt.Errorf("no connection %q in the config; there are: %s", connection, listed(sortedKeys(h.Config.Connections)))
	}
	for _, p := range h.opt.Providers {
		if p.Name == set.Provider {
			return p, nil
		}
	}
	return fetch.Provider{}, h.Config.Problemf("connections."+connection+".provider", "no provider %q", set.Provider)
}

// connection opens a configured connection for the engine.
func (h *house) connection(name string) (*jobs.Connection, error) {
	o, err := h.clientOptions(name)
	if err != nil {
		return nil, err
	}
	client, err := fetch.NewClient(o)
	if err != nil {
		return nil, h.Config.Problemf("connections."+name, "%s", err)
	}
	h.closers = append(h.closers, client.CloseIdle)
	set := h.Config.Connections[name]
	zone, err := h.zone(name)
	if err != nil {
		return nil, err
	}
	return &jobs.Connection{
		Name: name, Provider: set.Provider, Connector: client.Connector(), Credentials: client.Credentials, Zone: zone,
		Concurrency: set.Concurrency, Keep: set.Answers.Keep.Std(), Accounts: set.Limits.Accounts,
	}, nil
}

// zone is the calendar of a configured connection. It reads no secret.
func (h *house) zone(name string) (*time.Location, error) {
	provider, conn, err := h.settled(name)
	if err != nil {
		return nil, err
	}
	zone, err := provider.ZoneOf(conn)
	if err != nil {
		return nil, h.Config.Problemf("connections."+name, "%s", err)
	}
	return zone, nil
}

// settled is what configuration says of a connection, without its secrets.
func (h *house) settled(name string) (fetch.Provider, fetch.Connection, error) {
	provider, err := h.provider(name)
	if err != nil {
		return provider, fetch.Connection{}, err
	}
	set := h.Config.Connections[name]
	conn := fetch.Connection{
		Name: name, Provider: set.Provider, Environment: set.Environment, BaseURL: set.BaseURL, AuthURL: set.AuthURL,
		Credentials: map[string]fetch.Secret{}, Settings: provider.Settings(), Dir: h.Config.Dir(),
	}
	return provider, conn, set.DecodeSettings(conn.Settings)
}

// clientOptions is everything that a connection's client is made of: its provider's driver, its secrets, read now,
// its bounds, and the store as its ledger.
func (h *house) clientOptions(name string) (fetch.Options, error) {
	provider, conn, err := h.settled(name)
	if err != nil {
		return fetch.Options{}, err
	}
	set := h.Config.Connections[name]
	if conn.Credentials, err = h.secrets(name); err != nil {
		return fetch.Options{}, err
	}
	driver, err := provider.Open(conn)
	if err != nil {
		return fetch.Options{}, h.Config.Problemf("connections."+name, "%s", err)
	}
	rate, unlimited, _ := set.Rate.Limit()
	if unlimited {
		driver.Rate = 0 // or the provider's own would hold where ours says nothing
	}
	return fetch.Options{
		Connection: conn, Driver: driver, Rate: rate, Concurrency: set.Concurrency, Timeout: set.Timeout.Std(),
		Retry:   fetch.Retry{Attempts: set.Retry.Attempts, Base: set.Retry.Base.Std(), Cap: set.Retry.Cap.Std(), Budget: set.Retry.Budget.Std()},
		MaxWait: h.Config.Worker.MaxWait.Std(), MaxBody: set.MaxBody.Bytes(),
		MaxRecords: set.Limits.AnswerRecords, PassBytes: set.Limits.PassBytes.Bytes(),
		PassTime: time.Duration(set.Limits.PassHours) * time.Hour, AllowPrivate: set.AllowPrivate,
		Ledger: h.ledger(), Once: h.ledger(), Tokens: h.ledger(), Grants: h.Store, Log: h.opt.Log.With().Str("connection", name).Logger(),
		Fingerprint: h.sealer.Fingerprint, Open: provider.Open,
		Reread: func() (map[string]fetch.Secret, error) { return h.secrets(name) },
	}, nil
}

// secrets reads the secrets of a configured connection, now.
func (h *house) secrets(name string) (map[string]fetch.Secret, error) {
	set := h.Config.Connections[name]
	read := map[string]fetch.Secret{}
	for _, key := range sortedKeys(set.Credentials) {
		text, err := set.Credentials[key].Reveal(h.opt.Env)
		if err != nil {
			return nil, h.Config.Problemf("connections."+name+".credentials."+key, "%s", err)
		}
		read[key] = fetch.NewSecret(text)
	}
	return read, nil
}

// credentials is the fingerprint of a configured connection's credentials as they are now; empty: they can't be read.
func (h *house) credentials(name string) string {
	o, err := h.clientOptions(name)
	if err != nil {
		return ""
	}
	client, err := fetch.NewClient(o)
	if err != nil {
		return ""
	}
	defer client.CloseIdle()
	return client.Credentials()
}

// asConfigured is a connection as it is for the credentials that are configured now. Where these can't be read, one whose
// credentials were refused is shown as parked.
func (h *house) asConfigured(c persist.Connection) persist.Connection {
	if len(c.Refused) == 0 {
		return c
	}
	credentials := h.credentials(c.Name)
	if credentials == "" {
		credentials = c.Refused[0].Credentials
	}
	return c.For(credentials)
}
