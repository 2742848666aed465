package sbanken_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/sbanken"
)

type item struct {
	TransactionID       *string         `json:"transactionId"`
	AccountingDate      string          `json:"accountingDate"`
	InterestDate        string          `json:"interestDate"`
	Amount              json.Number     `json:"amount"`
	Text                string          `json:"text"`
	TransactionTypeCode int             `json:"transactionTypeCode"`
	IsReservation       *bool           `json:"isReservation"`
	Source              json.RawMessage `json:"source"`
	CardSpecified       bool            `json:"cardDetailsSpecified"`
	Card                *struct {
		PurchaseDate string `json:"purchaseDate"`
	} `json:"cardDetails"`
}

func (i item) reserved() bool { return i.IsReservation != nil && *i.IsReservation }

type listing struct {
	Available int    `json:"availableItems"`
	Items     []item `json:"items"`
}

const (
	live    = sbanken.V2 + "/Transactions/"
	archive = sbanken.V2 + "/Transactions/archive/"
)

// read asks for one page of an account of customer 0.
func (b *bank) read(t *testing.T, base string, account int, query string) listing {
	t.Helper()
	var l listing
	r := b.get(t, 0, base+b.Customer(0).Accounts[account].AccountID+"?"+query)
	if r.Status != 200 {
		t.Fatalf("%s: %d %s", query, r.Status, r.Body)
	}
	r.Decode(t, &l)
	return l
}

// threeAccounts is a seed whose first customer has all kinds of accounts.
func threeAccounts(t *testing.T, o sbanken.Options) *bank {
	t.Helper()
	for o.Seed = 1; ; o.Seed++ {
		if b := open(t, o); len(b.Customer(0).Accounts) == 3 {
			return b
		}
	}
}

func TestQueryRules(t *testing.T) {
	b := open(t, sbanken.Options{})
	cases := map[string]int{
		"": 200, "length=1": 200, "length=1000": 200, "length=0": 400, "length=1001": 400, "length=x": 400,
		"index=0": 200, "index=-1": 400, "index=x": 400, "index=99999": 200,
		"endDate=2026-11-04": 200, "endDate=2026-11-05": 400, "endDate=2026-11-04T23:59:59%2B01:00": 200,
		"startDate=2026-11-04": 400, "startDate=2026-11-03": 200, "startDate=2026-11-04&endDate=2026-11-04": 200,
		"startDate=2025-11-02": 200, "startDate=2025-11-01": 400, "startDate=2025-11-02&endDate=2026-11-03": 200,
		"startDate=1999-12-31&endDate=2000-01-05": 400, "startDate=2000-01-01&endDate=2000-01-05": 200,
		"startDate=soon": 400, "STARTDATE=soon": 400, "endDate=2026-02-30": 400,
	}
	account := b.Customer(0).Accounts[0].AccountID
	for query, want := range cases {
		for _, base := range []string{live, archive, sbanken.V1 + "/transactions/"} {
			r := b.get(t, 0, base+account+"?"+query)
			if r.Status != want {
				t.Errorf("%s?%s: %d %s, want %d", base, query, r.Status, r.Body, want)
			}
			if want == 400 && !strings.Contains(r.Body, "traceId") {
				t.Errorf("no traceId in %s", r.Body)
			}
		}
	}
}

