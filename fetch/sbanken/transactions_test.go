package sbanken

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	bank "syncer/sandbox/sbanken"
)

// store is the transactions of one account as a database would have them.
type store struct {
	rows   map[string]finance.Transaction
	cursor string
}

func client(t *testing.T, w *world) fetch.Connector {
	t.Helper()
	return fetchtest.Dial(t, Provider(), w.conn).Connector()
}

// pull reads to the end of a pass and keeps what comes. between is called after each page.
func (st *store) pull(t *testing.T, c fetch.Connector, s fetch.Stream, consent finance.Consent, between func(page int)) (pages int) {
	t.Helper()
	s.Task = calls.Task{Dataset: s.Dataset, Consent: &consent}
	for page, err := range c.Pages(t.Context(), s, st.cursor) {
		if err != nil {
			t.Fatalf("page %d: %v", pages, err)
		}
		pages++
		st.commit(&page)
		if between != nil {
			between(pages)
		}
	}
	return pages
}

func (st *store) commit(p *fetch.Page) {
	now := map[string]bool{}
	for _, x := range p.Records.Transactions {
		st.rows[x.ID], now[x.ID] = x, true
	}
	if p.Whole != nil {
		for _, id := range p.Whole.Earlier {
			now[id] = true
		}
		maps.DeleteFunc(st.rows, func(id string, x finance.Transaction) bool {
			return !now[id] && strings.HasPrefix(id, p.Whole.Prefix)
		})
	}
	st.cursor = p.Next
}

func (st *store) count(status string) (n int) {
	for _, x := range st.rows {
		if x.Status == status {
			n++
		}
	}
	return n
}

func newStore() *store { return &store{rows: map[string]finance.Transaction{}} }

var paged = Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 20}

func TestAListThatMovesLosesNothing(t *testing.T) {
	for name, back := range map[string]int{"at the head": 0, "three days back": 3} {
		t.Run(name, func(t *testing.T) {
			w := start(t, bank.Options{Transactions: 300, Days: 300}, paged)
			s, c, st := w.rows(1, 0), client(t, w), newStore()
			var inserted []string
			st.pull(t, c, s, w.consent(1), func(page int) {
				if page%3 == 0 && len(inserted) < 12 {
					inserted = append(inserted, w.sim.Insert(s.Account, back))
				}
			})
			quiet := newStore()
			quiet.pull(t, c, s, w.consent(1), nil)
			st.pull(t, c, s, w.consent(1), nil) // the next run: what came behind the reader is in the lookback
			if len(inserted) < 5 {
				t.Fatalf("only %d rows were inserted: nothing is proven", len(inserted))
			}
			if diff := cmp.Diff(quiet.ids(), st.ids()); diff != "" {
				t.Error(diff)
			}
			for _, id := range inserted {
				if _, ok := st.rows[id]; !ok {
					t.Errorf("row %s, inserted under the reader, is missing", id)
				}
			}
		})
	}
}

func (st *store) ids() []string { return slices.Sorted(maps.Keys(st.rows)) }

func TestAWindowThatNeverRestsIsReadInPieces(t *testing.T) {
	w := start(t, bank.Options{Transactions: 300, Days: 300, Drift: 2}, Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 100})
	s, c, st := w.rows(1, 0), client(t, w), newStore()
	pages := st.pull(t, c, s, w.consent(1), nil)
	if st.count(finance.Booked) < 300 || pages > 200 {
		t.Errorf("%d booked rows after %d pages", st.count(finance.Booked), pages)
	}
}

func TestAReservationThatIsBookedCountsOnce(t *testing.T) {
	w := start(t, bank.Options{Reservations: 4}, paged)
	s, c, st := w.rows(1, 0), client(t, w), newStore()
	st.pull(t, c, s, w.consent(1), nil)
	booked, pending := st.count(finance.Booked), st.count(finance.Pending)
	if pending != 4 {
		t.Fatalf("%d pending rows, want 4", pending)
	}
	w.sim.Book(s.Account)
	st.pull(t, c, s, w.consent(1), nil)
	if got := st.count(finance.Pending); got != 0 {
		t.Errorf("%d pending rows after booking", got)
	}
	if got := st.count(finance.Booked); got != booked+4 {
		t.Errorf("%d booked rows, want %d", got, booked+4)
	}
}

