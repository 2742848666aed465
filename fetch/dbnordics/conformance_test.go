package dbnordics

import (
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	vendor "syncer/sandbox/dbnordics"
	"syncer/sandbox/sandboxtest"
)

// world is a vendor and a connection to it.
type world struct {
	*sandboxtest.Host
	sim  *vendor.Simulator
	conn fetch.Connection
}

func start(t *testing.T, o vendor.Options) *world {
	t.Helper()
	return startBy(t, sandboxtest.Serve, o)
}

func startBy(t *testing.T, serve sandboxtest.Mount, o vendor.Options) *world {
	t.Helper()
	o.Kit = sandboxtest.NewKit(time.Date(2026, time.November, 3, 9, 0, 0, 0, time.UTC))
	w := &world{sim: vendor.New(o)}
	w.Host = serve(t, o.Kit, "dbnordics", w.sim.Handler())
	client := vendor.DefaultClient()
	w.conn = fetch.Connection{
		Name: "db", Provider: "dbnordics", Environment: "sandbox", BaseURL: w.Base, AuthURL: w.Base,
		Credentials: fetchtest.Credentials(client.ID, client.Secret), Settings: Provider().Settings(),
	}
	return w
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

// indebted is the first company that is wanted and has records of several kinds: fewer leave little to go wrong.
func (w *world) indebted(t *testing.T, wanted func(vendor.CompanyInfo) bool) vendor.CompanyInfo {
	t.Helper()
	client := fetchtest.Dial(t, Provider(), w.conn)
	return w.find(t, func(c vendor.CompanyInfo) bool {
		if !wanted(c) {
			return false
		}
		page, err := read(t, client, consent(c))
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]bool{}
		for i := range page.Records.Debts {
			kinds[page.Records.Debts[i].Kind] = true
		}
		return len(kinds) >= 5
	})
}

// consent is one for a company, as an operator would import it.
func consent(c vendor.CompanyInfo) finance.Consent {
	out := finance.Consent{ID: int64(c.Index + 1), Connection: "db", ExternalID: c.Country + "-" + c.RegistrationNumber, Status: finance.ConsentActive}
	if c.SoleTrader {
		out.ExternalID, out.Subject = "SE-subject-customer-7", fetchtest.Subject(c.RegistrationNumber)
	}
	return out
}

func TestConformance(t *testing.T) {
	for name, c := range fetchtest.Variants(t, map[string]struct {
		o      vendor.Options
		wanted func(vendor.CompanyInfo) bool
	}{
		"Sweden":              {vendor.Options{}, in("SE", false)},
		"Norway":              {vendor.Options{}, in("NO", false)},
		"Swedish sole trader": {vendor.Options{SoleTraders: 1}, in("SE", true)},
		"Sweden, with quirks": {vendor.Options{LowerTokenType: true, NoTokenScope: true, TokenTTL: 7199 * time.Second, OmitEmpty: true,
			EmptyAmounts: true, FlatSweden: true}, in("SE", false)},
	}, "Norway", "Sweden, with quirks") {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each has a pause of a second to wait for
			w := start(t, c.o)
			fetchtest.Run(t, w.harness(t, w.indebted(t, c.wanted)))
		})
	}
}

func (w *world) harness(t *testing.T, c vendor.CompanyInfo) fetchtest.Harness {
	h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, consent(c))
	h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}}}
	h.Withdraw = func() finance.Class {
		w.sim.Decree(c.Index, vendor.Withheld)
		return finance.Withheld
	}
	h.Spoil = func(fetch.Stream) func() {
		return fetchtest.Replaced(t, w.Host, `"creditor":`, `"creditor":00,"drifted":`)
	}
	h.Insert = func(_ fetch.Stream, members string) func() {
		return fetchtest.Inserted(t, w.Host, `"creditor":`, members)
	}
	h.Secrets = func() []string {
		secrets := []string{vendor.DefaultClient().Secret}
		if c.SoleTrader {
			secrets = append(secrets, c.RegistrationNumber, c.RegistrationNumber[:6]+"-"+c.RegistrationNumber[6:])
		}
		return secrets
	}
	return h
}

func TestPassesAndLists(t *testing.T) {
	fetchtest.Passes(t, func(t *testing.T) fetchtest.Harness {
		w := startBy(t, fetchtest.Piped, vendor.Options{Clean: -1})
		h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, consent(w.find(t, in("SE", false))))
		h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Debts}}}
		return h
	})
}
