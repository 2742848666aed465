package persist_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/refusals"
)

// courtroom is a fixture in which consents are refused: all of them are items of one batch.
type courtroom struct {
	*fixture
	t     *testing.T
	ids   []int64
	run   queue.Run
	claim queue.Claimed
}

func newCourtroom(t *testing.T, consents int) *courtroom {
	t.Helper()
	c := &courtroom{fixture: newFixture(t), t: t}
	c.ids = c.consents(t, consents)
	c.night()
	return c
}

// night plans and claims a run of all consents that may be called, and says how many these are.
func (c *courtroom) night() int {
	c.t.Helper()
	run, batches := c.plan(c.t, len(c.ids))
	c.run = run
	if run.Expected > 0 {
		c.claim = claim(c.t, c.Store, batches[0])
	}
	return run.Expected
}

// over ends a night: what is not decided was read well. It gives the verdict.
func (c *courtroom) over() queue.Verdict {
	c.t.Helper()
	c.exec(c.t, `UPDATE items SET outcome = 'rows', finished_at = now() WHERE batch_id = $1 AND outcome IS NULL`, c.claim.ID)
	must(c.t, c.Queue.Finish(c.t.Context(), c.claim.ID, c.claim.Fence))
	verdict, _, err := c.Queue.Settle(c.t.Context(), c.run.ID)
	must(c.t, err)
	return verdict
}

// passes makes a time pass for what is suspected.
func (c *courtroom) passes(hours int) {
	c.t.Helper()
	for _, column := range []string{"suspected_at", "suspected_until", "held_at"} {
		c.exec(c.t, `UPDATE consents SET `+column+` = `+column+` - $1 * interval '1 hour' WHERE status = 'suspected'`, hours)
	}
	c.exec(c.t, `UPDATE consent_events SET at = at - $1 * interval '1 hour'`, hours)
	c.exec(c.t, `UPDATE calls SET sent_at = sent_at - $1 * interval '1 hour'`, hours)
}

// answered notes a good answer for a consent.
func (c *courtroom) answered(consent int64, class finance.Class) {
	c.t.Helper()
	call := newCall(debtStream(consent))
	call.ID, call.Class = finance.CallID(uuid.Must(uuid.NewV7())), class
	must(c.t, c.Admit.Record(c.t.Context(), call))
}

// refuse refuses a consent, and gives what came of it.
func (c *courtroom) refuse(consent int64, change ...func(*refusals.Refusal)) refusals.Refused {
	c.t.Helper()
	r := refusal(c.claim, consent)
	for _, f := range change {
		f(&r)
	}
	out, err := c.Refusals.Refuse(c.t.Context(), r)
	must(c.t, err)
	return out
}

func named(r *refusals.Refusal) { r.Named = true }

func (c *courtroom) is(consent int64, want finance.ConsentStatus) {
	c.t.Helper()
	if got := status(c.t, c.fixture, consent); got != want {
		c.t.Errorf("consent %d is %s, want %s", consent, got, want)
	}
}

func refusal(c queue.Claimed, consent int64) refusals.Refusal {
	return refusals.Refusal{Connection: "bank", Batch: c.ID, Fence: c.Fence, Status: finance.ConsentRevoked, Reason: "no valid consent",
		Item: queue.Decided{Consent: consent, Dataset: finance.Debts, Decision: queue.Decision{
			Outcome: finance.Excused, Class: finance.ConsentOver, Reason: "consent revoked: no valid consent"}}}
}

// A refusal whose code names the consent's end is believed at once. One by its status alone makes it
// suspected: it is not planned for twenty hours, and ends when it is refused again while others were
// answered.
func TestAStatusAloneIsBelievedTheSecondTime(t *testing.T) {
	t.Parallel()
	c := newCourtroom(t, 12)
	out := c.refuse(c.ids[0], named)
	c.is(c.ids[0], finance.ConsentRevoked)
	if out.Item.Outcome != finance.Excused || out.Held != 0 {
		t.Errorf("named: %+v", out)
	}
	out = c.refuse(c.ids[1])
	c.is(c.ids[1], finance.ConsentSuspected)
	if out.Item.Outcome != finance.Failed || out.Item.Class != finance.ConsentOver ||
		!strings.Contains(out.Item.Reason, "suspected to be revoked, and not called before ") {
		t.Errorf("by its status: %+v", out)
	}
	c.refuse(c.ids[1]) // it was on its way
	if s, err := c.Read.Suspicion(t.Context(), c.ids[1]); err != nil || s.Times != 1 || s.As != finance.ConsentRevoked || s.Held {
		t.Errorf("%+v, %v", s, err)
	}
	if v := c.over(); v != queue.VerdictComplete { // others were answered, so it is excused
		t.Errorf("the first night is %s", v)
	}
	if n := c.night(); n != 10 {
		t.Errorf("%d items while one is suspected, want 10", n)
	}
	c.over()
	c.passes(20)
	if n := c.night(); n != 11 {
		t.Errorf("%d items after twenty hours, want 11", n)
	}
	c.answered(c.ids[2], finance.OK)
	if out := c.refuse(c.ids[1]); out.Item.Outcome != finance.Excused {
		t.Errorf("the second time: %+v", out)
	}
	c.is(c.ids[1], finance.ConsentRevoked)
}

