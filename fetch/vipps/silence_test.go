package vipps

import (
	"context"
	"strings"
	"testing"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	vendor "syncer/sandbox/vipps"
)

// known says whether other records are stored than those shown.
type known bool

func (known) Stored(context.Context, *finance.Records) (bool, error) { return true, nil }

func (k known) Quarantined(context.Context, []finance.Hash) (map[finance.Hash]finance.Met, error) {
	return nil, nil
}

func (k known) Others(context.Context, finance.Extent, []string) (bool, error) { return bool(k), nil }

// A list of ledgers whose items are null, or which ends without the cursor that the vendor always writes, proves nothing.
func TestALedgerListThatSaysNothing(t *testing.T) {
	for name, c := range map[string]struct {
		old, now string
		known    known
		led      bool // an answer of the connection had a cursor a moment ago
		partial  bool
		whole    bool
	}{
		"null, others known":                     {`"items":[`, `"items":null,"was":[`, true, true, true, false},
		"null, none known":                       {`"items":[`, `"items":null,"was":[`, false, true, false, false},
		"no cursor, others known":                {`"cursor":""`, `"was":""`, true, false, true, false},
		"no cursor, none known":                  {`"cursor":""`, `"was":""`, false, false, false, false},
		"no cursor, and others have had one":     {`"cursor":""`, `"was":""`, true, true, false, true},
		"as the vendor writes it, others known":  {`"cursor":""`, `"cursor":""`, true, false, false, true},
		"as the vendor writes it, with a null":   {`"cursor":""`, `"cursor":null`, true, false, false, true},
		"as the vendor writes it, nothing known": {`"cursor":""`, `"cursor":""`, false, false, false, true},
	} {
		w := start(t, vendor.Options{}, settings(nil))
		client := fetchtest.Dial(t, Provider(), w.conn)
		s := fetchtest.StreamOf(w.consent(1), finance.Accounts)
		s.Rows = c.known
		if c.led {
			client.MustRead(t, s, "")
		}
		fetchtest.Replaced(t, w.Host, c.old, c.now)
		got := client.MustRead(t, s, "")[0]
		if (got.Partial != "") != c.partial || (got.Whole != nil) != c.whole {
			t.Errorf("%s: partial %q, whole %v", name, got.Partial, got.Whole)
		}
	}
}

// Where the feed has moved on, or a day is closed, a null in the place of the entries means that they are missing, and the next pass reads
// there once more.
func TestAReportWithoutAList(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"feed": nil, "dates": func(s *Settings) { s.ReadBy = byDates },
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, vendor.Options{Days: 3}, settings(change))
			client := fetchtest.Dial(t, Provider(), w.conn)
			consent := w.consent(1)
			s := w.rows(1)
			s.Since = today.AddDays(-3)
			s.Consent, s.Task = consent.ID, calls.Task{Dataset: s.Dataset, Consent: &consent}
			want, _ := byKey(client.MustRead(t, s, ""))

			fetchtest.Replaced(t, w.Host, `"items":[`, `"items":null,"was":[`)
			first := client.MustRead(t, s, "")
			lacking, partial := byKey(first)
			if len(lacking) == len(want) || !strings.Contains(partial, "no list of entries") {
				t.Errorf("%d of %d rows, partial %q", len(lacking), len(want), partial)
			}
			all, _ := byKey(append(first, client.MustRead(t, s, first[len(first)-1].Next)...))
			if len(all) != len(want) {
				t.Errorf("%d of %d rows after the next pass", len(all), len(want))
			}
		})
	}
}

var _ fetch.Rows = known(false)
