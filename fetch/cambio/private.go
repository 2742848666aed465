package cambio

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"syncer/finance"
)

// hide masks the personnummer in a text, and every other one that can't be taken for something else: ten bare digits
// may be an invoice's number. The stack masks what looks like a Norwegian number; a hyphen in a Swedish one it does not
// know.
func hide(text, number string) string {
	text = finance.MaskSubjects(text, number)
	return digitRuns.ReplaceAllStringFunc(text, func(run string) string {
		if bare := strings.ReplaceAll(run, " ", ""); len(run) > 10 && finance.IsPersonnummer(bare) {
			return finance.Masked
		}
		return run
	})
}

var digitRuns = regexp.MustCompile(`\d{6,8}[-+ ]\d{4}|\d+`)

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

func holdsAny(text string) bool {
	return finance.IsPersonnummer(text) || finance.IsNationalID(text) || hide(text, "") != text
}

func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// discreet takes the patient's number out of what has no column.
func discreet(extra []byte, number string) []byte {
	text := hide(string(extra), number)
	if text == string(extra) {
		return extra
	}
	if !json.Valid([]byte(text)) { // it was a number and not a text
		return nil
	}
	return []byte(text)
}
