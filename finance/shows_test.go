package finance

import "testing"

// A reason or a purpose that a person writes may hold a number in any form that a paste brings.
func TestANumberIsSeenInWhateverFormItIsPasted(t *testing.T) {
	for _, form := range []string{
		"15088512909", "150885 12909", "150885\u00a012909", "150885\u202f12909", "150885%2012909", "150885  12909", "150885\t12909",
		"150885\n12909", "15 08 85 129 09", "1 5 0 8 8 5 1 2 9 0 9", "１５０８８５１２９０９", "fnr15088512909x", "19811218-9876",
	} {
		if !ShowsNationalID("customer " + form + " called") {
			t.Errorf("%q is not seen", form)
		}
	}
	for _, other := range []string{"", "release 7", "ticket 12345678901", "2026-11-30 23:59", "500 consents of 15088"} {
		if ShowsNationalID(other) {
			t.Errorf("%q is no number of a person", other)
		}
	}
}
