package rest

import (
	"strings"

	"syncer/fetch"
)

// whose checks whom the answer, or a record, is about.
func (d *decoder) whose(raw string, wanted bool) error {
	if !wanted || !d.subject.Known() {
		return nil
	}
	text, err := textOf(raw)
	switch {
	case err != nil || text == "":
		return fetch.WrongSubject("the answer does not say whom it is about")
	case !d.isSubject(text):
		return fetch.WrongSubject("the answer is about another person than the consent")
	}
	return nil
}

// isSubject says whether a text is the number of the consent's person, written with or without separators.
func (d *decoder) isSubject(text string) bool {
	return d.subject.Known() && (d.subject.Is(text) || d.subject.Is(digitsOf(text)))
}

func digitsOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '.' {
			return -1
		}
		return r
	}, text)
}