// Where nobody else was answered in between, a refusal is believed the third time, if the connection's
// check is good.
func TestASingleConsentEndsAtTheThirdRefusal(t *testing.T) {
	t.Parallel()
	for _, check := range []string{"good", "bad"} {
		c := newCourtroom(t, 1)
		for n := range 2 {
			c.refuse(c.ids[0])
			c.is(c.ids[0], finance.ConsentSuspected)
			if v := c.over(); v != queue.VerdictFailed {
				t.Errorf("night %d of refusals alone is %s", n+1, v)
			}
			c.passes(21)
			c.night()
		}
		if out := c.refuse(c.ids[0]); !out.Unchecked || out.Item.Outcome != "" {
			t.Errorf("the third time, without a check: %+v", out)
		}
		c.refuse(c.ids[0], func(r *refusals.Refusal) { r.Checked, r.CheckFailed = check == "good", check != "good" })
		c.is(c.ids[0], map[string]finance.ConsentStatus{"good": finance.ConsentRevoked, "bad": finance.ConsentSuspected}[check])
	}
}

// A good answer of the dataset that was refused clears the suspicion, another one does not; an import
// of the same line neither loses nor clears it, and one with another end does.
func TestASuspicionIsCleared(t *testing.T) {
	t.Parallel()
	c := newCourtroom(t, 8)
	for _, id := range c.ids[:5] {
		c.refuse(id)
	}
	for _, tt := range []struct {
		dataset finance.Dataset
		clears  bool
	}{{finance.Accounts, false}, {finance.Debts, true}} {
		cleared, err := c.Refusals.ClearSuspicion(t.Context(), c.ids[0], tt.dataset, consents.FromAnswer, finance.CallID{})
		if err != nil || cleared != tt.clears {
			t.Errorf("data of %s: %v, %v", tt.dataset, cleared, err)
		}
	}
	c.is(c.ids[0], finance.ConsentActive)
	if n := queryInt(t, c.pool, `SELECT count(*) FROM consent_events WHERE consent_id = $1 AND from_status = 'suspected'
		AND to_status = 'active'`, c.ids[0]); n != 1 {
		t.Errorf("%d lines of history", n)
	}

	line := func(id int64) consents.Import {
		known, err := c.Consents.ByID(t.Context(), id)
		must(t, err)
		return consents.Import{ExternalID: known.ExternalID}
	}
	same, other := line(c.ids[1]), line(c.ids[2])
	other.ValidUntil = time.Now().Add(90 * 24 * time.Hour)
	r, err := c.Consents.Import(t.Context(), "bank", []consents.Import{same, other})
	if err != nil || r.Revived != 1 || r.Unchanged != 1 {
		t.Errorf("imported again: %+v, %v", r, err)
	}
	c.is(c.ids[1], finance.ConsentSuspected)
	c.is(c.ids[2], finance.ConsentActive)

	_, err = c.Consents.End(t.Context(), c.ids[3], finance.ConsentRevoked, "withdrawn", consents.FromOperator, finance.CallID{})
	must(t, err)
	c.is(c.ids[3], finance.ConsentRevoked)
	c.exec(t, "UPDATE consents SET valid_until = now() WHERE id = $1", c.ids[4])
	if _, err := c.Consents.Expire(t.Context()); err != nil {
		t.Error(err)
	}
	c.is(c.ids[4], finance.ConsentExpired)
	if n := queryInt(t, c.pool, "SELECT count(*) FROM consents WHERE suspected_until IS NOT NULL"); n != 1 {
		t.Errorf("%d consents are suspected", n)
	}
}

// A batch's call for a suspected consent is refused before its time, one that asks for the status is not.
func TestASuspectedConsentIsNotCalled(t *testing.T) {
	t.Parallel()
	c := newCourtroom(t, 8)
	c.refuse(c.ids[0])
	ask := calls.Ask{Connection: "bank", Bucket: "bank", Task: calls.Task{Consent: &finance.Consent{ID: c.ids[0]}}}
	admit := func() calls.Admission {
		a, err := c.Admit.Admit(t.Context(), ask)
		must(t, err)
		return a
	}
	if a := admit(); a.Refusal != "" {
		t.Errorf("its status: %+v", a)
	}
	ask.Task.Batch, ask.Task.Fence = c.claim.ID, c.claim.Fence
	if a := admit(); a.Refusal != finance.Suspected || !strings.Contains(a.Reason, "not called before") {
		t.Errorf("its data: %+v", a)
	}
	c.passes(21)
	if a := admit(); a.Refusal != "" {
		t.Errorf("after its time: %+v", a)
	}
}

