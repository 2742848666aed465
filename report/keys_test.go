package report

import (
	"slices"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist/read"
)

func TestCheckSaysWhichRowsHaveOldKeys(t *testing.T) {
	t.Parallel()
	first, last := finance.DateOf(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)), finance.DateOf(time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC))
	got := OldKeys(read.KeysLeft{Dataset: finance.Transactions, Consents: 1, Older: 2, From: first, To: last}, "nightly")
	want := []string{
		"rows of transactions of 1 consent have their old key still: a whole pass under the new one replaces them",
		"rows of transactions of 2 consents have their old key still, of days from 2026-01-02 to 2026-05-06 that no night reads " +
			"any more: `syncer backfill nightly --from 2026-01-02 --to 2026-05-06` replaces them where the provider gives these days",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
