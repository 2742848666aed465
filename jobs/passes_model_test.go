package jobs_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"syncer/finance"
	"syncer/persist/persisttest"
	"syncer/persist/queue"
)

// A provider's list changes at any time, its pages fail in any way, workers are killed and parked: after every run the
// tables and the verdict say what was provable, and once the provider is quiet they come to its truth.
//
// What is provable depends on how the list is paged:
//   - One answer shows all there was at that moment. It proves what is gone by itself.
//   - A cursor that stands for a rank, or for a list kept as it was, lets no record slip past the reader that was there
//     all the time and was not moved among the others. What is gone is proven by two passes.
//   - Offsets, page numbers, and cursors that stand for a number of records, let records slip past whenever something
//     comes or goes before the reader. total and pages tell of it only if they differ in the end. Who slips past two
//     passes running is taken for gone, since nothing tells it from one that is.
//   - Some APIs show the last page again behind the last one. Where no end is told, a list that has moved by just a page
//     looks like that.
//   - Ids that we make of what is alike number the records of a pass. Where the list moves meanwhile there may be one
//     too many, until a whole set is read in peace.
//   - Days that lie behind the lookback are asked for once.
//
// A pass that broke off proves nothing, so a third quiet night is needed behind one.
func TestPassesAgainstAModel(t *testing.T) {
	sameTrials(t)
	t.Parallel()
	config := persisttest.New(t).Config()
	// The nights pass by the clock of a bubble, in which rapid would think that its time is over.
	drawn := make(chan trial)
	done := make(chan finding)
	bubble := make(chan struct{})
	go func() {
		defer close(bubble)
		synctest.Test(t, func(t *testing.T) {
			h, end := newShared(t, config)
			defer end()
			time.Sleep(time.Until(time.Date(2026, 6, 1, 3, 0, 0, 0, time.UTC)))
			for one := range drawn {
				done <- h.try(one)
			}
		})
	}()
	defer func() {
		close(drawn)
		<-bubble
	}()
	rapid.Check(t, func(rt *rapid.T) {
		drawn <- drawTrial(rt)
		f := <-done
		for _, line := range f.log {
			rt.Log(line)
		}
		if f.violation != "" {
			rt.Fatal(f.violation)
		}
	})
}

// sameTrials makes rapid try the same every time, so that a fault is the change's; -rapid.seed and -rapid.checks try others. It
// is called before any other test runs beside this one.
func sameTrials(t *testing.T) {
	seed := flag.Lookup("rapid.seed")
	if seed.Value.String() != "0" {
		return
	}
	if err := seed.Value.Set("20261129"); err != nil {
		t.Fatal(err)
	}
}

// trial is a provider and what happens in some nights.
type trial struct {
	way
	entries []change
	nights  []night
}

// finding is what came of a trial.
type finding struct {
	log       []string
	violation string // empty: the tables were always right
}

// try spends the nights of a trial, and looks at the tables after each.
func (h *shared) try(one trial) (f finding) {
	b := &bookkeeper{way: one.way, photos: map[int][]ranked{}, today: finance.DateOf(time.Now().UTC())}
	for _, c := range one.entries {
		b.change(c)
	}
	r := h.read(b)
	h.step = r.step
	defer r.stop()
	m := &witness{reader: r, bookkeeper: b}
	defer func() {
		if p := recover(); p != nil {
			m.tell("%+v", m.way)
			for _, e := range m.entries {
				m.tell("entry %+v", *e)
			}
			for _, p := range m.shown {
				m.tell("answer %+v", p)
			}
			for _, r := range m.rows() {
				m.tell("row %+v", r)
			}
			f = finding{m.log, fmt.Sprint(p)}
		}
	}()
	for _, n := range one.nights {
		m.look(r.spend(n))
	}
	m.quiet()
	return f
}

func drawTrial(rt *rapid.T) (one trial) {
	one.way = drawWay(rt)
	one.entries = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) change {
		c := drawChange(rt)
		c.kind = insertOne
		c.age = rapid.IntRange(0, historyDays-5).Draw(rt, "age")
		return c
	}), 0, 7).Draw(rt, "entries")
	one.nights = rapid.SliceOfN(rapid.Custom(drawNight), 1, 4).Draw(rt, "nights")
	return one
}