func TestABookingBetweenTheTwoListsIsNotLost(t *testing.T) {
	w := start(t, bank.Options{Reservations: 4}, Settings{APIVersion: 2, CustomerHeader: "auto", PageLength: 1000})
	s, c, st := w.rows(1, 0), client(t, w), newStore()
	booked := false
	st.pull(t, c, s, w.consent(1), func(int) {
		if cur, err := readCursor(st.cursor, today); err == nil && cur.Pass != nil && cur.Pass.List == recent && !booked {
			booked = w.sim.Book(s.Account) // the archive is read, the recent list is not
		}
	})
	quiet := newStore()
	quiet.pull(t, c, s, w.consent(1), nil)
	if diff := cmp.Diff(quiet.ids(), st.ids()); !booked || diff != "" {
		t.Errorf("booked in between: %t\n%s", booked, diff)
	}
}

func TestAReservationThatLapsesIsRemoved(t *testing.T) {
	w := start(t, bank.Options{Reservations: 4}, paged)
	s, c, st := w.rows(1, 0), client(t, w), newStore()
	st.pull(t, c, s, w.consent(1), nil)
	w.sim.Release(s.Account)
	st.pull(t, c, s, w.consent(1), nil)
	if got := st.count(finance.Pending); got != 0 {
		t.Errorf("%d pending rows are left", got)
	}
}

func TestABackfillReadsItsWindowOnly(t *testing.T) {
	w := start(t, bank.Options{Transactions: 300, Days: 300}, paged)
	s, c, st := w.rows(1, 0), client(t, w), newStore()
	s.Since, s.Until = today.AddDays(-100), today.AddDays(-50)
	st.pull(t, c, s, w.consent(1), nil)
	for id, x := range st.rows {
		if x.BookedOn < s.Since || x.BookedOn > s.Until || x.Status != finance.Booked {
			t.Errorf("%s of %s, %s, is outside the window", id, x.BookedOn, x.Status)
		}
	}
	if len(st.rows) < 30 {
		t.Errorf("only %d rows", len(st.rows))
	}
}

func TestWindowsEndWithTheYear(t *testing.T) {
	w := start(t, bank.Options{Days: 900, YearBoundaryCut: true}, paged)
	s, c, st := w.rows(1, 0), client(t, w), newStore()
	s.Since = today.AddDays(-1000)
	st.pull(t, c, s, w.consent(1), nil)
	years := map[int]int{}
	for _, x := range st.rows {
		years[x.BookedOn.Time().Year()]++
	}
	if len(years) != 3 || st.count(finance.Booked) < 200 {
		t.Errorf("rows by year: %v", years)
	}
}

func TestCursorsThatCannotBeRight(t *testing.T) {
	for _, text := range []string{
		"x", "{}", `{"v":2}`, `{"v":1,"through":"2999-01-01"}`, `{"v":1,"trough":"2026-01-01"}`, `{"v":1}{}`,
		`{"v":1,"pass":{"list":"archive","from":"2025-12-30","to":"2026-01-02"}}`,
		`{"v":1,"pass":{"list":"archive","from":"2026-02-01","to":"2026-01-02"}}`,
		`{"v":1,"pass":{"list":"archive","from":"2026-01-01","to":"2026-12-31"}}`,
		`{"v":1,"pass":{"list":"archive","from":"2026-01-01","to":"2026-02-01","index":-1}}`,
		`{"v":1,"pass":{"list":"archive","from":"2026-01-01","to":"2026-02-01","index":9,"total":3}}`,
		`{"v":1,"pass":{"list":"other","from":"2026-01-01"}}`,
	} {
		if c, err := readCursor(text, today); err == nil {
			t.Errorf("%s was accepted as %s", text, c)
		}
	}
	for _, text := range []string{"", `{"v":1,"through":"2026-11-20"}`, `{"v":1,"pass":{"list":"archive","from":"2026-01-01","to":"2026-11-20","index":5,"total":9,"last":"x"}}`} {
		c, err := readCursor(text, today)
		if err != nil || text != "" && c.String() != text {
			t.Errorf("%s became %s, %v", text, c, err)
		}
	}
}

