package sbanken

import (
	"slices"
	"strings"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// row is a transaction and what of it decides where it belongs.
type row struct {
	finance.Transaction
	archived bool // the row is in the archive, so the recent list's copy is not wanted
}

type rowReader struct {
	s       *jsonread.Scanner
	account string
	extra   jsonread.Extra
}

// row reads one row of either list. Text and codes are kept as they came.
func (r *rowReader) row(t *row) {
	s := r.s
	t.AccountID = r.account
	t.Status = finance.Booked
	t.Currency = "NOK"
	kindText := ""
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "transactionId":
			if t.ID = s.Word(); finance.IsBlank(t.ID) {
				t.ID = ""
			}
		case "accountingDate":
			t.BookedOn = s.Date()
		case "interestDate":
			t.ValueOn = s.Date()
		case "amount":
			t.Amount = s.Amount()
		case "text":
			t.Text = s.Text()
		case "transactionType":
			t.Kind = s.Text()
		case "transactionTypeCode":
			t.Code = s.Word()
		case "transactionTypeText":
			kindText = s.Text()
		case "otherAccountNumber":
			t.CounterpartyAccount = s.Word()
		case "isReservation":
			if s.Bool() {
				t.Status = finance.Pending
			}
		case "source":
			t.archived = slices.Contains([]string{"Archive", "1"}, s.Word())
		case "cardDetails":
			r.card(t)
		case "transactionDetail":
			r.detail(t)
		case "cardDetailsSpecified", "transactionDetailSpecified", "otherAccountNumberSpecified", "hasTransactionDetail":
			// they repeat whether the member they name is there
		default:
			o.Extra(&r.extra)
		}
	}
	if strings.TrimSpace(kindText) != strings.TrimSpace(t.Kind) { // the bank pads it with blanks
		r.extra.Add("transactionTypeText", kindText)
	}
	if t.BookedOn.IsZero() {
		s.Fail("a row without an accounting date")
	}
	if !t.Amount.Valid {
		s.Fail("a row without an amount")
	}
	t.PurchasedOn = nearYear(t.PurchasedOn, t.BookedOn)
}

func (r *rowReader) card(t *row) {
	s := r.s
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "currencyAmount":
			t.OriginalAmount = s.Amount()
		case "originalCurrencyCode":
			t.OriginalCurrency = s.Text()
		case "currencyRate":
			t.ExchangeRate = s.Amount()
		case "merchantName":
			t.MerchantName = s.Text()
		case "merchantCategoryCode":
			t.MerchantCategory = s.Word()
		case "purchaseDate":
			t.PurchasedOn = s.Date()
		default:
			o.ExtraUnder(&r.extra, "cardDetails.")
		}
	}
}

// detail reads the counterparty: whoever received if money went out, whoever paid if it came in. The amount may stand
// behind the details, so both names are kept until the end.
func (r *rowReader) detail(t *row) {
	s := r.s
	account := ""
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "formattedAccountNumber":
			account = strings.NewReplacer(".", "", " ", "").Replace(s.Word())
		case "cid":
			t.Reference = s.Word()
		case "receiverName", "payerName":
			name := s.Text()
			if t.CounterpartyName == "" {
				t.CounterpartyName = name
			} else {
				r.extra.Add("transactionDetail."+o.Key(), name)
			}
		default:
			o.ExtraUnder(&r.extra, "transactionDetail.")
		}
	}
	if t.CounterpartyAccount == "" {
		t.CounterpartyAccount = account
	}
}

// nearYear puts a purchase into the year in which it was made. Around new year the bank writes it with the year of
// the interest date, which is that of the credit card's invoice: a purchase of 31 December 2025 came as 2026-12-31. A
// purchase lies days before its booking, so one that lies 300 days away is in the wrong year.
func nearYear(purchased, booked finance.Date) finance.Date {
	if purchased.IsZero() || booked.IsZero() {
		return purchased
	}
	t := purchased.Time()
	years := 0
	switch before := booked - purchased; {
	case before < -300:
		years = -1
	case before > 300 && before < 430:
		years = 1
	default:
		return purchased
	}
	return finance.DateOf(t.AddDate(years, 0, 0))
}
