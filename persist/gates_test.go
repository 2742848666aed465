package persist_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"syncer/calls"
	"syncer/finance"
)

func pauseOf(d time.Duration, reason string) calls.Pause {
	call := newCall(debtStream(1))
	call.Class, call.Status, call.RetryAfter = finance.Throttled, 429, d
	return calls.Pause{Bucket: "bank", For: d, Reason: reason, Call: call}
}

func gate(t *testing.T, h *fixture) time.Duration {
	t.Helper()
	a, err := h.Admit.Look(t.Context(), ask(0))
	must(t, err)
	return a.Gate
}

// I4: a gate is only ever closed for longer.
func TestPauseNeverShortens(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	if d := gate(t, h); d > 0 {
		t.Fatalf("a gate that was never closed is closed for %v", d)
	}
	for _, step := range []struct {
		pause, atLeast time.Duration
		reason         string
	}{
		{time.Minute, 59 * time.Second, "first"},
		{time.Second, 59 * time.Second, "first"},
		{0, 59 * time.Second, "first"},
		{-time.Hour, 59 * time.Second, "first"},
		{time.Hour, 59 * time.Minute, "second"},
		{math.MaxInt64, 99 * 365 * 24 * time.Hour, "third"},
	} {
		pause(t, h, pauseOf(step.pause, step.reason))
		if d := gate(t, h); d < step.atLeast {
			t.Errorf("after a pause of %v the gate is closed for %v, want at least %v", step.pause, d, step.atLeast)
		}
		if a := admission(t, h.Store, ask(10)); a.Reason != step.reason && step.pause > time.Second {
			t.Errorf("after a pause of %v the reason is %q, want %q", step.pause, a.Reason, step.reason)
		}
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM pauses p JOIN calls c ON c.id = p.call_id AND c.class = 'throttled'"); n != 6 {
		t.Errorf("%d pauses stand with their calls, want 6", n)
	}
}

// Those who waited for the gate are spread by the rate from its end on, not sent together at that instant.
func TestSlotsBeginWhereThePauseEnds(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	admission(t, h.Store, ask(10))
	pause(t, h, pauseOf(time.Hour, "retry-after"))
	if n := queryInt(t, h.pool, "SELECT count(*) FROM gates WHERE next_slot = not_before AND not_before > now() + interval '59 minutes'"); n != 1 {
		t.Error("the next slot does not begin with the end of the pause")
	}
	h.exec(t, "UPDATE gates SET not_before = clock_timestamp(), next_slot = clock_timestamp() + interval '1 minute'")
	if a := admission(t, h.Store, ask(10)); a.Gate != 0 || a.SendIn < 59*time.Second {
		t.Errorf("an open gate with slots given out until a minute ahead: %+v", a)
	}
}

// A rate that was mistyped too low has given slots out until far ahead. When it is put right, and no living process has the
// wrong one any more, the next call need not wait for them. Slots from before the mistake are not touched: they are others'.
func TestARateThatIsRaisedBringsTheSlotsNearer(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const mistyped, right = 1.0 / 1500, 1.0 / 15 // one in 25 minutes, one in 15 seconds
	near := func(got, want time.Duration) bool { return (got - want).Abs() < want/20+time.Second }
	for i := range 4 {
		if a, want := admission(t, h.Store, ask(right)), time.Duration(i)*15*time.Second; !near(a.SendIn, want) {
			t.Fatalf("call %d goes in %v, want %v", i+1, a.SendIn, want)
		}
	}
	for range 3 {
		admission(t, h.Store, ask(mistyped))
	}
	if a := admission(t, h.Store, ask(mistyped)); !near(a.SendIn, time.Minute+75*time.Minute) {
		t.Fatalf("the fourth call of the mistyped rate goes in %v", a.SendIn)
	}
	for i := range 3 { // behind four slots from before, and as many as there were of the mistyped rate
		if a, want := admission(t, h.Store, ask(right)), time.Duration(4+4+i)*15*time.Second; !near(a.SendIn, want) {
			t.Errorf("call %d of the right rate goes in %v, want %v", i+1, a.SendIn, want)
		}
	}
	// Those of a caller that another process' rate has slowed stay its own, since it lives.
	h.exec(t, "DELETE FROM gates")
	slow := h.sibling(t, time.Hour)
	slow.Workers.NameRate("bank", mistyped)
	must(t, slow.Workers.Heartbeat(t.Context(), time.Hour))
	for range 3 {
		admission(t, h.Store, ask(right))
	}
	must(t, slow.Workers.Leave(t.Context()))
	if a := admission(t, h.Store, ask(right)); !near(a.SendIn, 75*time.Minute) {
		t.Errorf("behind three callers that live and were slowed it goes in %v", a.SendIn)
	}

	h.exec(t, "DELETE FROM gates")
	admission(t, h.Store, ask(mistyped))
	pause(t, h, pauseOf(time.Hour, "retry-after"))
	const behind = `SELECT extract(epoch FROM nearer_slot(g, 15000000, now()) - not_before)::int FROM gates g`
	if n := queryInt(t, h.pool, behind); n != 0 {
		t.Errorf("the next slot is %d s behind the end of the pause, want 0", n)
	}
}

