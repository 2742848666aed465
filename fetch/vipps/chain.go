package vipps

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"syncer/finance"
)

// tailLength is how many rows are remembered from page to page. Rows that are alike in everything, balances included,
// stand close together: a capture that was retained, returned and retained again within the same moment.
const tailLength = 8

// chain is what is remembered of a topic's rows behind the last one.
type chain struct {
	Balance *int64   `json:"balance,omitempty"` // what the next row must begin with; nil: not known
	Tail    []string `json:"tail,omitempty"`    // the marks of the last rows, without their topic
}

// checker follows a topic row by row: it verifies that the balances form a chain and numbers rows that are alike.
type checker struct {
	chain
	topic   string
	numbers map[string]int // how often a likeness has come
	begun   bool           // a row of this answer was there
	breaks  int
	first   string // where the first break is
}

func newChecker(topic string, c chain) *checker {
	k := &checker{chain: chain{Balance: c.Balance, Tail: slices.Clone(c.Tail)}, topic: topic, numbers: map[string]int{}}
	for _, mark := range c.Tail {
		stem, number, _ := strings.Cut(mark, "-")
		if n, err := strconv.Atoi(number); err == nil {
			k.numbers[stem] = max(k.numbers[stem], n+1)
		}
	}
	return k
}

// unreadable is for a row whose balances nobody knows: the next row has nothing to be compared with.
func (k *checker) unreadable() { k.Balance = nil }

// row verifies a row and gives it its id. A break is counted, and the chain goes on from what the row says: the data
// are kept as they are, and the operator is told.
func (k *checker) row(e *entry, place int32) {
	elsewhere := differ(e.before, k.Balance)
	if elsewhere && !k.begun { // an answer that shows rows once more, which are no twins of themselves
		clear(k.numbers)
	}
	k.begun = true
	if elsewhere || !e.addsUp() {
		k.breaks++
		if k.first == "" {
			k.first = fmt.Sprintf("row %d of its answer, booked %s", place, e.BookedOn)
		}
	}
	k.Balance = e.after
	stem := e.likeness()
	mark := stem + "-" + strconv.Itoa(k.numbers[stem])
	k.numbers[stem]++
	if k.Tail = append(k.Tail, mark); len(k.Tail) > 4*tailLength {
		k.Tail = slices.Delete(k.Tail, 0, len(k.Tail)-tailLength)
	}
	e.ID = k.topic + "-" + mark
}

// differ says that two balances are both told, and are not the same.
func differ(a, b *int64) bool {
	if a == nil || b == nil {
		return false
	}
	return *a != *b
}

// addsUp says that the balances of a row differ by its amount, as far as they are told.
func (e *entry) addsUp() bool {
	if e.before == nil {
		return true
	}
	expected := *e.before + e.minor
	return !differ(&expected, e.after)
}

// after is the chain for the next page.
func (k *checker) after() chain {
	return chain{Balance: k.Balance, Tail: slices.Clone(k.Tail[max(0, len(k.Tail)-tailLength):])}
}

// report says what does not add up; empty if everything does.
func (k *checker) report() string {
	if k.breaks == 0 {
		return ""
	}
	return fmt.Sprintf("the running balance of %s breaks %d times, first at %s: rows may be missing or doubled; all rows were kept",
		k.topic, k.breaks, k.first)
}

// likeness is what tells rows apart, hashed to 24 hex digits: the reference of the movement, which a capture shares
// with its fees and its disputes, the type by its current name, the moment, the amount and the balance behind it. The
// ledger date is used only where there is no moment, since it is not always told.
func (e *entry) likeness() string {
	when := e.at.UTC().Format(time.RFC3339Nano)
	balance := ""
	if e.at.IsZero() {
		when = e.BookedOn.String()
	}
	if e.after != nil {
		balance = strconv.FormatInt(*e.after, 10)
	}
	var buf [256]byte
	b := buf[:0]
	for _, part := range [...]string{e.psp, e.Kind, when, strconv.FormatInt(e.minor, 10), balance} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// entry is a row and what of it has no column.
type entry struct {
	finance.Transaction
	psp           string
	at            time.Time // zero: not told
	minor         int64     // the amount in minor units
	before, after *int64    // nil: not told, as in rows from before 2022
}
