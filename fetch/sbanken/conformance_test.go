package sbanken

import (
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	"syncer/sandbox/sandboxtest"
	bank "syncer/sandbox/sbanken"
)

// world is a bank and a connection to it.
type world struct {
	*sandboxtest.Host
	sim  *bank.Simulator
	conn fetch.Connection
}

var today = finance.NewDate(2026, time.November, 20)

func start(t *testing.T, o bank.Options, s Settings) *world {
	t.Helper()
	return startBy(t, sandboxtest.Serve, o, s)
}

func startBy(t *testing.T, serve sandboxtest.Mount, o bank.Options, s Settings) *world {
	t.Helper()
	o.Kit, o.Quota = sandboxtest.NewKit(today.Time().Add(11*time.Hour)), &sandbox.Quota{}
	w := &world{sim: bank.New(o)}
	w.Host = serve(t, o.Kit, "sbanken", w.sim.Handler())
	client := bank.DefaultClient()
	w.conn = fetch.Connection{
		Name: "bank", Provider: "sbanken", BaseURL: w.Base, AuthURL: w.Base,
		Credentials: fetchtest.Credentials(client.ID, client.Secret), Settings: &s,
	}
	return w
}

func (w *world) consent(i int) finance.Consent {
	return finance.Consent{ID: int64(i + 1), Connection: "bank", ExternalID: "c", Subject: fetchtest.Subject(w.sim.Customer(i).CustomerID), Status: finance.ConsentActive}
}

// rows is the stream of a customer's account.
func (w *world) rows(customer, account int) fetch.Stream {
	return fetch.Stream{
		Stream: finance.Stream{Dataset: finance.Transactions, Account: w.sim.Customer(customer).Accounts[account].AccountID},
		Since:  today.AddDays(-500), Today: today, Lookback: 10,
	}
}

func TestConformance(t *testing.T) {
	for name, c := range fetchtest.Variants(t, map[string]struct {
		bank     bank.Options
		settings Settings
	}{
		"generation 2": {bank.Options{}, Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 37}},
		"generation 1": {bank.Options{EndDateToday500: true}, Settings{APIVersion: 1, CustomerHeader: "auto", PageLength: 1000}},
		"quirks": {
			bank.Options{YearBoundaryCut: true, FlakyTransactionID: true, Twins: true, LateBooked: true, PurchaseYearBug: true, TwoDecimals: true, ArchiveSourceText: true},
			Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 9}, // the recent list has several pages
		},
	}, "generation 1", "quirks") {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each has a pause of a second to wait for
			w := start(t, c.bank, c.settings)
			fetchtest.Run(t, harness(t, w))
		})
	}
}

func harness(t *testing.T, w *world) fetchtest.Harness {
	h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, w.consent(1))
	h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Accounts}}, w.rows(1, 0)}
	h.Spoil = func(s fetch.Stream) func() {
		field := map[finance.Dataset]string{finance.Accounts: `"accountType":`, finance.Transactions: `"accountingDate":`}[s.Dataset]
		return fetchtest.Replaced(t, w.Host, field, field+`17,"drifted":`)
	}
	h.Insert = func(s fetch.Stream, members string) func() {
		anchor := map[finance.Dataset]string{finance.Accounts: `"accountType":`, finance.Transactions: `"accountingDate":`}[s.Dataset]
		return fetchtest.Inserted(t, w.Host, anchor, members)
	}
	h.Double = func(s fetch.Stream, changed bool) func() {
		if s.Dataset == finance.Transactions { // a list that counts one row more than it has is another list
			return nil
		}
		return fetchtest.Doubled(t, w.Host, "items", "name", changed)
	}
	h.Impersonal = func(s fetch.Stream) bool { return s.Dataset == finance.Transactions }
	h.Secrets = func() []string { return []string{bank.DefaultClient().Secret, w.sim.Customer(1).CustomerID} }
	return h
}

func TestPassesAndLists(t *testing.T) {
	for name, c := range fetchtest.Variants(t, map[string]struct {
		bank     bank.Options
		settings Settings
	}{
		"generation 2": {
			bank.Options{Transactions: 30, Reservations: 8},
			Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 9},
		},
		"generation 1": {
			bank.Options{Transactions: 20, Reservations: 12, EndDateToday500: true, Twins: true, LateBooked: true, ArchiveLag: 2},
			Settings{APIVersion: 1, CustomerHeader: "auto", PageLength: 5},
		},
	}, "generation 2") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fetchtest.Passes(t, func(t *testing.T) fetchtest.Harness {
				w := startBy(t, fetchtest.Piped, c.bank, c.settings)
				return w.lists(t)
			})
		})
	}
}

// lists is the harness of a customer whose lists move.
func (w *world) lists(t *testing.T) fetchtest.Harness {
	customer := 0
	for len(w.sim.Customer(customer).Accounts) < 3 {
		customer++
	}
	h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, w.consent(customer))
	h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Accounts}}, w.rows(customer, 0)}
	h.Grow = func(s fetch.Stream) bool { return s.Account != "" && w.sim.Insert(s.Account, 0) != "" }
	h.Shrink = func(s fetch.Stream) bool { return s.Account != "" && w.sim.Release(s.Account) }
	h.Endless = func(fetch.Stream) bool { w.sim.Overcount(); return true }
	h.Accounts = []fetch.Stream{w.rows(customer, 0), w.rows(customer, 1), w.rows(customer, 2)}
	h.Refuse = func(s fetch.Stream, status int) func() {
		generation := map[int]string{1: bank.V1, 2: bank.V2}[w.conn.Settings.(*Settings).APIVersion]
		for _, list := range []string{"/transactions/archive/", "/transactions/"} {
			fetchtest.RefusedPath(t, w.Host, generation+list+s.Account, status)
		}
		return w.Kit.Faults.Clear
	}
	return h
}
