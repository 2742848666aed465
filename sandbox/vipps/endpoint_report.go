package vipps

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
)

type entryJSON struct {
	PSPReference    string  `json:"pspReference"`
	Time            string  `json:"time"`
	LedgerDate      string  `json:"ledgerDate,omitempty"`
	EntryType       string  `json:"entryType"`
	Reference       *string `json:"reference"`
	Currency        string  `json:"currency"`
	Amount          int64   `json:"amount"`
	BalanceBefore   int64   `json:"balanceBefore"`
	BalanceAfter    int64   `json:"balanceAfter"`
	RecipientHandle *string `json:"recipientHandle"`
	Message         string  `json:"message,omitempty"`
	Name            string  `json:"name,omitempty"`
	MaskedPhoneNo   string  `json:"maskedPhoneNo,omitempty"`
	SettlementBatch string  `json:"settlementBatch,omitempty"` // a field of tomorrow
}

type pageJSON struct {
	Cursor   string      `json:"cursor,omitempty"`
	HasMore  *bool       `json:"hasMore,omitempty"`
	TryLater bool        `json:"tryLater"`
	Items    []entryJSON `json:"items"`
}

// reading is one request for rows.
type reading struct {
	n, topic int
	personal bool
	cursor   string
	now      time.Time
}

func (s *Simulator) serveReport(w http.ResponseWriter, r *http.Request, c Client, rt route) {
	n, known := ledgerNumber(rt.ledger)
	topic, ok := topicNumber(rt.topic)
	switch {
	case !known, n < 0, n >= s.o.Merchants, !s.granted(c, n):
		s.fail(w, http.StatusNotFound, "Not Found", "No such ledgerId")
		return
	case !ok:
		s.notParsed(w, "topic")
		return
	}
	q := r.URL.Query()
	in := reading{n: n, topic: topic, cursor: q.Get("cursor"), now: s.o.Kit.Clock.Now(),
		personal: s.o.LeakPersonal || strings.EqualFold(q.Get("includeGDPRSensitiveData"), "true")}
	if rt.feed {
		s.serveFeed(w, in)
		return
	}
	day, ok := parseDay(rt.date)
	if !ok {
		s.notParsed(w, "ledgerDate")
		return
	}
	s.serveDate(w, in, day)
}

// serveFeed answers with what follows a position. There is always a cursor, and never a hasMore.
func (s *Simulator) serveFeed(w http.ResponseWriter, in reading) {
	list := fmt.Sprintf("feed:%d:%d", in.n, in.topic)
	rows := s.book(in.n).visible(in.topic, in.now.Add(-s.o.FeedLag))
	from, ok := readCursor(in.cursor, list)
	if !ok || from > len(rows) {
		s.notParsed(w, "cursor")
		return
	}
	upTo := min(len(rows), from+s.o.PageSize)
	page := pageJSON{Cursor: cursorText(list, upTo), Items: s.items(in, rows[from:upTo])}
	lastPage := max(0, len(rows)-s.o.PageSize)
	if again, ok := s.again(in.cursor, list, lastPage); ok && upTo == len(rows) {
		page = pageJSON{Cursor: again, Items: s.items(in, rows[lastPage:])}
		writeJSON(w, http.StatusOK, "application/json", page)
		return
	}
	switch {
	case s.o.StuckFeed:
	case s.o.EmptyTail:
		page.TryLater = from == len(rows)
	default:
		page.TryLater = upTo == len(rows)
	}
	writeJSON(w, http.StatusOK, "application/json", page)
}

