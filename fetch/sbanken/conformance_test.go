package sbanken

import (
	"crypto/sha256"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	bank "syncer/sandbox/sbanken"
)

// world is a bank on a loopback address and a connection to it.
type world struct {
	kit  *sandbox.Kit
	sim  *bank.Simulator
	conn fetch.Connection
}

var today = finance.NewDate(2026, time.November, 20)

func start(t *testing.T, o bank.Options, s Settings) *world {
	t.Helper()
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 11})
	kit.Clock.Set(today.Time().Add(11 * time.Hour))
	o.Kit, o.Quota = kit, &sandbox.Quota{}
	w := &world{kit: kit, sim: bank.New(o)}
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := server.Mount("sbanken", w.sim.Handler())
	if err != nil {
		t.Fatal(err)
	}
	client := bank.DefaultClient()
	w.conn = fetch.Connection{
		Name: "bank", Provider: "sbanken", BaseURL: base, AuthURL: base,
		Credentials: map[string]fetch.Secret{"client_id": fetch.NewSecret(client.ID), "client_secret": fetch.NewSecret(client.Secret)},
		Settings:    &s,
	}
	return w
}

func keyed(s string) []byte { h := sha256.Sum256([]byte("test key" + s)); return h[:] }

func subject(number string) finance.Subject { return finance.NewSubject(keyed(number), number, keyed) }

func (w *world) consent(i int) finance.Consent {
	return finance.Consent{ID: int64(i + 1), Connection: "bank", ExternalID: "c", Subject: subject(w.sim.Customer(i).CustomerID), Status: finance.ConsentActive}
}

func (w *world) rule(t *testing.T, r sandbox.Rule) func() {
	t.Helper()
	r.Provider, r.Only = "sbanken", "api"
	id, err := w.kit.Faults.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	return func() { w.kit.Faults.Remove(id) }
}

// rows is the stream of a customer's account.
func (w *world) rows(customer, account int) fetch.Stream {
	return fetch.Stream{
		Stream: finance.Stream{Dataset: finance.Transactions, Account: w.sim.Customer(customer).Accounts[account].AccountID},
		Since:  today.AddDays(-500), Today: today, Lookback: 10,
	}
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		bank     bank.Options
		settings Settings
	}{
		"generation 2": {bank.Options{}, Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 37}},
		"generation 1": {bank.Options{EndDateToday500: true}, Settings{APIVersion: 1, CustomerHeader: "auto", PageLength: 1000}},
		"quirks": {
			bank.Options{YearBoundaryCut: true, FlakyTransactionID: true, Twins: true, LateBooked: true, PurchaseYearBug: true, TwoDecimals: true, ArchiveSourceText: true},
			Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 9}, // the recent list has several pages
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, c.bank, c.settings)
			fetchtest.Run(t, harness(t, w))
		})
	}
}

func harness(t *testing.T, w *world) fetchtest.Harness {
	return fetchtest.Harness{
		Provider: Provider(), Connection: w.conn, Consent: w.consent(1),
		Streams: []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Accounts}}, w.rows(1, 0)},
		Pause: func(after int, form string) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: 1, Action: sandbox.Action{
				Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 1, Form: form}}})
		},
		Expire: func(after, times int) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: times, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})
		},
		Spoil: func(s fetch.Stream) func() {
			field := map[finance.Dataset]string{finance.Accounts: `"accountType":`, finance.Transactions: `"accountingDate":`}[s.Dataset]
			return w.rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: sandbox.Replace, Old: field, New: field + `17,"drifted":`}})
		},
		Impostor:   func() func() { return w.rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}}) },
		Impersonal: func(s fetch.Stream) bool { return s.Dataset == finance.Transactions },
		Arrivals: func() (paths []string) {
			for _, e := range w.kit.Journal.Entries() {
				paths = append(paths, e.Path)
			}
			return paths
		},
		Secrets: func() []string { return []string{bank.DefaultClient().Secret, w.sim.Customer(1).CustomerID} },
	}
}
