package cambio

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// numberOf is the personnummer of the consent that a request is made for; empty if there is none.
func numberOf(r *fetch.Request) string {
	if r.Scope.Consent == nil {
		return ""
	}
	number, _ := subjectOf(r.Scope.Consent)
	return number
}

// subjectOf is the personnummer of a consent as its twelve digits, which is how it is sent.
func subjectOf(consent *finance.Consent) (string, error) {
	plain, known := consent.Subject.Reveal()
	if !known {
		return "", errors.New("the consent's personnummer is not kept: import it again with its national_id")
	}
	number, ok := finance.FullPersonnummer(plain)
	if !ok {
		return "", errors.New("the consent's national id is no personnummer of twelve digits: import it again as YYYYMMDDNNNN")
	}
	return number, nil
}

// isNumber says whether an identifier in an answer is that personnummer, however it is written.
func isNumber(identifier, number string) bool {
	digits := strings.NewReplacer("-", "", "+", "", " ", "").Replace(identifier)
	return digits == number || digits == number[2:]
}

// holdsNumber says whether a key or a link holds the personnummer's digits, written together or apart, escaped or not.
func holdsNumber(text, number string) bool {
	together := strings.NewReplacer("-", "", "+", "", " ", "", ".", "")
	for _, form := range []string{text, unescaped(text)} {
		if strings.Contains(together.Replace(form), number[2:]) {
			return true
		}
	}
	return false
}

func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

var digitRuns = regexp.MustCompile(`\d{6,8}[-+ ]\d{4}|\d+`)

// hide masks the personnummer in a text, and every other one that can't be taken for something else: ten bare digits
// may be an invoice's number. The stack masks what looks like a Norwegian number; a hyphen in a Swedish one it does not
// know.
func hide(text, number string) string {
	if number != "" {
		for _, form := range []string{number, number[:8] + "-" + number[8:], number[2:8] + "-" + number[8:], number[2:8] + "+" + number[8:], number[2:]} {
			text = strings.ReplaceAll(text, form, "[number]")
		}
	}
	return digitRuns.ReplaceAllStringFunc(text, func(run string) string {
		if bare := strings.ReplaceAll(run, " ", ""); len(run) > 10 && finance.IsPersonnummer(bare) {
			return "[number]"
		}
		return run
	})
}
