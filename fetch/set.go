package fetch

import (
	"cmp"
	"hash/maphash"
	"strings"

	"syncer/finance"
)

// shown is what a walk knows of the list that it is reading.
type shown struct {
	seed  maphash.Seed
	begun bool // the list's first page was read in this walk
	pages int  // read in this walk, those that hold nothing of the set left out
	empty int  // in a row, up to the present one

	// keys are hashes of the keys of all records shown. Two keys of one hash would at worst cost a set its proof, and a list
	// of a million records must not cost a gigabyte.
	keys   map[uint64]struct{}
	last   []uint64        // those of the page before
	now    []uint64        // those of the page that was compared, for add
	before finance.Records // of the page before
	bodies map[finance.Hash]struct{}
	ids    []string // of the set's records, for finance.Whole
	cover  cover    // what its pages show of it by their Content-Range

	against string // why the set is not proven; empty: nothing speaks against it
}

func newShown(begun bool) *shown {
	return &shown{seed: maphash.MakeSeed(), begun: begun, keys: map[uint64]struct{}{}, bodies: map[finance.Hash]struct{}{}}
}

// each calls f for every record of a page with the hash of its key. An account's figures are parts of it.
func (l *shown) each(r *finance.Records, f func(key uint64, own bool)) {
	hash := func(kind, a, b string) uint64 { return maphash.Comparable(l.seed, [3]string{kind, a, b}) }
	for i := range r.Accounts {
		f(hash("account", r.Accounts[i].ID, ""), !r.Accounts[i].Made)
	}
	for i := range r.Transactions {
		t := &r.Transactions[i]
		f(hash("transaction", t.AccountID, t.ID), !t.Made)
	}
	for i := range r.Debts {
		f(hash("debt", r.Debts[i].ID, ""), !r.Debts[i].Made)
	}
}

// news is what a page has brought of a list.
type news struct {
	fresh    bool // a record that the list has not shown before, or no record at all
	repeated bool // a key of the provider's own that stood on an earlier page of the list
	same     bool // the records are those of the page before, all of them and no other
	changed  bool // they are, by their keys, and some have another content
}

// onTwoPages says that a record stood on an earlier page, and the page is not simply the one before once more.
func (n news) onTwoPages() bool {
	sameAgain := n.same && !n.changed
	return n.repeated && !sameAgain
}

// compare says what a page brings. A record whose key was made here has another key wherever it stands, so pages of
// nothing but such records are compared by their bytes. With overlaps the first record may be the last one of the page
// before, and then nothing is said of it.
func (l *shown) compare(page *Page, overlaps bool) news {
	n := news{same: true}
	count := 0
	made := 0
	l.now = l.now[:0]
	l.each(&page.Records, func(key uint64, own bool) {
		l.now = append(l.now, key)
		_, known := l.keys[key]
		if overlaps && l.wasLast(key) {
			overlaps = false
			return
		}
		if !known {
			n.fresh = true
		}
		if known && own {
			n.repeated = true
		}
		if !l.stoodAt(count, key) {
			n.same = false
		}
		if !own {
			made++
		}
		count++
	})
	if count != len(l.last) {
		n.same = false
	}
	if count == 0 {
		return news{fresh: true}
	}
	if _, again := l.bodies[page.Answer.Hash]; again && made == count {
		return news{same: true}
	}
	n.changed = n.same && !sameContent(&l.before, &page.Records)
	return n
}

// wasLast says that a key is that of the last record of the page before.
func (l *shown) wasLast(key uint64) bool {
	if len(l.last) == 0 {
		return false
	}
	return key == l.last[len(l.last)-1]
}

// stoodAt says that a key stood at a place of the page before.
func (l *shown) stoodAt(place int, key uint64) bool {
	if place >= len(l.last) {
		return false
	}
	return l.last[place] == key
}

// sameContent says whether two pages of the same keys say the same of them.
func sameContent(a, b *finance.Records) bool {
	var h finance.Hasher
	switch {
	case !alike(a.Accounts, b.Accounts, h.Account), !alike(a.Balances, b.Balances, h.Balance):
		return false
	case !alike(a.Transactions, b.Transactions, h.Transaction), !alike(a.Debts, b.Debts, h.Debt):
		return false
	}
	return true
}

func alike[T any](a, b []T, hash func(*T) finance.Hash) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if hash(&a[i]) != hash(&b[i]) {
			return false
		}
	}
	return true
}

// has says whether all of these records have been shown.
func (l *shown) has(r *finance.Records) bool {
	all := true
	count := 0
	l.each(r, func(key uint64, _ bool) {
		if _, known := l.keys[key]; !known {
			all = false
		}
		count++
	})
	return all && count > 0
}

// mostCompared is how many records a page may have that is held until the next one has come, to compare what they say. Of a
// larger one that comes again with the same keys it is taken for changed: that proves nothing, and removes nothing.
const mostCompared = 10_000

// add takes note of the page that was compared.
func (l *shown) add(page *Page, st *Step) {
	l.last, l.now = l.now, l.last
	for _, key := range l.last {
		l.keys[key] = struct{}{}
	}
	l.before = finance.Records{}
	if page.Records.Len() <= mostCompared {
		l.before = page.Records
	}
	l.bodies[page.Answer.Hash] = struct{}{}
	if st.Set == "" || page.Outside {
		return
	}
	l.pages++
	for i := range page.Records.Accounts {
		l.ids = append(l.ids, strings.Clone(page.Records.Accounts[i].ID)) // or it would hold the whole answer
	}
	for i := range page.Records.Transactions {
		if t := &page.Records.Transactions[i]; st.declares(t.Status) {
			l.ids = append(l.ids, strings.Clone(t.ID))
		}
	}
	for i := range page.Records.Debts {
		l.ids = append(l.ids, strings.Clone(page.Records.Debts[i].ID))
	}
	for i := range page.Rejects { // shown, though it could not be read
		if key := page.Rejects[i].Key; key != "" {
			l.ids = append(l.ids, strings.Clone(key))
		}
	}
}

// declares says that records of a status belong to the step's set.
func (st *Step) declares(status string) bool { return st.Status == "" || st.Status == status }

// doubt notes why the set is not proven. The first reason counts.
func (l *shown) doubt(why string) { l.against = cmp.Or(l.against, why) }

// proof turns what a connector declares whole at the end of a list into what is proven: rows may be stored from any page,
// but that there are no others has to be proven. What one answer shows whole is proven by that answer. A set of several
// pages is proven only if this walk has read all of them and nothing speaks against it.
func (l *shown) proof(st *Step, page *Page) *finance.Whole {
	if page.Whole == nil || st.Set == "" {
		return page.Whole
	}
	if !l.begun || l.against != "" {
		return nil
	}
	whole := *page.Whole
	whole.Earlier = l.ids
	whole.Paged = l.pages > 1 || l.pages == 1 && !page.Outside
	return &whole
}
