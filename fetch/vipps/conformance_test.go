package vipps

import (
	"crypto/sha256"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	vendor "syncer/sandbox/vipps"
)

// world is the vendor on a loopback address and a connection to it.
type world struct {
	kit  *sandbox.Kit
	sim  *vendor.Simulator
	conn fetch.Connection
}

var today = finance.NewDate(2026, time.November, 20)

func start(t *testing.T, o vendor.Options, s Settings) *world {
	t.Helper()
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 11})
	kit.Clock.Set(today.Time().Add(9*time.Hour + 30*time.Minute))
	o.Kit = kit
	if o.Days == 0 {
		o.Days = 10
	}
	w := &world{kit: kit, sim: vendor.New(o)}
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := server.Mount("vipps", w.sim.Handler())
	if err != nil {
		t.Fatal(err)
	}
	client := vendor.DefaultPartner()
	w.conn = fetch.Connection{
		Name: "vipps", Provider: "vipps", BaseURL: base, AuthURL: base, Settings: &s, Credentials: map[string]fetch.Secret{},
	}
	if s.TokenFlow == standard {
		client = vendor.DefaultMerchant()
		w.conn.Credentials["subscription_key"] = fetch.NewSecret(client.SubscriptionKey)
	}
	w.conn.Credentials["client_id"], w.conn.Credentials["client_secret"] = fetch.NewSecret(client.ID), fetch.NewSecret(client.Secret)
	return w
}

func keyed(s string) []byte { h := sha256.Sum256([]byte("test key" + s)); return h[:] }

// consent is that of merchant number i.
func (w *world) consent(i int) finance.Consent {
	return finance.Consent{ID: int64(i + 1), Connection: "vipps", ExternalID: w.sim.Merchant(i).Handle, Status: finance.ConsentActive,
		Subject: finance.NewSubject(keyed(w.sim.Merchant(i).OwnerID), "", keyed)}
}

func (w *world) rule(t *testing.T, r sandbox.Rule) func() {
	t.Helper()
	r.Provider, r.Only = "vipps", "api"
	id, err := w.kit.Faults.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	return func() { w.kit.Faults.Remove(id) }
}

// rows is the stream of a merchant's ledger.
func (w *world) rows(merchant int) fetch.Stream {
	return fetch.Stream{
		Stream: finance.Stream{Dataset: finance.Transactions, Account: w.sim.Merchant(merchant).LedgerID},
		Since:  today.AddDays(-10), Today: today,
	}
}

func settings(change func(*Settings)) Settings {
	s := *Provider().Settings().(*Settings)
	if change != nil {
		change(&s)
	}
	return s
}

func TestConformance(t *testing.T) {
	dates := func(s *Settings) { s.ReadBy = byDates }
	for name, c := range map[string]struct {
		vendor   vendor.Options
		settings Settings
		merchant int
	}{
		"feed":     {vendor.Options{PageSize: 50}, settings(nil), 1},
		"dates":    {vendor.Options{PageSize: 3}, settings(dates), 1},
		"standard": {vendor.Options{PageSize: 70}, settings(func(s *Settings) { s.TokenFlow = standard }), 0},
		"standard by dates": {vendor.Options{NumericTokens: true, ShortTokens: true}, settings(func(s *Settings) {
			s.TokenFlow, s.ReadBy, s.MerchantSerialNumber = standard, byDates, "700001"
		}), 0},
		"feed with quirks": {vendor.Options{
			PageSize: 17, OldTypes: true, OffsetTimes: true, NoLedgerDate: true, EmptyTail: true, Twins: true, Drift: true, Disputes: true,
			LateFees: true, LeakPersonal: true, MultiShops: true, Market: "DK", Settlement: "weekly", NegativeDays: 9,
		}, settings(nil), 2},
		"dates with quirks": {vendor.Options{
			PageSize: 3, OldTypes: true, OffsetTimes: true, NoLedgerDate: true, Open404: true, EmptyLast: true, Twins: true, Drift: true,
			Disputes: true, RollingReserve: 20, Market: "FI",
		}, settings(func(s *Settings) { s.ReadBy, s.IncludeGDPR = byDates, true }), 2},
		"a feed that never says tryLater": {vendor.Options{StuckFeed: true, PageSize: 40, Gross: true}, settings(nil), 3},
		"open dates with rows":            {vendor.Options{OpenRows: true, PageSize: 2, Settlement: "monthly"}, settings(dates), 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each has a pause of a second to wait for
			w := start(t, c.vendor, c.settings)
			fetchtest.Run(t, harness(t, w, c.merchant))
		})
	}
}

func harness(t *testing.T, w *world, merchant int) fetchtest.Harness {
	return fetchtest.Harness{
		Provider: Provider(), Connection: w.conn, Consent: w.consent(merchant),
		Streams: []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Accounts}}, w.rows(merchant)},
		Pause: func(after int, form string) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: 1, Action: sandbox.Action{
				Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 1, Form: form}}})
		},
		Expire: func(after, times int) func() {
			return w.rule(t, sandbox.Rule{After: after, Times: times, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})
		},
		Withdraw: func() finance.Class {
			w.sim.Grant(merchant, false)
			return finance.Withheld
		},
		Spoil: func(s fetch.Stream) func() {
			field := map[finance.Dataset]string{finance.Accounts: `"ledgerId":`, finance.Transactions: `"amount":`}[s.Dataset]
			return w.rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: sandbox.Replace, Old: field, New: field + `true,"drifted":`}})
		},
		Impostor:   func() func() { return w.rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}}) },
		Impersonal: func(s fetch.Stream) bool { return s.Dataset == finance.Transactions },
		Arrivals: func() (paths []string) {
			for _, e := range w.kit.Journal.Entries() {
				paths = append(paths, e.Path)
			}
			return paths
		},
		Secrets: func() []string {
			return []string{vendor.DefaultPartner().Secret, vendor.DefaultMerchant().Secret, vendor.DefaultMerchant().SubscriptionKey, "eyJ0eXAi"}
		},
	}
}
