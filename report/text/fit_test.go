package text

import (
	"bytes"
	"strings"
	"testing"
)

// narrow is a screen of 60 columns.
type narrow struct{ bytes.Buffer }

func (*narrow) Columns() int { return 60 }

// A command that stands on a line of its own is copied from there, so it stays whole, however narrow the screen is.
func TestACommandOfItsOwnStaysWhole(t *testing.T) {
	long := strings.Repeat("x", 30) + ".csv --connection " + strings.Repeat("y", 30)
	for line, whole := range map[string]bool{
		"  syncer consents import " + long:                                  true,
		"  export SYNCER_CONFIG=/tmp/" + strings.Repeat("x", 60) + " # and": true,
		"syncer has found that " + long:                                     false,
		"  it is syncer " + long:                                            false,
	} {
		if got := Fit(&narrow{}, line); (got == line) != whole {
			t.Errorf("%q became %q", line, got)
		}
	}
}
