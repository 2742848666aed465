package cambio

import (
	"errors"
	"slices"
	"strings"
	"time"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// bundle is what a page of a search holds.
type bundle struct {
	total   int64
	counted bool
	linked  bool // the links are there, be there no next one
	next    string
	listed  bool     // the array of entries is there
	entries int64    // of what was searched for, in whatever state
	ids     []string // theirs, where they can be read
	notes   []string // what the server says is wrong with the results
	debts   []finance.Debt
	rejects []finance.Reject
}

// readBundle reads a FHIR Bundle (R4); entries reads the array of entries.
func readBundle(s *jsonread.Scanner, b *bundle, entries func()) error {
	kind := ""
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "resourceType":
			kind = s.Text()
		case "total":
			b.total, b.counted = s.Int()
		case "link":
			b.linked = s.Peek() == '['
			b.next = nextLink(s)
		case "entry":
			b.listed = s.Peek() == '['
			entries()
		}
	}
	switch {
	case s.End() != nil:
		return s.Err()
	case kind != "Bundle":
		return errors.New("the answer is no Bundle")
	}
	return nil
}

func nextLink(s *jsonread.Scanner) (next string) {
	for a := s.Array(); a.Next(); {
		relation := ""
		link := ""
		for o := s.Object(); o.Next(); {
			switch o.Key() {
			case "relation":
				relation = s.Text()
			case "url":
				link = s.Text()
			}
		}
		if relation == "next" {
			next = link
		}
	}
	return next
}

// entry is one entry of a Bundle with its resource: all that any of the resources has which are searched for here.
type entry struct {
	mode        string
	kind        string
	id          string
	status      string
	subject     subject
	identifiers []string
	modified    bool // it has a modifierExtension
	gross, net  money
	issuer      string
	updated     time.Time
	issues      []issue
}

// subject is a reference to a person.
type subject struct{ reference, identifier, display string }

type money struct {
	value    finance.Amount
	currency string
}

// note is what the server tells beside the results, if it is more than a courtesy.
func (e *entry) note() (words []string, ok bool) {
	if e.kind != "OperationOutcome" {
		return nil, false
	}
	for _, i := range e.issues {
		if i.severity != "information" && i.words() != "" {
			words = append(words, i.words())
		}
	}
	return words, true
}

// readEntry reads an entry. What has no column and is no health record goes to extra.
func readEntry(s *jsonread.Scanner, extra *jsonread.Extra) (e entry) {
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "resource":
			e.resource(s, extra)
		case "search":
			for in := s.Object(); in.Next(); {
				if in.Key() == "mode" {
					e.mode = s.Text()
				}
			}
		}
	}
	return e
}

func (e *entry) resource(s *jsonread.Scanner, extra *jsonread.Extra) {
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "resourceType":
			e.kind = s.Text()
		case "id":
			e.id = s.Text()
		case "status":
			e.status = s.Text()
		case "subject":
			e.subject = readReference(s)
		case "issuer":
			r := readReference(s)
			e.issuer = orElse(r.display, r.reference)
		case "totalGross":
			e.gross = readMoney(s)
		case "totalNet":
			e.net = readMoney(s)
		case "meta":
			e.updated = lastUpdated(s)
		case "issue":
			e.issues = readIssues(s)
		case "identifier":
			e.identifiers = readIdentifiers(s, &o, extra)
		case "modifierExtension":
			e.modified = !s.Null()
		case "recipient", "participant", "lineItem", "account", "note", "text", "contained", "implicitRules", "language":
			// persons and what they were treated for
		default:
			o.Extra(extra)
		}
	}
}

func readReference(s *jsonread.Scanner) (r subject) {
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "reference":
			r.reference = s.Text()
		case "display":
			r.display = s.Text()
		case "identifier":
			for in := s.Object(); in.Next(); {
				if in.Key() == "value" {
					r.identifier = s.Word()
				}
			}
		}
	}
	return r
}

// readIdentifiers gives the values of a resource's identifiers. That of an invoice is its number, which people know.
func readIdentifiers(s *jsonread.Scanner, o *jsonread.Object, extra *jsonread.Extra) (values []string) {
	for a := s.Array(); a.Next(); {
		for in := s.Object(); in.Next(); {
			if in.Key() == "value" {
				values = append(values, s.Word())
			}
		}
	}
	if s.Err() == nil {
		extra.Add(o.Key(), strings.Join(values, " "))
	}
	return values
}

// readMoney reads FHIR's Money. Some servers write the number as a string.
func readMoney(s *jsonread.Scanner) (m money) {
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "value":
			m.value = s.Amount()
		case "currency":
			m.currency = s.Text()
		}
	}
	return m
}

func lastUpdated(s *jsonread.Scanner) (t time.Time) {
	for o := s.Object(); o.Next(); {
		if o.Key() == "lastUpdated" {
			t = s.Time()
		}
	}
	return t
}

// decodePatient reads the answer to the look for a patient and gives the FHIR server's id, empty if it knows none. An
// answer that shows anybody else is refused.
func decodePatient(body []byte, number string) (id string, err error) {
	s := jsonread.Scan(body)
	var b bundle
	var extra jsonread.Extra // thrown away: a name and an address are nobody's debt
	var found []string
	foreign := false
	err = readBundle(s, &b, func() {
		for a := s.Array(); a.Next(); {
			e := readEntry(s, &extra)
			extra.Reset()
			if e.kind != "Patient" || e.mode == "include" || s.Err() != nil {
				continue
			}
			foreign = foreign || !slices.ContainsFunc(e.identifiers, func(i string) bool { return isNumber(i, number) })
			found = append(found, e.id)
		}
	})
	switch {
	case err != nil:
		return "", err
	case foreign:
		return "", fetch.WrongSubject("the answer shows a patient who has not the consent's personnummer")
	case len(found) > 1, b.next != "":
		return "", errors.New("more than one patient has the consent's personnummer: the provider has to merge them")
	case len(found) == 0:
		return "", nil
	case !resourceID.MatchString(found[0]):
		return "", errors.New("the patient has no id that can be asked for")
	case holdsNumber(found[0], number):
		return "", errors.New("the provider's id of the patient is the personnummer, which may stand in no cursor")
	}
	return found[0], nil
}
