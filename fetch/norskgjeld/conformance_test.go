package norskgjeld

import (
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	registry "syncer/sandbox/norskgjeld"
	"syncer/sandbox/sandboxtest"
)

// world is a registry and a connection to it.
type world struct {
	*sandboxtest.Host
	sim  *registry.Simulator
	conn fetch.Connection
}

func start(t *testing.T, o registry.Options) *world {
	t.Helper()
	return startBy(t, sandboxtest.Serve, o)
}

func startBy(t *testing.T, serve sandboxtest.Mount, o registry.Options) *world {
	t.Helper()
	o.Kit = sandboxtest.NewKit(time.Now()) // ID tokens end by the true clock
	w := &world{sim: registry.New(o)}
	w.Host = serve(t, o.Kit, "norskgjeld", w.sim.Handler())
	client := registry.DefaultClient()
	w.conn = fetch.Connection{
		Name: "nogi", Provider: "norskgjeld", Environment: "preprod", BaseURL: w.Base, AuthURL: w.Base,
		Credentials: fetchtest.Credentials(client.ID, client.Secret), Settings: Provider().Settings(),
	}
	return w
}

func (w *world) consent(i int) finance.Consent {
	c := w.sim.Consent(i)
	return finance.Consent{ID: int64(i + 1), Connection: "nogi", ExternalID: c.ID, Subject: fetchtest.Subject(c.NationalID), Status: finance.ConsentActive}
}

func TestConformance(t *testing.T) {
	w := start(t, registry.Options{})
	consent := w.consent(3)
	h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, consent)
	h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}}}
	h.Withdraw = func() finance.Class {
		w.sim.Revoke(consent.ExternalID)
		return finance.ConsentOver
	}
	h.Spoil = func(fetch.Stream) func() { return fetchtest.Replaced(t, w.Host, `"coBorrower":`, `"coBorrower":00`) }
	h.Insert = func(_ fetch.Stream, members string) func() {
		return fetchtest.Inserted(t, w.Host, `"coBorrower":`, members)
	}
	h.Secrets = func() []string {
		number := w.sim.Consent(3).NationalID
		return []string{registry.DefaultClient().Secret, number, number[:6] + " " + number[6:]}
	}
	fetchtest.Run(t, h)
}

func TestPassesAndLists(t *testing.T) {
	fetchtest.Passes(t, func(t *testing.T) fetchtest.Harness {
		w := startBy(t, fetchtest.Piped, registry.Options{})
		h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, w.consent(3))
		h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}}}
		h.Grow = func(fetch.Stream) bool { return w.sim.Touch(h.Consent.ExternalID) }
		h.Shrink = func(fetch.Stream) bool { return w.sim.Repay(h.Consent.ExternalID) }
		return h
	})
}
