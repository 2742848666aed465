// Package vipps simulates Vipps MobilePay's Access token API and Report API v2: both token endpoints, the list of
// ledgers, and the funds and fees of each ledger by date and as a feed. Its sources are the vendor's published
// documents and the public clients of the API; what those leave open, or tell in two ways, is an option and says so.
package vipps

import (
	"time"

	"syncer/sandbox"
)

// Paths, matched without regard to case where the vendor's own documents write them in two ways.
const (
	StandardTokenPath    = "/accesstoken/get"
	SpecializedTokenPath = "/miami/v1/token"
	LedgersPath          = "/settlement/v1/ledgers"
	ReportPath           = "/report/v2/ledgers/" // {ledgerId}/{topic}/feed, {ledgerId}/{topic}/dates/{ledgerDate}
)

// Options describes a world. The zero value, plus a Kit, is ten Norwegian merchants who have all granted access to
// one accounting partner, with sixty days of daily settlement behind them.
type Options struct {
	Kit  *sandbox.Kit
	Seed uint64 // 0: the kit's

	// Clients may ask for tokens; none means DefaultPartner and DefaultMerchant.
	Clients []Client
	// StandardTTL and SpecializedTTL are the lives of tokens: an hour and fifteen minutes when 0.
	StandardTTL, SpecializedTTL time.Duration
	// NumericTokens writes the standard token's numbers as numbers. The documents say strings.
	NumericTokens bool
	// ShortTokens leaves out of the standard token what newer answers may lack.
	ShortTokens bool

	Market     string // NO (default), DK or FI: currency, zone, schemes
	Merchants  int    // 10 when 0; each third is a VM-number merchant, who has no API keys
	Days       int    // of history before Today; 60 when 0
	PerDay     int    // captures of a merchant a day; 4 when 0
	MultiShops bool   // older ledgers, which settle for a second recipient as well
	// Today is the world's first day; zero means the clock's present at New. Later days come as the clock moves on.
	Today time.Time

	PageSize   int // rows of a page; 1000 when 0
	LedgerPage int // ledgers of a page, whose size the vendor doesn't tell; 100 when 0
	Quota      sandbox.Quota

	Settlement     string // daily (default), weekly or monthly
	Gross          bool   // fees are invoiced by the month, not retained from the payout
	RollingReserve int    // per cent of the balance that a payout leaves
	NegativeDays   int    // so many of the first days have more refunds than captures: no payout, the balance is carried
	LateFees       bool   // a capture's fee is booked on the next ledger date
	Disputes       bool   // captures are retained, returned, and payouts aborted now and then
	Twins          bool   // now and then two rows are equal in every field, their balances included
	Drift          bool   // unknown entry types and unknown fields

	// Shared makes the ledgers of so many merchants settle for the first one's recipient as well.
	Shared int

	// FeedLag is how long a row takes to show up in the feed.
	FeedLag time.Duration
	// EmptyTail ends the feed with an empty answer and the same cursor; otherwise the last rows already say tryLater.
	EmptyTail bool
	// StuckFeed never says tryLater: at its end the feed gives the same cursor for ever.
	StuckFeed bool
	// OpenRows shows the rows of an open date together with tryLater (2026); otherwise an open date is empty (2023).
	OpenRows bool
	// Open404 answers an open date with 404 "date not available yet" (2023).
	Open404 bool
	// Reach refuses dates that lie more than so many days before today, with ReachStatus, 400 when 0; 0: none.
	Reach, ReachStatus int
	// EmptyLast makes a date end with an empty page behind one that said hasMore.
	EmptyLast bool
	// OldTypes writes entry types as in 2023: scheduled-for-payout.
	OldTypes bool
	// OffsetTimes writes times as +0200, without a colon, instead of Z.
	OffsetTimes bool
	// NoLedgerDate leaves ledgerDate out, as one example of 2023 does.
	NoLedgerDate bool
	// LeakPersonal sends names, numbers and messages that nobody has asked for.
	LeakPersonal bool
}

// Client is a set of keys.
type Client struct {
	ID, Secret string
	// SubscriptionKey and MSN make it the keys of one sales unit, for the standard flow. Without them it is an
	// accounting partner: the specialised flow, and every ledger that has been granted.
	SubscriptionKey, MSN string
}

// DefaultPartner is the accounting partner of a world that names no clients. Its secret does not survive
// form-urlencoding: the specialised flow takes it raw.
func DefaultPartner() Client {
	return Client{ID: "00000000-0000-4000-8000-00000000acc0", Secret: "c3ludGhl+GljLXNl/3JldA=="}
}

// DefaultMerchant has the keys of the first merchant's sales unit.
func DefaultMerchant() Client {
	return Client{ID: "00000000-0000-4000-8000-000000000001", Secret: "c3ludGhldGljLXNlY3JldA==",
		SubscriptionKey: "0123456789abcdef0123456789abcdef", MSN: msn(0)}
}

// MerchantInfo is a seeded merchant.
type MerchantInfo struct {
	Name     string
	Handle   string   // the recipient that its ledger settles for, such as api:700001 or NO:57862
	Handles  []string // all of them
	MSN      string   // empty for a VM-number merchant
	LedgerID string
	OwnerID  string // organisation number
	Currency string
}

func (o Options) withDefaults() Options {
	set := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	set(&o.Merchants, 10)
	set(&o.Days, 60)
	set(&o.PerDay, 4)
	set(&o.PageSize, 1000)
	set(&o.LedgerPage, 100)
	if o.Seed == 0 {
		o.Seed = o.Kit.Seed
	}
	if o.Market == "" {
		o.Market = "NO"
	}
	if o.Settlement == "" {
		o.Settlement = "daily"
	}
	if len(o.Clients) == 0 {
		o.Clients = []Client{DefaultPartner(), DefaultMerchant()}
	}
	if o.StandardTTL == 0 {
		o.StandardTTL = time.Hour
	}
	if o.SpecializedTTL == 0 {
		o.SpecializedTTL = 15 * time.Minute
	}
	if o.Today.IsZero() {
		o.Today = o.Kit.Clock.Now()
	}
	return o
}
