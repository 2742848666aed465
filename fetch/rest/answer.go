package rest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// decoder reads one answer.
type decoder struct {
	p       *pass
	s       *jsonread.Scanner
	subject finance.Subject
	page    fetch.Page
	found   values          // of the envelope
	nulls   []bool          // which of these are there, and null
	lists   []bool          // which lists were there
	count   int             // elements of all lists
	first   string          // the mark of the first record, where the page before may be compared
	last    string          // that of the last one
	shown   string          // what the last one shows
	made    []string        // ids made on this page, which later pages must know
	seen    map[string]bool // those of earlier pages
	known   bool            // the present record stood on the page before, and was stored
	again   map[string]bool // the ids of such, where they are no sign that the list has moved
	alike   map[string]uint64
	extra   jsonread.Extra
	unread  []string // members of the current record that no path leads to
	fault   error    // why the answer as a whole is refused
}

func newDecoder(p *pass) *decoder {
	d := &decoder{
		p: p, found: p.envelope.values(), nulls: make([]bool, p.envelope.size+1), lists: make([]bool, len(p.Records)),
		seen: map[string]bool{}, alike: map[string]uint64{},
	}
	if consent := p.stream.Task.Consent; consent != nil {
		d.subject = consent.Subject
	}
	for _, id := range p.at.Earlier {
		d.seen[id] = true
	}
	return d
}

// read reads the answer into the page. What it says about the next page is in found.
func (d *decoder) read(a *fetch.Answer) error {
	if !a.IsPart() || !d.p.inParts() {
		d.page.AddMissing(a.Unfinished())
	}
	if saysNothing(a) {
		return nil
	}
	d.s = jsonread.Scan(a.Body)
	t := taking{s: d.s, into: d.found, nulls: d.nulls, list: d.list}
	t.value(d.p.envelope.root, "")
	if err := d.s.End(); err != nil {
		return err
	}
	if d.fault != nil {
		return d.fault
	}
	if err := d.allLists(); err != nil {
		return err
	}
	if err := d.whose(d.found.first(d.p.subject), len(d.p.subject) > 0); err != nil {
		return err
	}
	for i, echo := range d.p.echoes {
		text, err := textOf(d.found.first(d.p.repeated[i]))
		if err != nil || text != echo.fill(d.p.asked, asItIs) {
			return fetch.WrongSubject(fmt.Sprintf("the answer does not repeat at %s what was asked for", echo.name))
		}
	}
	d.believeAbsence()
	return d.partial()
}

// saysNothing says that an answer has nothing: in so many words, or by a status that a rule calls ok.
func saysNothing(a *fetch.Answer) bool {
	switch {
	case a.Status == http.StatusNoContent, a.Status >= http.StatusMultipleChoices:
		return true
	}
	return len(bytes.TrimSpace(a.Body)) == 0
}

// allLists refuses an answer without a list that must be there: an answer of another shape must not look empty.
func (d *decoder) allLists() error {
	for i := range d.p.Records {
		l := &d.p.Records[i]
		if l.mustBeThere() && !d.lists[i] {
			return fmt.Errorf("the answer has no list of records at %s", l.Path)
		}
	}
	return nil
}

// mustBeThere says that an answer without the list is one of another shape.
func (l *List) mustBeThere() bool { return !l.Optional && l.Empty != emptyAbsent }

// believeAbsence takes a list that the API leaves out when it is empty for an empty one. By now the answer has shown by its
// subject or its echoes that it is a good one; where it tells neither, its total must fit.
func (d *decoder) believeAbsence() {
	for i := range d.p.Records {
		if d.p.Records[i].Empty == emptyAbsent && !d.lists[i] {
			d.lists[i] = d.isGood()
		}
	}
}

// isGood says that the answer has shown to be one to what was asked.
func (d *decoder) isGood() bool {
	if len(d.p.subject) > 0 && d.subject.Known() {
		return true
	}
	return len(d.p.echoes) > 0 || d.totalFits()
}

// totalFits says that the answer tells how many records there are, and that it shows as many.
func (d *decoder) totalFits() bool {
	raw, w := d.heard(d.p.total)
	if w != said {
		return false
	}
	total, err := wholeOf(raw)
	return err == nil && total == int64(d.count)
}

// ids are the keys of the page's records.
func (d *decoder) ids() (ids []string) {
	for i := range d.page.Records.Accounts {
		ids = append(ids, d.page.Records.Accounts[i].ID)
	}
	for i := range d.page.Records.Transactions {
		ids = append(ids, d.page.Records.Transactions[i].ID)
	}
	for i := range d.page.Records.Debts {
		ids = append(ids, d.page.Records.Debts[i].ID)
	}
	return ids
}

// news are the keys of those records that were not asked for once more.
func (d *decoder) news() []string {
	return slices.DeleteFunc(d.ids(), func(id string) bool { return d.again[id] })
}

