package persist_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/refusals"
)

// soon is when a call would be sent for which no fresh answer holds: there must be proof of what was heard.
func soon() time.Time { return time.Now().Add(100 * time.Millisecond) }

// listens has a store listen until the test ends or stop is called, and waits until it does.
func listens(t *testing.T, s *persist.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Admit.Listen(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	proven(t, s)
	return stop
}

// proven waits until the store has heard all that was committed before: it has the answer of a ping that
// was sent later.
func proven(t *testing.T, s *persist.Store) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	late := time.After(30 * time.Second)
	for range 2 { // the first one may have been sent before
		for from := time.Now(); !provenSince(t, s, from); {
			select {
			case <-look.C:
			case <-late:
				t.Fatal("the store does not listen")
			}
		}
	}
}

// provenSince says whether a ping was answered after a moment.
func provenSince(t *testing.T, s *persist.Store, from time.Time) bool {
	t.Helper()
	said := admission(t, s, ask(0)).Said
	said.At = time.Time{} // so that only a ping can tell
	return s.Admit.Holds(t.Context(), said, from.Add(50*time.Millisecond))
}

// Whatever takes a permission back voids what was said before, in every process that listens, by the time
// that its commit returns. What only gives voids nothing.
func TestWhatIsTakenBackIsHeard(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 12, func(c *consents.Import) {
		c.Scopes, c.ValidUntil = []string{"show"}, time.Now().Add(time.Hour)
	})
	_, batches := h.plan(t, 12)
	dead := h.sibling(t, time.Hour)
	claim(t, dead, batches[0])
	other := h.sibling(t, time.Hour)
	listens(t, other)
	external := func(i int) string { return fmt.Sprintf("consent-%d", i) }
	imports := func(i int, change func(*consents.Import)) {
		c := consents.Import{ExternalID: external(i), Scopes: []string{"show"}}
		c.ValidUntil = time.Now().Add(2 * time.Hour)
		change(&c)
		_, err := h.Consents.Import(t.Context(), "bank", []consents.Import{c})
		must(t, err)
	}
	ends := func(i int, source consents.EventSource) {
		_, err := h.Consents.End(t.Context(), ids[i], finance.ConsentRevoked, "told so", source, finance.CallID{})
		must(t, err)
	}
	parks := func(_ bool, err error) { must(t, err) }
	for _, tt := range []struct {
		name  string
		do    func()
		holds bool
	}{
		{"a pause", func() { pause(t, h, pauseOf(time.Hour, "retry-after")) }, false},
		{"a shorter one", func() { pause(t, h, pauseOf(time.Minute, "retry-after")) }, true},
		{"its end", func() { _, err := h.Admit.EndPauses(t.Context(), "bank", "x"); must(t, err) }, true},
		{"a pause of one alone", func() { pause(t, h, alone(loneOne, time.Minute)) }, false},
		{"credentials", func() { parks(h.Connections.ParkCredentials(t.Context(), "bank", "key 1", finance.Fatal, "x")) }, false},
		{"the connection", func() { parks(h.Connections.Park(t.Context(), "bank", finance.Fatal, "x")) }, false},
		{"the connection, again", func() { parks(h.Connections.Park(t.Context(), "bank", finance.Fatal, "x")) }, true},
		{"the connection, opened", func() { must(t, h.Connections.Open(t.Context(), "bank")) }, true},
		{"a consent, by an operator", func() { ends(0, consents.FromOperator) }, false},
		{"a consent, by an answer", func() { ends(1, consents.FromAnswer) }, false},
		{"a consent that has ended", func() { ends(1, consents.FromAnswer) }, true},
		{"consents, by their statuses", func() {
			over := []refusals.Ending{{Consent: ids[2], Status: finance.ConsentExpired, Reason: "x"}}
			_, _, err := h.Refusals.EndByStatus(t.Context(), "bank", over)
			must(t, err)
		}, false},
		{"a consent that is refused", func() {
			h.exec(t, `UPDATE consents SET status = 'suspected', suspected_at = now(), suspected_until = now(),
				suspected_as = 'revoked' WHERE id = $1`, ids[10])
		}, false},
		{"the same, a second time", func() {
			h.exec(t, "UPDATE consents SET suspected_until = now() + interval '1 hour' WHERE id = $1", ids[10])
		}, false},
		{"the same, by an operator", func() { ends(10, consents.FromOperator) }, false},
		{"a consent, by the feed", func() {
			_, err := h.Consents.ApplyEvents(t.Context(), "bank", "1", []consents.Event{
				{ExternalID: external(9), Status: finance.ConsentRevoked, At: time.Now()}})
			must(t, err)
		}, false},
		{"news of the feed that are known", func() {
			_, err := h.Consents.ApplyEvents(t.Context(), "bank", "2", []consents.Event{
				{ExternalID: external(9), Status: finance.ConsentRevoked, At: time.Now()}})
			must(t, err)
		}, true},
		{"a consent, by its end", func() {
			h.exec(t, "UPDATE consents SET valid_until = clock_timestamp() WHERE id = $1", ids[3])
		}, false},
		{"a consent that is prolonged", func() { imports(4, func(*consents.Import) {}) }, true},
		{"a consent, by an import with an earlier end", func() {
			imports(4, func(c *consents.Import) { c.ValidUntil = time.Now().Add(time.Minute) })
		}, false},
		{"a scope", func() { imports(5, func(c *consents.Import) { c.Scopes = []string{"other"} }) }, false},
		{"a purpose", func() { imports(6, func(c *consents.Import) { c.Purpose = "other" }) }, false},
		{"a renewal that waits", func() {
			imports(7, func(c *consents.Import) { c.ExternalID, c.Renews = "renewed-7", external(7) })
		}, true},
		{"a renewal that is tried", func() { parks(h.Consents.TakeUpRenewal(t.Context(), ids[7])) }, false},
		{"a new consent", func() { h.consents(t, 1) }, true},
		{"a status that was asked", func() { must(t, h.Consents.StatusesAsked(t.Context(), ids[7:9])) }, true},
		{"a batch of a process that lives", func() { _, _, err := h.Queue.Claim(t.Context(), batches[0]); must(t, err) }, true},
		{"a batch of a process that is silent", func() {
			must(t, dead.Workers.Heartbeat(t.Context(), 0))
			claim(t, h.Store, batches[0])
		}, false},
		{"a rate", func() { h.Workers.NameRate("bank", 10); must(t, h.Workers.Heartbeat(t.Context(), time.Hour)) }, false},
		{"the same rate", func() { must(t, h.Workers.Heartbeat(t.Context(), time.Hour)) }, true},
		{"another connection's", func() {
			must(t, h.Connections.Use(t.Context(), "other", connections.Endpoint{Provider: "x"}))
			parks(h.Connections.Park(t.Context(), "other", finance.Fatal, "x"))
		}, true},
	} {
		proven(t, other)
		said := admission(t, other, ask(0)).Said
		tt.do()
		proven(t, other)
		// A slow machine answers the ping late, and then nothing holds. What was taken back never holds again.
		got := other.Admit.Holds(t.Context(), said, time.Now())
		for late := time.Now().Add(10 * time.Second); !got && tt.holds && time.Now().Before(late); {
			got = other.Admit.Holds(t.Context(), said, time.Now())
		}
		if got != tt.holds {
			t.Errorf("%s: what was said before holds: %v, want %v", tt.name, got, tt.holds)
		}
	}
}

