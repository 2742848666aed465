package cambio

import (
	"slices"
	"strings"
	"time"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// decodeVisits reads the care contacts of a patient and keeps the fees. A contact without a fee is no debt, and of one
// with a fee nothing is kept that tells what it was for.
//
// The answer is an array whose elements wrap arrays of one record. Its keys are compared without regard to case,
// because the services differ in it, one from the other and within one answer.
func decodeVisits(body []byte, number string, zone *time.Location) (fetch.Page, error) {
	d := visitReader{s: jsonread.Scan(body), number: number, zone: zone}
	page := fetch.Page{Done: true}
	for a := d.s.Array(); a.Next(); {
		d.element()
		if why := a.Broken(); why != "" {
			page.Rejects = append(page.Rejects, a.Reject(why, ""))
			continue
		}
		for _, debt := range d.got {
			debt.Place = a.Place()
			page.Records.Debts = jsonread.Append(d.s, page.Records.Debts, debt)
		}
	}
	switch {
	case d.s.End() != nil:
		return fetch.Page{}, d.s.Err()
	case d.foreign:
		return fetch.Page{}, fetch.WrongSubject("the answer shows a contact of another patient")
	}
	page.Vet()
	if !page.Hidden() {
		page.Whole = &finance.Whole{Prefix: visitPrefix}
	}
	return page, nil
}

type visitReader struct {
	s       *jsonread.Scanner
	number  string
	zone    *time.Location
	foreign bool
	got     []finance.Debt // of the current element
}

func (d *visitReader) element() {
	d.got = d.got[:0]
	known := false
	for o := d.s.Object(); o.Next(); {
		if strings.EqualFold(o.Key(), "contactEHRExtract") {
			known = d.s.Peek() == '['
			for in := d.s.Array(); in.Next(); {
				d.record()
			}
		}
	}
	if !known {
		d.s.Fail("an element without contactEHRExtract")
	}
}

// visit is what is read of a contact.
type visit struct {
	id       string // the system's number of it
	record   string // the id of the record, where there is no number
	fee      finance.Amount
	inactive bool
	begun    string
	status   string
	made     time.Time
	provider string // the care provider, of the largest unit that is named
	rank     int
}

func (d *visitReader) record() {
	v := visit{rank: len(unitRanks)}
	for o := d.s.Object(); o.Next(); {
		switch key := strings.ToLower(o.Key()); key {
		case "ehrid": // SE999999000001-Sim_U:EhrId:194609073277
			if _, number, ok := strings.Cut(d.identifier(), ":EhrId:"); ok {
				d.about(number)
			}
		case "patient":
			for in := d.s.Object(); in.Next(); {
				if strings.EqualFold(in.Key(), "patientID") {
					d.about(d.identifier())
				}
			}
		case "timecreated":
			v.made = d.moment(d.value())
		case "contact":
			d.contact(&v)
		default:
			d.unit(&v, key)
		}
	}
	d.keep(&v)
}

func (d *visitReader) contact(v *visit) {
	for o := d.s.Object(); o.Next(); {
		switch strings.ToLower(o.Key()) {
		case "contactinternalid":
			v.id = d.s.Word()
		case "rcid":
			v.record = d.identifier()
		case "contactpatientfee":
			v.fee = d.fee()
		case "contactactive":
			v.inactive = !d.s.Null() && !d.s.Bool()
		case "contactstatus":
			v.status = d.s.Word()
		case "contactbegindatetime":
			v.begun = d.value()
			d.moment(v.begun)
		}
	}
}

// keep makes a debt of a visit with a fee. The answer does not tell whether it was paid at the desk or is on an invoice,
// so the fee is what was owed at first, and what is owed now stays open.
func (d *visitReader) keep(v *visit) {
	id := v.id
	if finance.IsBlank(id) {
		id = v.record
	}
	if d.s.Err() != nil || !v.isOwed() {
		return
	}
	if finance.IsBlank(id) || holdsNumber(id, d.number) {
		d.s.Fail("a contact with a fee and without an id that can be kept")
		return
	}
	var extra jsonread.Extra
	extra.Add("contactBeginDateTime", v.begun)
	extra.Add("contactStatus", v.status)
	d.got = append(d.got, finance.Debt{
		ID: visitPrefix + id, Creditor: v.provider, Kind: "visit_fee", Currency: "SEK", OriginalBalance: v.fee,
		TermsLeft: -1, CoBorrower: -1, ReportedAt: v.made, Extra: discreet(extra.JSON(), d.number),
	})
}

// isOwed says that something was to be paid for the visit.
func (v *visit) isOwed() bool {
	if v.inactive || !v.fee.Valid {
		return false
	}
	return v.fee.Decimal.Sign() > 0
}

// about notes when an answer is about somebody else. What is no personnummer, such as a reserve number, proves nothing.
func (d *visitReader) about(number string) {
	if isOther(number, d.number) {
		d.foreign = true
	}
}

// isOther says that a text is the personnummer of somebody else.
func isOther(text, number string) bool {
	return finance.IsPersonnummer(text) && !isNumber(text, number)
}

// unitRanks are the units of a contact, from the care provider, who is owed, down. A ward would tell what for.
var unitRanks = []string{"contactheadcareproviderunit", "contactresponsibleunit"}

func (d *visitReader) unit(v *visit, key string) {
	for rank, name := range unitRanks {
		known := rank >= v.rank
		if known || key != name {
			continue
		}
		unitName := ""
		unitID := ""
		for o := d.s.Object(); o.Next(); {
			switch strings.ToLower(o.Key()) {
			case "unitname":
				unitName = d.s.Text()
			case "unitid":
				unitID = d.identifier()
			}
		}
		if name := orElse(unitName, unitID); name != "" {
			v.provider = name
			v.rank = rank
		}
	}
}

// identifier is the extension of an II: {"root":"1.2...","extension":"..."}.
func (d *visitReader) identifier() (extension string) {
	for o := d.s.Object(); o.Next(); {
		if strings.EqualFold(o.Key(), "extension") {
			extension = d.s.Word()
		}
	}
	return extension
}

// value is the digits of a TS: {"value":"20261103091500"}.
func (d *visitReader) value() (text string) {
	for o := d.s.Object(); o.Next(); {
		if strings.EqualFold(o.Key(), "value") {
			text = d.s.Word()
		}
	}
	return text
}

// moment reads yyyyMMddHHmmss or yyyyMMdd, which is Swedish time and has no zone.
func (d *visitReader) moment(text string) time.Time {
	const layout = "20060102150405"
	if text == "" || d.s.Err() != nil {
		return time.Time{}
	}
	if !slices.Contains([]int{len(layout), len("20060102")}, len(text)) {
		d.s.Fail("not a moment as yyyyMMddHHmmss")
		return time.Time{}
	}
	t, err := time.ParseInLocation(layout[:len(text)], text, d.zone)
	if err != nil {
		d.s.Fail("not a moment as yyyyMMddHHmmss")
	}
	return jsonread.InUTC(t)
}

// fee reads contactPatientFee, a text such as 200, 200.00 or, as Swedes write, 200,00 and 1 200,00.
func (d *visitReader) fee() finance.Amount {
	text := strings.TrimSpace(d.s.Word())
	if text == "" || d.s.Err() != nil {
		return finance.Amount{}
	}
	if _, ore, found := strings.Cut(text, ","); found && len(ore) <= 2 {
		a, ok := jsonread.WrittenAmount(text, ",")
		if !ok {
			d.s.Fail("not a fee")
		}
		return a
	}
	a, err := finance.ParseAmount(text)
	if err != nil {
		d.s.Fail("not a fee")
	}
	return a
}
