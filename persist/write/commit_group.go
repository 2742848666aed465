package write

import (
	"errors"
	"fmt"
	"slices"

	"syncer/finance"
	"syncer/persist/pg"
)

// page is a PageWrite on its way: what was made of it before the transaction, and what the transaction did.
type page struct {
	*PageWrite
	result *Result
	sealed []byte // the body as it is kept, once it was needed

	aside    int              // records that were set aside, at the end of Rejects
	replaced []finance.Reject // clashes, by the plan
	planned  Written          // what the plan alone decided: repeats and clashes inside the group

	// In the attempt under way:
	written   Written
	figures   Written          // of written, what is balances of accounts
	contested []finance.Reject // see entry.contest
	fenced    bool
	compared  bool // its set with the tables
}

// group is the pages of one transaction.
type group struct {
	pages  []*page
	rounds *rounds // of all pages; made anew when some of them turn out to be fenced
	trial  bool    // only to see whether Postgres takes the records: nothing is kept
}

func (g *group) fail(err error) {
	for _, p := range g.pages {
		p.refuse(err)
	}
}

// refuse ends a page with an error. One that is about the page's data says so, with the page's call.
func (p *page) refuse(err error) {
	if classify(err) == data {
		err = &UnstorableError{Call: p.Call, Err: err}
	}
	p.result.Err = err
}

// prepare checks the pages, outside any transaction. A page that can't be written gets its error at once.
func prepare(pages []PageWrite, results []Result) *group {
	g := &group{}
	broken := map[finance.Stream]bool{}
	for i := range pages {
		p := &page{PageWrite: &pages[i], result: &results[i]}
		if broken[p.Stream] {
			p.result.Err = errBehind(p.Stream)
			continue
		}
		if err := p.ready(); err != nil {
			p.refuse(fmt.Errorf("commit a page of %s, call %s: %w", streamName(p.Stream), p.Call.ID, err))
			broken[p.Stream] = true
			continue
		}
		g.pages = append(g.pages, p)
	}
	return g
}

// ready checks what would make the whole transaction fail.
func (p *page) ready() error {
	unstorable := func(text string) bool { return !pg.Storable(text) }
	if slices.ContainsFunc([]string{p.Position, p.Facts.Next, p.Stream.Account, p.Stream.Span}, unstorable) {
		return &dataError{err: errors.New("the position or the stream's name is not valid UTF-8 without NUL")}
	}
	if p.Unchanged {
		if p.Records.Len() > 0 {
			return &dataError{err: errors.New("an unchanged page can't have records")}
		}
		return nil
	}
	if p.Whole != nil {
		switch p.Whole.Status {
		case "", finance.Booked, finance.Pending:
		default:
			return &dataError{err: fmt.Errorf("a whole set of status %q is not known", p.Whole.Status)}
		}
	}
	p.setKeysAside()
	return nil
}

// rounds puts the records of a group into rounds. Within a round every key occurs once, so a round can be written set by
// set; the rounds, one after the other, have the effect of writing page after page.
type rounds struct {
	pages        [][]*page // of each round, those that declare a set whole
	shown        [][]*page // of each round, all of them
	accounts     rows[finance.Account]
	balances     rows[finance.Balance]
	transactions rows[finance.Transaction]
	debts        rows[finance.Debt]
}

