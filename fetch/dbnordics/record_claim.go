package dbnordics

import (
	"fmt"
	"strconv"
	"strings"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// claim is what a remark, a petition, a state of a Norwegian incident or a voluntary registration says. All of it is
// optional.
type claim struct {
	money
	creditor  string
	kind      string // the vendor's word for the type, known to us or not
	date      moment
	source    string
	reference string
	diary     string
}

// claim reads one. What has no column goes to Extra: the date and the references too.
func (d *decoder) claim(s *jsonread.Scanner) (c claim) {
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "amount":
			c.money = readMoney(s, &d.extra)
			d.extra.Add("percentage", c.percentage)
		case "creditor": // an object in Sweden, a text in Norway
			c.creditor = d.named(s, "name", "creditor.")
		case "type":
			c.kind = d.named(s, "code", "type.")
		case "date":
			c.date = readMoment(s)
			d.extra.Add("date", c.date.text)
		case "dueDate":
			d.extra.Add("dueDate", readMoment(s).text)
		case "source":
			c.source = d.kept(s, o.Key())
		case "reference":
			c.reference = d.kept(s, o.Key())
		case "diaryNumber":
			c.diary = d.kept(s, o.Key())
		default:
			o.Extra(&d.extra)
		}
	}
	if c.tellsNothing() {
		s.Fail("a record without date, creditor, type, amount and reference")
	}
	return c
}

// tellsNothing says that nothing is told by which anybody could know the claim.
func (c *claim) tellsNothing() bool {
	for _, told := range []string{c.creditor, c.kind, c.date.text, c.reference} {
		if told != "" {
			return false
		}
	}
	return !c.amount.Valid
}

// named reads a text, or the one member of an object that is wanted of it.
func (d *decoder) named(s *jsonread.Scanner, member, prefix string) (text string) {
	if s.Peek() != '{' {
		return withhold(s.Word())
	}
	for o := s.Object(); o.Next(); {
		if o.Key() == member {
			text = withhold(s.Word())
		} else {
			o.ExtraUnder(&d.extra, prefix)
		}
	}
	return text
}

// kept reads a text for the record's key, and keeps it.
func (d *decoder) kept(s *jsonread.Scanner, name string) string {
	text := withhold(s.Word())
	d.extra.Add(name, text)
	return text
}

// debt is the record of a claim. What a remark, a petition or a registration was for is its original balance: what of it
// is still owed the vendor does not know. So a sum over balances counts no claim twice.
func (c claim) debt(kind string) finance.Debt {
	debt := newDebt(kind)
	if c.kind != "" {
		debt.Kind += "/" + c.kind
	}
	debt.Creditor = c.creditor
	debt.OriginalBalance = c.amount
	debt.Currency = c.currency
	debt.ReportedAt = c.date.time()
	return debt
}

// category is one of the lists of claims.
type category struct {
	kind, prefix, words string
}

var (
	remark    = category{kindRemark, "remark:", "payment remarks"}
	petition  = category{kindPetition, "petition:", "petitions"}
	voluntary = category{kindVoluntary, "voluntary:", "voluntary registrations"}
)

// list reads a section that says how many claims there are and lists them: remarks or petitions in Sweden, incidents and
// registrations in Norway. The vendor cuts long lists off, so a count that
// is larger than its list tells that some are missing; the total is then all that is known of those.
func (d *decoder) list(s *jsonread.Scanner, of category) {
	if s.Peek() != '{' {
		d.silent = append(d.silent, section{of.prefix, of.words})
		s.Raw()
		return
	}
	said := false // how many there are, or which
	count := int64(0)
	listed := int64(0)
	var total money
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "count":
			said = said || s.Peek() != 'n'
			count = whole(s)
		case "amount":
			d.apart(s, "the total of "+of.words, func(s *jsonread.Scanner) { total = readMoney(s, &d.extra) })
			d.extra.Reset()
		case "paymentRemarks", "petitions":
			said = said || s.Peek() == '['
			listed += d.each(s, of.words, func(s *jsonread.Scanner) { d.add(of, d.claim(s)) })
		case "paymentRemarksGroups":
			said = said || s.Peek() == '['
			d.each(s, "incidents", func(s *jsonread.Scanner) { listed += d.incident(s) })
		case "voluntaryRegistrations":
			d.each(s, voluntary.words, func(s *jsonread.Scanner) { d.add(voluntary, d.claim(s)) })
		}
	}
	if s.Err() != nil {
		return
	}
	if !said {
		d.silent = append(d.silent, section{of.prefix, of.words})
	}
	d.total(of, total, count)
	if count > listed {
		d.missing = append(d.missing, fmt.Sprintf("%d of %d %s are missing from the answer", count-listed, count, of.words))
	}
}

