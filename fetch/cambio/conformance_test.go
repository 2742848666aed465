package cambio

import (
	"crypto/sha256"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	gateway "syncer/sandbox/cambio"
)

// world is a gateway on a loopback address and a connection to it.
type world struct {
	kit  *sandbox.Kit
	sim  *gateway.Simulator
	base string
	conn fetch.Connection
}

var now = time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC)

func start(t *testing.T, o gateway.Options, change ...func(*Settings)) *world {
	t.Helper()
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 7})
	kit.Clock.Set(now)
	o.Kit, o.Start = kit, now
	w := &world{kit: kit, sim: gateway.New(o)}
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if w.base, err = server.Mount("cambio", w.sim.Handler()); err != nil {
		t.Fatal(err)
	}
	w.conn = connection(w.base, change...)
	return w
}

func connection(base string, change ...func(*Settings)) fetch.Connection {
	settings := Provider().Settings().(*Settings)
	for _, f := range change {
		f(settings)
	}
	client := gateway.DefaultClient()
	return fetch.Connection{
		Name: "cos", Provider: "cambio", Environment: "sandbox", BaseURL: base, AuthURL: base + "/auth/realms/COS", Settings: settings,
		Credentials: map[string]fetch.Secret{
			"client_id": fetch.NewSecret(client.ID), "client_secret": fetch.NewSecret(client.Secret),
			"subscription_key": fetch.NewSecret(gateway.DefaultSubscription().Key),
		},
	}
}

func keyed(s string) []byte { h := sha256.Sum256([]byte("test key" + s)); return h[:] }

func subjectWith(number string) finance.Subject {
	return finance.NewSubject(keyed(number), number, keyed)
}

func (w *world) consent(i int) finance.Consent {
	return finance.Consent{ID: int64(i + 1), Connection: "cos", ExternalID: "c", Subject: subjectWith(w.sim.Patient(i).Personnummer), Status: finance.ConsentActive}
}

// patient is the first patient with at least so many open invoices.
func (w *world) patient(t *testing.T, open int) int {
	t.Helper()
	for i := range w.sim.Len() {
		if w.sim.Patient(i).Open >= open {
			return i
		}
	}
	t.Fatalf("no patient has %d open invoices", open)
	return 0
}

func (w *world) rule(t *testing.T, r sandbox.Rule) func() {
	t.Helper()
	r.Provider, r.Only = "cambio", "api"
	id, err := w.kit.Faults.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	return func() { w.kit.Faults.Remove(id) }
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		sim     gateway.Options
		setting func(*Settings)
	}{
		"one page":  {gateway.Options{}, func(*Settings) {}},
		"ten pages": {gateway.Options{MaxInvoices: 100, PageSize: 7, ReuseSearches: true}, func(*Settings) {}},
		"quirks": {
			gateway.Options{MaxInvoices: 30, PageSize: 10, InjectSID: true, MoneyAsText: true, NoTotal: true, OldRefusal: true, ReuseSearches: true},
			func(*Settings) {},
		},
		"searches by GET": {gateway.Options{MaxInvoices: 30}, func(s *Settings) { s.Search = "get" }},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, c.sim, c.setting)
			fetchtest.Run(t, harness(t, w, w.patient(t, 3)))
		})
	}
}

func harness(t *testing.T, w *world, i int) fetchtest.Harness {
	number := w.sim.Patient(i).Personnummer
	return fetchtest.Harness{
		Provider: Provider(), Connection: w.conn, Consent: w.consent(i),
		Streams: []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}}},
		Pause: func(after int, form string) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: 1, Action: fetchtest.Throttle(form)})
		},
		Expire: func(after, times int) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: times, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})
		},
		Withdraw: func() finance.Class {
			w.sim.Close(i)
			return finance.ConsentOver
		},
		Spoil: func(fetch.Stream) func() {
			return w.rule(t, sandbox.Rule{PathPrefix: "/fhir/Invoice", Times: 1, Action: sandbox.Action{
				Kind: sandbox.Replace, Old: `"status":"issued"`, New: `"status":"issued","status":"issued"`}})
		},
		Impostor: func() func() { return w.rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}}) },
		Arrivals: func() (paths []string) {
			for _, e := range w.kit.Journal.Entries() {
				paths = append(paths, e.Path)
			}
			return paths
		},
		Secrets: func() []string {
			return []string{
				gateway.DefaultClient().Secret, gateway.DefaultSubscription().Key, number, number[2:], number[:8] + "-" + number[8:],
			}
		},
	}
}
