package rest

import (
	"syncer/fetch"
	"syncer/finance"
)

// whose checks whom the answer, or a record, is about.
func (d *decoder) whose(raw string, wanted bool) error {
	if !wanted || !d.subject.Known() {
		return nil
	}
	text, err := textOf(raw)
	switch {
	case err != nil, text == "":
		return fetch.WrongSubject("the answer does not say whom it is about")
	case !d.isSubject(text):
		return fetch.WrongSubject("the answer is about another person than the consent")
	}
	return nil
}

// isSubject says whether a text is the number of the consent's person, in any form. A Swedish one may be without its century.
func (d *decoder) isSubject(text string) bool {
	if !d.subject.Known() {
		return false
	}
	if d.subject.Is(text) {
		return true
	}
	digits := finance.BareNumber(text)
	if len(digits) == 10 && finance.IsPersonnummer(digits) {
		return d.subject.Is(digits) || d.subject.Is("19"+digits) || d.subject.Is("20"+digits)
	}
	return digits != "" && digits != text && d.subject.Is(digits)
}
