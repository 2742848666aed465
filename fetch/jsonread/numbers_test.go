package jsonread

import "testing"

func TestHasHugeNumber(t *testing.T) {
	for text, want := range map[string]bool{
		`{"a":1e1000}`:                 false,
		`{"a":1e1001}`:                 true,
		`{"a":1E-1001}`:                true,
		`{"a":1e+1001}`:                true,
		`[1,2.5e99999999999999999999]`: true,
		`{"a":true,"b":false}`:         false,
		`{"a":"1e1001","1e1001":2}`:    false,
		``:                             false,
	} {
		if got := HasHugeNumber([]byte(text)); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
}
