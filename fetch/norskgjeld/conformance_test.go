package norskgjeld

import (
	"crypto/sha256"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	registry "syncer/sandbox/norskgjeld"
)

// world is a registry on a loopback address and a connection to it.
type world struct {
	kit  *sandbox.Kit
	sim  *registry.Simulator
	conn fetch.Connection
}

func start(t *testing.T, o registry.Options) *world {
	t.Helper()
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 7})
	o.Kit = kit
	w := &world{kit: kit, sim: registry.New(o)}
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := server.Mount("norskgjeld", w.sim.Handler())
	if err != nil {
		t.Fatal(err)
	}
	client := registry.DefaultClient()
	w.conn = fetch.Connection{
		Name: "nogi", Provider: "norskgjeld", Environment: "preprod", BaseURL: base, AuthURL: base,
		Credentials: map[string]fetch.Secret{"client_id": fetch.NewSecret(client.ID), "client_secret": fetch.NewSecret(client.Secret)},
		Settings:    Provider().Settings(),
	}
	return w
}

func keyed(s string) []byte { h := sha256.Sum256([]byte("test key" + s)); return h[:] }

func subject(number string) finance.Subject { return finance.NewSubject(keyed(number), number, keyed) }

func (w *world) consent(i int) finance.Consent {
	c := w.sim.Consent(i)
	return finance.Consent{ID: int64(i + 1), Connection: "nogi", ExternalID: c.ID, Subject: subject(c.NationalID), Status: finance.ConsentActive}
}

func (w *world) rule(t *testing.T, r sandbox.Rule) func() {
	t.Helper()
	r.Provider, r.Only = "norskgjeld", "api"
	id, err := w.kit.Faults.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	return func() { w.kit.Faults.Remove(id) }
}

func TestConformance(t *testing.T) {
	w := start(t, registry.Options{})
	consent := w.consent(3)
	fetchtest.Run(t, fetchtest.Harness{
		Provider: Provider(), Connection: w.conn, Consent: consent,
		Streams: []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}}},
		Pause: func(after int, form string) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: 1, Action: sandbox.Action{
				Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 1, Form: form}}})
		},
		Expire: func(after, times int) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: times, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})
		},
		Withdraw: func() finance.Class {
			w.sim.Revoke(consent.ExternalID)
			return finance.ConsentOver
		},
		Spoil: func(fetch.Stream) func() {
			return w.rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: sandbox.Replace, Old: `"coBorrower":`, New: `"coBorrower":00`}})
		},
		Impostor: func() func() { return w.rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}}) },
		Arrivals: func() (paths []string) {
			for _, e := range w.kit.Journal.Entries() {
				paths = append(paths, e.Path)
			}
			return paths
		},
		Secrets: func() []string {
			number := w.sim.Consent(3).NationalID
			return []string{registry.DefaultClient().Secret, number, number[:6] + " " + number[6:], strings.Repeat("x", 0)}
		},
	})
}
