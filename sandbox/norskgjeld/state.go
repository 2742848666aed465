package norskgjeld

import (
	"sync"
	"time"
)

// register is what has happened to the world since it began: only consents
// that somebody touched take memory.
type register struct {
	world
	mu      sync.Mutex
	touched map[int]*consentState
	people  map[string]personState // by national id
	added   []agreement            // consents registered by clients
	byRef   map[clientRef]int      // index into added
	events  []event                // since the start, in order of sequence number
	lastSeq int64
	swept   time.Time // expiries up to here are in the feed
}

type consentState struct {
	spent, revoked bool
}

// personState changes what creditors answer about a person.
type personState struct {
	version int  // how often a balance has changed
	missing bool // a creditor stopped answering
	repaid  int  // loans that are gone
}

type agreement struct {
	info ConsentInfo
	days int // as asked for, before the scope's maximum
}

type clientRef struct{ client, ref string }

func newRegister(w world) *register {
	return &register{
		world:   w,
		touched: make(map[int]*consentState),
		people:  make(map[string]personState),
		byRef:   make(map[clientRef]int),
		lastSeq: w.lastSeeded(),
		swept:   w.o.Start,
	}
}

// find returns the consent with an id. The caller holds mu.
func (g *register) find(id string) (ConsentInfo, int, bool) {
	index, ok := g.ids.Index(id)
	if !ok || index >= g.o.Consents+len(g.added) {
		return ConsentInfo{}, 0, false
	}
	return g.at(index), index, true
}

func (g *register) at(index int) ConsentInfo {
	if index < g.o.Consents {
		return g.consent(index)
	}
	return g.added[index-g.o.Consents].info
}

func (g *register) state(index int) *consentState {
	s := g.touched[index]
	if s == nil {
		s = &consentState{}
		g.touched[index] = s
	}
	return s
}

// validity is why a consent can't be used; the zero value says that it can.
type validity struct {
	inactive bool
	expired  bool
}

// isGone says that a consent was revoked, or had its one answer. One that nobody has touched was not.
func (s *consentState) isGone() bool {
	if s == nil {
		return false
	}
	return s.revoked || s.spent
}

func (g *register) validityOf(c ConsentInfo, index int, now time.Time) validity {
	if g.touched[index].isGone() {
		return validity{inactive: true}
	}
	expired := !now.Before(c.ValidUntil)
	return validity{inactive: expired, expired: expired}
}

// lookup is what a debt lookup may see of a consent.
type lookup struct {
	consent ConsentInfo
	index   int
	person  personState
	validity
}

// collect finds a consent for a debt lookup and, when it may be used and is
// good for one answer only, spends it in the same breath: of two simultaneous
// lookups one gets the answer.
func (g *register) collect(id string, now time.Time, allowed func(ConsentInfo) bool) (lookup, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, index, ok := g.find(id)
	if !ok || !allowed(c) {
		return lookup{}, false
	}
	l := lookup{consent: c, index: index, person: g.people[c.NationalID], validity: g.validityOf(c, index, now)}
	if !l.inactive && c.SingleUse {
		g.state(index).spent = true
		if g.o.ArchiveSpent {
			g.archive(index, now)
		}
	}
	return l, true
}

// revoke ends a consent; false if it had ended already or never was.
func (g *register) revoke(id string, now time.Time, allowed func(ConsentInfo) bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, index, ok := g.find(id)
	if !ok || !allowed(c) {
		return false
	}
	if g.validityOf(c, index, now).inactive {
		return false
	}
	g.state(index).revoked = true
	g.archive(index, now)
	return true
}

// change lets f change what creditors say about the person behind a consent.
func (g *register) change(id string, f func(*personState)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, _, ok := g.find(id)
	if !ok {
		return false
	}
	p := g.people[c.NationalID]
	f(&p)
	g.people[c.NationalID] = p
	return true
}
