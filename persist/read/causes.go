package read

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/plan"
	"syncer/persist/queue"
)

// Cause is why items are not complete that have, as far as their reasons tell, one cause.
type Cause struct {
	Dataset finance.Dataset
	Outcome finance.Outcome // empty: not decided
	Class   finance.Class
	Kind    string // see finance.KindOf
	Items   int
	First   OpenItem // the one that was decided first
	Newest  OpenItem // the one that was decided last, which is First where there is one alone
}

// Causes are items by their causes. A night may have a hundred thousand that failed alike, so nothing here grows with
// their number.
type Causes struct {
	List      []Cause // at most ListedCauses: those with most items, the worst outcomes first
	Items     int     // all of them
	More      int     // causes that are not listed
	MoreItems int     // their items
	Unread    int     // of all items: those that were excused because nobody asked for them
}

// ListedCauses bounds Causes.List: people read it.
const ListedCauses = 20

// knownCauses bounds the memory of a grouping. Where the reasons of all items differ, those of further kinds are counted as
// one cause for each dataset, outcome and class.
const knownCauses = 1000

type causeKey struct {
	dataset finance.Dataset
	outcome finance.Outcome
	class   finance.Class
	kind    string
}

// grouping puts items together that have one cause, one after the other.
type grouping struct {
	causes map[causeKey]*Cause
	items  int
	unread int
}

func newGrouping() *grouping { return &grouping{causes: map[causeKey]*Cause{}} }

func (g *grouping) add(i OpenItem) {
	g.items++
	if i.Outcome == finance.Excused && (i.Class == finance.Spent || i.Class == finance.Unasked) {
		g.unread++
	}
	key := causeKey{i.Dataset, i.Outcome, i.Class, i.Kind()}
	if g.causes[key] == nil && len(g.causes) >= knownCauses {
		key.kind = ""
	}
	c := g.causes[key]
	if c == nil {
		c = &Cause{Dataset: i.Dataset, Outcome: i.Outcome, Class: i.Class, Kind: key.kind, First: i, Newest: i}
		g.causes[key] = c
	}
	c.Items++
	if i.before(&c.First) {
		c.First = i
	}
	if c.Newest.before(&i) {
		c.Newest = i
	}
}

// before says whether an item was decided before another one. Of two without a moment the consent decides, so that a report
// that is asked for twice shows the same.
func (i *OpenItem) before(o *OpenItem) bool {
	return cmp.Or(i.At.Compare(o.At), cmp.Compare(i.Consent, o.Consent)) < 0
}

// Kind is the kind of the item's reason.
func (i *OpenItem) Kind() string { return finance.KindOf(i.Reason, i.Correlation, i.Call.String()) }

// fromWorstOutcome is the order in which outcomes are told.
var fromWorstOutcome = []finance.Outcome{finance.Failed, finance.Partial, finance.Excused, ""}

func (g *grouping) result() Causes {
	all := make([]Cause, 0, len(g.causes))
	for _, c := range g.causes {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Items, a.Items), a.compare(&b))
	})
	r := Causes{Items: g.items, Unread: g.unread, List: all[:min(len(all), ListedCauses)]}
	for _, c := range all[len(r.List):] {
		r.More++
		r.MoreItems += c.Items
	}
	slices.SortStableFunc(r.List, func(a, b Cause) int {
		worse := func(c Cause) int { return slices.Index(fromWorstOutcome, c.Outcome) }
		return cmp.Compare(worse(a), worse(b))
	})
	return r
}

// compare orders causes with as many items.
func (c *Cause) compare(o *Cause) int {
	return cmp.Or(
		cmp.Compare(slices.Index(fromWorstOutcome, c.Outcome), slices.Index(fromWorstOutcome, o.Outcome)),
		cmp.Compare(c.First.Consent, o.First.Consent),
		cmp.Compare(c.Dataset, o.Dataset),
		cmp.Compare(c.Class, o.Class),
		cmp.Compare(c.Kind, o.Kind),
	)
}

// groupItems reads open items, none of which is kept, and puts them together by cause.
func groupItems(ctx context.Context, tx pgx.Tx, sql string, args ...any) (Causes, error) {
	g := newGrouping()
	err := eachItem(ctx, tx, func(i OpenItem) error { g.add(i); return nil }, sql, args...)
	return g.result(), err
}

func eachItem(ctx context.Context, tx pgx.Tx, f func(OpenItem) error, sql string, args ...any) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		i, err := scanOpenItem(rows)
		if err == nil {
			err = f(i)
		}
		if err != nil {
			return err
		}
	}
	return rows.Err()
}

// OwnCauses are the items of one run that are not complete, by cause; of a run that was rerun those of its own attempt.
func (s *Store) OwnCauses(ctx context.Context, run int64) (c Causes, err error) {
	err = s.db.InTx(ctx, fmt.Sprintf("tell why run %d is not complete", run), func(tx pgx.Tx) error {
		c, err = groupItems(ctx, tx, openItem+` WHERE `+isNotComplete,
			pgx.NamedArgs{"run": run, "own": true})
		return err
	})
	return c, err
}

// RerunCauses are the items that a rerun of a run would take, by what they lack.
func (s *Store) RerunCauses(ctx context.Context, run int64, sel plan.Selection) (c Causes, err error) {
	root, err := queue.LoadRun(ctx, s.db, run)
	if err != nil {
		return c, err
	}
	if root.OfRun != 0 {
		run = root.OfRun
	}
	err = s.db.InTx(ctx, fmt.Sprintf("tell what a rerun of run %d takes", run), func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		c, err = groupItems(ctx, tx, `WITH chosen AS MATERIALIZED (
				SELECT * FROM unproven_items(@root, @failed, @partial, @classes, @consents)
			)
			SELECT `+openColumns+`
			FROM effective_items e
			JOIN chosen USING (consent_id, dataset)
			WHERE e.root_run = @root`, sel.Args(run))
		return err
	})
	return c, err
}

// EachNotComplete gives the items of a run that are not complete to f, one after the other: failed ones first. The memory
// that it takes does not grow with their number.
func (s *Store) EachNotComplete(ctx context.Context, run queue.Run, f func(OpenItem) error) error {
	return s.eachOf(ctx, run, notComplete, f)
}

// EachWithheld does the same for items that are proven, but for accounts that the provider withholds.
func (s *Store) EachWithheld(ctx context.Context, run queue.Run, f func(OpenItem) error) error {
	return s.eachOf(ctx, run, withheldItems, f)
}

func (s *Store) eachOf(ctx context.Context, run queue.Run, sql string, f func(OpenItem) error) error {
	return s.db.InTx(ctx, fmt.Sprintf("list the items of run %d", run.ID), func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil { // whoever reads the list may take his time
			return err
		}
		reported, err := reportedArgs(ctx, tx, run)
		if err != nil {
			return err
		}
		return eachItem(ctx, tx, f, sql, reported)
	})
}
