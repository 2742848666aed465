package jobs_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/plan"
	"syncer/persist/queue"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// singleUse is a lab with one single-use consent.
func singleUse(t testing.TB) *lab {
	l := newLab(t, ngsim.Options{Consents: 1, SingleUse: 1}, banksim.Options{})
	l.importNG(1)
	return l
}

// intended leaves the intent of a call without an answer, as a process does that is killed behind it.
func (l *lab) intended(ago string) {
	l.Helper()
	if l.number(`WITH i AS (
			INSERT INTO inbox (consent_id, call_id, intended_at)
			SELECT id, gen_random_uuid(), clock_timestamp() - $1::interval FROM consents RETURNING 1
		) SELECT count(*) FROM i`, ago) != 1 {
		l.Fatal("there is not one consent")
	}
}

func (l *lab) asked() int { return l.number("SELECT count(*) FROM calls WHERE purpose = 'status'") }

// noStatus hides that the provider tells a status.
type noStatus struct{ fetch.Connector }

// What becomes of a consent whose one call has no answer is what its provider says of it, once the call can't arrive any
// more. Only the word "active" lets the call be made again.
func TestAnUnansweredConsentAsksForItsStatus(t *testing.T) {
	t.Parallel()
	inactive := sandbox.Action{Kind: sandbox.Replace, Old: `"active":true`, New: `"active":false`}
	for name, c := range map[string]struct {
		answer *sandbox.Action // of the status; nil: the provider's own
		ago    string
		blind  bool
		parked bool
		status finance.ConsentStatus
		calls  int
		asked  int
		says   string
	}{
		"unused":   {ago: "1 hour", status: finance.ConsentConsumed, calls: 1, asked: 1},
		"too soon": {ago: "10 minutes", status: finance.ConsentActive, says: "its status is asked for by the next run"},
		"used":     {ago: "1 hour", answer: &inactive, status: finance.ConsentConsumed, asked: 1, says: "the consent is not active"},
		"over": {ago: "1 hour", answer: &sandbox.Action{Kind: sandbox.AnswerStatus, Status: 200, Body: `{"active":false,"expires_at":1000}`},
			status: finance.ConsentExpired, asked: 1, says: "its time is over"},
		"refused": {ago: "1 hour", answer: &sandbox.Action{Kind: sandbox.AnswerStatus, Status: 422},
			status: finance.ConsentConsumedUnknown, asked: 1, says: "its status is not told"},
		"no clear answer": {ago: "1 hour", answer: &sandbox.Action{Kind: sandbox.AnswerStatus, Status: 200, Body: `{"expires_at":1}`},
			status: finance.ConsentConsumedUnknown, asked: 1, says: "its status is not told"},
		"in trouble": {ago: "1 hour", answer: &sandbox.Action{Kind: sandbox.AnswerStatus, Status: 500},
			status: finance.ConsentConsumedUnknown, asked: 3, says: "its status is not told"},
		"no status": {ago: "1 hour", blind: true, status: finance.ConsentConsumedUnknown, says: "not sent again"},
		"parked":    {ago: "1 hour", parked: true, status: finance.ConsentActive, says: "can't be asked for now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := singleUse(t)
			l.intended(c.ago)
			if c.answer != nil {
				l.fault(sandbox.Rule{Template: statusTemplate, Action: *c.answer})
			}
			o := nodeOptions{inFlight: 30 * time.Minute}
			if c.blind {
				o.wrap = func(c fetch.Connector) fetch.Connector { return noStatus{c} }
			}
			n := l.start(o)
			if c.parked {
				_, err := l.db.Pool.Exec(t.Context(), `UPDATE connections SET state = 'parked', parked_at = now(),
					parked_class = 'fatal', parked_reason = 'the test' WHERE name = $1`, ng)
				l.must(err)
			}
			r := l.run(n, debt)
			if got := l.consent(0).Status; got != c.status || l.calls(0)-l.asked() != c.calls || l.asked() != c.asked {
				t.Errorf("the consent is %s after %d calls and %d for its status, want %s, %d and %d: %+v",
					got, l.calls(0)-l.asked(), l.asked(), c.status, c.calls, c.asked, r.NotComplete)
			}
			if c.says == "" {
				if r.Run.Verdict != queue.VerdictComplete {
					t.Errorf("%s: %+v", r.Run.Verdict, r.NotComplete)
				}
			} else if len(r.NotComplete) != 1 || r.NotComplete[0].Class != finance.Unanswered || !strings.Contains(r.NotComplete[0].Reason, c.says) {
				t.Errorf("it is not said that %s: %+v", c.says, r.NotComplete)
			}
			l.kept()
			l.run(n, debt) // nothing of this changes by another run
			if l.calls(0)-l.asked() != c.calls {
				t.Errorf("the next run calls for it again")
			}
		})
	}
}

