package persist_test

import (
	"testing"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/write"
)

// TestAPassRemembersWhatItMisses: what is missing from a page is told of its pass until the pass behind it begins, so that a run
// which goes on with a pass that another run began knows of pages it has not seen.
func TestAPassRemembersWhatItMisses(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	s := transactionsStream(7, "acc")
	page := func(midPass bool, partial string, rejects int) write.PageWrite {
		p := newPage(s, "on")
		p.MidPass, p.Partial, p.Rejects = midPass, partial, make([]finance.Reject, rejects)
		return p
	}
	for i, c := range []struct {
		page    write.PageWrite
		missing string
	}{
		{page(true, "", 0), ""},
		{page(true, "", 2), "records that could not be read"},
		{page(true, "", 0), "records that could not be read"},
		{page(true, "", 1), "records that could not be read"},
		{page(false, "a creditor is missing", 0), "records that could not be read; a creditor is missing"},
		{page(true, "", 0), ""},
		{page(false, "a creditor is missing", 0), "a creditor is missing"},
		{page(false, "", 0), ""},
	} {
		commitAll(t, w, c.page)
		at, err := w.StreamState(t.Context(), s)
		if err != nil || at.Missing != c.missing {
			t.Errorf("page %d: the pass misses %q, error %v; want %q", i, at.Missing, err, c.missing)
		}
	}
	commitAll(t, w, page(true, "", 1), page(true, "a creditor is missing", 0))
	if at, err := w.StreamState(t.Context(), s); err != nil || at.Missing != "records that could not be read; a creditor is missing" {
		t.Errorf("together: the pass misses %q, error %v", at.Missing, err)
	}
}
