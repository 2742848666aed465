package persist_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/write"
)

// model is what the tables must hold after pages were written one after the other.
type model struct {
	rows    map[string]modelRow
	history []string
	past    map[string]bool // the keys, each with a content that was replaced
}

type modelRow struct {
	text    string
	pending bool
	removed bool
	first   int    // the page that brought it first
	changed int    // the page that changed it last
	over    string // the version that it has replaced, if that stood there
}

func (r modelRow) String() string {
	return fmt.Sprintf("%s pending=%v removed=%v", r.text, r.pending, r.removed)
}

func (m *model) write(n int, p *write.PageWrite, drawn []modelRecord) (w write.Written) {
	kept := map[string]bool{}
	if p.Whole != nil {
		for _, id := range p.Whole.Earlier {
			kept[p.Stream.Account+" "+id] = true
		}
	}
	for i, d := range drawn {
		key := p.Stream.Account + " " + d.id
		kept[key] = true
		later := slices.IndexFunc(drawn[i+1:], func(o modelRecord) bool { return o.id == d.id })
		old, ok := m.rows[key]
		switch {
		case later >= 0:
			if m.sameToTheEnd(drawn[i:], d) {
				w.Unchanged++
			} else {
				w.Clashes++
				w.Contested++
			}
		case !ok:
			m.rows[key] = modelRow{text: d.text, pending: d.pending, first: n, changed: n}
			w.Inserted++
		case old.removed || old.text != d.text || old.pending != d.pending:
			cameBefore := m.past[key+" "+old.String()]
			m.retire(key, n)
			row := modelRow{text: d.text, pending: d.pending, first: old.first, changed: n}
			if !old.removed {
				row.over = old.String()
			}
			m.rows[key] = row
			w.Updated++
			if !old.removed && old.over == row.String() && cameBefore {
				w.Contested++
			}
		default:
			w.Unchanged++
		}
	}
	if p.Whole == nil {
		return w
	}
	for key, r := range m.rows {
		account, id, _ := strings.Cut(key, " ")
		if account != p.Stream.Account || kept[key] || r.removed || !strings.HasPrefix(id, p.Whole.Prefix) ||
			p.Whole.Status != "" && r.pending != (p.Whole.Status == finance.Pending) {
			continue
		}
		m.retire(key, n)
		r.removed, r.changed = true, n
		m.rows[key] = r
		w.Removed++
	}
	return w
}

// sameToTheEnd says whether the next record with d's id says the same as d.
func (m *model) sameToTheEnd(drawn []modelRecord, d modelRecord) bool {
	for _, o := range drawn[1:] {
		if o.id == d.id {
			return o == d
		}
	}
	return true
}

func (m *model) retire(key string, by int) {
	r := m.rows[key]
	m.past[key+" "+r.String()] = true
	m.history = append(m.history, fmt.Sprintf("%s %v first=%d changed=%d by=%d", key, r, r.first, r.changed, by))
}

func (m *model) lines() (rows []string) {
	for key, r := range m.rows {
		rows = append(rows, fmt.Sprintf("%s %v first=%d changed=%d", key, r, r.first, r.changed))
	}
	slices.Sort(rows)
	return rows
}

// modelRecord is one record of a drawn page.
type modelRecord struct {
	id, text string
	pending  bool
}

// Any sequence of pages, in groups of any size, has the effect of writing them one after the other in the model:
// rows, history, counts. Every row's call is there.
func TestCommitAgainstAModel(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	consent := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		consent++
		m := &model{rows: map[string]modelRow{}, past: map[string]bool{}}
		numbers := map[string]int{} // of the pages, by call
		n := 0
		for range rapid.IntRange(1, 4).Draw(rt, "groups") {
			var group []write.PageWrite
			var want []write.Written
			for range rapid.IntRange(1, 4).Draw(rt, "pages") {
				p, drawn := drawPage(rt, consent)
				numbers[p.Call.ID.String()] = n
				want = append(want, m.write(n, &p, drawn))
				group = append(group, p)
				n++
			}
			var got []write.Written
			for _, r := range w.Commit(t.Context(), group) {
				if r.Err != nil {
					rt.Fatal(r.Err)
				}
				got = append(got, r.Written)
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				rt.Fatal(diff)
			}
		}
		if diff := gocmp.Diff(m.lines(), storedRows(t, numbers, pool, consent)); diff != "" {
			rt.Fatal("rows:", diff)
		}
		history := storedHistory(t, numbers, pool, consent)
		slices.Sort(m.history)
		if diff := gocmp.Diff(m.history, history); diff != "" {
			rt.Fatal("history:", diff)
		}
	})
}

