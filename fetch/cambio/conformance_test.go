package cambio

import (
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	gateway "syncer/sandbox/cambio"
	"syncer/sandbox/sandboxtest"
)

// world is a gateway and a connection to it.
type world struct {
	*sandboxtest.Host
	sim  *gateway.Simulator
	conn fetch.Connection
}

var now = time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC)

func start(t *testing.T, o gateway.Options, change ...func(*Settings)) *world {
	t.Helper()
	return startBy(t, sandboxtest.Serve, o, change...)
}

func startBy(t *testing.T, serve sandboxtest.Mount, o gateway.Options, change ...func(*Settings)) *world {
	t.Helper()
	o.Kit, o.Start = sandboxtest.NewKit(now), now
	w := &world{sim: gateway.New(o)}
	w.Host = serve(t, o.Kit, "cambio", w.sim.Handler())
	w.conn = connection(w.Base, change...)
	return w
}

func connection(base string, change ...func(*Settings)) fetch.Connection {
	settings := Provider().Settings().(*Settings)
	for _, f := range change {
		f(settings)
	}
	client := gateway.DefaultClient()
	conn := fetch.Connection{
		Name: "cos", Provider: "cambio", Environment: "sandbox", BaseURL: base, AuthURL: base + "/auth/realms/COS", Settings: settings,
		Credentials: fetchtest.Credentials(client.ID, client.Secret),
	}
	conn.Credentials["subscription_key"] = fetch.NewSecret(gateway.DefaultSubscription().Key)
	return conn
}

// dial opens a connection whose calls come one after the other and are made once again.
func dial(t *testing.T, conn fetch.Connection) *fetchtest.Client {
	t.Helper()
	return fetchtest.Dial(t, Provider(), conn, func(o *fetch.Options) { o.Concurrency, o.Retry.Attempts = 1, 2 })
}

func (w *world) consent(i int) finance.Consent {
	return finance.Consent{ID: int64(i + 1), Connection: "cos", ExternalID: "c", Subject: fetchtest.Subject(w.sim.Patient(i).Personnummer), Status: finance.ConsentActive}
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

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, c := range fetchtest.Variants(t, map[string]struct {
		sim     gateway.Options
		open    int // invoices of the patient, at the least
		setting func(*Settings)
	}{
		"one page":  {gateway.Options{}, 3, func(*Settings) {}},
		"ten pages": {gateway.Options{MaxInvoices: 100, PageSize: 7, ReuseSearches: true}, 20, func(*Settings) {}},
		"quirks": {
			gateway.Options{MaxInvoices: 30, PageSize: 10, InjectSID: true, MoneyAsText: true, NoTotal: true, OldRefusal: true, ReuseSearches: true},
			3, func(*Settings) {},
		},
		"searches by GET": {gateway.Options{MaxInvoices: 30, ReuseSearches: true}, 3, func(s *Settings) { s.Search = "get" }},
	}, "quirks", "searches by GET") {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each has a pause of a second to wait for
			w := start(t, c.sim, c.setting)
			fetchtest.Run(t, harness(t, w, w.patient(t, c.open)))
		})
	}
}

func harness(t *testing.T, w *world, i int) fetchtest.Harness {
	number := w.sim.Patient(i).Personnummer
	h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, w.consent(i))
	h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}}}
	h.Withdraw = func() finance.Class {
		w.sim.Close(i)
		return finance.ConsentOver
	}
	h.Spoil = func(fetch.Stream) func() {
		return w.Rule(t, sandbox.Rule{PathPrefix: "/fhir/Invoice", Times: 1, Action: sandbox.Action{
			Kind: sandbox.Replace, Old: `"status":"issued"`, New: `"status":"issued","status":"issued"`}})
	}
	h.Insert = func(_ fetch.Stream, members string) func() {
		const anchor = `"status":"issued"`
		return w.Rule(t, sandbox.Rule{PathPrefix: "/fhir/Invoice", Times: 1, Action: sandbox.Action{
			Kind: sandbox.Replace, Old: anchor, New: members + anchor}})
	}
	h.Double = func(_ fetch.Stream, changed bool) func() {
		action := sandbox.Action{Kind: sandbox.Double, Old: "entry", Body: `"status":"issued"`}
		if changed {
			action.New = "resource.odd"
		}
		return w.Rule(t, sandbox.Rule{PathPrefix: "/fhir/Invoice", Times: 1, Action: action})
	}
	h.Secrets = func() []string {
		return []string{gateway.DefaultClient().Secret, gateway.DefaultSubscription().Key, number, number[2:], number[:8] + "-" + number[8:]}
	}
	return h
}

func TestPassesAndLists(t *testing.T) {
	t.Parallel()
	for name, o := range fetchtest.Variants(t, map[string]gateway.Options{
		"what was found stays":       {MaxInvoices: 40, PageSize: 6},
		"pages outlive the night":    {MaxInvoices: 40, PageSize: 6, PageTTL: 48 * time.Hour},
		"pages show what there is":   {MaxInvoices: 40, PageSize: 6, PageTTL: 48 * time.Hour, LivePages: true},
		"and nothing is counted":     {MaxInvoices: 40, PageSize: 6, PageTTL: 48 * time.Hour, LivePages: true, NoTotal: true},
		"all of it stands on a page": {},
	}, "pages outlive the night", "and nothing is counted") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fetchtest.Passes(t, func(t *testing.T) fetchtest.Harness {
				w := startBy(t, fetchtest.Piped, o)
				i := w.patient(t, min(o.MaxInvoices/3, 12))
				h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, w.consent(i))
				h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}}}
				h.Grow = func(fetch.Stream) bool { w.sim.Bill(i); return true }
				h.Shrink = func(fetch.Stream) bool { w.sim.Drop(i); return true }
				h.Unseen = func(fetch.Stream, bool) bool { return o.NoTotal || !o.LivePages } // or it does not move
				h.Endless = func(fetch.Stream) bool { w.sim.Endless(); return true }
				return h
			})
		})
	}
}
