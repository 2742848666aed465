package persist_test

import (
	"sync"
	"testing"
	"time"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/admit"
	"syncer/persist/consents"
	"syncer/persist/queue"
)

const (
	loneOne = "bank#consent 1"
	loneTwo = "bank#consent 2"
)

// alone is a pause of one consent.
func alone(key string, d time.Duration) calls.Pause {
	p := pauseOf(d, "retry-after")
	p.Alone = key
	return p
}

// Who is to wait alone holds up nobody else, in one question of many too, and is not charged for it.
func TestAGateOfOneAloneHoldsUpThatOne(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2, func(c *consents.Import) { c.ReadsPerDay = 4 })
	pause(t, h, alone(loneOne, time.Hour))
	pause(t, h, alone(loneOne, time.Minute)) // never for less long
	opening := func(i int, gates ...string) calls.Ask {
		a := ask(1000)
		a.Opening, a.Gates = true, gates
		a.Task = calls.Task{Consent: &finance.Consent{ID: ids[i]}}
		return a
	}
	other := h.sibling(t, time.Hour)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			got, err := other.Admit.Look(t.Context(), opening(0, "bank", loneOne))
			if err != nil || got.Gate < 59*time.Minute || got.Gate > time.Hour || got.Closed != loneOne || got.Reason != "retry-after" {
				t.Errorf("the one that is to wait: %+v, %v", got, err)
			}
		})
		wg.Go(func() {
			got, err := other.Admit.Look(t.Context(), opening(1, "bank", loneTwo))
			if err != nil || got.Gate != 0 || got.Refusal != "" {
				t.Errorf("another one: %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if got := admission(t, h.Store, opening(0, "bank", loneOne)); got.Closed != loneOne {
		t.Errorf("admitted: %+v", got)
	}
	if got := admission(t, h.Store, opening(1, "bank", loneTwo)); got.Gate != 0 || got.Refusal != "" {
		t.Errorf("held up by another's pause: %+v", got)
	}
	if n := queryInt(t, h.pool, "SELECT (SELECT count(*) FROM consent_reads) + sum(reserved) FROM gates"); n != 2 {
		t.Errorf("%d reads and slots were spent, want those of the one call", n)
	}
	h.exec(t, "UPDATE lone_gates SET not_before = now() - interval '2 hours'")
	if got := admission(t, h.Store, opening(0, "bank", loneOne)); got.Gate != 0 {
		t.Errorf("the pause is over: %+v", got)
	}
	pause(t, h, alone(loneTwo, time.Hour))
	if n := queryInt(t, h.pool, "SELECT count(*) FROM lone_gates"); n != 1 {
		t.Errorf("%d gates of one alone are kept, want that which is closed", n)
	}
}

// The refusals of a crowd keep their places when some of it are to wait alone.
func TestRefusalsBesideALoneGate(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	pause(t, h, alone(loneOne, time.Hour))
	gone := ask(0)
	gone.Task = calls.Task{Consent: &finance.Consent{ID: 4711}}
	held := ask(0)
	held.Gates = []string{loneOne}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got, err := h.Admit.Look(t.Context(), gone); err != nil || got.Refusal != finance.Refused {
				t.Errorf("%+v, %v; want a refusal", got, err)
			}
		})
		wg.Go(func() {
			if got, err := h.Admit.Look(t.Context(), held); err != nil || got.Closed != loneOne {
				t.Errorf("%+v, %v; want the gate", got, err)
			}
		})
	}
	wg.Wait()
}