// What the table says of a pause is what the gate does: `verify` takes a call that was sent while the gate was open by
// then for one too early otherwise. Whoever closes it may have to wait for those who are being admitted.
func TestPauseStandsInTheLedgerAsTheGateKeepsIt(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	admission(t, h.Store, ask(10))
	tx, err := h.pool.Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), "SELECT FROM gates FOR UPDATE")
	must(t, err)
	closed := make(chan error, 1)
	go func() {
		_, err := h.Admit.Pause(t.Context(), pauseOf(time.Hour, "retry-after"))
		closed <- err
	}()
	waiting := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	for queryInt(t, h.pool, waiting) == 0 && t.Context().Err() == nil {
	}
	must(t, tx.Commit(t.Context()))
	must(t, <-closed)
	if n := queryInt(t, h.pool, "SELECT count(*) FROM pauses p JOIN gates g USING (bucket) WHERE p.not_before = g.not_before"); n != 1 {
		t.Error("the table gives the pause another end than the gate")
	}
}

func TestPausesOfManyProcessesKeepTheLongest(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	var wg sync.WaitGroup
	for i := range 20 {
		s := h.sibling(t, time.Hour)
		wg.Go(func() {
			if _, err := s.Admit.Pause(t.Context(), pauseOf(time.Duration(i)*time.Minute, "retry-after")); err != nil {
				t.Error(err)
			}
			if _, err := s.Admit.Admit(t.Context(), ask(100)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if d := gate(t, h); d < 18*time.Minute || d > 19*time.Minute {
		t.Errorf("the gate is closed for %v, want that of the longest pause", d)
	}
}

func TestGateAtInfinity(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.exec(t, "INSERT INTO gates (bucket, connection, not_before) VALUES ('bank', 'bank', 'infinity')")
	if d := gate(t, h); d < 50*365*24*time.Hour {
		t.Errorf("a gate closed for ever is closed for %v", d)
	}
	if a := admission(t, h.Store, ask(1)); a.Gate < 50*365*24*time.Hour {
		t.Errorf("a gate closed for ever admits: %+v", a)
	}
}

func TestRecordTwiceIsOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	a, b := newCall(debtStream(1)), newCall(debtStream(2))
	b.Reason, b.Correlation, b.Status = "a \x00 and \xff", "c\x00", 0
	must(t, h.Admit.Record(t.Context(), a, b))
	must(t, h.Admit.Record(t.Context(), a))
	durable := newCall(debtStream(3))
	durable.Durable = true
	must(t, h.Admit.Record(t.Context(), durable))
	if n := queryInt(t, h.pool, "SELECT count(*) FROM calls"); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM calls WHERE status IS NULL AND correlation_id = 'c'"); n != 1 {
		t.Error("the call without an answer is not as it should be")
	}
}