// Ends that come for more than a fifth of the consents within a day are held, all of them, until
// somebody accepts them. What the feed has told is not among them, and stays ended.
func TestTooManyEndsAreHeld(t *testing.T) {
	t.Parallel()
	c := newCourtroom(t, 15)
	c.refuse(c.ids[0], named)
	c.refuse(c.ids[1], named)
	c.is(c.ids[1], finance.ConsentRevoked)
	_, err := c.Consents.ApplyEvents(t.Context(), "bank", "1", []consents.Event{c.ended(c.ids[1]), c.ended(c.ids[2])})
	must(t, err)
	if out := c.refuse(c.ids[3], named); out.Held != 0 { // the second that the feed does not tell of
		t.Errorf("%+v", out)
	}
	changed, held, err := c.Refusals.EndByStatus(t.Context(), "bank", []refusals.Ending{{Consent: c.ids[4], Status: finance.ConsentExpired,
		Reason: "it says so"}})
	if err != nil || changed != 1 || held != 3 {
		t.Errorf("%d changed, %d held, %v", changed, held, err)
	}
	for _, i := range []int{0, 3, 4} {
		c.is(c.ids[i], finance.ConsentSuspected)
	}
	c.is(c.ids[1], finance.ConsentRevoked)
	c.is(c.ids[2], finance.ConsentRevoked)
	if n := queryInt(t, c.pool, "SELECT count(*) FROM items WHERE outcome = 'failed' AND class = 'consent'"); n != 2 {
		t.Errorf("%d items have failed until it is known whether others are answered", n)
	}
	for i, want := range []int{3, 0} { // told once
		if got, err := c.Refusals.HeldNews(t.Context(), "bank"); got != want || err != nil {
			t.Errorf("asked for news %d times: %d, %v", i+1, got, err)
		}
	}
	c.over()
	c.passes(21)
	c.night()
	c.answered(c.ids[5], finance.OK)
	if out := c.refuse(c.ids[0], named); out.Item.Outcome != finance.Failed { // held, whatever it is told again
		t.Errorf("%+v", out)
	}
	c.is(c.ids[0], finance.ConsentSuspected)
	if _, err := c.Refusals.AcceptEnds(t.Context(), "nobody", "x"); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("over a connection that there is not: %v", err)
	}
	if n, err := c.Refusals.AcceptEnds(t.Context(), "bank", "they say so"); n != 3 || err != nil {
		t.Errorf("accepted %d, %v", n, err)
	}
	c.is(c.ids[0], finance.ConsentRevoked)
	c.is(c.ids[4], finance.ConsentExpired)
}

// ended is an event of the feed that ends a consent.
func (c *courtroom) ended(consent int64) consents.Event {
	c.t.Helper()
	known, err := c.Consents.ByID(c.t.Context(), consent)
	must(c.t, err)
	return consents.Event{ExternalID: known.ExternalID, At: time.Now(), Status: finance.ConsentRevoked, Reason: "event"}
}

// When nobody is answered the connection is parked, and what answers have said against consents is
// taken back, also of a run that had settled with it. What the feed has ended stays ended.
func TestAParkedConnectionRevokesNobody(t *testing.T) {
	t.Parallel()
	c := newCourtroom(t, 40)
	for _, id := range c.ids[:6] {
		c.answered(id, finance.ConsentOver)
		c.refuse(id, named)
	}
	c.answered(c.ids[6], finance.ConsentOver)
	c.refuse(c.ids[6])
	_, err := c.Consents.ApplyEvents(t.Context(), "bank", "1", []consents.Event{c.ended(c.ids[5])})
	must(t, err)
	if v := c.over(); v != queue.VerdictComplete {
		t.Fatalf("the run is %s", v)
	}
	k, err := c.Refusals.RefusedAll(t.Context(), "bank")
	if err != nil || k.Refused != 6 || !k.Others { // the feed has told of the seventh
		t.Fatalf("%+v, %v", k, err)
	}
	for i := range 2 {
		first, err := c.Refusals.ParkRefused(t.Context(), "bank", k.Since.Add(-time.Second), "nothing was revoked")
		if err != nil || first != (i == 0) {
			t.Errorf("%v, %v", first, err)
		}
	}
	for i, id := range c.ids[:7] {
		want := finance.ConsentActive
		if i == 5 {
			want = finance.ConsentRevoked
		}
		c.is(id, want)
	}
	if run, err := c.Queue.RunByID(t.Context(), c.run.ID); err != nil || run.Verdict != queue.VerdictPartial {
		t.Errorf("the run is %s, %v", run.Verdict, err)
	}
	if out := c.refuse(c.ids[7], named); out.Parked == "" {
		t.Errorf("while it is parked: %+v", out)
	}
	c.is(c.ids[7], finance.ConsentActive)
}

// A worker that was fenced off changes nothing.
func TestAFencedRefusalIsNone(t *testing.T) {
	t.Parallel()
	c := newCourtroom(t, 2)
	for _, how := range []bool{true, false} {
		r := refusal(c.claim, c.ids[0])
		r.Fence, r.Named = r.Fence-1, how
		if _, err := c.Refusals.Refuse(t.Context(), r); !errors.Is(err, pg.ErrFenced) {
			t.Errorf("with an old fence: %v", err)
		}
	}
	c.is(c.ids[0], finance.ConsentActive)
}
