package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist/connections"
	"syncer/persist/pg"
	"syncer/persist/read"
	"syncer/persist/streams"
	"syncer/report/text"
)

// Provider is the provider of a configured connection.
func (inst *Installation) Provider(connection string) (fetch.Provider, error) {
	set, ok := inst.Config.Connections[connection]
	if !ok {
		return fetch.Provider{}, fmt.Errorf("no connection %q in the config; there are: %s", connection, text.List(slices.Sorted(maps.Keys(inst.Config.Connections))))
	}
	for _, p := range inst.opt.Providers {
		if p.Name == set.Provider {
			return p, nil
		}
	}
	return fetch.Provider{}, inst.Config.Problemf("connections."+connection+".provider", "no provider %q", set.Provider)
}

// connection opens a configured connection for the engine.
func (inst *Installation) connection(name string) (*jobs.Connection, error) {
	o, err := inst.ClientOptions(name)
	if err != nil {
		return nil, err
	}
	client, err := fetch.NewClient(o)
	if err != nil {
		return nil, inst.Config.Problemf("connections."+name, "%s", err)
	}
	inst.closers = append(inst.closers, client.CloseIdle)
	set := inst.Config.Connections[name]
	zone, err := inst.Zone(name)
	if err != nil {
		return nil, err
	}
	return &jobs.Connection{
		Name: name, Endpoint: EndpointOf(o), Connector: client.Connector(), Credentials: client.Credentials, Zone: zone,
		Rate: client.Rate(), Quota: o.Quota, Concurrency: set.Concurrency, Keep: set.Answers.Keep.Std(),
		InFlight: jobs.InFlight(set.Timeout.Std()),
		Accounts: set.Limits.Accounts, ReadsPerDay: set.ReadsPerDay,
	}, nil
}

// Zone is the calendar of a configured connection. It reads no secret.
func (inst *Installation) Zone(name string) (*time.Location, error) {
	provider, conn, err := inst.settled(name)
	if err != nil {
		return nil, err
	}
	zone, err := provider.ZoneOf(conn)
	if err != nil {
		return nil, inst.Config.Problemf("connections."+name, "%s", err)
	}
	return zone, nil
}

// quota is how many calls a day a configured connection may make; none where the configuration names no number.
// With an error the number is right, and the zone is not known.
func (inst *Installation) quota(name string) (calls.Quota, error) {
	rate := inst.Config.Connections[name].Rate
	if rate.PerDay == 0 {
		return calls.Quota{}, nil
	}
	zone, err := inst.Zone(name)
	return calls.Quota{PerDay: rate.PerDay, Resets: rate.Resets.SinceMidnight(), Zone: zone}, err
}

// settled is what configuration says of a connection, without its secrets.
func (inst *Installation) settled(name string) (fetch.Provider, fetch.Connection, error) {
	provider, err := inst.Provider(name)
	if err != nil {
		return provider, fetch.Connection{}, err
	}
	set := inst.Config.Connections[name]
	conn := fetch.Connection{
		Name: name, Provider: set.Provider, Environment: set.Environment, BaseURL: set.BaseURL, AuthURL: set.AuthURL,
		Credentials: map[string]fetch.Secret{}, Settings: provider.Settings(), Dir: inst.Config.Dir(),
	}
	return provider, conn, set.DecodeSettings(conn.Settings)
}

// Client opens a connection for one question.
func (inst *Installation) Client(ctx context.Context, name string) (*fetch.Client, error) {
	o, err := inst.ClientOptions(name)
	if err != nil {
		return nil, err
	}
	if err := inst.Store.Connections.Use(ctx, name, EndpointOf(o)); err != nil {
		return nil, err
	}
	if err := inst.Store.Consents.BoundReads(ctx, name, inst.Config.Connections[name].ReadsPerDay); err != nil {
		return nil, err
	}
	client, err := fetch.NewClient(o)
	if err != nil {
		return nil, inst.Config.Problemf("connections."+name, "%s", err)
	}
	inst.closers = append(inst.closers, client.CloseIdle)
	return client, nil
}

// ClientOptions is everything that a connection's client is made of: its provider's driver, its secrets, read now,
// its bounds, and the store.
func (inst *Installation) ClientOptions(name string) (fetch.Options, error) {
	provider, conn, err := inst.settled(name)
	if err != nil {
		return fetch.Options{}, err
	}
	set := inst.Config.Connections[name]
	if conn.Credentials, err = inst.secrets(name); err != nil {
		return fetch.Options{}, err
	}
	driver, err := provider.Open(conn)
	if err != nil {
		return fetch.Options{}, inst.Config.Problemf("connections."+name, "%s", err)
	}
	rate, unlimited, _ := set.Rate.Limit()
	if unlimited {
		driver.Rate = 0 // or the provider's own would hold where ours says nothing
	}
	quota, err := inst.quota(name)
	if err != nil {
		return fetch.Options{}, err
	}
	return fetch.Options{
		Connection: conn, Driver: driver, Rate: rate, Quota: quota,
		Concurrency: set.Concurrency, MaxInFlight: set.MaxInFlight, Flights: inst.Store.Admit, Timeout: set.Timeout.Std(),
		Retry:   fetch.Retry{Attempts: set.Retry.Attempts, Base: set.Retry.Base.Std(), Cap: set.Retry.Cap.Std(), Budget: set.Retry.Budget.Std()},
		MaxWait: inst.Config.Worker.MaxWait.Std(), MaxBody: set.MaxBody.Bytes(),
		MaxRecords: set.Limits.AnswerRecords, PassBytes: set.Limits.PassBytes.Bytes(),
		PassTime: time.Duration(set.Limits.PassHours) * time.Hour, Memory: inst.memory, AllowPrivate: set.AllowPrivate,
		Calls: inst.callStore(), Once: inst.callStore(), Tokens: inst.callStore(), Grants: inst.Store.Tokens, Log: inst.opt.Log.With().Str("connection", name).Logger(),
		Fingerprint: inst.sealer.Fingerprint, Open: provider.Open,
		Reread: func() (map[string]fetch.Secret, error) { return inst.secrets(name) },
	}, nil
}

