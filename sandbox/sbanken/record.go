package sbanken

import (
	"strconv"

	"syncer/sandbox"
)

// kind says how a row came to be.
type kind uint8

const (
	plain    kind = iota // seeded or inserted
	booked               // was a reservation once
	reserved             // still is
)

func (k kind) order() int {
	if k == reserved {
		return 1
	}
	return 0
}

// row is one transaction. All that it shows follows from these few fields.
type row struct {
	number    int    // 1 is the account's first ever; 0 for reservations
	content   uint64 // what was bought, for how much
	day       int    // accountingDate
	purchased int    // of a booked reservation: the day it was made
	kind      kind
}

// sort of payment by chance; the codes are those of the bank's list of 2018.
type sort struct {
	code    int
	text    string
	card    bool
	out     bool
	account bool // has otherAccountNumber
}

var sorts = [...]sort{
	{714, "VISA VARE", true, true, false}, {714, "VISA VARE", true, true, false}, {714, "VISA VARE", true, true, false},
	{710, "VAREKJØP", false, true, false}, {710, "VAREKJØP", false, true, false},
	{500, "EFAKTURA AVTALEGIRO", false, true, true}, {203, "NETTGIRO M/MELDING", false, true, true},
	{200, "OVERFØRSEL", false, false, true}, {561, "STRAKSBETALING", false, true, true},
	{13, "LØNN", false, false, true},
}

var merchants = [...]struct{ name, city, code, category string }{
	{"KIOSK AS", "OSLO", "5499", "Kiosk"}, {"FJELLMAT BUTIKK", "LILLEHAMMER", "5411", "Dagligvarer"},
	{"KAFE BRYGGA", "BERGEN", "5814", "Servering"}, {"NORDLYS BOKHANDEL", "TROMSØ", "5942", "Bøker"},
	{"SYKKEL OG SKI", "TRONDHEIM", "5941", "Sport"}, {"TINDEN APOTEK", "BODØ", "5912", "Apotek"},
	{"HAVNA BENSIN", "STAVANGER", "5541", "Drivstoff"}, {"LYKTEN KINO", "DRAMMEN", "7832", "Kino"},
}

func (r row) sort(creditCard bool) sort {
	if r.kind != plain || creditCard {
		return sorts[0]
	}
	return sorts[r.content%uint64(len(sorts))]
}

// ore is the signed amount; everything on a credit card is a purchase. A booked
// reservation may cost more than was reserved.
func (r row) ore(creditCard bool) int64 {
	amount := int64(1000 + r.content>>16%150_000)
	if r.kind == booked && r.content>>40%3 == 0 {
		amount += 500
	}
	if !r.sort(creditCard).out {
		return amount * 20
	}
	return -amount
}

// id is the transactionId: 18 digits, of the account and the row's number.
func (r row) id(account int, seed uint64) int64 {
	return 100_000_000_000_000_000 + int64(sandbox.Mix(seed, 'i', uint64(account))%8_000_000)*10_000_000_000 + int64(r.number)
}

// pen writes the rows of one account. Answers are written by hand, because a
// benchmark should measure the caller and not this encoder.
type pen struct {
	o          *Options
	account    int
	creditCard bool
	archive    bool
	withID     bool // leak transactionId into /Transactions
	today      int
}

func (p pen) row(b []byte, r row) []byte {
	s := r.sort(p.creditCard)
	m := merchants[r.content>>8%uint64(len(merchants))]
	value := p.valueDay(r)
	b = append(b, '{')
	if p.archive || (p.withID && r.kind != reserved) {
		b = append(b, `"transactionId":"`...)
		b = strconv.AppendInt(b, r.id(p.account, p.o.Seed), 10)
		b = append(b, `",`...)
	}
	b = appendDay(b, `"accountingDate":"`, r.day)
	b = appendDay(b, `,"interestDate":"`, value)
	if !p.archive {
		b = p.otherAccount(b, r, s)
	}
	b = p.amount(append(b, `,"amount":`...), r.ore(p.creditCard))
	b = append(b, `,"text":"`...)
	b = p.text(b, r, s, m.name)
	if r.kind == reserved {
		b = append(b, `","transactionType":"Bekreftet VISA","transactionTypeCode":946,"transactionTypeText":""`...)
	} else {
		b = append(b, `","transactionType":"`...)
		b = append(b, s.text...)
		b = append(b, `","transactionTypeCode":`...)
		b = strconv.AppendInt(b, int64(s.code), 10)
		b = append(b, `,"transactionTypeText":"`...)
		b = append(b, s.text...)
		b = append(b, '"')
	}
	b = p.source(b, r)
	if s.card && r.kind != reserved && !(p.o.LateCardDetails && r.day > p.today-2) {
		b = p.cardDetails(b, r, value)
	} else {
		b = append(b, `,"cardDetailsSpecified":false`...)
	}
	if !p.archive {
		b = append(b, `,"transactionDetailSpecified":false`...)
	}
	return append(b, '}')
}

// valueDay is the interestDate: for a credit card the invoice's due date, weeks
// in the future.
func (p pen) valueDay(r row) int {
	if !p.creditCard || r.kind == reserved {
		return r.day
	}
	y, m, _ := dayTime(r.day).Date()
	return dayNumber(y, m+1, 20)
}

