package dbnordics

import (
	"errors"
	"strings"

	"syncer/finance"
)

// company is whom a consent is about. A consent's external id is one of
//
//	SE-5560160680        a Swedish organisation number: ten digits
//	NO-914778271         a Norwegian organisation number: nine digits
//	SE-subject-REFERENCE a Swedish sole trader: a reference of ours, any but the number
//
// A sole trader's registration number is a personal identity number, so it may not be an id, which stands in tables and
// logs. It is the consent's sealed subject, with ten or twelve digits, and goes nowhere but into the request's body.
type company struct {
	country string // as in the API's paths: se or no
	number  string // what is asked for
	person  bool   // the number is a person's
}

const soleTrader = "SE-subject-"

// companyOf reads a consent. Its errors do not repeat the external id, which may be what must not be shown.
func companyOf(c *finance.Consent) (company, error) {
	if c == nil || c.ExternalID == "" {
		return company{}, errors.New("debt is read by consent, and this one has no external_id")
	}
	if reference, ok := strings.CutPrefix(c.ExternalID, soleTrader); ok {
		return soleTraderOf(c, reference)
	}
	country, number, _ := strings.Cut(c.ExternalID, "-")
	switch {
	case showsPerson(country, number):
		return company{}, errors.New("the external_id holds a personal identity number: write SE-subject-REFERENCE " +
			"and import the number as national_id")
	case country == "SE" && isSwedish(number):
		return company{country: "se", number: number}, nil
	case country == "NO" && isNorwegian(number):
		return company{country: "no", number: number}, nil
	}
	return company{}, errors.New("the external_id names no company: write SE- and ten digits or NO- and nine, " +
		"with the right control digit, or SE-subject-REFERENCE for a Swedish sole trader")
}

// showsPerson says that what should be a company's number holds that of a person.
func showsPerson(country, number string) bool {
	if withhold(number) != number {
		return true
	}
	if country != "SE" || len(number) < 10 {
		return false
	}
	return finance.IsPersonnummer(number[len(number)-10:])
}

// isSwedish says that a text is the number of a Swedish company.
func isSwedish(number string) bool { return hasDigits(number, 10) && luhn(number) }

// isNorwegian says that a text is the number of a Norwegian company.
func isNorwegian(number string) bool { return hasDigits(number, 9) && mod11(number) }

func hasDigits(s string, n int) bool { return len(s) == n && onlyDigits(s) }

func soleTraderOf(c *finance.Consent, reference string) (company, error) {
	number, ok := c.Subject.Reveal()
	switch {
	case reference == "", withhold(reference) != reference:
		return company{}, errors.New("the external_id of a sole trader wants a reference of ours behind SE-subject-, not the number")
	case !ok:
		return company{}, errors.New("a sole trader is asked for by personal identity number, and none is kept: import the consent with its national_id")
	case !onlyDigits(number), !finance.IsPersonnummer(number):
		return company{}, errors.New("the consent's national_id is no Swedish personal identity number of ten or twelve digits")
	}
	return company{country: "se", number: number, person: true}, nil
}

// is says whether the registration number of an answer is this company's. Swedish numbers come with ten digits or, with a
// century or 16 in front, with twelve, and some with a hyphen.
func (c company) is(number string) bool {
	return number != "" && c.short(number) == c.short(c.number)
}

func (c company) short(number string) string {
	number = strings.NewReplacer(" ", "", "-", "", "+", "").Replace(number)
	if c.country == "se" && len(number) == 12 {
		number = number[2:]
	}
	return number
}

func onlyDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// luhn checks the last digit of a Swedish number of ten digits, a company's or a person's.
func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[i] - '0')
		if i%2 == 0 {
			d = d*2/10 + d*2%10
		}
		sum += d
	}
	return sum%10 == 0
}

// mod11 checks the last digit of a Norwegian organisation number.
func mod11(s string) bool {
	sum := 0
	for i, weight := range []int{3, 2, 7, 6, 5, 4, 3, 2, 1} {
		sum += weight * int(s[i]-'0')
	}
	return sum%11 == 0
}