func TestClosedGates(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	call := pauseOf(48*time.Hour, "retry-after")
	call.Bucket = "bank@https://api.example"
	pause(t, h, call)
	pause(t, h, alone("bank@https://api.example#consent 1", time.Hour))
	h.exec(t, "INSERT INTO gates (bucket, connection, not_before) VALUES ('other@https://x', 'other', 'infinity'), ('open', 'bank', now())")
	got, err := h.Admit.ClosedGates(t.Context(), "bank")
	must(t, err)
	if len(got) != 2 || !got[0].Stops() || got[0].Call != call.Call.ID || got[0].Left < 47*time.Hour || got[1].Stops() || !got[1].Alone {
		t.Errorf("%+v", got)
	}
	if got, err := h.Admit.ClosedGates(t.Context(), ""); err != nil || len(got) != 3 || got[0].Until.Before(time.Now().AddDate(50, 0, 0)) {
		t.Errorf("of all: %+v, %v", got, err)
	}
	h.exec(t, "DELETE FROM gates")
	for range 3 {
		admission(t, h.Store, ask(1.0/120)) // one in two minutes
	}
	got, err = h.Admit.ClosedGates(t.Context(), "bank")
	must(t, err)
	if len(got) != 2 || !got[0].Rate || got[0].Pace.Round(10*time.Second) != 2*time.Minute || !got[0].Stops() ||
		got[0].Left.Round(time.Minute) != 6*time.Minute {
		t.Errorf("a rate that lets nobody through for minutes: %+v", got)
	}
	for name, stops := range map[string]bool{
		"bank": true, "bank@https://x": true, "bank/token@https://x": true, "bank/no@https://x": false, "bank2@https://x": false,
	} {
		if g := (admit.ClosedGate{Name: name, Connection: "bank"}); g.Stops() != stops {
			t.Errorf("%s stops all: %t", name, g.Stops())
		}
	}
}

// A pause of days can be ended, and no shorter one: whoever ends it stands beside it, what was parked wakes, and no rule
// takes the next call for one inside the pause.
func TestEndPauses(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	id := h.consents(t, 1)[0]
	_, batches := h.plan(t, 1)
	if ended, err := h.Admit.EndPauses(ctx, "bank", "why"); err != nil || len(ended) != 0 {
		t.Fatalf("nothing is closed: %+v, %v", ended, err)
	}
	short := pauseOf(time.Hour, "retry-after")
	short.Bucket = "bank/token"
	pause(t, h, short)
	pause(t, h, pauseOf(10*365*24*time.Hour, "retry-after"))
	pause(t, h, alone(loneOne, 48*time.Hour))
	pause(t, h, alone(loneTwo, time.Hour))
	c := claim(t, h.Store, batches[0])
	must(t, h.Queue.Park(ctx, batches[0], c.Fence, queue.Parking{For: 10 * 365 * 24 * time.Hour, Reason: "bank is closed"}))
	ended, err := h.Admit.EndPauses(ctx, "bank", "by an operator: \x00it was a mistake")
	must(t, err)
	if len(ended) != 2 || ended[0].Name != "bank" || ended[0].Left < 9*365*24*time.Hour || ended[1].Name != loneOne {
		t.Errorf("ended %+v", ended)
	}
	if d := gate(t, h); d > time.Second {
		t.Errorf("closed for another %s", d)
	}
	one, two := ask(10), ask(10)
	one.Probe, two.Probe = time.Minute, time.Minute
	one.Call, two.Call = newCall(debtStream(id)).ID, newCall(debtStream(id)).ID
	if a := admission(t, h.Store, one); a.Gate != 0 || a.SendIn > time.Second || !a.Probe {
		t.Errorf("the one call that asks: %+v", a)
	}
	if a := admission(t, h.Store, two); a.Gate == 0 || !a.Awaits {
		t.Errorf("another one does not wait for what the first one hears: %+v", a)
	}
	must(t, h.Admit.Probed(ctx, "bank", one.Call, true))
	if a := admission(t, h.Store, two); a.Gate != 0 || a.SendIn > time.Second || a.Probe {
		t.Errorf("its slots lie behind the pause still: %+v", a)
	}
	closed, err := h.Admit.ClosedGates(ctx, "bank")
	must(t, err)
	if len(closed) != 2 || closed[0].Name != "bank/token" || closed[1].Name != loneTwo {
		t.Errorf("still closed: %+v", closed)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM pauses WHERE ended_at IS NOT NULL AND ended_reason = 'by an operator: it was a mistake'"); n != 2 {
		t.Errorf("%d pauses say why they were ended", n)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM batches WHERE state = 'parked' AND wake_at <= now()"); n != 1 {
		t.Error("the parked batch sleeps on")
	}
	h.exec(t, "UPDATE pauses SET announced_at = announced_at - interval '1 hour', ended_at = ended_at - interval '30 minutes'")
	must(t, h.Admit.Record(ctx, newCall(debtStream(id))))
	if broken, err := h.Read.Verify(ctx); err != nil || slicesHasRule(broken, "no-call-in-a-pause") {
		t.Errorf("%v, %v", broken, err)
	}
	if ended, err := h.Admit.EndPauses(ctx, "bank", "again"); err != nil || len(ended) != 0 {
		t.Errorf("ended again: %+v, %v", ended, err)
	}
}