// However many consents a transaction ends, it tells once; an import of new ones tells nothing.
func TestAnImportOfManyTellsOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	conn, err := pgx.Connect(t.Context(), h.pool.Config().ConnString())
	must(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), "LISTEN syncer_changes")
	must(t, err)
	h.consents(t, 3000)
	h.exec(t, "UPDATE consents SET purpose = 'credit'")
	h.exec(t, "NOTIFY syncer_changes, 'the end'")
	var told []string
	for len(told) == 0 || told[len(told)-1] != "the end" {
		word, err := conn.WaitForNotification(t.Context())
		must(t, err)
		told = append(told, word.Payload)
	}
	if len(told) != 2 || told[0] != "bank" {
		t.Errorf("told: %q", told)
	}
}

// An answer holds for a moment by itself. Then there must be proof that nothing was taken back, or it does
// not hold.
func TestWithoutProofOnlyAFreshAnswerHolds(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	said := admission(t, h.Store, ask(0)).Said
	old := said.At.Add(50 * time.Millisecond)
	if !h.Admit.Holds(t.Context(), said, old) || h.Admit.Holds(t.Context(), said, old.Add(time.Millisecond)) {
		t.Error("an answer does not hold for 50 ms without anybody who listens")
	}
	stop := listens(t, h.Store)
	said = admission(t, h.Store, ask(0)).Said
	said.At = time.Time{}
	for range 1000 { // or a ping is late on a busy machine
		if h.Admit.Holds(t.Context(), said, soon().Add(-60*time.Millisecond)) {
			stop()
			if h.Admit.Holds(t.Context(), said, time.Now()) {
				t.Error("what was said holds although nobody listens any more")
			}
			return
		}
	}
	t.Error("what was said does not hold although all is heard")
}

