package dbnordics

import (
	"testing"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

func TestAmountsAreReadExactly(t *testing.T) {
	for text, want := range map[string]string{
		`"12345.67"`: "12345.67", `"50000"`: "50000", `"0"`: "0", `"0.00"`: "0", `"5."`: "5", `".5"`: "0.5", `"007"`: "7",
		`"9007199254740993.11"`: "9007199254740993.11", `"-12.50"`: "-12.5", `41250`: "41250", `0.29`: "0.29",
		`""`: "", `null`: "",
		`"."`: "error", `"-"`: "error", `"1e3"`: "error", `"1,5"`: "error", `"1.2.3"`: "error", `" 1"`: "error", `"+1"`: "error",
		`"99999999999999999999"`: "error", `true`: "error", `"--1"`: "error",
	} {
		s := jsonread.Scan([]byte(text))
		got := decimal(s).String()
		if s.End() != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

func TestFormsOfMoney(t *testing.T) {
	for text, want := range map[string]money{
		`{"amount":"41250","currency":"SEK"}`:                       {amount: amount("41250"), currency: "SEK"},
		`{"currency":"SEK","amount":"41250.10"}`:                    {amount: amount("41250.1"), currency: "SEK"},
		`{"monetaryAmount":{"amount":"1.5","currency":"NOK"}}`:      {amount: amount("1.5"), currency: "NOK"},
		`{"percentage":"12.5"}`:                                     {percentage: "12.5"},
		`{"percentage":12.5,"monetaryAmount":null}`:                 {percentage: "12.5"},
		`{"amount":"","currency":"SEK"}`:                            {currency: "SEK"},
		`{"amount":null,"currency":null}`:                           {},
		`null`:                                                      {},
		`{}`:                                                        {},
		`"77.10"`:                                                   {amount: amount("77.1")},
		`{"percentage":"3","monetaryAmount":{"amount":"1"}}`:        {amount: amount("1"), percentage: "3"},
		`{"monetaryAmount":{"amount":"1"},"percentage":"-3"}`:       {amount: amount("1"), percentage: "-3"},
		`{"amount":"8","currency":"EUR","basis":{"rate":"1.00"}}`:   {amount: amount("8"), currency: "EUR"},
		`{"amount":"8","currency":"NOK","monetaryAmount":"unused"}`: {amount: amount("8"), currency: "NOK"},
	} {
		var x jsonread.Extra
		s := jsonread.Scan([]byte(text))
		got := readMoney(s, &x)
		if err := s.End(); err != nil || !got.amount.Equal(want.amount) || got.currency != want.currency || got.percentage != want.percentage {
			t.Errorf("%s: %+v, error %v", text, got, err)
		}
	}
	for _, text := range []string{`{"amount":"1","currency":"kr"}`, `{"amount":[]}`, `{"amount":"1","currency":"SEKK"}`, `{"currency":"sek"}`} {
		var x jsonread.Extra
		s := jsonread.Scan([]byte(text))
		if readMoney(s, &x); s.Err() == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

func TestDates(t *testing.T) {
	for text, want := range map[string]struct{ text, day string }{
		`{"year":2026,"month":11,"day":3}`:        {"2026-11-03", "2026-11-03"},
		`{"day":3,"month":11,"year":2026,"tz":1}`: {"2026-11-03", "2026-11-03"},
		`{"year":2026,"month":9}`:                 {"2026-09", ""},
		`{"year":2026,"month":9,"day":null}`:      {"2026-09", ""},
		`{"year":2026}`:                           {"2026", ""},
		`{}`:                                      {"", ""},
		`null`:                                    {"", ""},
		`"2026-11-03"`:                            {"2026-11-03", "2026-11-03"},
		`"2026W44"`:                               {"2026W44", "2026-10-26"},
		`"2019W42"`:                               {"2019W42", "2019-10-14"},
		`"2026W01"`:                               {"2026W01", "2025-12-29"},
		`"2026W53"`:                               {"2026W53", "2026-12-28"}, // 2026 has 53 weeks
		`"2025W53"`:                               {"2025W53", ""},           // 2025 has not
		`"2026W00"`:                               {"2026W00", ""},
		`"2026W4"`:                                {"2026W4", ""},
		`"soon"`:                                  {"soon", ""},
		`{"year":2026,"month":2,"day":30}`:        {"error", ""},
		`{"year":2026,"month":13,"day":1}`:        {"error", ""},
		`{"year":2026,"month":0,"day":1}`:         {"error", ""},
		`{"month":2,"day":3}`:                     {"error", ""},
		`{"year":"2026"}`:                         {"error", ""},
		`20261103`:                                {"error", ""},
		`"850101-9700"`:                           {"[number]", ""},
		`{"year":99999999999999999999,"month":11}`: {"error", ""},
	} {
		s := jsonread.Scan([]byte(text))
		got := readMoment(s)
		if s.End() != nil {
			got = moment{text: "error"}
		}
		if got.text != want.text || got.day.String() != want.day {
			t.Errorf("%s is %q, %q", text, got.text, got.day)
		}
		if got.day.IsZero() != got.time().IsZero() || !got.day.IsZero() && finance.DateOf(got.time()) != got.day {
			t.Errorf("%s: the instant is %s", text, got.time())
		}
	}
}
