package rest

import (
	"io/fs"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	sim "syncer/sandbox/rest"
	"syncer/sandbox/sandboxtest"
)

var today = finance.NewDate(2026, time.November, 20)

// world is a simulator and a connection to it.
type world struct {
	*sandboxtest.Host
	conn fetch.Connection
}

// start opens a connection to a host by an example, as an operator would.
func start(t *testing.T, host *sandboxtest.Host, example string, credentials map[string]fetch.Secret) *world {
	t.Helper()
	text, err := fs.ReadFile(Examples(), example)
	if err != nil {
		t.Fatal(err)
	}
	return &world{host, fetch.Connection{
		Name: host.Name, Provider: "rest", BaseURL: host.Base, AuthURL: host.Base, Credentials: credentials,
		Dir: folderWith(t, example, text), Settings: &Settings{Description: example},
	}}
}

// harness is the simulators' but for what is each one's alone. The consent is one of a person of the simulator.
func (w *world) harness(t *testing.T, id int64, person sim.ConsentInfo, old, spoilt string) fetchtest.Harness {
	consent := consentOf(person)
	consent.ID, consent.Connection = id, w.conn.Name
	h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, consent)
	h.Spoil = func(fetch.Stream) func() { return fetchtest.Replaced(t, w.Host, old, spoilt) }
	h.Insert = func(s fetch.Stream, members string) func() {
		anchor := map[finance.Dataset]string{finance.Accounts: `"resourceId":`, finance.Transactions: `"bookingDate":`,
			finance.Debts: `"principal_ore":`}[s.Dataset]
		return fetchtest.Inserted(t, w.Host, anchor, members)
	}
	h.Double = func(s fetch.Stream, changed bool) func() {
		switch s.Dataset {
		case finance.Accounts:
			return fetchtest.Doubled(t, w.Host, "accounts", "name", changed)
		case finance.Transactions:
			return fetchtest.Doubled(t, w.Host, "booked", "remittanceInformationUnstructured", changed)
		}
		return fetchtest.Doubled(t, w.Host, "claims", "case_handler", changed)
	}
	return h
}

func TestConformanceOfTheBank(t *testing.T) {
	t.Parallel() // it waits for pauses
	bank, w := theBank(t, sim.BankOptions{PageSize: 40})
	person := bank.Consent(3)
	h := w.harness(t, 4, person, `"amount":"`, `"amount":"x`)
	accounts := fetch.Stream{Stream: finance.Stream{Dataset: finance.Accounts}, Today: today}
	h.Streams = []fetch.Stream{accounts, {
		Stream: finance.Stream{Dataset: finance.Transactions, Account: accountOf(t, w, h.Consent)},
		Since:  today.AddDays(-300), Today: today, Lookback: 10,
	}}
	h.Impersonal = func(s fetch.Stream) bool { return s.Dataset == finance.Accounts } // its answers name nobody
	h.Secrets = func() []string { return []string{sim.BankClient().Secret, person.NationalID} }
	h.Withdraw = func() finance.Class { bank.Revoke(person.ID); return finance.ConsentOver }
	fetchtest.Run(t, h)
}

func TestConformanceOfTheCollector(t *testing.T) {
	t.Parallel() // it waits for pauses
	collector, w := theCollector(t, sim.CollectorOptions{MaxClaims: 40})
	person := collector.Consent(2)
	h := w.harness(t, 3, person, `"principal_ore":`, `"principal_ore":1.5,"was":`)
	h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}, Today: today}}
	h.Secrets = func() []string { return []string{sim.CollectorClient().Secret, person.NationalID, sim.CollectorKey()} }
	h.Withdraw = func() finance.Class { collector.Revoke(person.ID); return finance.ConsentOver }
	fetchtest.Run(t, h)
}

func TestPassesAndListsOfTheBank(t *testing.T) {
	t.Parallel()
	fetchtest.Passes(t, func(t *testing.T) fetchtest.Harness {
		bank, w := theBankBy(t, fetchtest.Piped, sim.BankOptions{PageSize: 30})
		i := 0
		for len(accountsOf(t, w, consentOf(bank.Consent(i)))) < 3 {
			i++
		}
		person := bank.Consent(i)
		h := w.harness(t, 4, person, "", "")
		h.Accounts = accountsOf(t, w, h.Consent)
		h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Accounts}, Today: today}, h.Accounts[0]}
		h.Grow = func(s fetch.Stream) bool { return bank.Book(person.ID, s.Account) }
		h.Endless = func(s fetch.Stream) bool { bank.Endless(); return s.Dataset == finance.Transactions }
		h.Refuse = func(s fetch.Stream, status int) func() {
			return fetchtest.RefusedPath(t, w.Host, "/psd2/v1/accounts/"+s.Account, status)
		}
		return h
	})
}

func TestPassesAndListsOfTheCollector(t *testing.T) {
	t.Parallel()
	fetchtest.Passes(t, func(t *testing.T) fetchtest.Harness {
		collector, w := theCollectorBy(t, fetchtest.Piped, sim.CollectorOptions{MaxClaims: 40, LargestPage: 6})
		person := collector.Consent(2)
		h := w.harness(t, 3, person, "", "")
		h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}, Today: today}}
		h.Grow = func(fetch.Stream) bool { collector.Claim(person.ID); return true }
		h.Shrink = func(fetch.Stream) bool { collector.RemoveClaim(person.ID); return true }
		h.Endless = func(fetch.Stream) bool { collector.Endless(); return true }
		return h
	})
}
