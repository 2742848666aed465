package fetchtest

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"syncer/fetch"
)

// Passes proves what a connector promises of passes and lists: that a pass which breaks off anywhere goes on, whatever
// has become of the list meanwhile; that nothing is declared whole which the pass has not seen whole; and that lists come
// to an end. build makes a new world for each case, inside a bubble of testing/synctest: mount its server with Piped.
func Passes(t *testing.T, build func(*testing.T) Harness) {
	p := passes{build}
	streams := p.look(t)
	for _, c := range []struct {
		name string
		f    func(*pass, int)
	}{
		{"goes on after a kill", (*pass).killed},
		{"goes on after a wait", (*pass).waited},
		{"goes on after a night", (*pass).overnight},
		{"goes on over midnight", (*pass).midnight},
		{"is taken up behind midnight", (*pass).behindMidnight},
		{"the list grows", (*pass).grown},
		{"the list shrinks", (*pass).shrunk},
		{"the list grows during a wait", (*pass).grownInAWait},
		{"the list shrinks before a kill", (*pass).shrunkAndKilled},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, pages := range streams {
				for k := 1; k < pages; k++ {
					if testing.Short() && k > 1 { // the first gap stands for the others
						continue
					}
					t.Run(fmt.Sprintf("stream %d behind page %d of %d", i, k, pages), func(t *testing.T) {
						p.in(t, i, func(s *pass) { c.f(s, k) })
					})
				}
			}
		})
	}
	for i := range streams {
		t.Run(fmt.Sprintf("stream %d has an end", i), func(t *testing.T) { p.in(t, i, (*pass).ends) })
		t.Run(fmt.Sprintf("stream %d knows the day that has begun", i), func(t *testing.T) { p.in(t, i, (*pass).newDay) })
	}
	refusals := []int{403, 500, 400, 404, 409, 410, 422, 423, 503}
	if testing.Short() {
		refusals = refusals[:2]
	}
	for _, status := range refusals {
		t.Run(fmt.Sprintf("one account is refused with %d", status), func(t *testing.T) { p.refused(t, status) })
	}
}

type passes struct{ build func(*testing.T) Harness }

// look says how many pages each stream has.
func (p passes) look(t *testing.T) (pages []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := p.build(t)
		for _, s := range h.bench(t).streams(&h) {
			pages = append(pages, len(h.bench(t).MustRead(t, s, "")))
		}
	})
	return pages
}

// in runs f in a world of its own, with one of its streams.
func (p passes) in(t *testing.T, stream int, f func(*pass)) {
	synctest.Test(t, func(t *testing.T) {
		h := p.build(t)
		s := h.bench(t).streams(&h)[stream]
		f(&pass{t: t, h: &h, s: s, store: newStore()})
	})
}

func (*Client) streams(h *Harness) []fetch.Stream { return h.streams() }

// pass is a stream that is read in passes, and what is stored of it.
type pass struct {
	t     *testing.T
	h     *Harness
	s     fetch.Stream
	store *store
	ever  table    // everything that the provider has shown
	whole []string // the sets that were declared since the last look
	grew  bool     // the list's last change was a new record
}

// truth is what an undisturbed pass of somebody else gives at this moment.
func (p *pass) truth() table {
	p.t.Helper()
	s := p.s
	s.Stale = false
	s.Rows = nil
	now := tableOf(p.h.bench(p.t).MustRead(p.t, s, "")...)
	if p.ever == nil {
		p.ever = table{}
	}
	for key, line := range now {
		p.ever[key] = line
	}
	return now
}

// read reads on from a position, as another process would, and stores what comes, up to so many pages or to the end. It
// gives where the stream stands then.
func (p *pass) read(from string, upTo int) (next string, pages int, done bool) {
	p.t.Helper()
	return p.reading(from, upTo, func(int) {})
}

// reading is read; behind is called behind every page that another one follows, in the middle of the pass.
func (p *pass) reading(from string, upTo int, behind func(page int)) (next string, pages int, done bool) {
	p.t.Helper()
	p.s.Rows = p.store
	for page, err := range p.h.bench(p.t).Connector().Pages(p.t.Context(), p.s, from) {
		if err != nil {
			p.t.Fatalf("behind page %d: %v", pages, err)
		}
		pages++
		p.take(&page)
		next = page.Next
		switch {
		case page.Done:
			return next, pages, true
		case pages == upTo:
			return next, pages, false
		}
		behind(pages)
	}
	p.t.Fatalf("the pass has %d pages and no end", pages)
	return "", 0, false
}

