package cambio

import (
	"slices"
	"strings"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// Debts' ids begin with what they are.
const (
	invoicePrefix = "invoice-"
	visitPrefix   = "visit-"
)

// decodeInvoices reads a page of invoices. Issued ones are debts: a paid one is balanced (FHIR R4, Invoice.status). A
// page that shows another patient's invoice is refused as a whole.
func decodeInvoices(body []byte, patient, number string) (*bundle, error) {
	d := invoiceReader{s: jsonread.Scan(body), patient: patient, number: number}
	if err := readBundle(d.s, &d.b, d.entries); err != nil {
		return nil, err
	}
	if d.foreign {
		return nil, fetch.WrongSubject("the answer shows an invoice of another patient")
	}
	return &d.b, nil
}

type invoiceReader struct {
	s       *jsonread.Scanner
	extra   jsonread.Extra
	patient string
	number  string
	foreign bool
	b       bundle
}

// sort is what an entry of a search is.
type sort int

const (
	aside   sort = iota // not what was searched for
	settled             // an invoice of which nothing is owed
	owed
)

func (d *invoiceReader) entries() {
	for a := d.s.Array(); a.Next(); {
		e := readEntry(d.s, &d.extra)
		debt, sort := d.entry(&e)
		extra := d.extra.JSON()
		if why := a.Broken(); why != "" {
			d.b.entries++
			d.b.rejects = append(d.b.rejects, a.Reject(why, d.ownKey(&e)))
			continue
		}
		if sort != aside {
			d.b.entries++
			d.b.ids = append(d.b.ids, e.id)
		}
		if sort == owed {
			debt.Place, debt.Extra = a.Place(), discreet(extra, d.number)
			d.b.debts = append(d.b.debts, debt)
		}
	}
}

// ownKey is the key that an invoice which can't be kept has, if it is one that may be stored.
func (d *invoiceReader) ownKey(e *entry) string {
	if !d.mayKeep(e.id) {
		return ""
	}
	return invoicePrefix + e.id
}

// mayKeep says that an id is one of a resource, and shows nobody's number.
func (d *invoiceReader) mayKeep(id string) bool {
	return resourceID.MatchString(id) && !holdsNumber(id, d.number)
}

// entry makes a debt of an entry, if it is one.
func (d *invoiceReader) entry(e *entry) (debt finance.Debt, is sort) {
	if words, ok := e.note(); ok {
		for _, w := range words {
			d.b.notes = append(d.b.notes, hide(w, d.number))
		}
		return debt, aside
	}
	if d.s.Err() != nil || e.mode == "include" {
		return debt, aside
	}
	if d.isForeign(&e.subject) {
		d.foreign = true
	}
	switch {
	case e.kind != "Invoice":
		d.s.Fail("an entry that is no invoice")
	case e.modified:
		// FHIR R4, 2.4.2: what one does not understand here may turn the meaning round.
		d.s.Fail("an invoice with a modifierExtension")
	case e.status == "issued":
		return d.debt(e)
	case !slices.Contains([]string{"draft", "balanced", "cancelled", "entered-in-error"}, e.status):
		d.s.Fail("an invoice in a state that is not known")
	}
	return debt, settled
}

func (d *invoiceReader) debt(e *entry) (finance.Debt, sort) {
	total := e.gross
	if !total.value.Valid {
		total = e.net
	}
	switch {
	case !total.value.Valid:
		d.s.Fail("an issued invoice without a total")
	case !d.mayKeep(e.id):
		d.s.Fail("an invoice without an id that can be kept")
	case total.value.Decimal.Sign() <= 0: // a credit note
		return finance.Debt{}, settled
	}
	return finance.Debt{
		ID: invoicePrefix + e.id, Creditor: e.issuer, Kind: "invoice", Currency: orElse(total.currency, "SEK"),
		Balance: total.value, TermsLeft: -1, CoBorrower: -1, ReportedAt: e.updated,
	}, owed
}

// isForeign says whether a reference names somebody else than the patient. A reference may be relative, absolute, and
// to a version.
func (d *invoiceReader) isForeign(r *subject) bool {
	if isOther(r.identifier, d.number) {
		return true
	}
	_, id, named := strings.Cut("/"+r.reference, "/Patient/")
	id, _, _ = strings.Cut(id, "/")
	return named && id != d.patient
}
