package dbnordics

import (
	"strings"
	"testing"

	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// trader is a synthetic personal identity number, with a birth number that nobody gets.
const trader = "8501019700"

func TestWhomAConsentIsAbout(t *testing.T) {
	for _, c := range []struct {
		id, subject string
		want        company
		fails       string // a part of the error
	}{
		{"SE-5560160680", "", company{country: "se", number: "5560160680"}, ""},
		{"SE-5560391954", trader, company{country: "se", number: "5560391954"}, ""}, // a known subject does not matter here
		{"NO-914778271", "", company{country: "no", number: "914778271"}, ""},
		{"SE-subject-customer-7", trader, company{country: "se", number: trader, person: true}, ""},
		{"SE-subject-customer-7", "19" + trader, company{country: "se", number: "19" + trader, person: true}, ""},

		{"SE-5560160681", "", company{}, "control digit"},
		{"NO-914778272", "", company{}, "control digit"},
		{"NO-5560160680", "", company{}, "names no company"},
		{"SE-556016-0680", "", company{}, "names no company"},
		{"DK-23456789", "", company{}, "names no company"},
		{"5560160680", "", company{}, "names no company"},
		{"SE-", "", company{}, "names no company"},
		{"", "", company{}, "this one has no external_id"},
		{"SE-" + trader, "", company{}, "personal identity number"},
		{"SE-19" + trader, "", company{}, "personal identity number"},
		{"SE-" + trader[:6] + "-" + trader[6:], "", company{}, "personal identity number"},
		{"NO-14842249091", "", company{}, "personal identity number"},
		{"SE-subject-" + trader, trader, company{}, "not the number"},
		{"SE-subject-", trader, company{}, "wants a reference"},
		{"SE-subject-customer-7", "", company{}, "national_id"},
		{"SE-subject-customer-7", "5560160680", company{}, "no Swedish personal identity number"},
		{"SE-subject-customer-7", "8501019701", company{}, "no Swedish personal identity number"},
	} {
		consent := finance.Consent{ID: 1, ExternalID: c.id}
		if c.subject != "" {
			consent.Subject = fetchtest.Subject(c.subject)
		}
		got, err := companyOf(&consent)
		switch {
		case got != c.want || (err != nil) != (c.fails != ""):
			t.Errorf("%s: %+v, error %v", c.id, got, err)
		case err != nil && (!strings.Contains(err.Error(), c.fails) || strings.Contains(err.Error(), trader) || strings.Contains(err.Error(), "14842249091")):
			t.Errorf("%s: error %v, want %q in it and no number", c.id, err, c.fails)
		}
	}
	if _, err := companyOf(nil); err == nil {
		t.Error("nobody was accepted")
	}
}

func TestSameNumberInItsForms(t *testing.T) {
	se, no := company{country: "se", number: "5560160680"}, company{country: "no", number: "914778271"}
	person := company{country: "se", number: "19" + trader, person: true}
	for _, c := range []struct {
		about  company
		number string
		want   bool
	}{
		{se, "5560160680", true}, {se, "556016-0680", true}, {se, "165560160680", true}, {se, "5560391954", false}, {se, "", false},
		{no, "914778271", true}, {no, "914 778 271", true}, {no, "914778272", false},
		{person, trader, true}, {person, "850101-9700", true}, {person, "850101+9700", true}, {person, "19" + trader, true}, {person, "8502019700", false},
	} {
		if got := c.about.is(c.number); got != c.want {
			t.Errorf("%+v is %q: %t", c.about, c.number, got)
		}
	}
}

func TestNumbersOfPersonsAreWithheld(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"no number":                          "no number",
		"org 5560160680 and 914778271":       "org 5560160680 and 914778271",
		trader:                               "[number]",
		"is " + trader + " right?":           "is [number] right?",
		"x19" + trader + "y":                 "x[number]y",
		"850101-9700, 850101+9700":           "[number], [number]",
		"2026 " + trader:                     "2026 [number]",
		"850161-9707":                        "[number]",    // a co-ordination number
		"850160-9708":                        "850160-9708", // no such day
		"850161-9703":                        "850161-9703", // the control digit is wrong
		"14842249091":                        "[number]",
		"148422 49091":                       "[number]",
		trader + " " + trader:                "[number] [number]",
		"2026-11-03 2026W44 41250.00":        "2026-11-03 2026W44 41250.00",
		"21" + trader:                        "21" + trader, // not yet born
		"999999999999999999999999 " + trader: "999999999999999999999999 [number]",
	} {
		if got := withhold(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	for extra, want := range map[string]string{
		`{"a":1}`:                                  `{"a":1}`,
		`{"a":"x","b":{"number":"850101-9700"}}`:   `{"a":"x"}`,
		`{"a":` + trader + `}`:                     ``,
		`{"` + trader + `":1,"z":[1.50,"\u00e5"]}`: `{"z":[1.50,"\u00e5"]}`,
	} {
		if got := string(discreet([]byte(extra))); got != want {
			t.Errorf("%s became %s", extra, got)
		}
	}
}
