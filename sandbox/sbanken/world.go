package sbanken

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the bank's today is Norwegian, also in an image without zones

	"syncer/sandbox"
)

const maxAccounts = 3 // of a customer

// world makes customers, accounts and booked transactions from seed and
// number. It holds nothing.
type world struct {
	o    Options
	ids  sandbox.UUIDs
	oslo *time.Location
	day0 int // the world's day: the newest seeded transaction is of the day before
}

func newWorld(o Options) *world {
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		panic("sbanken: embedded time zones are damaged: " + err.Error())
	}
	w := &world{o: o, ids: sandbox.UUIDs{Seed: sandbox.Mix(o.Seed, 'a')}, oslo: oslo}
	w.day0 = w.dayOf(o.Today)
	return w
}

// dayOf numbers the Norwegian calendar day of an instant, from 1970-01-01 on.
func (w *world) dayOf(t time.Time) int {
	y, m, d := t.In(w.oslo).Date()
	return dayNumber(y, m, d)
}

func (w *world) today() int { return w.dayOf(w.o.Kit.Clock.Now()) }

func dayNumber(y int, m time.Month, d int) int {
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func dayTime(day int) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

var (
	firstNames = []string{"Ask", "Bjørk", "Eir", "Falk", "Gro", "Hauk", "Iselin", "Jarl", "Lin", "Ravn", "Siv", "Vår"}
	lastNames  = []string{"Prøvestad", "Sandkasse", "Testmoen", "Mønsterud", "Eksempelhaug", "Liksomdal"}
)

func (w *world) customer(n int) CustomerInfo {
	h := sandbox.Mix(w.o.Seed, 'k', uint64(n))
	c := CustomerInfo{
		CustomerID: sandbox.NationalID(w.o.Seed, n),
		FirstName:  firstNames[h%uint64(len(firstNames))],
		LastName:   lastNames[(h>>8)%uint64(len(lastNames))],
	}
	for k := range w.accountsOf(n) {
		c.Accounts = append(c.Accounts, w.account(n*maxAccounts+k))
	}
	return c
}

// accountsOf is how many accounts a customer has, 1 to 3.
func (w *world) accountsOf(n int) int {
	return 1 + int(sandbox.Mix(w.o.Seed, 'k', uint64(n))>>16%maxAccounts)
}

// find returns the number of the customer with a national id.
func (w *world) find(customerID string) (int, bool) {
	n, ok := sandbox.NationalIDIndex(w.o.Seed, customerID)
	return n, ok && n < w.o.Customers
}

// account is account number n: the first of a customer is a current account,
// the second a credit card, the third a savings account.
func (w *world) account(n int) AccountInfo {
	kind := [maxAccounts]struct{ name, text string }{
		{"Brukskonto", "Standard account"}, {"Kredittkort", "Creditcard account"},
		{"Høyrentekonto", "High interest account"},
	}[n%maxAccounts]
	return AccountInfo{
		AccountID:     strings.ToUpper(strings.ReplaceAll(w.ids.At(n), "-", "")),
		AccountNumber: fmt.Sprintf("9710%07d", sandbox.Mix(w.o.Seed, 'b', uint64(n))%10_000_000),
		Name:          kind.name, Type: kind.text, CreditCard: isCreditCard(n),
	}
}

func isCreditCard(account int) bool { return account%maxAccounts == 1 }

// findAccount returns the number of the account with an id, in any case.
func (w *world) findAccount(id string) (int, bool) {
	if len(id) != 32 {
		return 0, false
	}
	id = strings.ToLower(id)
	n, ok := w.ids.Index(id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:])
	if !ok || n/maxAccounts >= w.o.Customers {
		return 0, false
	}
	return n, n%maxAccounts < w.accountsOf(n/maxAccounts)
}

// The seeded transactions of an account are numbered from the newest, 0, to the
// oldest; number p was booked backOf(p) days before the world's day.
func (w *world) backOf(p int) int { return 1 + p*w.o.Days/w.o.Transactions }

// newerThan is how many seeded transactions were booked fewer than back days
// before the world's day.
func (w *world) newerThan(back int) int {
	if back <= 1 {
		return 0
	}
	return min(w.o.Transactions, ((back-1)*w.o.Transactions+w.o.Days-1)/w.o.Days)
}

// seeded is seeded transaction p of an account.
func (w *world) seeded(account, p int) row {
	content := p
	if w.o.Twins && p%2 == 0 && p+1 < w.o.Transactions && w.backOf(p) == w.backOf(p+1) &&
		sandbox.Mix(w.o.Seed, 't', uint64(account), uint64(p))%25 == 0 {
		content = p + 1
	}
	return row{
		number:  w.o.Transactions - p,
		content: sandbox.Mix(w.o.Seed, 'x', uint64(account), uint64(w.o.Transactions-content)),
		day:     w.day0 - w.backOf(p),
	}
}
