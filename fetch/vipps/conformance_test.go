package vipps

import (
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox/sandboxtest"
	vendor "syncer/sandbox/vipps"
)

// world is the vendor and a connection to it.
type world struct {
	*sandboxtest.Host
	sim  *vendor.Simulator
	conn fetch.Connection
}

var today = finance.NewDate(2026, time.November, 20)

func start(t *testing.T, o vendor.Options, s Settings) *world {
	t.Helper()
	return startBy(t, sandboxtest.Serve, o, s)
}

func startBy(t *testing.T, serve sandboxtest.Mount, o vendor.Options, s Settings) *world {
	t.Helper()
	o.Kit = sandboxtest.NewKit(today.Time().Add(9*time.Hour + 30*time.Minute))
	if o.Days == 0 {
		o.Days = 10
	}
	w := &world{sim: vendor.New(o)}
	w.Host = serve(t, o.Kit, "vipps", w.sim.Handler())
	client := vendor.DefaultPartner()
	if s.TokenFlow == standard {
		client = vendor.DefaultMerchant()
	}
	w.conn = fetch.Connection{
		Name: "vipps", Provider: "vipps", BaseURL: w.Base, AuthURL: w.Base, Settings: &s, Credentials: fetchtest.Credentials(client.ID, client.Secret),
	}
	if s.TokenFlow == standard {
		w.conn.Credentials["subscription_key"] = fetch.NewSecret(client.SubscriptionKey)
	}
	return w
}

// consent is that of merchant number i.
func (w *world) consent(i int) finance.Consent {
	return finance.Consent{ID: int64(i + 1), Connection: "vipps", ExternalID: w.sim.Merchant(i).Handle, Status: finance.ConsentActive,
		Subject: finance.NewSubject(fetchtest.Keyed(w.sim.Merchant(i).OwnerID), "", fetchtest.Keyed)}
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
	for name, c := range fetchtest.Variants(t, map[string]struct {
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
	}, "feed with quirks", "open dates with rows", "standard") {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each has a pause of a second to wait for
			w := start(t, c.vendor, c.settings)
			fetchtest.Run(t, harness(t, w, c.merchant))
		})
	}
}

func harness(t *testing.T, w *world, merchant int) fetchtest.Harness {
	h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, w.consent(merchant))
	h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Accounts}}, w.rows(merchant)}
	h.Withdraw = func() finance.Class {
		w.sim.Grant(merchant, false)
		return finance.Withheld
	}
	h.Spoil = func(s fetch.Stream) func() {
		field := map[finance.Dataset]string{finance.Accounts: `"ledgerId":`, finance.Transactions: `"amount":`}[s.Dataset]
		return fetchtest.Replaced(t, w.Host, field, field+`true,"drifted":`)
	}
	h.Insert = func(s fetch.Stream, members string) func() {
		anchor := map[finance.Dataset]string{finance.Accounts: `"ledgerId":`, finance.Transactions: `"amount":`}[s.Dataset]
		return fetchtest.Inserted(t, w.Host, anchor, members)
	}
	h.Double = func(s fetch.Stream, changed bool) func() {
		if s.Dataset == finance.Transactions { // keys are made of what a row says
			return nil
		}
		return fetchtest.Doubled(t, w.Host, "items", "payoutBankAccount.id", changed)
	}
	h.Impersonal = func(s fetch.Stream) bool { return s.Dataset == finance.Transactions }
	h.Secrets = func() []string {
		return []string{vendor.DefaultPartner().Secret, vendor.DefaultMerchant().Secret, vendor.DefaultMerchant().SubscriptionKey, "eyJ0eXAi"}
	}
	return h
}

func TestPassesAndLists(t *testing.T) {
	dates := settings(func(s *Settings) { s.ReadBy = byDates })
	for name, c := range fetchtest.Variants(t, map[string]struct {
		vendor   vendor.Options
		settings Settings
	}{
		"feed":            {vendor.Options{PageSize: 20, Days: 5}, settings(nil)},
		"feed, tail":      {vendor.Options{PageSize: 15, Days: 4, EmptyTail: true, Twins: true, Disputes: true}, settings(nil)},
		"dates":           {vendor.Options{Days: 4}, dates},
		"dates, in pages": {vendor.Options{PageSize: 3, Days: 2, OpenRows: true, EmptyLast: true, LateFees: true}, dates},
	}, "feed, tail", "dates, in pages") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.vendor.Shared, c.vendor.LedgerPage = 6, 2
			fetchtest.Passes(t, func(t *testing.T) fetchtest.Harness {
				return startBy(t, fetchtest.Piped, c.vendor, c.settings).lists(t)
			})
		})
	}
}

// lists is the harness of a merchant for whom six ledgers settle; the second one's money comes later.
func (w *world) lists(t *testing.T) fetchtest.Harness {
	h := fetchtest.Simulated(t, w.Host, Provider(), w.conn, w.consent(0))
	rows := w.rows(0)
	if w.conn.Settings.(*Settings).ReadBy == byDates { // of which each is a page
		rows.Since = today.AddDays(-2)
	}
	h.Streams = []fetch.Stream{{Stream: finance.Stream{Dataset: finance.Accounts}}, rows}
	w.sim.Grant(1, false)
	h.Grow = func(s fetch.Stream) bool { return s.Dataset == finance.Accounts && w.sim.Grant(1, true) }
	h.Shrink = func(s fetch.Stream) bool { return s.Dataset == finance.Accounts && w.sim.Grant(0, false) }
	h.Unseen = func(_ fetch.Stream, grown bool) bool { return !grown } // a ledger that slips past leaves no trace
	h.Endless = func(fetch.Stream) bool { w.sim.Endless(); return true }
	if w.conn.Settings.(*Settings).ReadBy == byDates { // there a 404 is a day that is not closed yet
		return h
	}
	h.Accounts = []fetch.Stream{w.rows(0), w.rows(2), w.rows(3)}
	h.Refuse = func(s fetch.Stream, status int) func() {
		return fetchtest.RefusedPath(t, w.Host, vendor.ReportPath+s.Account, status)
	}
	return h
}