// total keeps what the vendor gives as the sum over a list that it may have cut off.
func (d *decoder) total(of category, m money, count int64) {
	if count <= 0 || !m.amount.Valid {
		return
	}
	debt := newDebt(of.kind + kindTotal)
	debt.OriginalBalance = m.amount
	debt.Currency = m.currency
	debt.Place = d.place
	d.extra.Add("count", strconv.FormatInt(count, 10))
	debt.Extra = d.extra.JSON()
	d.place++
	d.debts = append(d.debts, keyed{Debt: debt, fixed: "total:" + of.prefix[:len(of.prefix)-1]})
}

// each reads the elements of a list and says how many there were. One that is broken does not cost its neighbours.
func (d *decoder) each(s *jsonread.Scanner, words string, read func(*jsonread.Scanner)) (n int64) {
	if s.Peek() != '[' {
		s.Raw()
		return 0
	}
	for a := s.Array(); a.Next(); n++ {
		before := len(d.debts)
		read(s)
		if why := a.Broken(); why != "" {
			d.extra.Reset()
			d.debts = d.debts[:before]
			d.reject("one of the "+words+": "+why, a.Text())
		}
		d.place++
	}
	return n
}

// add keeps a claim as a record.
func (d *decoder) add(of category, c claim) {
	debt := c.debt(of.kind)
	debt.Extra = discreet(d.extra.JSON())
	debt.Place = d.place
	parts := []string{c.date.text, plain(c.creditor), c.kind, c.source, c.reference, c.diary}
	if c.reference == "" && c.diary == "" {
		parts = append(parts, c.amount.String(), c.currency)
	}
	d.debts = append(d.debts, keyed{Debt: debt, prefix: of.prefix, parts: parts, rank: c.rank()})
}

// rank orders claims that are alike in all their key is made of.
func (c claim) rank() string { return c.date.text + " " + c.kind + " " + c.amount.String() }

// incident reads a Norwegian group of remarks: the states of one incident, newest first. It is one record, which says what
// the newest state says; where there are more, all are in Extra. Its key is made of the oldest one, which stays while
// newer ones are put in front. It says how many states there were.
func (d *decoder) incident(s *jsonread.Scanner) (listed int64) {
	var states []claim
	for o := s.Object(); o.Next(); {
		if o.Key() != "paymentRemarks" {
			o.ExtraUnder(&d.extra, "group.")
			continue
		}
		raw := s.Raw()
		if s.Err() != nil {
			return 0
		}
		states = d.states(s, raw)
	}
	if len(states) == 0 {
		d.extra.Reset()
		return 0
	}
	newest := states[0]
	oldest := states[len(states)-1]
	debt := newest.debt(kindRemark)
	debt.Balance = newest.amount
	debt.OriginalBalance = oldest.amount
	switch {
	case debt.Currency == "": // a percentage of a salary has none
		debt.Currency = oldest.currency
	case oldest.currency != debt.Currency: // two currencies have one column
		debt.OriginalBalance = finance.Amount{}
	}
	debt.Extra = discreet(d.extra.JSON())
	debt.Place = d.place
	parts := []string{oldest.date.text, plain(oldest.creditor), oldest.kind, oldest.amount.String()}
	if oldest.reference != "" {
		parts = []string{"reference", oldest.source, oldest.reference, plain(oldest.creditor)}
	}
	d.debts = append(d.debts, keyed{Debt: debt, prefix: remark.prefix, parts: parts, rank: oldest.rank()})
	return int64(len(states))
}

// states reads the states of an incident. Only the newest one's members are kept one by one.
func (d *decoder) states(s *jsonread.Scanner, raw string) (states []claim) {
	in := jsonread.Scan([]byte(raw))
	for a := in.Array(); a.Next(); {
		if len(states) == 0 {
			states = append(states, d.claim(in))
			continue
		}
		older := decoder{}
		states = append(states, older.claim(in))
	}
	if err := in.End(); err != nil {
		s.Fail("a state: " + reasonOf(err))
		return nil
	}
	if len(states) > 1 {
		for o := jsonread.Scan([]byte(`{"states":` + raw + `}`)).Object(); o.Next(); {
			o.Extra(&d.extra)
		}
	}
	return states
}

// whole reads a count. A text that holds one is good too, and what is none counts as not told.
func whole(s *jsonread.Scanner) int64 {
	n, err := strconv.ParseInt(scalar(s), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// count reads a count and keeps it.
func (d *decoder) count(s *jsonread.Scanner, name string) int64 {
	n := whole(s)
	d.extra.Add(name, strconv.FormatInt(n, 10))
	return n
}

// plain writes a name in one way.
func plain(name string) string { return strings.ToUpper(strings.Join(strings.Fields(name), " ")) }
