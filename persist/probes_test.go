package persist_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/queue"
)

// untimed is a 429 without a time, to a call that was sent so long ago.
func untimed(sent time.Duration) calls.Pause {
	p := pauseOf(time.Second, "throttled without a Retry-After")
	p.Guessed = true
	p.Sent = sent
	return p
}

// openGate ends the pause of the bucket, as time would.
func openGate(t *testing.T, h *fixture) {
	t.Helper()
	_, err := h.pool.Exec(t.Context(), "UPDATE gates SET not_before = clock_timestamp(), refused_at = clock_timestamp() - interval '1 minute'")
	must(t, err)
}

func pause(t *testing.T, h *fixture, p calls.Pause) time.Duration {
	t.Helper()
	closed, err := h.Admit.Pause(t.Context(), p)
	must(t, err)
	return closed
}

// probing is the question of a call that may probe.
func probing(rate float64) calls.Ask {
	a := ask(rate)
	a.Call = newCall(debtStream(1)).ID
	a.Probe = time.Minute
	return a
}

func about(got, want time.Duration) bool { return got > want-time.Second/2 && got <= want }

// A refusal that names no time closes the gate for twice as long as the one before it, up to a quarter of an hour. Those
// that were on their way together count once, and an answer ends the row.
func TestRefusalsWithoutATimeDouble(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	for n := range 14 {
		want := min(time.Second<<n, 15*time.Minute)
		if got := pause(t, h, untimed(0)); !about(got, want) {
			t.Errorf("refusal %d closes the gate for %s, want %s", n+1, got, want)
		}
		if got := pause(t, h, untimed(time.Hour)); got > want {
			t.Errorf("a refusal of a call that was on its way closes the gate for %s, want %s", got, want)
		}
		openGate(t, h)
	}
	must(t, h.Admit.Probed(t.Context(), "bank", finance.CallID{}, true))
	if got := pause(t, h, untimed(0)); !about(got, time.Second) {
		t.Errorf("after an answer a refusal closes the gate for %s", got)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM pauses"); n != 15 {
		t.Errorf("%d pauses are written down, want 15", n)
	}
}

// When the gate opens one call goes alone, and the others wait for what it hears.
func TestOneCallProbesABucketThatWasRefused(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 1000} {
		h := newFixture(t)
		pause(t, h, untimed(0))
		openGate(t, h)
		first, second := probing(rate), probing(rate)
		if a := admission(t, h.Store, first); !a.Probe || a.Gate > 0 {
			t.Fatalf("the first call: %+v, want the probe", a)
		}
		if a := admission(t, h.Store, first); a.Gate > 0 || !a.Probe {
			t.Errorf("the probe, asked again: %+v", a)
		}
		if a, err := h.Admit.Look(t.Context(), first); err != nil || a.Gate > 0 {
			t.Errorf("the probe, before it is sent: %+v, %v", a, err)
		}
		if a := admission(t, h.Store, second); !a.Awaits || a.Gate <= 0 || a.Gate > time.Second {
			t.Errorf("the second call: %+v, want a wait of at most a second", a)
		}
		if a, err := h.Admit.Look(t.Context(), second); err != nil || !a.Awaits || a.Gate <= 0 {
			t.Errorf("a call that was admitted before the refusal: %+v, %v", a, err)
		}
		must(t, h.Admit.Probed(t.Context(), "bank", first.Call, false))
		if a := admission(t, h.Store, second); !a.Probe {
			t.Errorf("after a probe without an answer: %+v, want the next one", a)
		}
		must(t, h.Admit.Probed(t.Context(), "bank", second.Call, true))
		if a := admission(t, h.Store, probing(rate)); a.Probe || a.Gate > 0 {
			t.Errorf("after an answer: %+v, want an open bucket", a)
		}
	}
}

// A pause that was announced is followed by everybody; one that follows another, by one call.
func TestASecondPauseInARowIsProbed(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	for n, want := range []bool{false, true, true} {
		pause(t, h, pauseOf(time.Minute, "retry-after"))
		openGate(t, h)
		if a := admission(t, h.Store, probing(0)); a.Probe != want {
			t.Errorf("behind pause %d: %+v", n+1, a)
		}
	}
}

// The call of a single-use consent does not probe, unless nobody else has for a minute: there may be nobody else.
func TestASingleUseCallProbesLast(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	pause(t, h, untimed(0))
	openGate(t, h)
	once := probing(0)
	once.Once = true
	if a := admission(t, h.Store, once); !a.Awaits {
		t.Errorf("at once: %+v", a)
	}
	_, err := h.pool.Exec(t.Context(), "UPDATE gates SET not_before = clock_timestamp() - interval '61 seconds'")
	must(t, err)
	if a := admission(t, h.Store, once); !a.Probe {
		t.Errorf("a minute later: %+v", a)
	}
}

// A probe whose process has died is followed by another one when its time is over.
func TestAProbeThatNeverEndsIsReplaced(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	pause(t, h, untimed(0))
	openGate(t, h)
	lost := probing(0)
	lost.Probe = time.Millisecond
	if a := admission(t, h.Store, lost); !a.Probe {
		t.Fatalf("%+v", a)
	}
	_, err := h.pool.Exec(t.Context(), "SELECT pg_sleep(0.01)")
	must(t, err)
	if a := admission(t, h.Store, probing(0)); !a.Probe {
		t.Errorf("%+v", a)
	}
}

// Batches that sleep for the refusals of a bucket are woken when it answers again: each refusal had them sleep longer.
// Those that sleep for something else are not.
func TestAnAnswerWakesWhoSleptForRefusals(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 2)
	_, batches := h.plan(t, 1)
	for i, bucket := range []string{"bank", "bank/token"} {
		c := claim(t, h.Store, batches[i])
		must(t, h.Queue.Park(t.Context(), batches[i], c.Fence, queue.Parking{For: time.Hour, Reason: "status 429", Bucket: bucket}))
	}
	pause(t, h, untimed(0))
	openGate(t, h)
	must(t, h.Admit.Probed(t.Context(), "bank", finance.CallID{}, true))
	woken := queryAll(t, h.pool, "SELECT wake_at <= clock_timestamp() FROM batches ORDER BY id")
	if diff := cmp.Diff([]string{"true", "false"}, woken); diff != "" {
		t.Error(diff)
	}
}

// A pause of exactly a day is one of days: the log says that it can be ended, and so it can.
func TestAPauseOfADayCanBeEnded(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	pause(t, h, pauseOf(24*time.Hour, "retry-after"))
	ended, err := h.Admit.EndPauses(t.Context(), "bank", "a mistake")
	must(t, err)
	if len(ended) != 1 || gate(t, h) > time.Second {
		t.Errorf("%d pauses are ended, and the gate is closed for %s", len(ended), gate(t, h))
	}
}
