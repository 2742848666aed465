package dbnordics

import (
	"crypto/sha256"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	vendor "syncer/sandbox/dbnordics"
)

// world is a vendor on a loopback address and a connection to it.
type world struct {
	kit  *sandbox.Kit
	sim  *vendor.Simulator
	conn fetch.Connection
}

func start(t *testing.T, o vendor.Options) *world {
	t.Helper()
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 7})
	kit.Clock.Set(time.Date(2026, time.November, 3, 9, 0, 0, 0, time.UTC))
	o.Kit = kit
	w := &world{kit: kit, sim: vendor.New(o)}
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := server.Mount("dbnordics", w.sim.Handler())
	if err != nil {
		t.Fatal(err)
	}
	client := vendor.DefaultClient()
	w.conn = fetch.Connection{
		Name: "db", Provider: "dbnordics", Environment: "sandbox", BaseURL: base, AuthURL: base,
		Credentials: map[string]fetch.Secret{"client_id": fetch.NewSecret(client.ID), "client_secret": fetch.NewSecret(client.Secret)},
		Settings:    Provider().Settings(),
	}
	return w
}

func hmacOf(s string) []byte { h := sha256.Sum256([]byte("test key" + s)); return h[:] }

func subject(number string) finance.Subject {
	return finance.NewSubject(hmacOf(number), number, hmacOf)
}

// find is the first company that is wanted.
func (w *world) find(t *testing.T, wanted func(vendor.CompanyInfo) bool) vendor.CompanyInfo {
	t.Helper()
	for _, c := range w.sim.Companies() {
		if wanted(c) {
			return c
		}
	}
	t.Fatal("the world has no such company")
	return vendor.CompanyInfo{}
}

func in(country string, sole bool) func(vendor.CompanyInfo) bool {
	return func(c vendor.CompanyInfo) bool { return c.Country == country && c.SoleTrader == sole }
}

// consent is one for a company, as an operator would import it.
func consent(c vendor.CompanyInfo) finance.Consent {
	out := finance.Consent{ID: int64(c.Index + 1), Connection: "db", ExternalID: c.Country + "-" + c.RegistrationNumber, Status: finance.ConsentActive}
	if c.SoleTrader {
		out.ExternalID, out.Subject = "SE-subject-customer-7", subject(c.RegistrationNumber)
	}
	return out
}

func (w *world) rule(t *testing.T, r sandbox.Rule) func() {
	t.Helper()
	r.Provider, r.Only = "dbnordics", "api"
	id, err := w.kit.Faults.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	return func() { w.kit.Faults.Remove(id) }
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		o      vendor.Options
		wanted func(vendor.CompanyInfo) bool
	}{
		"Sweden":              {vendor.Options{}, in("SE", false)},
		"Norway":              {vendor.Options{}, in("NO", false)},
		"Swedish sole trader": {vendor.Options{SoleTraders: 1}, in("SE", true)},
		"Sweden, with quirks": {vendor.Options{LowerTokenType: true, NoTokenScope: true, TokenTTL: 7199 * time.Second, OmitEmpty: true,
			EmptyAmounts: true, FlatSweden: true}, in("SE", false)},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, c.o)
			fetchtest.Run(t, w.harness(t, w.find(t, c.wanted)))
		})
	}
}

func (w *world) harness(t *testing.T, c vendor.CompanyInfo) fetchtest.Harness {
	return fetchtest.Harness{
		Provider: Provider(), Connection: w.conn, Consent: consent(c),
		Streams: []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}}},
		Pause: func(after int, form string) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: 1, Action: fetchtest.Throttle(form)})
		},
		Expire: func(after, times int) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: times, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})
		},
		Withdraw: func() finance.Class {
			w.sim.Decree(c.Index, vendor.Withheld)
			return finance.Withheld
		},
		Spoil: func(fetch.Stream) func() {
			return w.rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: sandbox.Replace, Old: `"creditor":`, New: `"creditor":00,"drifted":`}})
		},
		Impostor: func() func() { return w.rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}}) },
		Arrivals: func() (paths []string) {
			for _, e := range w.kit.Journal.Entries() {
				paths = append(paths, e.Path)
			}
			return paths
		},
		Secrets: func() []string {
			secrets := []string{vendor.DefaultClient().Secret}
			if c.SoleTrader {
				secrets = append(secrets, c.RegistrationNumber, c.RegistrationNumber[:6]+"-"+c.RegistrationNumber[6:])
			}
			return secrets
		},
	}
}
