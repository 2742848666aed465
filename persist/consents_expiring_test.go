package persist_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/consents"
)

// The lists of 14, 7 and 1 days: by the end, only active ones, with the time they were last read to the end.
func TestExpiringConsents(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const day = 24 * time.Hour
	var ids []int64
	for _, in := range []time.Duration{13 * day, 6 * day, 20 * time.Hour, 15 * day, 6*day + time.Hour, time.Hour} {
		ids = append(ids, h.consents(t, 1, endsIn(in))...)
	}
	h.consents(t, 1) // open-ended
	_, err := h.Consents.End(t.Context(), ids[4], finance.ConsentRevoked, "gone", consents.FromFeed, finance.CallID{})
	must(t, err)
	h.pulled(t, ids[0], finance.Accounts, "", "2 hours", false)
	h.pulled(t, ids[0], finance.Transactions, "a", "3 hours", false)
	h.pulled(t, ids[1], finance.Debts, "", "1 hour", true)
	for _, test := range []struct {
		within time.Duration
		limit  int
		want   []int64
	}{
		{14 * day, 10, []int64{ids[5], ids[2], ids[1], ids[0]}},
		{7 * day, 10, []int64{ids[5], ids[2], ids[1]}},
		{1 * day, 10, []int64{ids[5], ids[2]}},
		{14 * day, 1, []int64{ids[5]}},
		{time.Minute, 10, nil},
	} {
		list, err := h.Read.Expiring(t.Context(), "bank", test.within, test.limit)
		must(t, err)
		var got []int64
		for _, c := range list {
			got = append(got, c.ID)
			if ago := time.Since(c.LastRead).Round(time.Hour); c.LastRead.IsZero() == (c.ID == ids[0]) || c.ID == ids[0] && ago != 3*time.Hour {
				t.Errorf("consent %d was last read %s", c.ID, c.LastRead)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("within %s: %s", test.within, diff)
		}
	}
	if list, err := h.Read.Expiring(t.Context(), "elsewhere", 14*day, 10); len(list) != 0 || err != nil {
		t.Errorf("another connection's: %v, %v", list, err)
	}
	if list, err := h.Read.Expiring(t.Context(), "", 14*day, 10); len(list) != 4 || err != nil {
		t.Errorf("every connection's: %v, %v", list, err)
	}
}