func TestPurchaseYear(t *testing.T) {
	for _, c := range []struct{ purchased, booked, want string }{
		{"2026-01-04", "2026-01-05", "2026-01-04"},
		{"2026-12-31", "2026-01-02", "2025-12-31"},
		{"2026-12-28", "2025-12-30", "2025-12-28"},
		{"2025-01-01", "2026-01-02", "2026-01-01"},
		{"2024-06-01", "2026-01-02", "2024-06-01"},
		{"", "2026-01-02", ""},
	} {
		p, _ := finance.ParseDate(c.purchased)
		b, _ := finance.ParseDate(c.booked)
		if got := nearYear(p, b).String(); got != c.want {
			t.Errorf("bought %s, booked %s: got %s, want %s", c.purchased, c.booked, got, c.want)
		}
	}
}

// decodePage reads an answer as a pass at this position would.
func decodePage(t *testing.T, at position, body string) (fetch.Page, error) {
	t.Helper()
	p := &pass{
		settings: paged, at: at, cursor: cursor{V: 1},
		stream: fetch.Stream{Stream: finance.Stream{Dataset: finance.Transactions, Account: "A"}, Today: today},
	}
	return p.decode(&fetch.Answer{Body: []byte(body)})
}

const cardRow = `{"accountingDate":"2026-01-05T00:00:00","interestDate":"2026-02-20T00:00:00","otherAccountNumber":null,"otherAccountNumberSpecified":false,
"amount":-58.000,"text":"*1234 04.01 NOK 58.00 KIOSK AS Kurs: 1.0000","transactionType":"VISA VARE","transactionTypeCode":714,"transactionTypeText":"VISA VARE  ",
"isReservation":false,"reservationType":null,"source":"Archive","cardDetailsSpecified":true,"cardDetails":{"cardNumber":"*1234","currencyAmount":58.000,
"currencyRate":1.00000,"merchantCategoryCode":"5499","merchantCategoryDescription":"Kiosk","merchantCity":"OSLO","merchantName":"KIOSK AS",
"originalCurrencyCode":"NOK","purchaseDate":"2026-01-04T00:00:00","transactionId":"4810000000000001"},"transactionDetailSpecified":false,"transactionId":"337000000000000001"}`

func amount(s string) finance.Amount {
	a, err := finance.ParseAmount(s)
	if err != nil {
		panic(err)
	}
	return a
}