// lastOfBefore is the mark of the record that was the last of the page before, where that is shown once more.
func (d *decoder) lastOfBefore() string {
	if d.p.overlap == lastPage {
		return d.last
	}
	return d.first
}

// mark names a record by what it shows, so that the place behind it is found again: by the API's own key, or else by all
// that is read of it.
func (d *decoder) mark(v values) string {
	text := d.p.into.own(v)
	if text == "" {
		text = strings.Join(v, "\x00")
	}
	return digest(text)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// list reads a list of records.
func (d *decoder) list(number int) {
	s := d.s
	l := &d.p.Records[number-1]
	if s.Null() {
		return
	}
	d.lists[number-1] = true
	base := int32(d.count)
	for a := s.Array(); a.Next(); d.count++ {
		d.element(&a, l, base+a.Place())
	}
}

// element reads one record of a list.
func (d *decoder) element(a *jsonread.Array, l *List, place int32) {
	v, why := d.readElement(a)
	d.markElement(v)
	again := d.isAgain()
	if again && d.shown == d.p.at.Shown {
		return // it was the last of the page before, and is stored as it is
	}
	d.known = again || d.p.overlap == lastPage
	if why == "" {
		if err := d.take(l, v, place); err != nil {
			why = err.Error()
		}
	}
	if again {
		d.again = map[string]bool{}
		for _, id := range d.ids() {
			d.again[id] = true
		}
	}
	if why != "" {
		d.extra.Reset()
		if d.p.elsewhere(l.Status) {
			return // it is looked at in the window that it belongs to
		}
		reject := a.Reject(why, d.ownKey(v))
		reject.Place = place
		d.page.Rejects = append(d.page.Rejects, reject)
	}
}

// readElement reads the values of the present element, and says why it could not be read.
func (d *decoder) readElement(a *jsonread.Array) (v values, why string) {
	v = d.p.record.values()
	d.unread = d.unread[:0]
	if d.s.Peek() != '{' {
		d.s.Fail("not an object")
	}
	t := taking{s: d.s, into: v, rest: d.keep}
	t.value(d.p.record.root, "")
	return v, a.Broken()
}

// markElement notes what the present element shows, by which the place behind it is found again.
func (d *decoder) markElement(v values) {
	if !d.p.Pagination.counts() {
		return
	}
	d.last = d.mark(v)
	d.shown = digest(strings.Join(v, "\x00") + "\x00" + strings.Join(d.unread, "\x00"))
	if d.count == 0 {
		d.first = d.last
	}
}

// isAgain says that the present element is the last one of the page before.
func (d *decoder) isAgain() bool {
	if d.p.overlap != lastRecord || d.count > 0 {
		return false
	}
	return d.first == d.p.at.Last
}

// ownKey is the API's own key of a record that can't be kept; empty where it can't be told, or is the person's number.
func (d *decoder) ownKey(v values) string {
	id := d.p.into.own(v)
	if d.isSubject(id) {
		return ""
	}
	return id
}

func (d *decoder) take(l *List, v values, place int32) error {
	if err := d.whose(v.first(d.p.owner), len(d.p.owner) > 0); err != nil {
		d.fault = err // one record of somebody else, and the whole answer can't be trusted
		return err
	}
	return d.p.into.take(d, l, v, place)
}

// extraJSON is what the current record has left over.
func (d *decoder) extraJSON() ([]byte, error) {
	if len(d.unread) == 0 {
		return nil, nil
	}
	s := jsonread.Scan([]byte("{" + strings.Join(d.unread, ",") + "}"))
	for o := s.Object(); o.Next(); {
		o.Extra(&d.extra)
	}
	if s.End() != nil {
		return nil, errors.New("what is left of the record can't be kept: two members of one path, or too many")
	}
	return d.extra.JSON(), nil
}

// remember notes an id that was made here, for later pages of the list: the twin of a record gets another.
func (d *decoder) remember(id string, made bool) {
	if made && !d.seen[id] {
		d.seen[id] = true
		d.made = append(d.made, id)
	}
}

// partial looks for signs that something is missing.
func (d *decoder) partial() error {
	for i := range d.p.Partial {
		sign := &d.p.Partial[i]
		raw := d.found[d.p.signs[i]]
		if raw == "" {
			continue
		}
		if sign.Above != nil {
			n, err := wholeOf(raw)
			if err != nil {
				return fmt.Errorf("what stands at %s is not a whole number", sign.Path)
			}
			if n > int64(*sign.Above) {
				d.page.Partial = fmt.Sprintf("%d %s", n, sign.Says)
			}
			continue
		}
		if text, err := textOf(raw); err == nil && slices.Contains(sign.Is, text) {
			d.page.Partial = sign.Says
		}
	}
	return nil
}