// What counts is how long the pause was told to be, and not how much of it is left.
func TestEndPausesOfWhichLittleIsLeft(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	pause(t, h, pauseOf(30*time.Hour, "retry-after"))
	h.exec(t, "UPDATE gates SET not_before = not_before - interval '29 hours'")
	h.exec(t, "UPDATE pauses SET announced_at = announced_at - interval '29 hours', not_before = not_before - interval '29 hours'")
	if ended, err := h.Admit.EndPauses(t.Context(), "bank", "why"); err != nil || len(ended) != 1 {
		t.Errorf("%+v, %v", ended, err)
	}
}

// A provider that fails has announced nothing, and what it failed with is told.
func TestABreakersWaitsAreNoPauses(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 2)
	run, batches := h.plan(t, 1)
	told := func(d time.Duration, reason string) {
		p := pauseOf(d, reason)
		p.Call.Task.Run = run.ID
		pause(t, h, p)
	}
	told(30*time.Second, "breaker: GET /v1/a: status 500")
	told(30*time.Second, "breaker: GET /v1/b: status 502")
	told(time.Minute, "retry-after")
	c := claim(t, h.Store, batches[0])
	must(t, h.Queue.Park(t.Context(), batches[0], c.Fence, queue.Parking{For: time.Hour, Reason: "later"}))
	c = claim(t, h.Store, batches[1])
	must(t, h.Queue.Park(t.Context(), batches[1], c.Fence, queue.Parking{For: 0, Reason: "by now"}))
	r, err := h.Read.Report(t.Context(), run.ID)
	must(t, err)
	if r.Pauses != 1 || r.Paused < 59*time.Second || r.Paused > 61*time.Second || r.LeftAlone != 2 || r.FailedWith != "GET /v1/b: status 502" {
		t.Errorf("%+v", r)
	}
	if len(r.Gates) != 1 || !r.Gates[0].Stops() || r.Gates[0].Left > time.Minute {
		t.Errorf("closed: %+v", r.Gates)
	}
	if r.ParkedUntil.Before(time.Now()) || r.ParkReason != "later" {
		t.Errorf("parked until %s: %s", r.ParkedUntil, r.ParkReason)
	}
}

// Where no time is told the pause of one alone doubles with each refusal in a row, up to a quarter of an hour.
func TestAGuessedPauseOfOneAloneDoubles(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		p := alone(loneOne, time.Second)
		p.Guessed = true
		if d := pause(t, h, p); d > want || d < want-time.Second/2 {
			t.Errorf("refusal %d closes the gate for %s, want %s", i+1, d, want)
		}
	}
	for range 20 {
		p := alone(loneOne, time.Second)
		p.Guessed = true
		if d := pause(t, h, p); d > 15*time.Minute {
			t.Fatalf("closed for %s", d)
		}
	}
	if d := pause(t, h, alone(loneTwo, time.Second)); d > time.Second {
		t.Errorf("another one's refusals count: %s", d)
	}
}
