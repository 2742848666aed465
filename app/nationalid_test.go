package app

import (
	"strings"
	"testing"
)

func TestNationalIDsOfTwoCountries(t *testing.T) {
	for text, want := range map[string]struct{ normal, err string }{
		"29868099311":     {"29868099311", ""},
		" 298680 99311 ":  {"29868099311", ""},
		"194609073277":    {"194609073277", ""},
		"19460907-3277":   {"194609073277", ""},
		"19460907+3277":   {"194609073277", ""},
		"19460907 3277":   {"194609073277", ""},
		"460907-3277":     {"460907-3277", "without its century"},
		"4609073277":      {"4609073277", "without its century"},
		"194609073278":    {"194609073278", "date or check digits"},
		"29868099312":     {"29868099312", "date or check digits"},
		"298680-99311":    {"298680-99311", "not eleven digits"},
		"5560360793":      {"5560360793", "not eleven digits"},
		"":                {"", "not eleven digits"},
		"19460907-3277-0": {"19460907-3277-0", "not eleven digits"},
	} {
		normal := NormalNationalID(text)
		err := CheckNationalID(normal)
		if normal != want.normal || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%q: %q, %v", text, normal, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "0123456789") {
			t.Errorf("%q: the error repeats it: %v", text, err)
		}
	}
}
