package vipps

import (
	"fmt"
	"sort"
	"sync"
	"time"

	"syncer/sandbox"
)

// The two topics of a ledger.
const (
	funds = iota
	fees
	topics
)

var topicNames = [topics]string{"funds", "fees"}

func topicNumber(name string) (int, bool) {
	for i, n := range topicNames {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

// entry is one row of a topic.
type entry struct {
	psp, kind     string
	reference     string
	noReference   bool // null rather than empty
	at            time.Time
	day           int
	amount        int64
	before, after int64
	payment       bool   // a customer's payment: it has a recipient
	customer      uint64 // whose; 0: nobody's
}

// book is one ledger's rows. A day, once made, never changes: corrections are new rows.
type book struct {
	w *world
	n int // the merchant

	mu       sync.Mutex
	next     int // the first day that is not made yet
	rows     [topics][]entry
	balance  [topics]int64
	payouts  int
	disputed []entry // captures that are retained and will be returned
	late     []entry // fees to be booked tomorrow
	aborted  int64   // a payout that came back
}

func newBook(w *world, n int) *book { return &book{w: w, n: n, next: w.first} }

// post is the one way a row gets into a topic, so the balances always form a chain.
func (b *book) post(topic int, e entry) {
	e.before = b.balance[topic]
	e.after = e.before + e.amount
	b.balance[topic] = e.after
	b.rows[topic] = append(b.rows[topic], e)
}

// visible are a topic's rows up to an instant, oldest first.
func (b *book) visible(topic int, upTo time.Time) []entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ; b.next <= b.w.dayOf(upTo); b.next++ {
		b.makeDay(b.next)
	}
	rows := b.rows[topic]
	return rows[:sort.Search(len(rows), func(i int) bool { return rows[i].at.After(upTo) })]
}

func (b *book) hash(day, i int, what uint64) uint64 {
	return sandbox.Mix(b.w.o.Seed, what, uint64(b.n), uint64(day), uint64(i))
}

func (b *book) makeDay(day int) {
	begin := b.w.begin(day)
	b.morning(day, begin)
	step := 24 * time.Hour / time.Duration(b.w.o.PerDay+2)
	for i := range b.w.o.PerDay {
		b.sale(day, i, begin.Add(time.Duration(i+1)*step))
	}
	if day == b.w.periodEnd(day) {
		b.payOut(day, b.w.begin(day+1))
	}
}

// morning books what yesterday has left: late fees, a returned dispute, a payout that the bank refused.
func (b *book) morning(day int, begin time.Time) {
	for i, e := range b.late {
		e.at = begin.Add(time.Duration(i) * time.Millisecond)
		e.day = day
		b.post(fees, e)
	}
	b.late = nil
	for i, e := range b.disputed {
		e.at = begin.Add(time.Duration(i) * time.Millisecond)
		e.day = day
		e.kind = "returned-disputed-capture"
		b.post(funds, e)
	}
	b.disputed = nil
	if b.aborted > 0 {
		b.post(funds, entry{psp: fmt.Sprintf("%s-%d", ledgerID(b.n), 2_000_000+b.payouts), kind: "payout-aborted",
			noReference: true, at: begin.Add(time.Second), day: day, amount: b.aborted})
		b.aborted = 0
	}
}

// sale books a capture with its fee, and what becomes of it.
func (b *book) sale(day, i int, at time.Time) {
	h := b.hash(day, i, 's')
	at = at.Add(time.Duration(h%1_000_000) * time.Microsecond)
	e := entry{
		psp: fmt.Sprintf("7%09d", h>>8%1_000_000_000), kind: "capture", reference: fmt.Sprintf("ordre-%d-%d-%d", b.n, day, i),
		at: at, day: day, amount: int64(5_000 + h>>20%195_000), payment: true, customer: h | 1,
	}
	if b.w.o.Drift && h>>32%9 == 0 {
		e.kind = "loyalty-bonus"
	}
	b.post(funds, e)
	fee := e
	fee.kind = "capture-fee"
	fee.amount = -max(1, e.amount*175/10_000)
	fee.customer = 0
	if b.w.o.LateFees {
		b.late = append(b.late, fee)
	} else {
		b.post(fees, fee)
	}
	b.aftermath(day, h, e)
}

func (b *book) aftermath(day int, h uint64, e entry) {
	back := e
	back.at = e.at.Add(time.Millisecond)
	back.amount = -e.amount
	switch {
	case b.w.o.NegativeDays > day-b.w.first:
		back.kind = "refund"
		back.amount = -e.amount * 2
		b.post(funds, back)
	case b.w.o.Twins && h>>40%5 == 0: // the first and the third are alike in everything, their balances included
		for _, kind := range []string{"retained-disputed-capture", "returned-disputed-capture", "retained-disputed-capture"} {
			back.kind = kind
			b.post(funds, back)
			back.amount = -back.amount
		}
	case b.w.o.Disputes && h>>44%8 == 0:
		back.kind = "retained-disputed-capture"
		b.post(funds, back)
		back.amount = e.amount
		b.disputed = append(b.disputed, back)
	case h>>48%6 == 0:
		back.kind = "refund"
		back.amount = -e.amount / 3
		b.post(funds, back)
	}
}

// payOut ends a period: the fees are retained from the funds, or invoiced, and what is left is paid out. It is
// always the last row of its date.
func (b *book) payOut(day int, at time.Time) {
	owed := -b.balance[fees]
	ref := fmt.Sprintf("01K%08X-SYNTHFEE", b.hash(day, 0, 'f')>>32)
	switch {
	case owed <= 0:
	case b.w.o.Gross:
		if day == int(time.Date(civil(day).Year(), civil(day).Month()+1, 0, 0, 0, 0, 0, time.UTC).Unix()/86400) {
			b.post(fees, entry{psp: ref, kind: "fees-invoiced", at: at, day: day, amount: owed})
		}
	case b.balance[funds] > 0:
		b.post(funds, entry{psp: ref, kind: "fees-retained", at: at, day: day, amount: -owed})
		b.post(fees, entry{psp: ref + "-F", kind: "fees-retained", at: at, day: day, amount: owed})
	}
	pay := b.balance[funds] * int64(100-b.w.o.RollingReserve) / 100
	if pay <= 0 {
		return // zero or negative: no payout, the balance is carried over
	}
	b.payouts++
	e := entry{psp: fmt.Sprintf("%s-%d", ledgerID(b.n), 2_000_000+b.payouts), kind: "payout-scheduled", at: at, day: day, amount: -pay,
		noReference: b.w.o.Market == "NO", reference: fmt.Sprintf("02%08d001%s", b.n, civil(day).Format("020106"))}
	b.post(funds, e)
	if b.w.o.Disputes && b.hash(day, 0, 'a')%10 == 0 {
		b.aborted = pay
	}
}