// Whatever the page size, the pages together are the list, newest first, also
// with later rows in between, and every archived id is its own.
func TestPagesTogetherAreTheList(t *testing.T) {
	b := open(t, sbanken.Options{Transactions: 500, Days: 90, Twins: true, Reservations: 3})
	account := b.Customer(0).Accounts[0].AccountID
	for _, back := range []int{0, 0, 1, 5, 40, 89, 90, 200} {
		b.Insert(account, back)
	}
	for _, base := range []string{live, archive} {
		const span = "startDate=2026-03-01"
		whole := b.read(t, base, 0, span+"&length=1000")
		want := 508
		if base == live {
			want = 511
		}
		if whole.Available != want || len(whole.Items) != want {
			t.Fatalf("%s: %d of %d items, want %d", base, len(whole.Items), whole.Available, want)
		}
		if !slices.IsSortedFunc(whole.Items, func(a, b item) int { return strings.Compare(b.AccountingDate, a.AccountingDate) }) {
			t.Errorf("%s is not newest first", base)
		}
		for _, length := range []int{1, 7, 100, 507} {
			if length == 1 && base == live {
				continue // one of the two is enough at 500 calls
			}
			var pages []item
			for len(pages) < want {
				p := b.read(t, base, 0, fmt.Sprintf("%s&index=%d&length=%d", span, len(pages), length))
				if len(p.Items) == 0 || p.Available != want {
					t.Fatalf("empty page at %d of %d", len(pages), p.Available)
				}
				pages = append(pages, p.Items...)
			}
			if fmt.Sprint(texts(pages)) != fmt.Sprint(texts(whole.Items)) {
				t.Errorf("%s: pages of %d make another list", base, length)
			}
		}
		if end := b.read(t, base, 0, fmt.Sprintf("%s&index=%d", span, want)); end.Available != want || len(end.Items) != 0 {
			t.Errorf("behind the end: %+v", end)
		}
	}
	ids, twins := map[string]bool{}, 0
	items := b.read(t, archive, 0, "startDate=2026-03-01&length=1000").Items
	for i, it := range items {
		ids[*it.TransactionID] = true
		if len(*it.TransactionID) != 18 {
			t.Errorf("id %s", *it.TransactionID)
		}
		if i > 0 && it.Text == items[i-1].Text && it.Amount == items[i-1].Amount && it.AccountingDate == items[i-1].AccountingDate {
			twins++
		}
	}
	if len(ids) != len(items) || twins < 3 {
		t.Errorf("%d ids for %d items, %d twins", len(ids), len(items), twins)
	}
}

func texts(items []item) []string {
	var out []string
	for _, it := range items {
		id := "-"
		if it.TransactionID != nil {
			id = *it.TransactionID
		}
		out = append(out, id+it.AccountingDate+it.Amount.String()+it.Text)
	}
	return out
}

// Every span has exactly the rows of its days.
func TestSpansPartitionTheList(t *testing.T) {
	b := open(t, sbanken.Options{Transactions: 77, Days: 100, Reservations: -1})
	b.Insert(b.Customer(0).Accounts[0].AccountID, 50)
	total := 0
	for day := time.Date(2026, 7, 20, 0, 0, 0, 0, time.UTC); day.Before(today.Add(48 * time.Hour)); day = day.AddDate(0, 0, 1) {
		d := day.Format(time.DateOnly)
		l := b.read(t, archive, 0, "startDate="+d+"&endDate="+d)
		for _, it := range l.Items {
			if it.AccountingDate != d+"T00:00:00" {
				t.Errorf("%s has a row of %s", d, it.AccountingDate)
			}
		}
		total += l.Available
	}
	if total != 78 {
		t.Errorf("the days together have %d rows, want 78", total)
	}
}