func (p pen) otherAccount(b []byte, r row, s sort) []byte {
	// Users say that it is nearly always missing.
	if !s.account || r.content>>32%4 != 0 {
		return append(b, `,"otherAccountNumber":null,"otherAccountNumberSpecified":false`...)
	}
	b = append(b, `,"otherAccountNumber":"9790`...)
	b = appendPadded(b, int(r.content>>20%10_000_000), 7)
	return append(b, `","otherAccountNumberSpecified":true`...)
}

// text is the line on the statement. A reservation carries the merchant's name
// cut short; once booked it has the full line of the card.
func (p pen) text(b []byte, r row, s sort, merchant string) []byte {
	switch {
	case r.kind == reserved:
		return append(b, merchant[:min(len(merchant), 8)]...)
	case s.card:
		b = append(b, '*')
		b = appendPadded(b, int(p.card()), 4)
		b = append(b, ' ')
		b = dayTime(p.purchaseDay(r)).AppendFormat(b, "02.01")
		b = append(b, " NOK "...)
		b = appendDecimal(b, -r.ore(p.creditCard), 2)
		b = append(b, ' ')
		b = append(b, merchant...)
		return append(b, " Kurs: 1.0000"...)
	case s.code == 710:
		b = dayTime(r.day).AppendFormat(b, "02.01 ")
		return append(b, merchant...)
	case s.out:
		b = append(b, "Nettgiro til: "...)
	default:
		b = append(b, "Fra: "...)
	}
	b = append(b, merchant...)
	b = append(b, " Betalt: "...)
	return dayTime(r.day).AppendFormat(b, "02.01.06")
}

func (p pen) card() uint64 { return sandbox.Mix(p.o.Seed, 'd', uint64(p.account)) % 10_000 }

func (p pen) purchaseDay(r row) int {
	if r.kind == booked {
		return r.purchased
	}
	return r.day - 1
}

func (p pen) source(b []byte, r row) []byte {
	if p.archive {
		if p.o.ArchiveSourceText {
			return append(b, `,"source":"Archive"`...)
		}
		return append(b, `,"source":1`...)
	}
	if r.kind == reserved {
		return append(b, `,"isReservation":true,"reservationType":"VisaReservation","source":"AccountStatement"`...)
	}
	b = append(b, `,"isReservation":false,"reservationType":null`...)
	if r.day > p.today-p.o.ArchiveLag {
		return append(b, `,"source":"AccountStatement"`...)
	}
	return append(b, `,"source":"Archive"`...)
}

func (p pen) cardDetails(b []byte, r row, value int) []byte {
	m := merchants[r.content>>8%uint64(len(merchants))]
	b = append(b, `,"cardDetailsSpecified":true,"cardDetails":{"cardNumber":"*`...)
	b = appendPadded(b, int(p.card()), 4)
	b = append(b, `","currencyAmount":`...)
	b = p.amount(b, -r.ore(p.creditCard))
	b = append(b, `,"currencyRate":1.00000,"merchantCategoryCode":"`...)
	b = append(b, m.code...)
	b = append(b, `","merchantCategoryDescription":"`...)
	b = append(b, m.category...)
	b = append(b, `","merchantCity":"`...)
	b = append(b, m.city...)
	b = append(b, `","merchantName":"`...)
	b = append(b, m.name...)
	b = append(b, `","originalCurrencyCode":"NOK"`...)
	day := p.purchaseDay(r)
	if p.o.PurchaseYearBug {
		_, month, d := dayTime(day).Date()
		day = dayNumber(dayTime(value).Year(), month, d)
	}
	b = appendDay(b, `,"purchaseDate":"`, day)
	b = append(b, `,"transactionId":"481`...)
	b = appendPadded(b, int(r.content>>4%10_000_000_000_000), 13)
	return append(b, `"}`...)
}

func (p pen) amount(b []byte, ore int64) []byte {
	if !p.o.TwoDecimals {
		return appendDecimal(b, ore, 3)
	}
	// As a plain JSON encoder writes it: no trailing zeros.
	return strconv.AppendFloat(b, float64(ore)/100, 'f', -1, 64)
}

// appendDecimal writes øre as kroner with two decimals, or three on the wire.
func appendDecimal(b []byte, ore int64, decimals int) []byte {
	if ore < 0 {
		b = append(b, '-')
		ore = -ore
	}
	b = strconv.AppendInt(b, ore/100, 10)
	b = append(b, '.', byte('0'+ore/10%10), byte('0'+ore%10))
	if decimals == 3 {
		b = append(b, '0')
	}
	return b
}

// appendDay writes a naive local midnight in quotes, after a prefix.
func appendDay(b []byte, prefix string, day int) []byte {
	b = append(b, prefix...)
	y, m, d := dayTime(day).Date()
	b = appendPadded(b, y, 4)
	b = append(b, '-', byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10))
	return append(b, `T00:00:00"`...)
}

func appendPadded(b []byte, n, width int) []byte {
	for m := n; m >= 10; m /= 10 {
		width--
	}
	for ; width > 1; width-- {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, int64(n), 10)
}
