package rest

import (
	"fmt"
	"slices"

	"syncer/sandbox"
)

var shops = []string{"KAFFEBRENNERIET", "COOP PRIX", "VY TOG", "APOTEK 1", "FJELLSPORT AS", "BOK OG PAPIR"}

type money struct {
	Currency string `json:"currency"`
	Amount   string `json:"amount"` // a text: that is how the bank writes numbers
}

type reference struct {
	IBAN string `json:"iban,omitempty"`
	BBAN string `json:"bban,omitempty"`
}

// movement is a transaction as the bank shows it. A pending one has no transactionId and no bookingDate.
type movement struct {
	TransactionID string     `json:"transactionId,omitempty"`
	BookingDate   string     `json:"bookingDate,omitempty"`
	ValueDate     string     `json:"valueDate"`
	Amount        money      `json:"transactionAmount"`
	CreditorName  string     `json:"creditorName,omitempty"`
	Creditor      *reference `json:"creditorAccount,omitempty"`
	DebtorName    string     `json:"debtorName,omitempty"`
	Debtor        *reference `json:"debtorAccount,omitempty"`
	Text          string     `json:"remittanceInformationUnstructured"`
	Code          string     `json:"bankTransactionCode"`
	Exchange      []exchange `json:"currencyExchange,omitempty"`
	Original      *money     `json:"instructedAmount,omitempty"`
	Category      *string    `json:"merchantCategoryCode"` // null for what is no purchase
	Terminal      string     `json:"terminalId,omitempty"`
}

type exchange struct {
	Source string `json:"sourceCurrency"`
	Rate   string `json:"exchangeRate"`
}

// accountsOf is how many accounts a person has: one to three.
func (b *BankSimulator) accountsOf(person int) int { return 1 + int(b.draw(person, 0, 'n')%3) }

func (b *BankSimulator) draw(keys ...int) uint64 {
	mixed := make([]uint64, len(keys))
	for i, k := range keys {
		mixed[i] = uint64(k)
	}
	return sandbox.Mix(b.o.Seed, mixed...)
}

func (b *BankSimulator) accountID(person, number int) string {
	return sandbox.UUIDs{Seed: sandbox.Mix(b.o.Seed, 'a')}.At(person*4 + number)
}

// accountNumber finds an account of a person by its id.
func (b *BankSimulator) accountNumber(person int, id string) (int, bool) {
	for i := range b.accountsOf(person) {
		if b.accountID(person, i) == id {
			return i, true
		}
	}
	return 0, false
}

// iban looks like one; its digits are no person's.
func iban(person, number int) string { return fmt.Sprintf("NO93%04d%06d%d", 8601, person, number) }

func (b *BankSimulator) account(person, number int, balances bool) map[string]any {
	cents := int(b.draw(person, number, 'b') % 9_000_000)
	a := map[string]any{
		"resourceId": b.accountID(person, number), "iban": iban(person, number), "currency": "NOK",
		"name": []string{"Brukskonto", "Sparekonto", "Kredittkort"}[number], "product": "Fjord Privat",
		"cashAccountType": []string{"CACC", "SVGS", "CARD"}[number], "status": "enabled", "usage": "PRIV",
		"_links": map[string]any{"transactions": map[string]string{"href": bankRoot + "/accounts/" + b.accountID(person, number) + "/transactions"}},
	}
	if balances {
		figure := func(kind string, cents int) map[string]any {
			return map[string]any{"balanceType": kind, "balanceAmount": money{"NOK", decimal(cents)}, "referenceDate": isoDay(b.today())}
		}
		a["balances"] = []any{figure("closingBooked", cents), figure("interimAvailable", cents-1250), figure("openingBooked", cents+999)}
	}
	return a
}

// decimal writes cents as the bank does: with two decimals and no thousands.
func decimal(cents int) string {
	sign := ""
	if cents < 0 {
		sign = "-"
		cents = -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}

// movements are an account's transactions of the days, newest first. What was bought yesterday or today is pending.
func (b *BankSimulator) movements(person, number, from, to, today int) (booked, pending []movement) {
	booked = []movement{}
	pending = []movement{}
	first := max(from, today-b.o.History)
	b.mu.Lock()
	for _, m := range b.late[b.accountID(person, number)] {
		if m.BookingDate >= isoDay(first) && m.BookingDate <= isoDay(to) {
			booked = append(booked, m)
		}
	}
	b.mu.Unlock()
	for day := to; day >= first; day-- {
		for i := range int(b.draw(person, number, day, 'c') % 4) {
			booked = append(booked, b.movement(person, number, day, i))
		}
	}
	for day := today; day >= today-1; day-- { // pending ones are shown whatever days were asked for
		for _, m := range b.purchases(person, number, day) {
			m.TransactionID = ""
			m.BookingDate = ""
			pending = append(pending, m)
		}
	}
	recent := func(m movement) bool { return m.Category != nil && m.ValueDate >= isoDay(today-1) }
	return slices.DeleteFunc(booked, recent), pending
}

func (b *BankSimulator) purchases(person, number, day int) (out []movement) {
	for i := range int(b.draw(person, number, day, 'c') % 4) {
		if m := b.movement(person, number, day, i); m.Category != nil {
			out = append(out, m)
		}
	}
	return out
}

// movement is transaction i of a day. Transactions 0 and 1 of a day are twins: the same coffee twice.
func (b *BankSimulator) movement(person, number, day, i int) movement {
	kind := max(i, 1)
	h := b.draw(person, number, day, kind, 'm')
	cents := 100 + int(h%250_000)
	m := movement{
		TransactionID: fmt.Sprintf("FB%d%02d%04d%05d", day, number, person, i), BookingDate: isoDay(day), ValueDate: isoDay(day),
		Amount: money{"NOK", decimal(-cents)}, Code: "PMNT-CCRD-POSD",
	}
	if kind == 2 { // a salary
		m.Amount.Amount = decimal(10 * cents)
		m.Code = "PMNT-RCDT-SALA"
		m.DebtorName = "ARBEIDSGIVER AS"
		m.Text = "Lønn"
		m.Debtor = &reference{BBAN: fmt.Sprintf("8601%07d", h%10_000_000)}
		return m
	}
	shop := shops[h/7%uint64(len(shops))]
	category := fmt.Sprintf("%04d", 5000+h%900)
	m.CreditorName = shop
	m.Text = shop + " OSLO"
	m.Category = &category
	m.Terminal = fmt.Sprintf("T%d", h%1000)
	m.Creditor = &reference{IBAN: fmt.Sprintf("NO12%04d%07d", 8601, h%9_999_999)}
	if kind == 3 { // abroad
		m.Exchange, m.Original = []exchange{{"EUR", "11.6543"}}, &money{"EUR", decimal(-cents / 11)}
	}
	return m
}