// toTheEnd is read of all that a pass has left.
func (p *pass) toTheEnd(from string) (next string) {
	p.t.Helper()
	next, _, _ = p.read(from, -1)
	return next
}

// take stores a page, and looks at what it says is gone.
func (p *pass) take(page *fetch.Page) {
	p.t.Helper()
	removed := p.store.take(page)
	if page.Whole == nil {
		return
	}
	p.whole = append(p.whole, page.Whole.Prefix+" "+page.Whole.Status)
	truth := p.truth()
	for _, key := range removed {
		if _, lives := truth[key]; lives {
			p.t.Errorf("%s lives and was removed", key)
		}
	}
	if p.h.Unseen != nil && p.h.Unseen(p.s, p.grew) {
		return
	}
	shown := shownBy(page)
	for key, line := range truth {
		if !shown[key] && within(page.Whole, key, line) {
			p.t.Errorf("a set is declared whole without %s, which belongs to it", key)
		}
	}
}

// declared are the sets that were declared since it was last asked.
func (p *pass) declared() []string {
	slices.Sort(p.whole)
	out := slices.Compact(p.whole)
	p.whole = nil
	return out
}

// nothingInvented fails if something is stored that the provider has never shown.
func (p *pass) nothingInvented() {
	p.t.Helper()
	for key := range p.store.rows {
		if _, known := p.ever[key]; !known {
			p.t.Errorf("%s was never shown by the provider", key)
		}
	}
}

// complete fails if not everything is stored that there is.
func (p *pass) complete(when string) {
	p.t.Helper()
	got := p.store.table()
	for key, line := range p.truth() {
		if got[key] != line {
			p.t.Errorf("%s: %s is stored as %q, and is %q", when, key, got[key], line)
		}
	}
}

// exact fails if something else is stored than there is.
func (p *pass) exact(when string) {
	p.t.Helper()
	if diff := gocmp.Diff(p.truth(), p.store.table()); diff != "" {
		p.t.Errorf("%s (-the provider's, +ours):\n%s", when, diff)
	}
}

// tomorrow is the next night.
func (p *pass) tomorrow() {
	<-time.After(24 * time.Hour)
	p.nextDay()
	p.s.Stale = false
}

func (p *pass) nextDay() {
	if !p.s.Today.IsZero() {
		p.s.Today = p.s.Today.AddDays(1)
	}
}

// usual are the sets that an undisturbed pass declares behind another one.
func (p *pass) usual() []string {
	p.t.Helper()
	own := p.store
	p.store = newStore()
	end := p.toTheEnd("")
	p.whole = nil
	p.toTheEnd(end)
	p.store = own
	return p.declared()
}

// proves reads the next passes and says that they prove what such passes prove, until the tables are right.
func (p *pass) proves(from string, usual []string) {
	p.t.Helper()
	p.s.Stale = false
	p.whole = nil
	from = p.toTheEnd(from)
	if diff := gocmp.Diff(usual, p.declared()); diff != "" {
		p.t.Errorf("the pass behind it proves something else than usual:\n%s", diff)
	}
	p.complete("after the pass behind it")
	p.toTheEnd(from) // the second look
	p.exact("after two quiet passes")
}

// killed proves that another process goes on where one has died, and that the pass proves nothing of a list that began
// before.
func (p *pass) killed(k int) {
	usual := p.usual()
	_, all, _ := p.read("", -1)
	p.store = newStore()
	p.whole = nil
	next, _, _ := p.read("", k)
	next, rest, _ := p.read(next, -1)
	if rest > all-k+1 { // one page may be looked at twice
		p.t.Errorf("%d pages behind page %d of %d: the pass does not go on where it was", rest, k, all)
	}
	p.exact("after the pass that was taken up")
	p.proves(next, usual)
}

// waited proves that a pause of one process is no break where the list rests.
func (p *pass) waited(k int) {
	usual := p.usual()
	p.toTheEnd("")
	undisturbed := p.declared()
	p.store = newStore()
	next, _, _ := p.reading("", -1, func(page int) {
		if page == k {
			<-time.After(10 * time.Second)
		}
	})
	if diff := gocmp.Diff(undisturbed, p.declared()); diff != "" {
		p.t.Errorf("a pass with a pause proves something else than one without:\n%s", diff)
	}
	p.exact("after the pass with a pause")
	p.proves(next, usual)
}

