package jobs_test

import (
	"testing"
	"time"

	"syncer/finance"
	"syncer/sandbox"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// What the feed says ends consents without a call for them. Read again, it changes nothing.
func TestFeedEndsConsents(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 10}, banksim.Options{})
	l.importNG(10)
	n := l.start(nodeOptions{idle: true})
	if r, err := n.SyncConsents(t.Context(), ng); err != nil || !r.Read || r.Gap || r.Changed != 0 {
		t.Fatalf("first reading: %+v, %v", r, err)
	}
	l.ng.Revoke(l.ng.Consent(4).ID)
	if r, err := n.SyncConsents(t.Context(), ng); err != nil || r.Changed != 1 || r.Gap || r.Asked != 0 {
		t.Errorf("after a revocation: %+v, %v", r, err)
	}
	if got := l.consent(4).Status; got != finance.ConsentRevoked || l.calls(4) != 0 {
		t.Errorf("the consent is %s after %d calls", got, l.calls(4))
	}
	if r, err := n.SyncConsents(t.Context(), ng); err != nil || r.Changed != 0 || r.Events != 0 {
		t.Errorf("read again: %+v, %v", r, err)
	}
	if r, err := n.SyncConsents(t.Context(), bank); err != nil || r.Read {
		t.Errorf("a provider without feed: %+v, %v", r, err)
	}
}

// Events were lost: the status of every active consent is asked for. A reading that breaks off while it asks is gone on
// with, and one consent whose status can't be had stops no other.
func TestLostEventsAreMadeUpByStatuses(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 20, Lifetime: 300 * 24 * time.Hour}, banksim.Options{})
	l.importNG(20)
	n := l.start(nodeOptions{idle: true})
	if _, err := n.SyncConsents(t.Context(), ng); err != nil {
		t.Fatal(err)
	}
	l.ng.Revoke(l.ng.Consent(4).ID)
	l.kit.Clock.Advance(180 * time.Hour) // more than the feed keeps, and as many days at any hour
	l.ng.Revoke(l.ng.Consent(5).ID)

	clear := l.fault(sandbox.Rule{Template: "/v1/debt/{consent}/status", After: 2, Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 3600}}})
	if r, err := n.SyncConsents(t.Context(), ng); err == nil || !r.Gap {
		t.Fatalf("broken off: %+v, %v", r, err)
	}
	told := l.number("SELECT count(*) FROM consents WHERE status_asked_at IS NOT NULL")
	clear()
	if _, err := l.db.Pool.Exec(t.Context(), "DELETE FROM gates"); err != nil {
		t.Fatal(err)
	}
	l.fault(sandbox.Rule{Template: "/v1/debt/{consent}/status", Subject: l.ng.Consent(6).ID, Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 500}})
	n = l.start(nodeOptions{idle: true}) // the first one remembers the pause
	r, err := n.SyncConsents(t.Context(), ng)
	if err != nil || !r.Gap || told != 2 || r.Asked != 18 || r.Unknown != 1 {
		t.Errorf("after a gap, and %d told before: %+v, %v", told, r, err)
	}
	for i, want := range map[int]finance.ConsentStatus{8: finance.ConsentActive, 4: finance.ConsentRevoked, 5: finance.ConsentRevoked, 6: finance.ConsentActive} {
		if got := l.consent(i).Status; got != want {
			t.Errorf("consent %d is %s, want %s", i, got, want)
		}
	}
	if r, err := n.SyncConsents(t.Context(), ng); err != nil || r.Gap || r.Asked != 0 {
		t.Errorf("the gap is made up for: %+v, %v", r, err)
	}
}