func TestReservationsBecomeBooked(t *testing.T) {
	for _, late := range []bool{false, true} {
		b := open(t, sbanken.Options{Reservations: 4, LateBooked: late})
		split := func() (reserved, fresh []item) {
			for _, it := range b.read(t, live, 0, "length=1000").Items {
				if it.reserved() {
					reserved = append(reserved, it)
				} else if it.AccountingDate >= "2026-11-03" || (late && it.Card != nil && it.Card.PurchaseDate == it.AccountingDate) {
					fresh = append(fresh, it)
				}
			}
			return reserved, fresh
		}
		reserved, fresh := split()
		if len(reserved) != 4 || len(fresh) != 0 || reserved[0].TransactionTypeCode != 946 || reserved[0].CardSpecified ||
			string(reserved[0].Source) != `"AccountStatement"` {
			t.Fatalf("reserved %+v, booked %+v", reserved, fresh)
		}
		known := b.read(t, archive, 0, "length=1000").Available
		b.Kit.Clock.Advance(5 * 24 * time.Hour)
		after, fresh := split()
		if len(after) != 0 || len(fresh) != 4 || fresh[0].TransactionTypeCode != 714 {
			t.Errorf("late %v: five days later %d reserved, booked %+v", late, len(after), fresh)
		}
		if late && fresh[0].AccountingDate > "2026-11-03T00:00:00" {
			t.Errorf("late bookings are dated %s", fresh[0].AccountingDate)
		}
		for _, r := range reserved {
			for _, f := range fresh {
				if r.Text == f.Text {
					t.Errorf("text %q stayed the same", r.Text)
				}
			}
		}
		from := b.read(t, archive, 0, "startDate=2026-10-04&length=1000").Available
		if from != known+4 {
			t.Errorf("the archive grew from %d to %d", known, from)
		}
	}
	b := open(t, sbanken.Options{})
	account := b.Customer(0).Accounts[0].AccountID
	b.Book(account)
	if l := b.read(t, live, 0, ""); l.Items[0].reserved() || l.Items[0].AccountingDate != "2026-11-03T00:00:00" {
		t.Errorf("after Book: %+v", l.Items[0])
	}
	b.Reserve(account)
	if l := b.read(t, live, 0, ""); !l.Items[0].reserved() {
		t.Errorf("after Reserve: %+v", l.Items[0])
	}
	b.Release(account)
	if l := b.read(t, live, 0, ""); l.Items[0].reserved() {
		t.Errorf("after Release: %+v", l.Items[0])
	}
}

// A list that moves between two pages shows one row twice.
func TestDriftMovesTheListBetweenPages(t *testing.T) {
	b := open(t, sbanken.Options{Drift: 1})
	first := b.read(t, archive, 0, "length=5")
	second := b.read(t, archive, 0, "length=5&index=5")
	if *first.Items[4].TransactionID != *second.Items[0].TransactionID || second.Available != first.Available+1 {
		t.Errorf("the list did not move: %d, then %d", first.Available, second.Available)
	}
}

