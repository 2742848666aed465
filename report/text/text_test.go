package text

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestPrintableLetsNothingControlTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[2Jb": "a·[2Jb", "x\u202ey": "x·y", "line\r\nline": "line  line", "\u009bcsi": "·csi", "blåbær": "blåbær", "\x00": "·", "\xff": "·",
	} {
		if got := Printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if got := Printable(rapid.String().Draw(t, "text")); strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q holds a control character", got)
		}
	})
}

// Wrapping loses no word, and no line is too wide.
func TestWrapKeepsEverythingAndFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-zæø]{0,30} ){0,12}[a-z]{0,99}`).Draw(t, "text")
		width := rapid.IntRange(5, 80).Draw(t, "width")
		lines := Wrap(text, width)
		for _, l := range lines {
			if utf8.RuneCountInString(l) > width || l == "" {
				t.Fatalf("line %q in %d columns", l, width)
			}
		}
		if got, want := strings.ReplaceAll(strings.Join(lines, ""), " ", ""), strings.ReplaceAll(text, " ", ""); got != want {
			t.Fatalf("wrap lost something: %q became %q", want, got)
		}
	})
}

// A command is copied from the screen, so it is not broken.
func TestWrapBreaksNoCommand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"say `syncer run bank`; and wait": {"say", "`syncer run bank`;", "and wait"},
		"(`syncer rerun 7`), or":          {"(`syncer rerun 7`),", "or"},
		"so: `syncer backfill bank --from 2026-01-01 --to 2026-01-02` reads": {
			"so:", "`syncer backfill bank --from 2026-01-01 --to 2026-01-02`", "reads"},
		"an open `syncer run that goes on": {"an open `syncer run", "that goes on"},
	} {
		if got := Wrap(text, 20); !slices.Equal(got, want) {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// However long the cells are, a table with columns that may be cut fits the screen, and numbers stay whole.
func TestTablesFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable(">run", "~job", "~~id", "verdict")
		table.Indent = "  "
		long := rapid.StringN(0, 120, -1)
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			table.Add(1234567890123, long.Draw(t, "job"), long.Draw(t, "id"), "consumed_unknown")
		}
		out := &sized{columns: rapid.IntRange(20, 200).Draw(t, "columns")}
		table.Write(out)
		for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
			if utf8.RuneCountInString(line) > out.columns {
				t.Fatalf("%d columns: %q", utf8.RuneCountInString(line), line)
			}
		}
		whole := strings.Join(strings.Fields(out.String()), "") // a block of a narrow screen breaks words
		if strings.Count(whole, "1234567890123") < len(table.rows) || strings.Count(whole, "consumed_unknown") < len(table.rows) {
			t.Fatalf("a column that must not be cut was:\n%s", out.String())
		}
	})
}

// sized is a screen of so many columns.
type sized struct {
	bytes.Buffer
	columns int
}

func (s *sized) Columns() int { return s.columns }

// The layout follows the screen: the same rows are cut on a narrow one, whole on a wide one, and blocks where not even the
// numbers have room. What is no screen gets everything.
func TestTheLayoutFollowsTheScreen(t *testing.T) {
	long := strings.Repeat("agreement-", 10) + "end"
	for _, tt := range []struct {
		columns int
		want    string
	}{
		{60, "RUN  ID"}, {80, "RUN  ID"}, {180, long}, {0, long}, {20, "verdict  consumed_un\n         known"},
	} {
		table := NewTable(">run", "~id", "verdict")
		table.Add(12, long, "consumed_unknown")
		out := &sized{columns: tt.columns}
		table.Write(out)
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("%d columns: %q is missing in\n%s", tt.columns, tt.want, out.String())
		}
		if cut := strings.Contains(out.String(), "…"); cut != (tt.columns == 60 || tt.columns == 80) {
			t.Errorf("%d columns: cut is %v:\n%s", tt.columns, cut, out.String())
		}
		prose := Lines(out, "  ", strings.Repeat("word ", 60))
		want := map[int]int{0: Width, 20: 20, 60: 60, 80: 80, 180: widestProse}[tt.columns]
		if n := utf8.RuneCountInString(prose[0]); n > want || n < want-5 {
			t.Errorf("%d columns: a line of %d, want up to %d", tt.columns, n, want)
		}
	}
}

func TestNumbersAndTimes(t *testing.T) {
	for got, want := range map[string]string{
		Thousands(0): "0", Thousands(999): "999", Thousands(1000): "1,000", Thousands(-1234567): "-1,234,567",
		Count(1, "call"): "1 call", Count(12345, "call"): "12,345 calls",
		Took(0): "0s", Took(300 * time.Microsecond): "1ms", Took(1234 * time.Millisecond): "1.2s", Took(2 * time.Minute): "2m", Took(3661 * time.Second): "1h1m1s", Took(time.Hour): "1h",
		Clock(time.Time{}): "", Clock(time.Date(2026, 3, 29, 1, 0, 0, 0, time.FixedZone("", 3600))): "2026-03-29 00:00:00Z",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
