package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"syncer/persist"
)

func TestPrintableLetsNothingControlTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[2Jb": "a·[2Jb", "x\u202ey": "x·y", "line\r\nline": "line  line", "\u009bcsi": "·csi", "blåbær": "blåbær", "\x00": "·", "\xff": "·",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if got := printable(rapid.String().Draw(t, "text")); strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q holds a control character", got)
		}
	})
}

// Wrapping loses no word, and no line is too wide.
func TestWrapKeepsEverythingAndFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-zæø]{0,30} ){0,12}[a-z]{0,99}`).Draw(t, "text")
		width := rapid.IntRange(5, 80).Draw(t, "width")
		lines := wrap(text, width)
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

// However long the cells are, a table with columns that may be cut fits the screen, and numbers stay whole.
func TestTablesFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := newTable(">run", "~job", "~~id", "verdict")
		table.indent = "  "
		long := rapid.StringN(0, 120, -1)
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			table.add(1234567890123, long.Draw(t, "job"), long.Draw(t, "id"), "consumed_unknown")
		}
		var out bytes.Buffer
		table.write(&out)
		for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
			if utf8.RuneCountInString(line) > screenWidth {
				t.Fatalf("%d columns: %q", utf8.RuneCountInString(line), line)
			}
		}
		if strings.Count(out.String(), "1234567890123") != len(table.rows) || strings.Count(out.String(), "consumed_unknown") != len(table.rows) {
			t.Fatalf("a column that must not be cut was:\n%s", out.String())
		}
	})
}

func TestNumbersAndTimes(t *testing.T) {
	for got, want := range map[string]string{
		thousands(0): "0", thousands(999): "999", thousands(1000): "1,000", thousands(-1234567): "-1,234,567",
		count(1, "call"): "1 call", count(12345, "call"): "12,345 calls",
		took(0): "0s", took(300 * time.Microsecond): "1ms", took(1234 * time.Millisecond): "1.2s", took(2 * time.Minute): "2m", took(3661 * time.Second): "1h1m1s", took(time.Hour): "1h",
		clock(time.Time{}): "", clock(time.Date(2026, 3, 29, 1, 0, 0, 0, time.FixedZone("", 3600))): "2026-03-29 00:00:00Z",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestVerdictsAreExitCodes(t *testing.T) {
	for verdict, want := range map[persist.Verdict]int{persist.VerdictComplete: 0, persist.VerdictPartial: 3, persist.VerdictFailed: 4, "": 4} {
		var code exitCode
		if err := verdictError(verdict); err != nil && !errors.As(err, &code) {
			t.Errorf("%q ends with %v", verdict, err)
		}
		if int(code) != want {
			t.Errorf("%q: exit code %d, want %d", verdict, code, want)
		}
	}
}

func TestLiveLineStaysBelowTheLog(t *testing.T) {
	var screen bytes.Buffer
	l := &liveLine{on: true, w: &screen}
	l.show("run 1")
	if _, err := l.Write([]byte("a log line\n")); err != nil {
		t.Fatal(err)
	}
	l.clear()
	if want := eraseLine + "run 1" + eraseLine + "a log line\n" + "run 1" + eraseLine; screen.String() != want {
		t.Errorf("screen got %q, want %q", screen.String(), want)
	}
}

func TestWithoutPassword(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://u:s3cret@h:5432/db?sslmode=require":      "postgres://u@h:5432/db?sslmode=require",
		"postgres://h/db?user=u&password=s3cret":             "postgres://h/db?user=u",
		"postgres:///db?host=/run/pg&sslpassword=s3cret&x=1": "postgres:///db?host=%2Frun%2Fpg&x=1",
	} {
		if got, err := withoutPassword(in); err != nil || got != want {
			t.Errorf("withoutPassword(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"host=h password=s3cret", "s3cret", ""} {
		if got, err := withoutPassword(in); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("withoutPassword(%q) = %q, %v; want an error that tells nothing", in, got, err)
		}
	}
}

func TestReachable(t *testing.T) {
	for in, want := range map[string]string{
		"0.0.0.0:8080": "127.0.0.1:8080", ":8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080", "10.0.0.1:80": "10.0.0.1:80",
	} {
		if got := reachable(in); got != want {
			t.Errorf("reachable(%q) = %q, want %q", in, got, want)
		}
	}
}
