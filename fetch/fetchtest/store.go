package fetchtest

import (
	"context"
	"slices"
	"strings"

	"syncer/fetch"
	"syncer/finance"
)

// store is what a store would hold of one stream after the pages it was given. Unlike a table it takes a set of several
// answers for what it is: a record that is missing from the set is removed when a second pass misses it too. It implements fetch.Rows.
type store struct {
	rows   map[string]row
	pass   int                  // the one that is going on
	broken map[finance.Hash]int // records in quarantine, and the pass that met each first
}

// row is one stored record, or a figure of an account.
type row struct {
	line   string
	status string // of a transaction
	booked finance.Date
	lacked bool // a set of several answers did not have it
}

func newStore() *store {
	return &store{rows: map[string]row{}, broken: map[finance.Hash]int{}}
}

// take stores a page and gives the keys of what is removed by it.
func (st *store) take(p *fetch.Page) (removed []string) {
	for key, r := range rowsOf(&p.Records) {
		st.rows[key] = r
	}
	for _, r := range p.Rejects {
		if _, met := st.broken[r.Body]; !met {
			st.broken[r.Body] = st.pass
		}
	}
	if p.Done {
		st.pass++
	}
	if p.Whole == nil {
		return nil
	}
	shown := shownBy(p)
	for key, r := range st.rows {
		switch {
		case shown[key] || !within(p.Whole, key, r.line):
		case p.Whole.Paged && !r.lacked:
			r.lacked = true
			st.rows[key] = r
		default:
			delete(st.rows, key)
			removed = append(removed, key)
		}
	}
	return removed
}

// table is what is stored, as a table.
func (st *store) table() table {
	tb := table{}
	for key, r := range st.rows {
		tb[key] = r.line
	}
	return tb
}

// Stored says whether all of the records are stored as they are.
func (st *store) Stored(_ context.Context, r *finance.Records) (bool, error) {
	for key, line := range lines(r) {
		if st.rows[key].line != line {
			return false, nil
		}
	}
	return true, nil
}

// Others says whether records of the extent are stored that are not among the ids.
func (st *store) Others(_ context.Context, set finance.Extent, ids []string) (bool, error) {
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = true
	}
	for key, r := range st.rows {
		kind, id, _ := strings.Cut(key, " ")
		dated := set.From.IsZero() || r.booked >= set.From
		dated = dated && (set.To.IsZero() || r.booked <= set.To)
		wanted := set.Status == "" || r.status == set.Status
		if kind != "balance" && !known[id] && dated && wanted && strings.HasPrefix(id, set.Prefix) {
			return true, nil
		}
	}
	return false, nil
}

// Quarantined says which of these records an earlier pass has met.
func (st *store) Quarantined(_ context.Context, bodies []finance.Hash) (map[finance.Hash]finance.Met, error) {
	known := map[finance.Hash]finance.Met{}
	for _, body := range bodies {
		if pass, met := st.broken[body]; met && pass < st.pass {
			known[body] = finance.Met{}
		}
	}
	return known, nil
}

func rowsOf(r *finance.Records) map[string]row {
	out := map[string]row{}
	for key, line := range lines(r) {
		out[key] = row{line: line}
	}
	for i := range r.Transactions {
		x := &r.Transactions[i]
		key := "transaction " + x.ID
		out[key] = row{line: out[key].line, status: x.Status, booked: x.BookedOn}
	}
	return out
}

// shownBy are the keys that a page's set has.
func shownBy(p *fetch.Page) map[string]bool {
	shown := map[string]bool{}
	for key := range lines(&p.Records) {
		shown[key] = true
	}
	ids := slices.Clone(p.Whole.Earlier)
	for _, r := range p.Rejects {
		ids = append(ids, r.Key)
	}
	for _, id := range ids {
		for _, kind := range []string{"transaction ", "account ", "debt "} {
			shown[kind+id] = true
		}
	}
	return shown
}

// within says whether a record belongs to a set. An account's figures come and go with the account.
func within(w *finance.Whole, key, line string) bool {
	kind, id, _ := strings.Cut(key, " ")
	if kind == "balance" || !strings.HasPrefix(id, w.Prefix) {
		return false
	}
	return w.Status == "" || strings.HasPrefix(line, w.Status+" ")
}

var _ fetch.Rows = (*store)(nil)