// secrets reads the secrets of a configured connection, now.
func (inst *Installation) secrets(name string) (map[string]fetch.Secret, error) {
	set := inst.Config.Connections[name]
	read := map[string]fetch.Secret{}
	for _, key := range slices.Sorted(maps.Keys(set.Credentials)) {
		text, err := set.Credentials[key].Reveal(inst.opt.Env)
		if err != nil {
			return nil, inst.Config.Problemf("connections."+name+".credentials."+key, "%s", err)
		}
		read[key] = fetch.NewSecret(text)
	}
	return read, nil
}

// credentials is the fingerprint of a configured connection's credentials as they are now; empty: they can't be read.
func (inst *Installation) credentials(name string) string {
	o, err := inst.ClientOptions(name)
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

// AsConfigured is a connection as it is for the credentials that are configured now. Where these can't be read, one whose
// credentials were refused is shown as parked.
func (inst *Installation) AsConfigured(c connections.Connection) connections.Connection {
	if len(c.Refused) == 0 {
		return c
	}
	credentials := inst.credentials(c.Name)
	if credentials == "" {
		credentials = c.Refused[0].Credentials
	}
	return c.For(credentials)
}

// EndpointOf is where a client's connection leads.
func EndpointOf(o fetch.Options) connections.Endpoint {
	return connections.Endpoint{
		Provider: o.Connection.Provider, Environment: o.Connection.Environment, Origin: fetch.Origin(o.Driver.Base),
	}
}

// Endpoint is where a configured connection leads. Its origin is not known where its secrets can't be read and its
// configuration names no address.
func (inst *Installation) Endpoint(name string) connections.Endpoint {
	if o, err := inst.ClientOptions(name); err == nil {
		return EndpointOf(o)
	}
	set := inst.Config.Connections[name]
	e := connections.Endpoint{Provider: set.Provider, Environment: set.Environment}
	if u, err := url.Parse(set.BaseURL); err == nil && u.Host != "" {
		e.Origin = fetch.Origin(u)
	}
	return e
}

// Forgotten are the connections with active consents that the configuration does not name: nobody reads these consents.
func (inst *Installation) Forgotten(ctx context.Context) ([]read.ActiveConsents, error) {
	all, err := inst.Store.Read.ActiveByConnection(ctx)
	if err != nil {
		return nil, err
	}
	var list []read.ActiveConsents
	for _, c := range all {
		if _, configured := inst.Config.Connections[c.Connection]; !configured {
			list = append(list, c)
		}
	}
	return list, nil
}

// CheckNamed refuses the name of a connection that neither the configuration nor the database has. Empty: none is named.
func (inst *Installation) CheckNamed(ctx context.Context, connection string) error {
	if _, configured := inst.Config.Connections[connection]; configured || connection == "" {
		return nil
	}
	_, err := inst.Store.Connections.ByName(ctx, connection)
	if errors.Is(err, pg.ErrNotFound) {
		return fmt.Errorf("there is no connection %q: `syncer connections list` shows what there is", connection)
	}
	return err
}

// CheckUsed says whether the database knows a connection.
func (inst *Installation) CheckUsed(ctx context.Context, connection string) error {
	_, err := inst.Store.Connections.ByName(ctx, connection)
	if errors.Is(err, pg.ErrNotFound) {
		return fmt.Errorf("no connection %q has been used yet: `syncer connections list` shows what there is", connection)
	}
	return err
}

// KeyResets are what a reset of a dataset's keys takes with it. Transactions that are read account by account carry the keys
// of accounts, so a reset of those is one of both.
func (inst *Installation) KeyResets(connection string, d finance.Dataset) ([]streams.KeyReset, error) {
	conn, err := inst.connection(connection)
	if err != nil {
		return nil, err
	}
	datasets := []finance.Dataset{d}
	if d == finance.Accounts && conn.Connector.PerAccount(finance.Transactions) {
		datasets = append(datasets, finance.Transactions)
	}
	var list []streams.KeyReset
	for _, of := range datasets {
		made := fetch.KeysOf(conn.Connector, of).Made
		if made == "" {
			return nil, inst.Config.Problemf("connections."+connection, "it has no dataset %s", of)
		}
		list = append(list, streams.KeyReset{
			Dataset: of, Made: made, PerAccount: len(datasets) == 1 && conn.Connector.PerAccount(of),
		})
	}
	return list, nil
}