// A call that the provider has never taken up is made again by the first run that may believe so, and once.
func TestAnUnansweredConsentIsReadByALaterRun(t *testing.T) {
	t.Parallel()
	l := singleUse(t)
	mend := l.fault(sandbox.Rule{Template: debtTemplate, Action: sandbox.Action{Kind: sandbox.Hang}})
	n := l.start(nodeOptions{timeout: 200 * time.Millisecond, inFlight: 30 * time.Minute})
	first := l.run(n, debt)
	if len(first.NotComplete) != 1 || first.NotComplete[0].Class != finance.Unanswered || l.consent(0).Status != finance.ConsentActive {
		t.Fatalf("the consent is %s: %+v", l.consent(0).Status, first.NotComplete)
	}
	mend()
	if rerun, _ := l.rerun(n, first.Run, plan.Selection{}); rerun.Run.Verdict != queue.VerdictFailed || l.asked() != 0 {
		t.Errorf("the status is believed at once: %s", rerun.Run.Verdict)
	}
	if l.number(`WITH i AS (UPDATE inbox SET intended_at = intended_at - interval '1 hour' RETURNING 1) SELECT count(*) FROM i`) != 1 {
		t.Fatal("there is no intent")
	}
	if _, root := l.rerun(n, first.Run, plan.Selection{}); root.Run.Verdict != queue.VerdictComplete {
		t.Errorf("%s: %+v", root.Run.Verdict, root.NotComplete)
	}
	if l.consent(0).Status != finance.ConsentConsumed || l.number("SELECT count(*) FROM debts") == 0 {
		t.Errorf("the consent is %s", l.consent(0).Status)
	}
	l.kept()
}

// A worker that is frozen right behind the provider's word writes and sends nothing when it wakes: another one has made
// the call meanwhile.
func TestAFrozenWorkerDoesNotUseAConsentASecondTime(t *testing.T) {
	t.Parallel()
	l := singleUse(t)
	l.intended("1 hour")
	wake, asleep := make(chan struct{}), make(chan struct{})
	var once sync.Once
	sleeper := l.start(nodeOptions{mute: true, inFlight: 30 * time.Minute, step: func(at string) {
		if at == "intent.withdrawn" {
			once.Do(func() {
				close(asleep)
				<-wake
			})
		}
	}})
	run := l.fire(sleeper, debt)
	<-asleep
	l.lapse()
	r := l.settled(l.start(nodeOptions{inFlight: 30 * time.Minute}), run)
	if r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("verdict %s: %+v", r.Run.Verdict, r.NotComplete)
	}
	close(wake)
	sleeper.stop()
	if data := l.calls(0) - l.asked(); data != 1 || l.asked() != 1 || l.consent(0).Status != finance.ConsentConsumed {
		t.Errorf("the consent is %s after %d calls, and %d for its status", l.consent(0).Status, data, l.asked())
	}
	l.kept()
}

// Only an old intent that nobody has answered is taken back, and only that of the call that was asked about.
func TestAnIntentIsTakenBackOnce(t *testing.T) {
	t.Parallel()
	l := singleUse(t)
	l.intended("10 minutes")
	id := l.consent(0).ID
	open, found, err := l.store.Consents.OpenIntent(t.Context(), id)
	l.must(err)
	if !found || open.Age < 10*time.Minute || open.Age > 11*time.Minute {
		t.Fatalf("%+v, %t", open, found)
	}
	back := func(ctx context.Context, call finance.CallID, inFlight time.Duration) bool {
		back, err := l.store.Consents.Unspent(ctx, id, call, inFlight)
		l.must(err)
		return back
	}
	ctx := t.Context()
	if back(ctx, open.Call, time.Hour) || back(ctx, finance.CallID{1}, time.Minute) {
		t.Error("an intent that is too young, or another call's, was taken back")
	}
	if !back(ctx, open.Call, time.Minute) || back(ctx, open.Call, time.Minute) {
		t.Error("it is taken back once")
	}
	if n := l.number("SELECT count(*) FROM consent_events WHERE source = 'status' AND to_status = 'active'"); n != 1 {
		t.Errorf("%d events tell of it", n)
	}
}