// What was said before the connection of the one who listens was lost is void: a word may have been missed.
// Until there is another one, only fresh answers hold.
func TestALostConnectionVoidsWhatWasSaid(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	listens(t, h.Store)
	said := admission(t, h.Store, ask(0)).Said
	h.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN%' OR query = '-- ping'`)
	if h.Admit.Holds(t.Context(), said, soon()) {
		t.Error("what was said holds although the connection is lost")
	}
	pause(t, h, pauseOf(time.Hour, "retry-after"))
	proven(t, h.Store)
	if h.Admit.Holds(t.Context(), said, time.Now()) {
		t.Error("a pause that was told while nobody listened is not known")
	}
}

// A connection that has gone silent is not trusted: nobody waits for it for longer than a moment, and
// another one is made.
func TestASilentConnectionIsNotTrusted(t *testing.T) {
	t.Parallel()
	db := persisttest.NewDatabase(t)
	pool, ice := persisttest.Freezable(t, db.URL, pg.Options{MaxConns: 4})
	s := persist.NewStore(pool, nil, pg.Worker{})
	must(t, s.Connections.Use(t.Context(), "bank", connections.Endpoint{Provider: "sbanken"}))
	listens(t, s)
	ice.Freeze()
	pool.Reset() // only the one who listens is silent
	said := admission(t, s, ask(0)).Said
	began := time.Now()
	for range 10 {
		if s.Admit.Holds(t.Context(), said, soon()) {
			t.Error("what was said holds although the connection is silent")
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("ten calls have waited %s for a silent connection", took)
	}
	proven(t, s)
}

// While no call is made nothing goes over the connection: the last thing that was said over it is LISTEN.
func TestNobodyPingsWhileNoCallIsMade(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.Admit.Listen(ctx)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	said := func() (last string) {
		_ = h.pool.QueryRow(t.Context(), `SELECT query FROM pg_stat_activity
			WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query = '-- ping')`).Scan(&last)
		return last
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for said() == "" {
		<-look.C
	}
	for range 20 {
		must(t, h.Workers.Heartbeat(t.Context(), time.Hour))
		fresh := admission(t, h.Store, ask(0)).Said
		if !h.Admit.Holds(t.Context(), fresh, fresh.At) {
			t.Fatal("an answer of now does not hold")
		}
		<-look.C
	}
	if last := said(); last != "LISTEN syncer_changes" {
		t.Errorf("the last thing said is %q", last)
	}
}

// The rate in force is the lowest that a living process names, also for one that names none. A slot that
// was reserved before is known to be void.
func TestTheLowestRateOfTheLivingHolds(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	young := h.sibling(t, time.Hour)
	h.exec(t, "INSERT INTO gates (bucket, connection, next_slot) VALUES ('bank', 'bank', now() + interval '1 hour')")
	next := func() time.Duration {
		us := queryInt(t, h.pool, "SELECT (extract(epoch FROM next_slot) * 1000000)::bigint FROM gates")
		return time.Duration(us) * time.Microsecond
	}
	interval := func(s *persist.Store, rate float64) time.Duration {
		t.Helper()
		admission(t, s, ask(rate)) // where the rate is higher than before, this one brings the slots nearer
		before, a := next(), admission(t, s, ask(rate))
		if d := next() - before; d != a.Spacing {
			t.Errorf("two slots are %s apart, said is %s", d, a.Spacing)
		}
		return a.Spacing.Round(time.Millisecond)
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	if got := interval(h.Store, 50); got != ms(20) {
		t.Errorf("alone: %s", got)
	}
	reserved := admission(t, h.Store, ask(50))
	young.Workers.NameRate("bank", 10)
	must(t, young.Workers.Heartbeat(t.Context(), time.Hour))
	found, err := h.Admit.Look(t.Context(), ask(50))
	if err != nil || found.Spacing <= reserved.Spacing || found.SendIn > 0 {
		t.Errorf("a look after the rate was lowered: %+v, %v", found, err)
	}
	for _, rate := range []float64{50, 0} {
		if got := interval(h.Store, rate); got != ms(102) {
			t.Errorf("the older process, which names %v: %s between two slots, want those of the younger one", rate, got)
		}
	}
	if got := interval(h.Store, 1); got != ms(1015) {
		t.Errorf("one that names less: %s", got)
	}
	elsewhere := calls.Ask{Connection: "other", Bucket: "other", PerSecond: 50}
	if got, err := h.Admit.Look(t.Context(), elsewhere); err != nil || got.Spacing != 0 {
		t.Errorf("another connection: %s, %v", got.Spacing, err)
	}
	must(t, young.Workers.Heartbeat(t.Context(), 0))
	if got := interval(h.Store, 50); got != ms(20) {
		t.Errorf("after the younger one's lease: %s", got)
	}
	young.Workers.NameRate("bank", 5)
	must(t, young.Workers.Heartbeat(t.Context(), time.Hour))
	if got := interval(h.Store, 50); got != ms(203) {
		t.Errorf("it has another rate: %s", got)
	}
	young.Workers.NameRate("bank", 0)
	must(t, young.Workers.Leave(t.Context()))
	if got := interval(h.Store, 50); got != ms(20) {
		t.Errorf("it has left: %s", got)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM worker_rates"); n != 0 {
		t.Errorf("%d rates are left", n)
	}
}

// A program that does not know of rates of others asks as it did, and its look reserves nothing.
func TestOlderProgramsAskAsTheyDid(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.Workers.NameRate("bank", 10)
	must(t, h.Workers.Heartbeat(t.Context(), time.Hour))
	const question = `SELECT send_us FROM admit_calls('{bank,bank}', '{bank,bank}', $1, '{f,f}', '{null,null}', '{0,0}',
		'{null,null}', '{null,null}', '{"",""}', '{1,1}', '{f,f}', '{"",""}', '{"",""}')`
	send := func(intervals []int64) []int64 {
		rows, err := h.pool.Query(t.Context(), question, intervals)
		got, err := collect[int64](rows, err)
		must(t, err)
		return got
	}
	if got := send([]int64{0, 0}); got[0] != 0 || got[1] != 0 {
		t.Errorf("a look: %v", got)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM gates"); n != 0 {
		t.Error("a look has reserved a slot")
	}
	if got := send([]int64{20_000, 20_000}); got[1]-got[0] < 50_000 { // each counts from its own moment
		t.Errorf("two slots at %v, nearer than the rate of another process allows", got)
	}
}

// How long a consent is valid is told by the database's clock.
func TestTheEndOfAConsentIsTold(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2)
	h.exec(t, "UPDATE consents SET valid_until = clock_timestamp() + interval '10 seconds' WHERE id = $1", ids[0])
	of := func(i int) calls.Said {
		a := ask(0)
		a.Task.Consent = &finance.Consent{ID: ids[i]}
		return admission(t, h.Store, a).Said
	}
	if got := time.Until(of(0).Ends); got > 10*time.Second || got < 5*time.Second {
		t.Errorf("ends in %s, want 10s", got)
	}
	said := of(0)
	if h.Admit.Holds(t.Context(), said, said.Ends) || !h.Admit.Holds(t.Context(), said, said.At) {
		t.Error("what was said does not hold up to the consent's end and no longer")
	}
	if said := of(1); !said.Ends.IsZero() {
		t.Errorf("a consent without an end ends at %s", said.Ends)
	}
}
