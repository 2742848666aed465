package main

import (
	"os"
	"strings"
	"testing"

	"syncer/cli"
	"syncer/proof/lab"
)

// A number of reads that is written into the configuration holds from the next run on, for consents that
// are there already, and counts the reads of the day that were made before.
func TestReadsOfAConnectionHoldFromTheNextRunOn(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.ImportBank("bank1", 0, 1)
	l.Says(0, []string{"run", "money1"}, "complete")
	if n := l.Number("SELECT count(*) FROM consent_reads"); n != 0 {
		t.Errorf("%d reads of a consent without a bound are written down", n)
	}
	text, err := os.ReadFile(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "bank1:\n", "bank1:\n    reads_per_day: 3\n", 1)
	if err := os.WriteFile(l.Config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	// The first run has spent two, for accounts and transactions. The third is left.
	l.Says(cli.ExitPartial, []string{"run", "money1"}, "daily reads spent")
	l.Says(0, []string{"consents", "show", "1"}, "reads a day  3")
	if n := l.Number("SELECT count(*) FROM consent_reads"); n != 3 {
		t.Errorf("%d reads are written down, want 3", n)
	}
	l.Verify()
}