// roundsOf makes the rounds of pages, in their order. A page goes to a later round than another if it says something
// else of the same record, or if it follows a whole set of its stream.
func roundsOf(pages []*page) *rounds {
	pl := &rounds{
		accounts:     newRows(&accountKind),
		balances:     newRows(&balanceKind),
		transactions: newRows(&transactionKind),
		debts:        newRows(&debtKind),
	}
	var h finance.Hasher
	next := map[finance.Stream]int{}
	for _, p := range pages {
		p.planned = Written{}
		p.replaced = nil
		if p.Staged != nil {
			continue
		}
		r := &p.Records
		accounts := entriesOf(&accountKind, p, r.Accounts, &h)
		balances := entriesOf(&balanceKind, p, r.Balances, &h)
		transactions := entriesOf(&transactionKind, p, r.Transactions, &h)
		debts := entriesOf(&debtKind, p, r.Debts, &h)

		round := next[p.Stream]
		round = pl.accounts.earliest(accounts, round)
		round = pl.balances.earliest(balances, round)
		round = pl.transactions.earliest(transactions, round)
		round = pl.debts.earliest(debts, round)

		pl.accounts.add(accounts, round)
		pl.balances.add(balances, round)
		pl.transactions.add(transactions, round)
		pl.debts.add(debts, round)

		next[p.Stream] = round
		for len(pl.pages) <= round {
			pl.pages = append(pl.pages, nil)
			pl.shown = append(pl.shown, nil)
		}
		pl.shown[round] = append(pl.shown[round], p)
		if p.Whole != nil && !p.Unchanged {
			pl.pages[round] = append(pl.pages[round], p)
			next[p.Stream] = round + 1
		}
	}
	return pl
}

// rowKey is a record's key.
type rowKey struct {
	consent int64
	columns [3]string // see kind.key
}

// entry is one record to be written. A large answer has as many as records, so its key is taken from the record each time.
type entry[T any] struct {
	hash finance.Hash
	page *page
	rec  *T
}

func (k *kind[T]) keyOf(e *entry[T]) rowKey { return rowKey{e.page.Stream.Consent, k.id(e.rec)} }

func entriesOf[T any](k *kind[T], p *page, records []T, h *finance.Hasher) []entry[T] {
	if len(records) == 0 {
		return nil
	}
	es := make([]entry[T], len(records))
	for i := range records {
		rec := &records[i]
		es[i] = entry[T]{k.hash(h, rec), p, rec}
	}
	return es
}

// rows are the records of one kind, round by round.
type rows[T any] struct {
	kind   *kind[T]
	rounds [][]entry[T]
	last   spots // where each key was last put
}

func newRows[T any](k *kind[T]) rows[T] { return rows[T]{kind: k} }

// at is the entry at a spot.
func (r *rows[T]) at(p spot) *entry[T] { return &r.rounds[p.round][p.index] }

// keyAt is the key at a spot.
func (r *rows[T]) keyAt(p spot) rowKey { return r.kind.keyOf(r.at(p)) }

// earliest is the first round, from the given one on, into which all of es can go.
func (r *rows[T]) earliest(es []entry[T], round int) int {
	if r.last.empty() {
		return round
	}
	for i := range es {
		before, ok := r.last.of(r.kind.keyOf(&es[i]), r.keyAt)
		switch {
		case !ok || int(before.round) < round:
		case r.at(before).hash == es[i].hash:
			round = int(before.round)
		default:
			round = int(before.round) + 1
		}
	}
	return round
}

// add puts the records of one page into a round. The last of several with one key wins; one that an earlier page of
// the round already brings is left out.
func (r *rows[T]) add(es []entry[T], round int) {
	if len(es) == 0 {
		return
	}
	for len(r.rounds) <= round {
		r.rounds = append(r.rounds, nil)
	}
	if r.rounds[round] == nil {
		r.rounds[round] = es[:0] // in their own place: those of a large page cost nearly as much as the page
	}
	r.rounds[round] = slices.Grow(r.rounds[round], len(es))
	r.last.grow(len(es))
	for _, e := range es {
		key := r.kind.keyOf(&e)
		before, ok := r.last.of(key, r.keyAt)
		if !ok || int(before.round) != round {
			r.last.put(key, spot{int32(round), int32(len(r.rounds[round]))}, r.keyAt)
			r.rounds[round] = append(r.rounds[round], e)
			continue
		}
		other := r.at(before)
		otherwise := other.page == e.page && other.hash != e.hash // one answer says it twice, with other content
		if !otherwise {
			e.page.planned.Unchanged++
			continue
		}
		e.page.planned.Clashes++
		e.page.planned.Contested++
		e.page.replaced = append(e.page.replaced, finance.Reject{Place: r.kind.place(other.rec), Body: other.hash,
			Reason: fmt.Sprintf("the record at place %d of the same answer has the same key in %s and other content: that one was kept",
				r.kind.place(e.rec), r.kind.table)})
		*other = e
	}
}
