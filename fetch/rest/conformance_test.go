package rest

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	sim "syncer/sandbox/rest"
)

var today = finance.NewDate(2026, time.November, 20)

func keyed(s string) []byte { h := sha256.Sum256([]byte("test key" + s)); return h[:] }

func subject(number string) finance.Subject { return finance.NewSubject(keyed(number), number, keyed) }

// world is a simulator on a loopback address and a connection to it.
type world struct {
	kit  *sandbox.Kit
	site string
	conn fetch.Connection
}

func newKit() *sandbox.Kit {
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 11})
	kit.Clock.Set(today.Time().Add(11 * time.Hour))
	return kit
}

// start writes an example to a folder, as an operator would, and opens a connection to a simulator by it.
func start(t *testing.T, kit *sandbox.Kit, site, example string, handler interface {
	Mount(*sandbox.Server) (string, error)
}, credentials map[string]string) *world {
	t.Helper()
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := handler.Mount(server)
	if err != nil {
		t.Fatal(err)
	}
	text, err := fs.ReadFile(Examples(), example)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, example), text, 0o600); err != nil {
		t.Fatal(err)
	}
	w := &world{kit: kit, site: site, conn: fetch.Connection{
		Name: site, Provider: "rest", BaseURL: base, AuthURL: base, Dir: dir, Credentials: map[string]fetch.Secret{},
		Settings: &Settings{Description: example},
	}}
	for name, secret := range credentials {
		w.conn.Credentials[name] = fetch.NewSecret(secret)
	}
	return w
}

type bankMount struct{ *sim.BankSimulator }

func (m bankMount) Mount(s *sandbox.Server) (string, error) { return s.Mount(sim.Bank, m.Handler()) }

type collectorMount struct{ *sim.CollectorSimulator }

func (m collectorMount) Mount(s *sandbox.Server) (string, error) {
	return s.Mount(sim.Collector, m.Handler())
}

func (w *world) rule(t *testing.T, r sandbox.Rule) func() {
	t.Helper()
	r.Provider, r.Only = w.site, "api"
	id, err := w.kit.Faults.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	return func() { w.kit.Faults.Remove(id) }
}

func (w *world) harness(t *testing.T, old, spoilt string) fetchtest.Harness {
	return fetchtest.Harness{
		Provider: Provider(), Connection: w.conn,
		Pause: func(after int, form string) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: 1, Action: fetchtest.Throttle(form)})
		},
		Expire: func(after, times int) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: times, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})
		},
		Spoil: func(fetch.Stream) func() {
			return w.rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: sandbox.Replace, Old: old, New: spoilt}})
		},
		Impostor: func() func() { return w.rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}}) },
		Arrivals: func() (paths []string) {
			for _, e := range w.kit.Journal.Entries() {
				paths = append(paths, e.Path)
			}
			return paths
		},
	}
}

func TestConformanceOfTheBank(t *testing.T) {
	kit := newKit()
	bank := sim.NewBank(sim.BankOptions{Kit: kit, PageSize: 40})
	client := sim.BankClient()
	w := start(t, kit, sim.Bank, "fjordbank.yaml", bankMount{bank}, map[string]string{"client_id": client.ID, "client_secret": client.Secret})
	person := bank.Consent(3)
	h := w.harness(t, `"amount":"`, `"amount":"x`)
	h.Consent = finance.Consent{ID: 4, Connection: w.conn.Name, ExternalID: person.ID, Subject: subject(person.NationalID), Status: finance.ConsentActive}
	accounts := fetch.Stream{Stream: finance.Stream{Dataset: finance.Accounts}, Today: today}
	h.Streams = []fetch.Stream{accounts, {
		Stream: finance.Stream{Dataset: finance.Transactions, Account: accountOf(t, w, h.Consent)},
		Since:  today.AddDays(-300), Today: today, Lookback: 10,
	}}
	h.Impersonal = func(s fetch.Stream) bool { return s.Dataset == finance.Accounts } // its answers name nobody
	h.Secrets = func() []string { return []string{client.Secret, person.NationalID} }
	h.Withdraw = func() finance.Class { bank.Revoke(person.ID); return finance.ConsentOver }
	fetchtest.Run(t, h)
}

func TestConformanceOfTheCollector(t *testing.T) {
	kit := newKit()
	collector := sim.NewCollector(sim.CollectorOptions{Kit: kit, MaxClaims: 40})
	client := sim.CollectorClient()
	w := start(t, kit, sim.Collector, "nordvik.yaml", collectorMount{collector}, map[string]string{
		"client_id": client.ID, "client_secret": client.Secret, "api_key": sim.CollectorKey()})
	person := collector.Consent(2)
	h := w.harness(t, `"principal_ore":`, `"principal_ore":1.5,"was":`)
	h.Consent = finance.Consent{ID: 3, Connection: w.conn.Name, ExternalID: person.ID, Subject: subject(person.NationalID), Status: finance.ConsentActive}
	h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}, Today: today}}
	h.Secrets = func() []string { return []string{client.Secret, person.NationalID, sim.CollectorKey()} }
	h.Withdraw = func() finance.Class { collector.Revoke(person.ID); return finance.ConsentOver }
	fetchtest.Run(t, h)
}
