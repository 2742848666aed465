package finance

import "testing"

// A number is masked in whatever form a provider, a gateway or a person writes it.
func TestANationalIDIsMaskedInEveryForm(t *testing.T) {
	for _, form := range []string{
		"15088512909", "150885 12909", "150885-12909", "150885.12909", "15.08.85 12909", "15.08.85-12909", "15/08/85 12909",
		"150885\u200b12909", "150885\u00a012909", "150885\u202f12909", "150885\u00ad12909", "1\u200b5\u200b0\u200b8\u200b8\u200b5\u200b1\u200b2\u200b9\u200b0\u200b9",
		"150885%2012909", "150885%2D12909", "150885%C2%A012909", "150885%E2%80%8B12909", "%31%35%30%38%38%35%31%32%39%30%39", "150885+12909",
		"1 5 0 8 8 5 1 2 9 0 9", "1-5-0-8-8-5-1-2-9-0-9", "15 08 85 129 09", "150885 129 09", "150885\t12909", "150885\n12909",
		"150885  -  12909", "１５０８８５１２９０９", "１５０８８５ １２９０９", "١٥٠٨٨٥١٢٩٠٩", "𝟏𝟓𝟎𝟖𝟖𝟓𝟏𝟐𝟗𝟎𝟗", "150885\u201312909", "150885\u201412909", "150885_12909",
		"19811218-9876", "811218-9876", "198112189876", "8112189876", "811218+9876", "811218\u20119876", "19811218 9876",
		"1 9 8 1 1 2 1 8 9 8 7 6", "811218%2D9876", "８１１２１８-９８７６",
	} {
		for _, around := range [][2]string{{"", ""}, {"customer ", " is blocked"}, {"id=", "&x=1"}, {"/persons/", "/debt"}, {"æ", "ø"}} {
			if got, want := MaskNationalIDs(around[0]+form+around[1]), around[0]+Masked+around[1]; got != want {
				t.Errorf("%q: %q, want %q", around[0]+form+around[1], got, want)
			}
		}
	}
}

// The number of the item's own subject is found wherever its digits stand.
func TestASubjectsNumberIsMaskedAnywhere(t *testing.T) {
	const subject = "15088512909"
	for text, want := range map[string]string{
		"trace 99" + subject + "77":            "trace 99" + Masked + "77",
		"req-2026-150885-129-09":               "req-2026-" + Masked,
		"15088512909 and 1508 8512 909, twice": Masked + " and " + Masked + ", twice",
	} {
		if got := MaskNationalIDs(text, subject); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A Swedish subject is known without the century, and what else looks like a number stays where only subjects are meant.
func TestOnlySubjectsAreMasked(t *testing.T) {
	const subject = "198112189876"
	for text, want := range map[string]string{
		"19811218-9876 and 811218-9876":        Masked + " and " + Masked,
		"8112\u200b189876, invoice 8507099805": Masked + ", invoice 8507099805",
		"15088512909":                          "15088512909",
	} {
		if got := MaskSubjects(text, subject); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What only looks a little like a number stays: times, amounts, ids.
func TestWhatIsNoNationalIDStays(t *testing.T) {
	for _, text := range []string{
		"", "no digits", "status 404", "2026-11-30T09:54:04.123456Z", "2026-11-30 09:54", "20261130 0954 UTC", "2026-11-03 2026W44 41250.00", "12 345 678,90 NOK",
		"4bf92f3577b34da6a3ce929d0e0e4736", "01936f3e-7c1a-7b2e-9a51-6f0f3a2b1c4d", "100%", "50% 20", "12345678901", "Retry-After: 120",
		"10.0.0.1:5432", "NO93 8601 1117 947",
	} {
		if got := MaskNationalIDs(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func FuzzMaskNationalIDs(f *testing.F) {
	f.Add("150885%2012909", "15088512909")
	f.Add("%", "")
	f.Fuzz(func(t *testing.T, text, subject string) {
		once := MaskNationalIDs(text, subject)
		if again := MaskNationalIDs(once, subject); again != once {
			t.Errorf("%q: %q, then %q", text, once, again)
		}
	})
}