func drawPage(rt *rapid.T, consent int64) (write.PageWrite, []modelRecord) {
	account := rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "account")
	p := newPage(transactionsStream(consent, account), "")
	p.NewStream = rapid.Bool().Draw(rt, "new stream")
	var drawn []modelRecord
	for i := range rapid.IntRange(0, 5).Draw(rt, "records") {
		r := modelRecord{
			id:      rapid.SampledFrom([]string{"a:1", "a:2", "b:1", "b:2"}).Draw(rt, "id"),
			text:    rapid.SampledFrom([]string{"one", "two"}).Draw(rt, "text"),
			pending: rapid.Bool().Draw(rt, "pending"),
		}
		drawn = append(drawn, r)
		record := newTransaction(account, r.id, r.text, i)
		if r.pending {
			record.Status = finance.Pending
		}
		p.Records.Transactions = append(p.Records.Transactions, record)
	}
	if rapid.Bool().Draw(rt, "whole") {
		p.Whole = &finance.Whole{
			Status:  rapid.SampledFrom([]string{"", finance.Booked, finance.Pending}).Draw(rt, "status"),
			Prefix:  rapid.SampledFrom([]string{"", "a:"}).Draw(rt, "prefix"),
			Earlier: rapid.SliceOfN(rapid.SampledFrom([]string{"a:1", "b:2"}), 0, 2).Draw(rt, "earlier"),
		}
	}
	return p, drawn
}

// storedRows are the rows as the model writes them down. The page that brought a row first is the earliest of those that
// share its first_seen_at; where their versions lie in the history says nothing, for each connection fills a block of its
// own.
func storedRows(t *testing.T, numbers map[string]int, pool querier, consent int64) (lines []string) {
	for _, line := range queryAll(t, pool, `SELECT t.account_id, t.transaction_id, t.text, 'pending='||(t.status = 'pending')::text,
		'removed='||(t.removed_at IS NOT NULL)::text, c.id::text, concat((SELECT string_agg(h.call_id::text, ' ')
		FROM transactions_history h WHERE h.consent_id = t.consent_id AND h.account_id = t.account_id
		AND h.transaction_id = t.transaction_id AND h.first_seen_at = t.first_seen_at))
		FROM transactions t JOIN calls c ON c.id = t.call_id WHERE t.consent_id = $1`, consent) {
		f := strings.Fields(line)
		changed := numbers[f[5]]
		first := changed
		for _, call := range f[6:] {
			first = min(first, numbers[call])
		}
		lines = append(lines, fmt.Sprintf("%s first=%d changed=%d", strings.Join(f[:5], " "), first, changed))
	}
	slices.Sort(lines)
	return lines
}

func storedHistory(t *testing.T, numbers map[string]int, pool querier, consent int64) (lines []string) {
	first := map[string]int{}
	rows := queryAll(t, pool, `SELECT account_id, transaction_id, text, 'pending='||(status = 'pending')::text,
		'removed='||(removed_at IS NOT NULL)::text, call_id::text, replaced_by::text
		FROM transactions_history WHERE consent_id = $1`, consent)
	slices.SortFunc(rows, func(x, y string) int {
		return cmp.Compare(numbers[strings.Fields(x)[5]], numbers[strings.Fields(y)[5]])
	})
	for _, line := range rows {
		f := strings.Fields(line)
		key := f[0] + " " + f[1]
		if _, ok := first[key]; !ok {
			first[key] = numbers[f[5]]
		}
		lines = append(lines, fmt.Sprintf("%s first=%d changed=%d by=%d", strings.Join(f[:5], " "), first[key],
			numbers[f[5]], numbers[f[6]]))
	}
	slices.Sort(lines)
	return lines
}