func TestARowIsReadWhole(t *testing.T) {
	got, err := decodePage(t, position{List: archive, From: finance.NewDate(2026, 1, 1), To: today}, `{"availableItems":1,"items":[`+cardRow+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := finance.Transaction{
		AccountID: "A", ID: "337000000000000001", Status: "booked", BookedOn: finance.NewDate(2026, 1, 5), ValueOn: finance.NewDate(2026, 2, 20),
		Amount: amount("-58"), Currency: "NOK", Text: "*1234 04.01 NOK 58.00 KIOSK AS Kurs: 1.0000", Kind: "VISA VARE", Code: "714",
		MerchantName: "KIOSK AS", MerchantCategory: "5499", PurchasedOn: finance.NewDate(2026, 1, 4),
		OriginalAmount: amount("58"), OriginalCurrency: "NOK", ExchangeRate: amount("1"),
		Extra: []byte(`{"cardDetails.cardNumber":"*1234","cardDetails.merchantCategoryDescription":"Kiosk","cardDetails.merchantCity":"OSLO","cardDetails.transactionId":"4810000000000001"}`),
	}
	if diff := cmp.Diff([]finance.Transaction{want}, got.Records.Transactions, cmp.Comparer(finance.Amount.Equal)); diff != "" {
		t.Error(diff)
	}
}

func TestTwinsWithoutIDsStayTwo(t *testing.T) {
	row := strings.Replace(cardRow, `"transactionId":"337000000000000001"`, `"transactionId":null`, 1)
	at := position{List: archive, From: finance.NewDate(2026, 1, 1), To: finance.NewDate(2026, 1, 31)}
	got, err := decodePage(t, at, `{"availableItems":2,"items":[`+row+","+row+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	rows := got.Records.Transactions
	if len(rows) != 2 || rows[0].ID == rows[1].ID || !strings.HasSuffix(rows[0].ID, "-0") || !strings.HasSuffix(rows[1].ID, "-1") {
		t.Fatalf("twins have the ids %q and %q", rows[0].ID, rows[1].ID)
	}
	// Numbers count within one answer, so a window of several answers is read in halves instead.
	got, err = decodePage(t, at, `{"availableItems":3,"items":[`+row+","+row+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	if cur, err := readCursor(got.Next, today); err != nil || cur.Pass == nil || cur.Pass.To >= at.To || cur.Pass.Index != 0 {
		t.Errorf("a window with nameless rows goes on at %s, %v", got.Next, err)
	}
}

func TestAnAnswerThatIsNoListFails(t *testing.T) {
	for _, body := range []string{`{}`, `{"items":[]}`, `{"availableItems":0}`, `{"availableItems":1,"items":[{}]} x`, `{"availableItems":1,"items":[{"a":1}`} {
		if _, err := decodePage(t, position{List: archive, From: today, To: today}, body); err == nil {
			t.Errorf("%s was accepted", body)
		}
	}
	page, err := decodePage(t, position{List: archive, From: today, To: today}, `{"availableItems":0,"items":null}`)
	if err != nil || page.Records.Len() != 0 {
		t.Errorf("null items: %v", err)
	}
}

// A list that counts more than it shows is read again once, and then left for the next pass: what follows it is had.
func TestAListThatCountsWhatItDoesNotShow(t *testing.T) {
	for _, body := range []string{`{"availableItems":5,"items":[]}`, listBody(0, archived(1, "2026-11-19"))} {
		window := position{List: archive, From: today.AddDays(-5), To: today}
		page, again := decoded(t, window, body)
		if page.Partial != "" || page.Moved == "" || again.From != window.From || again.To != window.To || again.Tries != 1 {
			t.Errorf("%s: partial %q, goes on at %+v", body, page.Partial, again)
		}
		page, next := decoded(t, again, body)
		c, err := readCursor(page.Next, today)
		if err != nil || page.Partial == "" || next.List != recent || c.Through != today || c.Again != window.From {
			t.Errorf("%s: partial %q, goes on at %s", body, page.Partial, page.Next)
		}
		last, err := decodePage(t, position{List: recent, From: window.From, Over: today, Tries: 1}, body)
		if err != nil || !last.Done || last.Partial == "" || last.Whole != nil {
			t.Errorf("%s: the recent list: done %t, partial %q, whole %v, %v", body, last.Done, last.Partial, last.Whole, err)
		}
	}
}

func TestCounterparty(t *testing.T) {
	body := `{"availableItems":1,"items":[{"transactionId":1,"accountingDate":"2026-11-20","amount":5,"transactionDetailSpecified":true,
"transactionDetail":{"formattedAccountNumber":"9710.00.00011","transactionId":7,"cid":"123456789","amountDescription":null,"payerName":"KARI","registrationDate":"2026-11-19T00:00:00"}}]}`
	page, err := decodePage(t, position{List: archive, From: today, To: today}, body)
	if err != nil || len(page.Records.Transactions) != 1 {
		t.Fatal(err, page.Rejects)
	}
	x := page.Records.Transactions[0]
	got := []string{x.ID, x.CounterpartyAccount, x.CounterpartyName, x.Reference, string(x.Extra)}
	want := []string{"1", "97100000011", "KARI", "123456789", `{"transactionDetail.registrationDate":"2026-11-19T00:00:00","transactionDetail.transactionId":7}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
