package cambio

import (
	"errors"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// numberOf is the personnummer of the consent that a request is made for; empty if there is none.
func numberOf(r *fetch.Request) string {
	if r.Task.Consent == nil {
		return ""
	}
	number, _ := subjectOf(r.Task.Consent)
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