// overnight proves that a pass which is taken up by another run finds what is new as well.
func (p *pass) overnight(k int) {
	usual := p.usual()
	p.toTheEnd("")
	p.whole = nil
	next, _, _ := p.read("", k)
	p.tomorrow()
	p.grow()
	p.s.Stale = true
	next = p.toTheEnd(next)
	p.complete("after the night")
	p.proves(next, usual)
}

// grow puts a record into the provider's list, if it has such a list, and shrink takes one away.
func (p *pass) grow() {
	p.t.Helper()
	p.grew = true
	p.change(p.h.Grow)
}

func (p *pass) shrink() {
	p.t.Helper()
	p.grew = false
	p.change(p.h.Shrink)
}

func (p *pass) change(how func(fetch.Stream) bool) {
	p.t.Helper()
	if how == nil {
		return
	}
	p.truth()
	how(p.s)
	p.truth()
}

func (p *pass) grown(k int)        { p.moved(k, 0, p.grow) }
func (p *pass) shrunk(k int)       { p.moved(k, 0, p.shrink) }
func (p *pass) grownInAWait(k int) { p.moved(k, 10*time.Second, p.grow) }

// moved proves that a list which moves while it is read costs no record its place in the tables, and makes none up.
func (p *pass) moved(k int, wait time.Duration, how func()) {
	usual := p.usual()
	p.toTheEnd("")
	p.whole = nil
	next, _, _ := p.reading("", -1, func(page int) {
		if page == k {
			<-time.After(wait)
			how()
		}
	})
	p.nothingInvented()
	p.proves(next, usual)
}

// shrunkAndKilled proves the same where another process reads on.
func (p *pass) shrunkAndKilled(k int) {
	usual := p.usual()
	p.toTheEnd("")
	p.whole = nil
	next, _, _ := p.read("", k)
	p.shrink()
	next = p.toTheEnd(next)
	p.nothingInvented()
	p.proves(next, usual)
}

// ends proves that a pass ends, and one from there, and one of a list that leads on for ever; such a list loses nothing.
func (p *pass) ends() {
	next, pages, _ := p.read("", -1)
	next = p.toTheEnd(next)
	p.exact("after two passes")
	if p.h.Endless == nil || !p.h.Endless(p.s) {
		return
	}
	p.whole = nil
	before := len(p.h.Arrivals())
	p.read("", -1)
	if calls := len(p.h.Arrivals()) - before; calls > mostCalls+4*pages { // a list that seems to move is read again
		p.t.Errorf("a list without an end took %d calls, with an end %d pages", calls, pages)
	}
	p.exact("after a pass over a list without an end")
	p.toTheEnd(next)
	p.exact("after the pass behind it")
}

// mostCalls is what finding out may cost that a list has no end. A bank that counts a row which it never shows is asked for
// ever smaller windows.
const mostCalls = 60

// refused proves that an account which the provider refuses fails alone, and that the connection goes on.
func (p passes) refused(t *testing.T, status int) {
	synctest.Test(t, func(t *testing.T) {
		h := p.build(t)
		if h.Refuse == nil {
			t.Log("the provider has no accounts")
			return
		}
		own := h
		own.Streams = h.Accounts
		streams := own.streams()
		for i := range streams {
			want := map[int]table{}
			for k, s := range streams {
				want[k] = tableOf(h.bench(t).MustRead(t, s, "")...)
			}
			undo := h.Refuse(streams[i], status)
			c := h.bench(t)
			begun := time.Now()
			for _, k := range append([]int{i}, otherThan(i, len(streams))...) {
				pages, err := c.Read(t.Context(), streams[k], "")
				if k == i {
					if err == nil || len(pages) > 0 {
						t.Errorf("account %d is refused and gives %d pages, error %v", k, len(pages), err)
					}
					continue
				}
				if err != nil {
					t.Errorf("account %d is refused, and account %d fails: %v", i, k, err)
				}
				if diff := gocmp.Diff(want[k], tableOf(pages...)); diff != "" {
					t.Errorf("account %d is refused, and account %d has changed:\n%s", i, k, diff)
				}
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("account %d is refused, and the others wait for %s", i, took)
			}
			undo()
		}
	})
}

func otherThan(i, n int) (others []int) {
	for k := range n {
		if k != i {
			others = append(others, k)
		}
	}
	return others
}