func drawWay(rt *rapid.T) way {
	w := way{
		kind:   rapid.SampledFrom([]string{byOffset, byPage, byCursor, nextLink, linkHeader, noPaging}).Draw(rt, "kind"),
		size:   rapid.IntRange(1, 3).Draw(rt, "size"),
		made:   rapid.IntRange(0, 3).Draw(rt, "made") == 3,
		dated:  rapid.IntRange(0, 2).Draw(rt, "dated") == 2,
		cursor: atOffset,
	}
	ends := map[string][]string{
		byOffset: {"", "total", "has_more"}, byPage: {"", "total", "has_more", "pages", "last_page"},
		byCursor: {"null", "absent", "empty", "same", "has_more"}, nextLink: {"null", "absent", "empty", "same", "has_more"},
	}[w.kind]
	if len(ends) > 0 {
		w.end = rapid.SampledFrom(ends).Draw(rt, "end")
	}
	switch w.kind {
	case byPage:
		w.first = rapid.IntRange(0, 1).Draw(rt, "first")
	case nextLink, linkHeader, byCursor:
		w.cursor = rapid.SampledFrom([]string{atOffset, atRank, atSnapshot}).Draw(rt, "cursor")
		w.forgets = rapid.SampledFrom([]int{0, 404, 410, 400}).Draw(rt, "forgets")
	}
	if w.kind == byPage || w.kind == byOffset {
		w.beyond = w.end == "" && rapid.Bool().Draw(rt, "beyond")
	}
	if w.dated {
		w.windows = rapid.SampledFrom([]int{0, 7, 20}).Draw(rt, "windows")
		w.ignores = rapid.IntRange(0, 3).Draw(rt, "ignores") == 3
	}
	return w
}

func drawChange(rt *rapid.T) change {
	return change{
		kind:   rapid.IntRange(0, changeKinds-1).Draw(rt, "change"),
		at:     rapid.IntRange(0, 7).Draw(rt, "at"),
		to:     rapid.IntRange(0, 7).Draw(rt, "to"),
		group:  rapid.IntRange(0, 2).Draw(rt, "group"),
		amount: rapid.IntRange(1, 2).Draw(rt, "amount"), // so that old bytes come back
		age:    rapid.IntRange(0, lateDays).Draw(rt, "age"),
	}
}

func drawNight(rt *rapid.T) (n night) {
	n.between = rapid.SliceOfN(rapid.Custom(drawChange), 0, 3).Draw(rt, "between")
	n.script = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) (t callTurn) {
		if rapid.IntRange(0, 3).Draw(rt, "moves") == 3 {
			t.before = rapid.SliceOfN(rapid.Custom(drawChange), 1, 2).Draw(rt, "before")
		}
		if rapid.IntRange(0, 3).Draw(rt, "fails") == 3 {
			t.fault = rapid.IntRange(0, faultKinds-1).Draw(rt, "fault")
		}
		return t
	}), 0, 10).Draw(rt, "script")
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(rt, "kills") {
		n.kills = append(n.kills, killPoint{
			step: rapid.SampledFrom([]string{"page.decoded", "page.decoded", "page.decoded", "item.deciding"}).Draw(rt, "step"),
			nth:  rapid.IntRange(1, 4).Draw(rt, "nth"),
			days: rapid.SampledFrom([]int{0, 0, 1}).Draw(rt, "days"),
		})
	}
	return n
}

// witness compares the tables with what the provider has shown.
type witness struct {
	*reader
	*bookkeeper
	log    []string
	gone   map[string]bool // rows that were removed before
	before map[string]int  // living rows of each group before the present run
}

