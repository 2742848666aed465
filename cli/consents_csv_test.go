package cli

import (
	"strings"
	"testing"
	"time"
)

// A day in a file of consents begins and ends where the provider is.
func TestADayOfAConsentEndsWhereTheProviderIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		zone, from, until, begins, ends string
	}{
		{"Europe/Oslo", "2026-06-30", "2026-06-30", "2026-06-29T22:00:00Z", "2026-06-30T22:00:00Z"},
		{"Europe/Oslo", "2026-01-31", "2026-01-31", "2026-01-30T23:00:00Z", "2026-01-31T23:00:00Z"},
		{"Europe/Oslo", "2026-03-29", "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // a day of 23 hours
		{"Europe/Helsinki", "2026-10-25", "2026-10-25", "2026-10-24T21:00:00Z", "2026-10-25T22:00:00Z"},
		{"UTC", "2026-06-30", "2026-06-30", "2026-06-30T00:00:00Z", "2026-07-01T00:00:00Z"},
		{"Europe/Oslo", "2026-06-30T12:00:00Z", "2026-06-30T13:00:00+02:00", "", ""},
		{"Europe/Oslo", "2026-06-30T12:00:00Z", "2026-06-30T15:00:00+02:00", "2026-06-30T12:00:00Z", "2026-06-30T13:00:00Z"},
	} {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		file, err := readConsents(strings.NewReader("external_id,valid_from,valid_until\none,"+tt.from+","+tt.until+"\n"), zone)
		if err != nil {
			t.Fatal(err)
		}
		if tt.ends == "" {
			if len(file.bad) != 1 {
				t.Errorf("%s to %s is no window", tt.from, tt.until)
			}
			continue
		}
		if len(file.good) != 1 {
			t.Fatalf("%+v", file.bad)
		}
		begins, ends := file.good[0].ValidFrom.UTC().Format(time.RFC3339), file.good[0].ValidUntil.UTC().Format(time.RFC3339)
		if begins != tt.begins || ends != tt.ends {
			t.Errorf("%s to %s in %s: %s to %s, want %s to %s", tt.from, tt.until, tt.zone, begins, ends, tt.begins, tt.ends)
		}
	}
}

// What a spreadsheet writes beside the values means nothing.
func TestAListOfASpreadsheetIsRead(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]string{
		"blank rows":             "external_id,purpose\n\n,\n f-7 ,a\n   \n\t\n\"\",\"\"\nf-8,b\n,,,\n",
		"sep":                    "\ufeffsep=;\r\nexternal_id;purpose\r\nf-7;a\r\nf-8;b\r\n",
		"sep of tabs":            "SEP=\t\nexternal_id\tpurpose\nf-7\ta\nf-8\tb\n",
		"sep of one column":      "sep=;\nexternal_id\nf-7\nf-8\n",
		"tabs between fields":    "external_id\tpurpose\nf-7\ta, and b\nf-8\tb\n",
		"tabs around fields":     "\texternal_id\t,\tpurpose\nf-7\t,a\n\tf-8,b\t\n",
		"trailing empty columns": "external_id,purpose,,\nf-7,a,,\nf-8,b\n",
		"trailing semicolons":    "external_id;purpose;;;\nf-7;a;;;\nf-8;b;;;\n;;;;\n",
	} {
		file, err := readConsents(strings.NewReader(list), time.UTC)
		if err != nil || len(file.bad) > 0 || len(file.good) != 2 {
			t.Errorf("%s: %v, %+v, %d good lines", name, err, file.bad, len(file.good))
			continue
		}
		if a, b := file.good[0].ExternalID, file.good[1].ExternalID; a != "f-7" || b != "f-8" {
			t.Errorf("%s: the ids %q and %q", name, a, b)
		}
	}
}

// What a spreadsheet has made of a value, and what nobody sees in it, is refused with its line.
func TestWhatASpreadsheetHasChangedIsRefused(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"f\u200b-7":       "U+200B",
		"\ufefff-7":       "U+FEFF",
		"f-7\u2060":       "U+2060",
		"f\u00ad7":        "U+00AD",
		"\u202ef-7":       "U+202E",
		"7,00001E+11":     "rounded",
		"7.00001e+11":     "rounded",
		"7E+11":           "rounded",
		`="f-7"`:          "formula of a spreadsheet",
		`"=""f-7"""`:      "formula of a spreadsheet",
		"=A1":             "formula of a spreadsheet",
		"f-7;a;extra":     "3 fields, and the header names 2",
		"  ;;only-behind": "3 fields, and the header names 2",
	} {
		file, err := readConsents(strings.NewReader("external_id;purpose\nok;\n"+value+";\n"), time.UTC)
		if err != nil || len(file.good) != 1 || len(file.bad) != 1 {
			t.Errorf("%q: %v, %+v", value, err, file)
			continue
		}
		if bad := file.bad[0]; bad.Line != 3 || !strings.Contains(bad.Problem, want) {
			t.Errorf("%q: line %d: %s; want %q", value, bad.Line, bad.Problem, want)
		}
	}
	for _, id := range []string{"5E10", "f=7", "E+11", "7e11", "a,b"} {
		file, err := readConsents(strings.NewReader("external_id;purpose\n"+id+";\n"), time.UTC)
		if err != nil || len(file.good) != 1 || file.good[0].ExternalID != id {
			t.Errorf("%q is an id: %v, %+v", id, err, file.bad)
		}
	}
}