func TestTogglesOfTheLists(t *testing.T) {
	t.Run("numbers on the wire", func(t *testing.T) {
		three := threeAccounts(t, sbanken.Options{}).read(t, live, 0, "").Items[5].Amount.String()
		two := threeAccounts(t, sbanken.Options{TwoDecimals: true}).read(t, live, 0, "").Items[5].Amount.String()
		if strings.TrimRight(strings.TrimRight(three, "0"), ".") != two || len(three)-strings.Index(three, ".") != 4 {
			t.Errorf("three decimals %s, two %s", three, two)
		}
	})
	t.Run("archive source", func(t *testing.T) {
		number := open(t, sbanken.Options{}).read(t, archive, 0, "").Items[0]
		text := open(t, sbanken.Options{ArchiveSourceText: true}).read(t, archive, 0, "").Items[0]
		if string(number.Source) != "1" || string(text.Source) != `"Archive"` || number.IsReservation != nil {
			t.Errorf("source %s and %s", number.Source, text.Source)
		}
	})
	t.Run("endDate and reservations", func(t *testing.T) {
		count := func(b *bank, query string) (n int) {
			for _, it := range b.read(t, live, 0, query).Items {
				if it.reserved() {
					n++
				}
			}
			return n
		}
		b, keeps := open(t, sbanken.Options{}), open(t, sbanken.Options{EndDateKeepsReservations: true})
		if count(b, "") != 3 || count(b, "endDate=2026-11-03") != 0 || count(keeps, "endDate=2026-11-03") != 3 {
			t.Error("reservations are in the wrong lists")
		}
	})
	t.Run("endDate today", func(t *testing.T) {
		b := open(t, sbanken.Options{EndDateToday500: true})
		account := b.Customer(0).Accounts[0].AccountID
		v1 := b.get(t, 0, sbanken.V1+"/Transactions/"+account+"?endDate=2026-11-03")
		if v1.Status != 500 || !strings.Contains(v1.Body, `"Extensions":{"traceId":`) {
			t.Errorf("v1: %d %s", v1.Status, v1.Body)
		}
		if r := b.get(t, 0, live+account+"?endDate=2026-11-03"); r.Status != 200 {
			t.Errorf("v2: %d", r.Status)
		}
		if r := b.get(t, 0, sbanken.V1+"/Transactions/"+account); r.Status != 200 {
			t.Errorf("without endDate: %d", r.Status)
		}
	})
	t.Run("year boundary", func(t *testing.T) {
		const span = "startDate=2025-12-01&endDate=2026-01-31&length=1000"
		whole := open(t, sbanken.Options{}).read(t, archive, 0, span)
		cut := open(t, sbanken.Options{YearBoundaryCut: true}).read(t, archive, 0, span)
		if cut.Available >= whole.Available || cut.Items[len(cut.Items)-1].AccountingDate < "2026" {
			t.Errorf("%d of %d rows", cut.Available, whole.Available)
		}
	})
	t.Run("credit card and its purchase year", func(t *testing.T) {
		const december = "startDate=2025-12-05&endDate=2025-12-31"
		for bug, want := range map[bool]string{false: "2025-12", true: "2026-12"} {
			b := threeAccounts(t, sbanken.Options{PurchaseYearBug: bug})
			for _, it := range b.read(t, live, 1, december).Items {
				if it.Amount.String()[0] != '-' || it.InterestDate != "2026-01-20T00:00:00" || it.Card.PurchaseDate[:7] != want {
					t.Errorf("bug %v: %+v %+v", bug, it, it.Card)
				}
			}
		}
	})
	t.Run("late details", func(t *testing.T) {
		b := threeAccounts(t, sbanken.Options{LateCardDetails: true, Transactions: 400})
		for _, it := range b.read(t, live, 1, "").Items {
			if want := it.AccountingDate < "2026-11-02" && !it.reserved(); it.CardSpecified != want {
				t.Errorf("row of %s has details: %v", it.AccountingDate, it.CardSpecified)
			}
		}
	})
	t.Run("flaky id", func(t *testing.T) {
		b := open(t, sbanken.Options{FlakyTransactionID: true})
		const query = "startDate=2026-09-01&endDate=2026-10-01"
		first, second := b.read(t, live, 0, query), b.read(t, live, 0, query)
		if first.Items[0].TransactionID == nil || second.Items[0].TransactionID != nil {
			t.Error("the id must be in the first answer and not in the cached one")
		}
	})
	t.Run("archive lag", func(t *testing.T) {
		b := open(t, sbanken.Options{ArchiveLag: 3, Transactions: 400, Reservations: -1})
		if l := b.read(t, archive, 0, ""); l.Items[0].AccountingDate != "2026-10-31T00:00:00" {
			t.Errorf("the archive begins with %s", l.Items[0].AccountingDate)
		}
		for _, it := range b.read(t, live, 0, "").Items {
			if fresh := it.AccountingDate > "2026-10-31T00:00:00"; fresh != (string(it.Source) == `"AccountStatement"`) {
				t.Errorf("row of %s has source %s", it.AccountingDate, it.Source)
			}
		}
	})
	t.Run("v1 is v2 in an envelope", func(t *testing.T) {
		b := open(t, sbanken.Options{})
		account := b.Customer(0).Accounts[0].AccountID
		v1, v2 := b.get(t, 0, sbanken.V1+"/Transactions/"+account).Body, b.get(t, 0, live+account).Body
		if !strings.HasPrefix(v1, strings.TrimSuffix(v2, "}")) || !strings.Contains(v1, `"isError":false`) {
			t.Errorf("v1 %.200s\nv2 %.200s", v1, v2)
		}
	})
}

// BenchmarkPage is a page of 100 archived rows that nobody has asked for yet.
func BenchmarkPage(b *testing.B) {
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 1})
	kit.Clock.Set(today)
	sim := sbanken.New(sbanken.Options{Kit: kit, Today: today, Transactions: 1_000_000, PageCache: -1})
	account := sim.Customer(0).Accounts[0].AccountID
	size := 0
	for b.Loop() {
		size = len(sbanken.Page(sim, account, 400_000, 100))
	}
	b.ReportMetric(float64(size)/100, "B/row")
}