// tell notes something for whoever reads of a violation.
func (m *witness) tell(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

// fail ends the trial.
func (m *witness) fail(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// look compares the tables after a run.
func (m *witness) look(o outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell("run %d %+v", m.run, o)
	rows := m.rows()
	m.nothingInvented(rows)
	m.nothingDoubled(rows)
	m.nothingLost(o, rows)
	m.removedIsGone(o, rows)
	m.completeIsComplete(o, rows)
	if o.quiet && o.verdict != queue.VerdictComplete && !m.mayMiss() {
		m.fail("nothing was amiss, and the run is %s: %v", o.verdict, o.reasons)
	}
}

// nothingInvented: a row holds what an answer that was stored has shown, and what the last one of them has shown.
func (m *witness) nothingInvented(rows []row) {
	last := map[string]seen{}
	ever := map[string]bool{}
	for _, p := range m.shown {
		for _, s := range p.records {
			if p.stored {
				last[s.id] = s
				ever[fmt.Sprint(s.group, s.amount)] = true
			}
		}
	}
	for _, r := range rows {
		if m.made {
			if !ever[fmt.Sprint(r.group, r.amount)] {
				m.fail("row %+v was shown by no answer", r)
			}
			continue
		}
		if s, ok := last[r.id]; !ok || s.group != r.group || s.amount != r.amount {
			m.fail("row %+v is not what was shown last: %+v", r, s)
		}
	}
	for id := range last {
		if !m.made && !slices.ContainsFunc(rows, func(r row) bool { return r.id == id }) {
			m.fail("%s was shown and is not stored", id)
		}
	}
}

// living counts the rows of each group that are not removed.
func living(rows []row) map[string]int {
	n := map[string]int{}
	for _, r := range rows {
		if !r.removed {
			n[r.group]++
		}
	}
	return n
}

// nothingDoubled: ids of the provider's own are keys of the tables. Of those that we make there are no more than there
// were records at any time, unless the list has moved.
func (m *witness) nothingDoubled(rows []row) {
	if !m.made || m.hasMoved(0, m.now) {
		return
	}
	for group, n := range living(rows) {
		if most := m.most(group); n > most {
			m.fail("%d rows of %q, of which there were never more than %d", n, group, most)
		}
	}
}

// most is how many entries of a group there were at most.
func (m *witness) most(group string) (most int) {
	for at := 0; at <= m.now; at++ {
		most = max(most, m.count(group, at, at))
	}
	return most
}

// count is how many entries of a group were there from one time to another.
func (m *witness) count(group string, from, to int) (n int) {
	for _, e := range m.entries {
		if e.group() == group && e.alive(from, to) {
			n++
		}
	}
	return n
}

// hasMoved says that records came, went or were moved within a pass.
func (m *witness) hasMoved(from, to int) bool {
	for _, pass := range m.passes {
		if between(m.moves, max(from, pass[0]), min(to, pass[1])) {
			return true
		}
	}
	return false
}

// nothingLost: what was stored of a group stays while as many records of it are there.
func (m *witness) nothingLost(o outcome, rows []row) {
	now := living(rows)
	if m.made {
		for group, n := range m.before {
			there := m.count(group, o.looked, m.now)
			if now[group] < min(n, there) && !between(m.moves, o.looked, o.ended) {
				m.fail("%d rows of %q, %d before, and %d records were there all the time", now[group], group, n, there)
			}
		}
	}
	m.before = now
}

// listRead is a list read from its first page to its last by one claim, with no answer in between that was not stored.
type listRead struct {
	from, to int // the provider's times
	answers  int
	ids      map[string]bool
	twice    bool
	spoilt   bool
	totals   []int
	ends     string // how the list's end is told
}

// unproven says that the answers themselves tell that the list has moved while it was read, or that something of it
// could not be read.
func (l *listRead) unproven() bool {
	return l.twice || l.spoilt || slices.Min(l.totals) != slices.Max(l.totals) || l.ends == "total" && len(l.ids) < l.totals[0]
}

// readings are all lists that were read so.
func (m *witness) readings() (list []listRead) {
	var at *listRead
	for i, p := range m.shown {
		if p.opens {
			at = &listRead{from: p.at, ids: map[string]bool{}, ends: m.end}
		}
		if at == nil || !p.stored || i > 0 && !p.opens && m.shown[i-1].claim != p.claim {
			at = nil
			continue
		}
		at.answers++
		at.to = p.at
		at.totals = append(at.totals, p.total)
		at.spoilt = at.spoilt || p.spoilt
		again := !p.opens && m.end == "" && sameRecords(m.shown[i-1].records, p.records)
		for _, s := range p.records {
			at.twice = at.twice || at.ids[s.id] && !again
			at.ids[s.id] = true
		}
		if p.ends || again {
			list = append(list, *at)
			at = nil
		}
	}
	return list
}

// sameRecords says that two pages show the same ones.
func sameRecords(one, other []seen) bool {
	return len(one) > 0 && slices.EqualFunc(one, other, func(a, b seen) bool { return a.id == b.id })
}

// removedIsGone: what was removed was missing from one answer that showed all there was, or from two readings with no
// answer in between that showed it.
func (m *witness) removedIsGone(o outcome, rows []row) {
	if m.gone == nil {
		m.gone = map[string]bool{}
	}
	for _, r := range rows {
		was := m.gone[r.id]
		m.gone[r.id] = r.removed
		if !r.removed || was || m.made {
			continue
		}
		if m.dated {
			m.fail("row %+v of a part was removed", r)
		}
		if !m.provenGone(r.id, o) {
			m.fail("row %+v was removed without proof", r)
		}
	}
}

func (m *witness) provenGone(id string, o outcome) bool {
	all := m.readings()
	for i, second := range all {
		if second.from < o.began || second.ids[id] || second.unproven() {
			continue
		}
		if second.answers == 1 {
			return true
		}
		for _, first := range all[:i] {
			if !first.ids[id] && !first.unproven() && !m.shownBetween(id, first.from, second.to) {
				return true
			}
		}
	}
	return false
}

// shownBetween says that a stored answer has shown a record.
func (m *witness) shownBetween(id string, from, to int) bool {
	for _, p := range m.shown {
		if p.stored && p.at >= from && p.at <= to && slices.ContainsFunc(p.records, func(s seen) bool { return s.id == id }) {
			return true
		}
	}
	return false
}

// completeIsComplete: a run that is complete has all that was there from the beginning of its pass to the end, as it
// is, unless it slipped past in a way that the API does not tell.
func (m *witness) completeIsComplete(o outcome, rows []row) {
	if o.verdict != queue.VerdictComplete {
		return
	}
	if o.midPass {
		m.fail("the run is complete in the middle of a pass")
	}
	for i, p := range m.shown {
		seam := !p.opens && i > 0 && m.shown[i-1].claim != p.claim // where it does not fit, all is read again
		if p.at > o.began && p.at <= o.ended && p.stored && p.spoilt && !seam {
			m.fail("the run is complete, and a record of %+v could not be read", p)
		}
	}
	now := living(rows)
	groups := map[string]int{}
	for _, e := range m.entries {
		if !e.alive(o.passed, o.ended) || e.changed > o.passed || !m.asked(e, o.passed, o.ended) {
			continue
		}
		slipped := between(m.moves, o.passed, o.ended)
		if m.stable() && !m.made {
			slipped = e.shuffled > o.passed || between(m.moved, o.passed, o.ended)
		}
		if slipped {
			continue
		}
		groups[e.group()]++
		if m.made {
			continue
		}
		if !stands(rows, e) {
			m.fail("the run is complete without %+v", *e)
		}
	}
	for group, n := range groups {
		if now[group] < n {
			m.fail("the run is complete with %d rows of %q, and %d were there all the time", now[group], group, n)
		}
	}
	m.firstPageIsThere(o, rows)
	m.toldIsHeard(o)
}

// stands says that an entry stands in the tables as it is.
func stands(rows []row, e *entry) bool {
	return slices.ContainsFunc(rows, func(r row) bool { return r.id == e.id && !r.removed && r.amount == e.amount })
}

// asked says whether an entry's day was asked for.
func (m *witness) asked(e *entry, from, to int) bool {
	if !m.dated {
		return true
	}
	return slices.ContainsFunc(m.shown, func(p shownPage) bool {
		return p.at > from && p.at <= to && p.stored && e.day >= p.from && e.day <= p.to
	})
}

// firstPageIsThere: what is new at the beginning of a list is read, whoever began the pass.
func (m *witness) firstPageIsThere(o outcome, rows []row) {
	if m.made || m.dated || between(m.moves, o.began, o.ended) {
		return
	}
	live := m.live()
	for _, e := range live[:min(len(live), m.size)] {
		if e.changed <= o.began && !stands(rows, e) {
			m.fail("the run is complete without %+v, which stands on the first page", *e)
		}
	}
}

// toldIsHeard: a pass read in one go is not complete while the provider tells that the list has moved.
func (m *witness) toldIsHeard(o outcome) {
	if !o.oneGo || m.end != "total" || m.made || m.dated {
		return
	}
	all := m.readings()
	if len(all) == 0 || all[len(all)-1].from < o.began {
		return
	}
	last := all[len(all)-1]
	if slices.Min(last.totals) != slices.Max(last.totals) || len(last.ids) < last.totals[0] {
		m.fail("the run is complete, and of %v records %d were shown", last.totals, len(last.ids))
	}
}

// mayMiss is the one list whose end is not believed: a single full page that does not say whether it is the last one,
// with more records known.
func (m *witness) mayMiss() bool {
	return strings.HasPrefix(m.end, "absent")
}

// quiet ends the changes: two nights bring the tables to the provider's truth, a third one where the first had to end a
// pass that had broken off.
func (m *witness) quiet() {
	nights := 2
	if m.midPass() {
		nights++
	}
	var last outcome
	m.mu.Lock()
	from := m.now
	m.mu.Unlock()
	for range nights {
		last = m.spend(night{})
		m.look(last)
	}
	if m.mayMiss() && last.verdict != queue.VerdictComplete {
		return
	}
	if last.verdict != queue.VerdictComplete {
		m.fail("the provider is quiet, and the run is %s: %v", last.verdict, last.reasons)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := m.rows()
	for _, e := range m.live() {
		if m.asked(e, from, m.now) && !m.made &&
			!stands(rows, e) {
			m.fail("the provider is quiet, and %+v is missing from the tables", *e)
		}
	}
	if m.dated {
		return
	}
	want := map[string]int{}
	for _, e := range m.live() {
		want[fmt.Sprint(e.group(), e.amount)]++
	}
	for _, r := range rows {
		if !r.removed {
			want[fmt.Sprint(r.group, r.amount)]--
		}
	}
	for what, n := range want {
		if n != 0 {
			m.fail("the provider is quiet, and %d of %s are missing from the tables", n, what)
		}
	}
}
