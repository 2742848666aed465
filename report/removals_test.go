package report

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/read"
	"syncer/report/text"
)

// What is said of withheld removals fits the screen, and names the commands that a person has.
func TestWriteGuard(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 2, 41, 7, 0, time.UTC)
	night := read.RemovalGuard{
		Run: 1204, Job: "nightly-debt", Connection: "ng-prod", Dataset: finance.Debts, ClosedAt: at,
		Reason: "201 of 1000 consents that had records have none left", Consents: 200, Records: 600,
		WithheldOf: 800, Withheld: 2400, FirstWithheldAt: at,
	}
	huge, first, over := night, night, night
	huge.Job, huge.Dataset = strings.Repeat("long-name-", 9), finance.Transactions
	huge.Withheld, huge.WithheldOf, huge.Records, huge.Consents = 812_345_678, 1_000_000, 203_000_000, 199_999
	first.Records, first.Consents = 0, 0
	over.Withheld, over.WithheldOf = 0, 0
	for name, c := range map[string]struct {
		guard read.RemovalGuard
		want  string
	}{
		"a night": {night, `
  run 1204 nightly-debt, debt: removals withheld, 2,400 records of 800 consents
    from 2026-11-21 02:41:07Z on, because 201 of 1000 consents that had records
    have none left; 600 records of 200 consents had been removed before
    ask the provider whether it means it; if so: ~syncer removals accept 1204~;
    if not: ~syncer removals undo 1204~, and the next good night ends this
`},
		"a huge one": {huge, `
  run 1204 long-name-long-name-long-name-long-name-lon…, transactions: removals
  withheld, 812,345,678 records of 1,000,000 consents
    from 2026-11-21 02:41:07Z on, because 201 of 1000 consents that had records
    have none left; 203,000,000 records of 199,999 consents had been removed
    before
    ask the provider whether it means it; if so: ~syncer removals accept 1204~;
    if not: ~syncer removals undo 1204~, and the next good night ends this
`},
		"nothing went": {first, `
  run 1204 nightly-debt, debt: removals withheld, 2,400 records of 800 consents
    from 2026-11-21 02:41:07Z on, because 201 of 1000 consents that had records
    have none left
    ask the provider whether it means it; if so: ~syncer removals accept 1204~;
    if not the next good night ends this
`},
		"it is over": {over, `
  run 1204 nightly-debt, debt: removals were withheld, and none is any more
    from 2026-11-21 02:41:07Z on, because 201 of 1000 consents that had records
    have none left; 600 records of 200 consents had been removed before
`},
	} {
		t.Run(name, func(t *testing.T) {
			out := &sized{columns: text.Width}
			WriteGuard(out, text.Paint{}, c.guard)
			if diff := cmp.Diff(strings.ReplaceAll(c.want[1:], "~", "`"), out.String()); diff != "" {
				t.Error(diff)
			}
			for line := range strings.Lines(out.String()) {
				if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > text.Width {
					t.Errorf("wider than %d columns: %q", text.Width, line)
				}
			}
		})
	}
}
