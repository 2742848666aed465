package write

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"syncer/persist/pg"
)

const countItems = `UPDATE items i SET pages = i.pages + u.pages, records = i.records + u.records,
inserted = i.inserted + u.inserted, updated = i.updated + u.updated, removed = i.removed + u.removed,
quarantined = i.quarantined + u.quarantined, figures = i.figures + u.figures,
figures_inserted = i.figures_inserted + u.figures_inserted, figures_updated = i.figures_updated + u.figures_updated,
figures_removed = i.figures_removed + u.figures_removed,
partial = CASE WHEN u.partial = '' OR strpos(i.partial, u.partial) > 0 THEN i.partial ELSE concat_ws('; ', i.partial, u.partial) END
FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[], $5::int4[], $6::int4[], $7::int4[], $8::int4[], $9::int4[],
	$10::int4[], $11::int4[], $12::int4[], $13::int4[], $14::int4[])
AS u(batch_id, consent_id, dataset, partial, pages, records, inserted, updated, removed, quarantined, figures, figures_inserted,
	figures_updated, figures_removed)
WHERE i.batch_id = u.batch_id AND i.consent_id = u.consent_id AND i.dataset = u.dataset`

// itemCounts are what a transaction adds to one item. Figures are the balances of accounts, which are counted apart: of what
// was read and of what was written.
type itemCounts struct {
	pages, records, quarantined, figures int32
	written, ofFigures                   Written
	partial                              []string
}

// numbers are the counts in the order of countItems. What is a figure is no record here.
func (c *itemCounts) numbers() [10]int32 {
	all, of := c.written, c.ofFigures
	return [10]int32{
		c.pages, c.records - c.figures,
		int32(all.Inserted - of.Inserted), int32(all.Updated - of.Updated), int32(all.Removed - of.Removed),
		c.quarantined, c.figures, int32(of.Inserted), int32(of.Updated), int32(of.Removed),
	}
}

func (a *attempt) countItems(ctx context.Context) error {
	items := map[item]*itemCounts{}
	for _, p := range a.live {
		if p.Task.Batch == 0 {
			continue
		}
		k := item{p.Task.Batch, p.Stream.Consent, p.Stream.Dataset}
		if items[k] == nil {
			items[k] = &itemCounts{}
		}
		items[k].add(p)
	}
	if len(items) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(items), func(x, y item) int {
		return cmp.Or(cmp.Compare(x.batch, y.batch), cmp.Compare(x.consent, y.consent), cmp.Compare(x.dataset, y.dataset))
	})
	var batches, consents []int64
	var datasets, partials []string
	var counts [10][]int32
	for _, k := range keys {
		c := items[k]
		batches = append(batches, k.batch)
		consents = append(consents, k.consent)
		datasets = append(datasets, string(k.dataset))
		for i, n := range c.numbers() {
			counts[i] = append(counts[i], n)
		}
		partials = append(partials, strings.Join(c.partial, "; "))
	}
	args := []any{batches, consents, datasets, partials}
	for _, column := range counts {
		args = append(args, column)
	}
	_, err := a.tx.Exec(ctx, countItems, args...)
	if err != nil {
		return fmt.Errorf("count into the items: %w", pg.Describe(err))
	}
	return nil
}

func (c *itemCounts) add(p *page) {
	c.pages++
	c.records += int32(p.records())
	c.quarantined += int32(p.missed())
	c.figures += int32(p.figuresRead())
	c.written.add(p.written)
	c.ofFigures.add(p.figures)
	said := []string{pg.Clean(p.Partial)}
	if p.written.Withheld > 0 {
		said = append(said, RemovalsWithheld)
	}
	for _, s := range said {
		if s != "" && !slices.Contains(c.partial, s) {
			c.partial = append(c.partial, s)
		}
	}
}
