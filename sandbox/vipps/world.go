package vipps

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // accounting days are local, also in an image without zones

	"syncer/sandbox"
)

// market is what differs between the countries.
type market struct {
	currency, zone, bankScheme, orgScheme string
}

var markets = map[string]market{
	"NO": {"NOK", "Europe/Oslo", "BBAN:NO", "business:NO:ORG"},
	"DK": {"DKK", "Europe/Copenhagen", "BBAN:DK", "business:DK:CVR"},
	"FI": {"EUR", "Europe/Helsinki", "BBAN:FI", "business:FI:Y-tunnus"},
}

// world makes merchants from seed and number. It holds nothing.
type world struct {
	o      Options
	market market
	zone   *time.Location
	first  int // the oldest day with rows
}

func newWorld(o Options) *world {
	m, ok := markets[o.Market]
	if !ok {
		panic("vipps: market " + o.Market + " is not simulated: use NO, DK or FI")
	}
	zone, err := time.LoadLocation(m.zone)
	if err != nil {
		panic("vipps: embedded time zones are damaged: " + err.Error())
	}
	w := &world{o: o, market: m, zone: zone}
	w.first = w.dayOf(o.Today) - o.Days
	return w
}

// dayOf numbers the local calendar day of an instant, from 1970-01-01 on.
func (w *world) dayOf(t time.Time) int {
	y, m, d := t.In(w.zone).Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// begin is the local midnight with which a day begins.
func (w *world) begin(day int) time.Time {
	y, m, d := civil(day).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, w.zone)
}

// civil is a day as midnight UTC, for its calendar date.
func civil(day int) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// msn is the merchant serial number of a merchant; every tenth has the seven digits seen in Denmark.
func msn(n int) string {
	if n%10 == 9 {
		return strconv.Itoa(2_070_001 + n)
	}
	return strconv.Itoa(700_001 + n)
}

func ledgerID(n int) string { return strconv.Itoa(410_001 + n) }

func ledgerNumber(id string) (int, bool) {
	n, err := strconv.Atoi(id)
	return n - 410_001, err == nil && ledgerID(n-410_001) == id
}

// vmNumber says whether a merchant is one without API keys, whose customers pay to a VM-number.
func vmNumber(n int) bool { return n%3 == 2 }

func (w *world) merchant(n int) MerchantInfo {
	h := sandbox.Mix(w.o.Seed, 'm', uint64(n))
	towns := [...]string{"Fjellheim", "Solvik", "Bjørkelia", "Prøvestad", "Nordre Sandkasse", "Testmoen"}
	trades := [...]string{"Kaffe", "Blomster", "Idrettslag", "Bokhandel", "Sykkelverksted"}
	m := MerchantInfo{
		Name:     towns[h%uint64(len(towns))] + " " + trades[h>>8%uint64(len(trades))],
		LedgerID: ledgerID(n), OwnerID: fmt.Sprintf("999%06d", h>>16%1_000_000), Currency: w.market.currency,
	}
	if vmNumber(n) {
		m.Handle = w.o.Market + ":" + strconv.Itoa(57_860+n)
	} else {
		m.MSN = msn(n)
		m.Handle = "api:" + m.MSN
	}
	m.Handles = []string{m.Handle}
	if w.o.MultiShops {
		m.Handles = append(m.Handles, w.o.Market+":"+strconv.Itoa(90_000+n))
	}
	if n > 0 && n < w.o.Shared {
		m.Handles = append(m.Handles, "api:"+msn(0))
	}
	return m
}

// bankAccount is where a merchant's payouts go: 11 digits in Norway.
func (w *world) bankAccount(n int) string {
	return fmt.Sprintf("1234%07d", sandbox.Mix(w.o.Seed, 'b', uint64(n))%10_000_000)
}

// periodEnd is the last day of the settlement period of a day.
func (w *world) periodEnd(day int) int {
	switch t := civil(day); w.o.Settlement {
	case "weekly": // settled on Mondays
		return day + (7-int(t.Weekday()))%7
	case "monthly": // settled on the 1st
		return int(time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	}
	return day
}

// closed says whether a day's report has been made: at three in the morning after its settlement.
func (w *world) closed(day int, now time.Time) bool {
	return !now.Before(w.begin(w.periodEnd(day) + 1).Add(3 * time.Hour))
}

func dayText(day int) string { return civil(day).Format(time.DateOnly) }

func parseDay(text string) (int, bool) {
	t, err := time.Parse(time.DateOnly, text)
	return int(t.Unix() / 86400), err == nil
}

// lower is a path as the vendor's gateway compares it.
func lower(path string) string { return strings.ToLower(strings.TrimSuffix(path, "/")) }
