package rest

import (
	"slices"
	"testing"
)

// What stays is compared where it is stored: in its column, or among what has none.
func TestWhereWhatStaysIsStored(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]string{
		"":             nil,
		"iban":         {"number"},
		"bban":         {"number"},
		"account.iban": {"extra", "account", "iban"},
	} {
		a := Accounts{SameAs: path, Fields: AccountFields{Number: &Field{Path: Paths{"iban", "bban"}}}}
		if got := a.sameAs(); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}