// serveDate answers with one accounting day. A closed day never changes.
func (s *Simulator) serveDate(w http.ResponseWriter, in reading, day int) {
	if s.o.Reach > 0 && day < s.world.dayOf(in.now)-s.o.Reach {
		s.fail(w, cmp.Or(s.o.ReachStatus, http.StatusBadRequest), "Bad Request", "The ledger date lies too far back.")
		return
	}
	closed := s.world.closed(day, in.now)
	if !closed && s.o.Open404 {
		s.fail(w, http.StatusNotFound, "Not Found", "The date is not available yet.")
		return
	}
	list := fmt.Sprintf("date:%d:%d:%d", in.n, in.topic, day)
	from, ok := readCursor(in.cursor, list)
	var rows []entry
	shown := closed || s.o.OpenRows
	if shown {
		rows = ofDay(s.book(in.n).visible(in.topic, in.now), day)
	}
	if !ok || from > len(rows) {
		s.notParsed(w, "cursor")
		return
	}
	upTo := min(len(rows), from+s.o.PageSize)
	more := upTo < len(rows)
	if s.o.EmptyLast && from < upTo {
		more = true
	}
	page := pageJSON{TryLater: !closed, Items: s.items(in, rows[from:upTo])}
	if shown {
		page.HasMore = &more
	}
	if more {
		page.Cursor = cursorText(list, upTo)
	}
	isLast := closed && !more
	if again, ok := s.again(in.cursor, list, from); ok && isLast && upTo > from {
		more = true
		page.Cursor = again
	}
	writeJSON(w, http.StatusOK, "application/json", page)
}

// ofDay are the rows of one day. Rows are in the order of their days.
func ofDay(rows []entry, day int) []entry {
	first := sort.Search(len(rows), func(i int) bool { return rows[i].day >= day })
	behind := sort.Search(len(rows), func(i int) bool { return rows[i].day > day })
	return rows[first:behind]
}

func (s *Simulator) items(in reading, rows []entry) []entryJSON {
	out := make([]entryJSON, 0, len(rows))
	m := s.world.merchant(in.n)
	for i := range rows {
		out = append(out, s.item(in, &m, &rows[i]))
	}
	return out
}

func (s *Simulator) item(in reading, m *MerchantInfo, e *entry) entryJSON {
	j := entryJSON{
		PSPReference: e.psp, Time: e.at.UTC().Format("2006-01-02T15:04:05.000000Z"), LedgerDate: dayText(e.day), EntryType: e.kind,
		Reference: &e.reference, Currency: m.Currency, Amount: e.amount, BalanceBefore: e.before, BalanceAfter: e.after,
	}
	if s.o.OffsetTimes {
		j.Time = e.at.In(s.world.zone).Format("2006-01-02T15:04:05.000000-0700")
	}
	if s.o.NoLedgerDate {
		j.LedgerDate = ""
	}
	if e.noReference {
		j.Reference = nil
	}
	if e.payment {
		j.RecipientHandle = &m.Handle
	}
	if s.o.OldTypes && e.kind == "payout-scheduled" {
		j.EntryType = "scheduled-for-payout"
	}
	if s.o.Drift && e.payment {
		j.SettlementBatch = "b" + strconv.Itoa(e.day)
	}
	if in.personal && e.customer != 0 && (vmNumber(in.n) || s.o.LeakPersonal) {
		names := [...]string{"Ask Prøvestad", "Eir Sandkasse", "Jarl Testmoen", "Vår Mønsterud"}
		words := [...]string{"Takk for sist 🎂", "Kontingent", "2 kaffe", "Basar"}
		j.Name = names[e.customer>>2%uint64(len(names))]
		j.Message = words[e.customer>>6%uint64(len(words))]
		j.MaskedPhoneNo = fmt.Sprintf("xxxx %04d", e.customer>>10%10_000)
	}
	return j
}

// cursorText is opaque to callers and holds an equals sign, as the vendor's do.
func cursorText(list string, n int) string {
	text := list + ":" + strconv.Itoa(n)
	for len(text)%3 == 0 {
		text += " "
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// turned is another name of a position, one that the cursor which was asked for has not.
func turned(asked, list string, n int) string {
	b, _ := base64.StdEncoding.DecodeString(asked) // it was read before
	_, turn, _ := strings.Cut(string(b), "/")
	turn, _, _ = strings.Cut(turn, ":")
	before, _ := strconv.Atoi(turn) // absent: the first
	return cursorText(list+":"+strconv.Itoa(n)+"/"+strconv.Itoa(before+1), 0)
}

// readCursor is the position of a cursor that belongs to a place; the beginning for none.
func readCursor(text, list string) (int, bool) {
	if text == "" {
		return 0, true
	}
	b, err := base64.StdEncoding.DecodeString(text)
	rest, ok := strings.CutPrefix(string(b), list+":")
	rest, _, _ = strings.Cut(rest, "/") // see turned
	n, bad := strconv.Atoi(strings.TrimSpace(rest))
	return n, err == nil && ok && bad == nil && n >= 0
}
