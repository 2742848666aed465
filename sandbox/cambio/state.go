package cambio

import (
	"sync"
	"time"

	"syncer/sandbox"
)

// change is what has happened to a patient since the world began.
type change struct {
	paid   map[string]bool // invoice ids
	gone   int             // the newest invoices that were taken away
	billed int             // invoices made since
	raised int             // times that the first contact's fee was raised
	closed bool            // the record is closed to the client
}

// alter changes patient i.
func (w *world) alter(i int, f func(*change)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.changes[i]
	if c == nil {
		c = &change{paid: map[string]bool{}}
		w.changes[i] = c
	}
	f(c)
}

// changed is a copy of what has happened to patient i.
func (w *world) changed(i int) (c change) {
	w.alter(i, func(now *change) {
		c = change{paid: map[string]bool{}, gone: now.gone, billed: now.billed, raised: now.raised, closed: now.closed}
		for id := range now.paid {
			c.paid[id] = true
		}
	})
	return c
}

// searches are the results that pages can still be read of.
type searches struct {
	ttl time.Duration

	mu   sync.Mutex
	made int
	kept map[string]*search
}

type search struct {
	asked   string // empty: never found again
	subject string
	found   []any
	find    func() []any // anew
	ends    time.Time
}

// live is what a search finds now; found where it is not kept.
func (k *searches) live(id string, found []any) []any {
	k.mu.Lock()
	defer k.mu.Unlock()
	if one := k.kept[id]; one != nil {
		return one.find()
	}
	return found
}

// keep names a search and gives what it shows. One that fits into a page is not
// kept, where no link leads to it.
func (k *searches) keep(s search, page int, keepAll bool, now time.Time) (string, []any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made++
	id := sandbox.UUIDs{Seed: 's'}.At(k.made)
	if len(s.found) <= page && !keepAll {
		return id, s.found
	}
	for old, one := range k.kept {
		switch {
		case !now.Before(one.ends):
			delete(k.kept, old)
		case s.asked != "" && one.asked == s.asked:
			return old, one.found
		}
	}
	s.ends = now.Add(k.ttl)
	k.kept[id] = &s
	return id, s.found
}

func (k *searches) get(id string, now time.Time) ([]any, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	one := k.kept[id]
	if one == nil || !now.Before(one.ends) {
		return nil, false
	}
	return one.found, true
}

// subject is whom a search is about, dead or alive as long as it is remembered.
func (k *searches) subject(id string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if one := k.kept[id]; one != nil {
		return one.subject
	}
	return ""
}
