package jsonread

import (
	"strings"
	"testing"
)

func TestHasListOver(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		``: false, `{}`: false, `[]`: false, `[1,2,3]`: false, `[1,2,3,4]`: true,
		`{"rows":[{},{},{}]}`: false, `{"rows":[{},{},{},{}]}`: true,
		`{"a":1,"b":2,"c":3,"d":4,"e":5}`:           false, // members are no records
		`[[1,2],[3,4],[5,6]]`:                       false, // each list by itself
		`[[1,2],[3,4,5,6]]`:                         true,
		`[1,{"a":[1,2,3],"b":2},3]`:                 false,
		`[1,{"a":[1,2,3],"b":2},3,4]`:               true,
		`["a,b,c,d",2]`:                             false,
		`["a\",b,c,d,\\",2]`:                        false,
		`["a\\",2,3,4]`:                             true,
		`]],,,,`:                                    false,
		`["cut off, and, on, and on`:                false,
		strings.Repeat("[", 10_000) + `1,2,3,4,5,6`: false,
		// a list behind a record that nests too deeply is a list all the same
		`[` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `,1,2,3]`: true,
	} {
		if got := HasListOver([]byte(text), 3); got != want {
			t.Errorf("%.40s: %v, want %v", text, got, want)
		}
	}
}

// To look at an answer costs no memory, however long it is.
func TestHasListOverCostsNoMemory(t *testing.T) {
	text := []byte(`{"rows":[` + strings.Repeat(`{},`, 1<<20) + `{}]}`)
	for most, want := range map[int]bool{1000: true, 1 << 30: false, 1<<20 + 1: false, 1 << 20: true} {
		allocated := testing.AllocsPerRun(3, func() {
			if HasListOver(text, most) != want {
				t.Errorf("of %d elements more than %d: want %v", 1<<20+1, most, want)
			}
		})
		if allocated > 1 {
			t.Errorf("%g allocations", allocated)
		}
	}
}
