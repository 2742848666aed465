package jobs

import (
	"context"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/write"
)

// remembered is what is remembered of a stream's pages. A page may be passed over only if the last pass has seen it with the
// same bytes, and has ended: otherwise its rows may have come by another page in between, and the old bytes would keep them
// for ever.
type remembered struct {
	known  map[finance.PageKey]finance.Kept // as the passes before have left them
	asked  map[finance.PageKey]struct{}     // in this pass
	broken bool                             // the last pass has not come to its end
}

func newRemembered(known map[finance.PageKey]finance.Kept, broken bool) *remembered {
	return &remembered{known: known, asked: map[finance.PageKey]struct{}{}, broken: broken}
}

// kept implements fetch.Stream.Kept.
func (m *remembered) kept(key finance.PageKey) (finance.Kept, bool) {
	if m.broken {
		return finance.Kept{}, false
	}
	k, ok := m.known[key]
	return k, ok
}

// forget takes note of a page. At the end of the pass it gives the pages that were remembered and not asked for.
func (m *remembered) forget(page fetch.Page) (keys []finance.PageKey) {
	m.asked[page.Key] = struct{}{}
	if !page.Done {
		return nil
	}
	for key := range m.known {
		if _, ok := m.asked[key]; !ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// storedRows tells a connector what is stored of a stream. It implements fetch.Rows.
type storedRows struct {
	pages  *write.Writer
	stream finance.Stream
	run    int64
}

// Stored implements fetch.Rows.
func (r storedRows) Stored(ctx context.Context, records *finance.Records) (bool, error) {
	return r.pages.Stored(ctx, r.stream, records)
}

// Quarantined implements fetch.Rows.
func (r storedRows) Quarantined(ctx context.Context, bodies []finance.Hash) (map[finance.Hash]finance.Met, error) {
	return r.pages.Quarantined(ctx, r.stream, r.run, bodies)
}

// Others implements fetch.Rows.
func (r storedRows) Others(ctx context.Context, of finance.Extent, ids []string) (bool, error) {
	return r.pages.Others(ctx, r.stream, of, ids)
}
