package persist_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/refusals"
)

const (
	ola  = "29868099311"
	kari = "14842249091"
)

func (h *fixture) imports(t *testing.T, list []consents.Import, options ...consents.ImportOption) consents.ImportResult {
	t.Helper()
	r, err := h.Consents.Import(t.Context(), "bank", list, options...)
	must(t, err)
	return r
}

func (h *fixture) byID(t *testing.T, id string) finance.Consent {
	t.Helper()
	c, err := h.Consents.ByExternalID(t.Context(), "bank", id)
	if err != nil {
		t.Fatalf("consent %s: %v", id, err)
	}
	return c
}

func (h *fixture) verified(t *testing.T) {
	t.Helper()
	broken, err := h.Read.Verify(t.Context())
	must(t, err)
	for _, b := range broken {
		t.Errorf("%s: %s", b.Rule, b.What)
	}
}

func admitted(t *testing.T, h *fixture, c finance.Consent) finance.Class {
	t.Helper()
	return admission(t, h.Store, calls.Ask{Connection: "bank", Bucket: "bank", Task: calls.Task{Consent: &c}}).Refusal
}

// A consent that has ended goes on under its new id at once, with the new terms and the same number, whatever has ended
// it, the feed too. The old id is found, makes no other consent, and brings no old terms back.
func TestARenewalOfAnEndedConsentHoldsAtOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	soon := time.Now().Add(90 * 24 * time.Hour).UTC().Truncate(time.Second)
	old := consents.Import{ExternalID: "a", NationalID: ola, ReadsPerDay: 4, ValidFrom: time.Now().Add(-time.Hour)}
	h.imports(t, []consents.Import{old})
	was := h.byID(t, "a")
	feed := func(id string, status finance.ConsentStatus) {
		t.Helper()
		_, err := h.Consents.ApplyEvents(t.Context(), "bank", "p", []consents.Event{
			{ExternalID: id, At: time.Now(), Status: status, Reason: "event 1"}})
		must(t, err)
	}
	feed("a", finance.ConsentRevoked)
	line := consents.Import{ExternalID: "b", Renews: "a", NationalID: ola, ValidUntil: soon}
	both := []consents.Import{old, line}
	if got, want := h.imports(t, both), (consents.ImportResult{Renewed: 1, Unchanged: 1}); !cmp.Equal(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for range 2 { // the same list again changes nothing
		if got, want := h.imports(t, both, consents.Whole(-1)), (consents.ImportResult{Unchanged: 2}); !cmp.Equal(got, want) {
			t.Fatalf("again: got %+v, want %+v", got, want)
		}
	}
	now := h.byID(t, "a")
	if now.ID != was.ID || now.ExternalID != "b" || now.Status != finance.ConsentActive || now.OnTrial ||
		!now.ValidUntil.Equal(soon) || now.ReadsPerDay != 0 {
		t.Errorf("it goes on as %+v", now)
	}
	if got := admitted(t, h, was); got != finance.Renewed {
		t.Errorf("a call under the old id: %q", got)
	}
	if got := admitted(t, h, now); got != "" {
		t.Errorf("a call under the new id: %q", got)
	}
	feed("a", finance.ConsentRevoked) // news of an id that is not called any more
	if got := h.byID(t, "b"); got.Status != finance.ConsentActive {
		t.Errorf("an event of the old id has ended it: %s", got.Status)
	}
	// Without the column, the list names the new id as any other, and the old id is named by it.
	if got := h.imports(t, []consents.Import{{ExternalID: "b", ValidUntil: soon}}, consents.Whole(-1),
		consents.Keep("reads_per_day")); got.Dropped+got.Inserted+len(got.Refused) != 0 {
		t.Errorf("the new id alone: %+v", got)
	}
	h.verified(t)
}

// While the old id is good it is called, until the new one has been answered; and if that is refused the old one goes on.
func TestARenewalOfALivingConsentIsTried(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	first := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	h.imports(t, []consents.Import{{ExternalID: "a", ValidUntil: first, Purpose: "loan"}})
	line := consents.Import{ExternalID: "b", Renews: "a", ValidUntil: first.Add(time.Hour), Purpose: "car"}
	if got := h.imports(t, []consents.Import{line}); got.Renewing != 1 {
		t.Fatalf("got %+v", got)
	}
	if got := h.imports(t, []consents.Import{line}); got.Unchanged != 1 {
		t.Errorf("twice the same: %+v", got)
	}
	was := h.byID(t, "b")
	if was.ExternalID != "a" || was.Purpose != "loan" || admitted(t, h, was) != "" {
		t.Errorf("before it is tried it is called as %+v", was)
	}
	_, batches := h.plan(t, 10)
	take := func() finance.Consent {
		t.Helper()
		n, err := h.Consents.TakeUpRenewals(ctx, batches[0])
		must(t, err)
		if n != 1 {
			t.Fatalf("%d were taken up", n)
		}
		return h.byID(t, "a")
	}
	tried := take()
	if tried.ExternalID != "b" || !tried.OnTrial || tried.Purpose != "car" || !tried.ValidUntil.Equal(first.Add(time.Hour)) {
		t.Fatalf("it is tried as %+v", tried)
	}
	h.verified(t)
	refused := consents.TrialEnd{Consent: was.ID, ExternalID: "b", Reason: "status 403"}
	for i, want := range []bool{true, false} { // the second one is told of what is over
		back, err := h.Consents.RenewalRefused(ctx, refused)
		must(t, err)
		if back != want {
			t.Errorf("refusal %d put the old id back: %v", i+1, back)
		}
	}
	again := h.byID(t, "a")
	if again.ExternalID != "a" || again.OnTrial || again.Purpose != "loan" || !again.ValidUntil.Equal(first) ||
		admitted(t, h, tried) != finance.Renewed {
		t.Errorf("it goes on as %+v", again)
	}
	if n, _ := h.Consents.TakeUpRenewals(ctx, batches[0]); n != 0 {
		t.Error("it is tried again at once")
	}
	h.exec(t, "UPDATE renewals SET not_before = clock_timestamp() WHERE state = 'waiting'")
	take()
	// Whoever is answered under the new id has the last word, also where another process was refused just before.
	_, err := h.Consents.RenewalRefused(ctx, refused)
	must(t, err)
	must(t, h.Consents.RenewalAnswered(ctx, was.ID, "b", finance.CallID{}))
	done := h.byID(t, "a")
	if done.ExternalID != "b" || done.OnTrial || done.Purpose != "car" || admitted(t, h, was) != finance.Renewed {
		t.Errorf("after the answer it goes on as %+v", done)
	}
	if back, _ := h.Consents.RenewalRefused(ctx, refused); back {
		t.Error("a refusal after the answer has put the old id back")
	}
	h.verified(t)
	list, err := h.Read.Renewals(ctx, was.ID)
	must(t, err)
	if len(list) != 1 || list[0].State != "done" || list[0].Old != "a" || list[0].New != "b" {
		t.Errorf("its renewals: %+v", list)
	}
}

// What the provider tells of an id that is on trial, of the one that is kept meanwhile, or of one that waits, is of that
// id alone.
func TestWhatIsToldDuringATrialIsOfOneID(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tried  bool
		of     string // the id that the feed ends; empty: an answer ends it
		id     string // by which it goes on
		status finance.ConsentStatus
	}{
		"the new one, on trial":  {true, "b", "a", finance.ConsentActive},
		"the new one, by status": {true, "", "a", finance.ConsentActive},
		"the new one, waiting":   {false, "b", "a", finance.ConsentActive},
		"the old one, waiting":   {false, "a", "b", finance.ConsentActive},
		"the old one, during it": {true, "a", "b", finance.ConsentActive},
		"the old one, by status": {false, "", "b", finance.ConsentActive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t)
			h.imports(t, []consents.Import{{ExternalID: "a"}})
			h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a"}})
			c := h.byID(t, "a")
			if test.tried {
				taken, err := h.Consents.TakeUpRenewal(t.Context(), c.ID)
				must(t, err)
				if !taken {
					t.Fatal("it was not taken up")
				}
			}
			if test.of != "" {
				_, err := h.Consents.ApplyEvents(t.Context(), "bank", "p", []consents.Event{
					{ExternalID: test.of, At: time.Now(), Status: finance.ConsentRevoked, Reason: "event 1"}})
				must(t, err)
			} else {
				_, _, err := h.Refusals.EndByStatus(t.Context(), "bank", []refusals.Ending{{Consent: c.ID, Status: finance.ConsentRevoked}})
				must(t, err)
			}
			_, err := h.Consents.Expire(t.Context()) // as the sweep does
			must(t, err)
			if got := h.byID(t, "a"); got.ExternalID != test.id || got.Status != test.status {
				t.Errorf("it goes on as %s, %s", got.ExternalID, got.Status)
			}
			h.verified(t)
		})
	}
}

// An operator's word ends a consent under whatever id; and what begins later waits until then.
func TestARenewalWaitsForItsTimeAndNotForARevokedConsent(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	tomorrow := time.Now().Add(24 * time.Hour)
	h.imports(t, []consents.Import{{ExternalID: "a"}, {ExternalID: "x"}})
	h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a", ValidFrom: tomorrow}, {ExternalID: "y", Renews: "x"}})
	a, x := h.byID(t, "a"), h.byID(t, "x")
	_, err := h.Consents.End(ctx, x.ID, finance.ConsentRevoked, "has called", consents.FromOperator, finance.CallID{})
	must(t, err)
	if taken, _ := h.Consents.TakeUpRenewal(ctx, a.ID); taken {
		t.Error("a renewal was in force before it was valid")
	}
	_, err = h.Consents.End(ctx, a.ID, finance.ConsentRevoked, "told", consents.FromFeed, finance.CallID{})
	must(t, err)
	_, err = h.Consents.Expire(ctx)
	must(t, err)
	if got := h.byID(t, "a"); got.Status != finance.ConsentRevoked {
		t.Errorf("before its time it is %s", got.Status)
	}
	h.exec(t, `UPDATE renewals SET terms = terms || jsonb_build_object('valid_from', now()) WHERE state = 'waiting'`)
	_, err = h.Consents.Expire(ctx)
	must(t, err)
	if got := h.byID(t, "a"); got.Status != finance.ConsentActive || got.ExternalID != "b" {
		t.Errorf("when its time has come it is %s, %s", got.ExternalID, got.Status)
	}
	if got := h.byID(t, "x"); got.Status != finance.ConsentRevoked || got.ExternalID != "x" {
		t.Errorf("the revoked one is %s, %s", got.ExternalID, got.Status)
	}
	h.verified(t)
}

// A renewal that was refused by a status is tried again later, while the old id is good. When that ends, the new one is the only
// one there is, and is called at once.
func TestARefusedRenewalHoldsWhenTheOldOneEnds(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.imports(t, []consents.Import{{ExternalID: "a"}, {ExternalID: "x"}})
	h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a"}, {ExternalID: "y", Renews: "x"}})
	for id, now := range map[string]string{"a": "b", "x": "y"} {
		c := h.byID(t, id)
		if taken, err := h.Consents.TakeUpRenewal(t.Context(), c.ID); !taken || err != nil {
			t.Fatal(taken, err)
		}
		_, err := h.Consents.RenewalRefused(t.Context(), consents.TrialEnd{Consent: c.ID, ExternalID: now, Reason: "status 403"})
		must(t, err)
		if taken, _ := h.Consents.TakeUpRenewal(t.Context(), c.ID); taken {
			t.Errorf("%s is tried again at once", now)
		}
		_, err = h.Consents.End(t.Context(), c.ID, finance.ConsentRevoked, "told", consents.FromFeed, finance.CallID{})
		must(t, err)
	}
	h.exec(t, `UPDATE renewals SET terms = terms || jsonb_build_object('valid_from', now() + interval '1 hour') WHERE new_id = 'y'`)
	_, err := h.Consents.Expire(t.Context()) // as the sweep does
	must(t, err)
	if c := h.byID(t, "a"); c.ExternalID != "b" || c.Status != finance.ConsentActive || c.OnTrial {
		t.Errorf("it goes on as %+v", c)
	}
	if c := h.byID(t, "x"); c.ExternalID != "x" || c.Status != finance.ConsentRevoked {
		t.Errorf("before its time it goes on as %+v", c)
	}
	h.verified(t)
}

// Chains, circles and mistakes in a list, each with a line that says what to do.
func TestRenewalsInOneList(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	past := time.Now().Add(-time.Hour)
	h.imports(t, []consents.Import{{ExternalID: "known", NationalID: ola}, {ExternalID: "other"}})
	h.exec(t, `INSERT INTO cursors (consent_id, dataset, position, mid_pass)
		SELECT id, 'debt', '', false FROM consents WHERE external_id IN ('known', 'other')`)
	got := h.imports(t, []consents.Import{
		{ExternalID: "c", Renews: "b"},                        // 0: behind b, wherever it stands
		{ExternalID: "b", Renews: "a"},                        // 1
		{ExternalID: "a"},                                     // 2: new
		{ExternalID: "self", Renews: "self"},                  // 3
		{ExternalID: "p", Renews: "q"},                        // 4: in a circle
		{ExternalID: "q", Renews: "p"},                        // 5
		{ExternalID: "n", Renews: "nobody"},                   // 6
		{ExternalID: "known", Renews: "other"},                // 7: two that are known
		{ExternalID: "k2", Renews: "known", NationalID: kari}, // 8: another person's
		{ExternalID: "k3", Renews: "known"},                   // 9: the second that renews it
		{ExternalID: "gone", ValidUntil: past},                // 10: over, and not known
		{ExternalID: "after", Renews: "gone"},                 // 11: so this is a new one
	})
	// A chain is one consent that is renewed, by its last line.
	want := consents.ImportResult{Inserted: 2, Renewing: 1, Unchanged: 1, Over: 1}
	refused := map[int]string{3: "own external_id", 4: "back to this line", 5: "back to this line", 6: "no consent that is known",
		7: "is known as consent", 8: "another person's", 9: "renews the same consent"}
	for _, r := range got.Refused {
		if !strings.Contains(r.Reason, refused[r.Row]) || refused[r.Row] == "" {
			t.Errorf("row %d: %s", r.Row, r.Reason)
		}
		delete(refused, r.Row)
	}
	if len(refused) > 0 {
		t.Errorf("not refused: %v", refused)
	}
	if got.Refused, got.Unnamed, got.Active = nil, 0, 0; !cmp.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c := h.byID(t, "c")
	if c.ID != h.byID(t, "a").ID || c.ID != h.byID(t, "b").ID || c.ExternalID != "a" {
		t.Errorf("the chain is %+v", c)
	}
	h.exec(t, "DELETE FROM cursors") // which have no calls
	// The newest renewal wins, before and during its trial.
	for _, id := range []string{"c", "d"} {
		if taken, err := h.Consents.TakeUpRenewal(t.Context(), c.ID); !taken || err != nil {
			t.Fatalf("%s was not taken up: %v", id, err)
		}
		if got := h.byID(t, "a"); got.ExternalID != id {
			t.Errorf("%s is tried, and not %s", got.ExternalID, id)
		}
		if id == "c" {
			h.imports(t, []consents.Import{{ExternalID: "d", Renews: "c"}})
			if got := h.byID(t, "d"); got.ExternalID != "a" {
				t.Errorf("the old id is not back: %s", got.ExternalID)
			}
		}
	}
	h.verified(t)
}

// A renewed single-use consent may be called once more, under its new id, and once.
func TestARenewedSingleUseConsentIsCalledOnceMore(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	h.imports(t, []consents.Import{{ExternalID: "a", SingleUse: true}})
	use := func(c finance.Consent) (fresh bool) {
		t.Helper()
		call := newCall(debtStream(c.ID))
		call.Task.Consent = &c
		intent, err := h.Admit.Intend(ctx, call)
		if err != nil {
			return false
		}
		if intent.Fresh {
			must(t, h.Admit.Answered(ctx, call, []byte("{}")))
			must(t, h.Consents.Consume(ctx, c.ID))
		}
		return intent.Fresh
	}
	old := h.byID(t, "a")
	if !use(old) || use(old) {
		t.Fatal("the first consent is not good for one call")
	}
	if got := h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a", SingleUse: true}}); got.Renewed != 1 {
		t.Fatalf("got %+v", got)
	}
	now := h.byID(t, "b")
	if use(old) {
		t.Error("a call under the old id was intended")
	}
	if now.Status != finance.ConsentActive || !use(now) || use(now) {
		t.Error("the renewed one is not good for one call")
	}
	if got := h.byID(t, "b"); got.Status != finance.ConsentConsumed {
		t.Errorf("afterwards it is %s", got.Status)
	}
	h.verified(t)
}

// A consent that is given in the browser under another id goes on at once, with its new grant; a list can't renew it,
// since it has no grant to bring.
func TestAConsentIsRenewedInTheBrowser(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	first := h.give(t, given("c-1", "one"))
	third := h.give(t, given("c-3", "three"))
	if got := h.imports(t, []consents.Import{{ExternalID: "c-2", Renews: "c-1"}}); len(got.Refused) != 1 ||
		!strings.Contains(got.Refused[0].Reason, "authorize bank --renews") {
		t.Errorf("a list renews it: %+v", got)
	}
	renews := func(g *consents.Given) { g.Renews = first.ID }
	for id, want := range map[string]error{"c-3": consents.ErrOtherConsent, "c-2": consents.ErrOtherSubject} {
		g := given(id, "x", renews)
		if id == "c-2" {
			g.NationalID = kari
		}
		if _, err := h.Consents.Give(t.Context(), "bank", g); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
	for range 2 { // as if the answer of the commit was lost
		got := h.give(t, given("c-2", "two", renews))
		c := h.byID(t, "c-1")
		if got.ID != first.ID || c.ID != first.ID || c.ExternalID != "c-2" || c.Renewals != 1 || c.OnTrial ||
			h.grant(t, first.ID) != "two" || h.grant(t, third.ID) != "three" {
			t.Errorf("%+v, %+v", got, c)
		}
	}
	h.imports(t, []consents.Import{{ExternalID: "d-1"}})
	h.imports(t, []consents.Import{{ExternalID: "d-2", Renews: "d-1"}})
	if got := h.give(t, given("d-2", "d")); got.ID != h.byID(t, "d-1").ID || h.byID(t, "d-1").ExternalID != "d-2" {
		t.Errorf("one that waits is given as %+v", got)
	}
	if _, err := h.Consents.Give(t.Context(), "bank", given("c-1", "x")); !errors.Is(err, consents.ErrOtherConsent) {
		t.Errorf("the id before makes another consent: %v", err)
	}
	h.verified(t)
}

// What is imported as a consent of its own, and looks like a renewal, is pointed at. As long as nothing was read of it, it
// can still become one.
func TestALikelyRenewalIsPointedAt(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	soon, late := time.Now().Add(48*time.Hour), time.Now().Add(90*24*time.Hour).UTC().Truncate(time.Second)
	h.imports(t, []consents.Import{
		{ExternalID: "a", NationalID: ola, ValidUntil: soon},
		{ExternalID: "far", NationalID: kari, ValidUntil: late},
		{ExternalID: "nobody's", ValidUntil: soon},
	})
	h.exec(t, `INSERT INTO cursors (consent_id, dataset, position, mid_pass) SELECT id, 'debt', '', false FROM consents`)
	h.imports(t, []consents.Import{
		{ExternalID: "b", NationalID: ola, ValidUntil: late},
		{ExternalID: "far2", NationalID: kari, ValidUntil: late},
		{ExternalID: "nobody's 2", ValidUntil: late},
	})
	list, err := h.Read.LikelyRenewals(t.Context(), "bank", 10)
	must(t, err)
	a, b := h.byID(t, "a"), h.byID(t, "b")
	if len(list) != 1 || list[0].Old != a.ID || list[0].New != b.ID || list[0].NewID != "b" {
		t.Fatalf("likely: %+v", list)
	}
	got := h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a"}}, consents.Keep("valid_until"))
	if got.Renewing != 1 || len(got.Refused) > 0 {
		t.Fatalf("got %+v", got)
	}
	if taken, err := h.Consents.TakeUpRenewal(t.Context(), a.ID); !taken || err != nil {
		t.Fatal(taken, err)
	}
	now := h.byID(t, "b")
	if now.ID != a.ID || now.ExternalID != "b" || !now.ValidUntil.Equal(late) {
		t.Errorf("it goes on as %+v", now)
	}
	if was, err := h.Consents.ByID(t.Context(), b.ID); err != nil || was.Status != finance.ConsentRevoked {
		t.Errorf("the one of its own is %+v, %v", was, err)
	}
	if list, _ := h.Read.LikelyRenewals(t.Context(), "", 10); len(list) != 0 {
		t.Errorf("still likely: %+v", list)
	}
	h.exec(t, "DELETE FROM cursors") // which have no calls
	h.verified(t)
}

// A list goes on naming ids of all ages: the one that waits brings its terms as they are now, those before change nothing.
func TestAListNamesIDsOfAllAges(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	now := time.Now().UTC().Truncate(time.Second)
	days := func(n int) time.Time { return now.Add(time.Duration(n) * 24 * time.Hour) }
	h.imports(t, []consents.Import{{ExternalID: "a", ValidUntil: days(2)}})
	h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a", ValidUntil: days(90)}})
	a := h.byID(t, "a")
	if got := h.imports(t, []consents.Import{{ExternalID: "b", ValidUntil: days(80)}}); got.Renewing != 1 || got.Inserted != 0 {
		t.Errorf("other terms of the one that waits: %+v", got)
	}
	if got := h.imports(t, []consents.Import{{ExternalID: "b", ValidUntil: days(80)}}); got.Unchanged != 1 {
		t.Errorf("the same once more: %+v", got)
	}
	taken, err := h.Consents.TakeUpRenewal(t.Context(), a.ID)
	must(t, err)
	if c := h.byID(t, "a"); !taken || !c.ValidUntil.Equal(days(80)) {
		t.Errorf("it is tried with %+v", c)
	}
	must(t, h.Consents.RenewalAnswered(t.Context(), a.ID, "b", finance.CallID{}))
	if got := h.imports(t, []consents.Import{{ExternalID: "c", Renews: "b", ValidUntil: days(180)}}); got.Renewing != 1 {
		t.Fatalf("got %+v", got)
	}
	if _, err := h.Consents.TakeUpRenewal(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	must(t, h.Consents.RenewalAnswered(t.Context(), a.ID, "c", finance.CallID{}))
	all := []consents.Import{
		{ExternalID: "a", ValidUntil: days(2)},
		{ExternalID: "b", Renews: "a", ValidUntil: days(70)},
		{ExternalID: "c", Renews: "b", ValidUntil: days(200)},
	}
	if got, want := h.imports(t, all, consents.Whole(-1)), (consents.ImportResult{Updated: 1, Unchanged: 2}); !cmp.Equal(got, want) {
		t.Errorf("the whole history in one list: %+v, want %+v", got, want)
	}
	if c := h.byID(t, "a"); c.ExternalID != "c" || !c.ValidUntil.Equal(days(200)) || c.ID != a.ID {
		t.Errorf("it goes on as %+v", c)
	}
	h.verified(t)
}

// Whom an operator or a whole list has ended is not brought back by a line, whatever that says, while a renewal waits for him
// or was refused: only by an operator.
func TestALineRevivesNobodyWhomAnOperatorHasEnded(t *testing.T) {
	t.Parallel()
	late := time.Now().Add(90 * 24 * time.Hour).UTC().Truncate(time.Second)
	for name, end := range map[string]func(*testing.T, *fixture, finance.Consent){
		"an operator": func(t *testing.T, h *fixture, c finance.Consent) {
			_, err := h.Consents.End(t.Context(), c.ID, finance.ConsentRevoked, "has called", consents.FromOperator, finance.CallID{})
			must(t, err)
		},
		"a whole list": func(t *testing.T, h *fixture, _ finance.Consent) {
			if r := h.imports(t, []consents.Import{{ExternalID: "x"}}, consents.Whole(-1)); r.Dropped != 1 {
				t.Fatalf("got %+v", r)
			}
		},
		"an operator, after a refusal": func(t *testing.T, h *fixture, c finance.Consent) {
			if taken, err := h.Consents.TakeUpRenewal(t.Context(), c.ID); !taken || err != nil {
				t.Fatal(taken, err)
			}
			_, err := h.Consents.RenewalRefused(t.Context(), consents.TrialEnd{Consent: c.ID, ExternalID: "b", Reason: "gone", Named: true})
			must(t, err)
			_, err = h.Consents.End(t.Context(), c.ID, finance.ConsentRevoked, "has called", consents.FromOperator, finance.CallID{})
			must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t)
			h.imports(t, []consents.Import{{ExternalID: "a"}, {ExternalID: "x"}})
			h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a"}})
			a := h.byID(t, "a")
			end(t, h, a)
			stays := func(what string, line consents.Import) {
				t.Helper()
				r := h.imports(t, []consents.Import{line, {ExternalID: "x"}})
				_, err := h.Consents.Expire(t.Context())
				must(t, err)
				if c := h.byID(t, "a"); c.Status != finance.ConsentRevoked || c.ExternalID != "a" || r.Renewed+r.Renewing != 0 {
					t.Fatalf("%s has brought it back: %s as %s, %+v", what, c.ExternalID, c.Status, r)
				}
			}
			stays("the same line", consents.Import{ExternalID: "b", Renews: "a"})
			h.imports(t, []consents.Import{{ExternalID: "c", Renews: "a", ValidFrom: late}, {ExternalID: "x"}})
			_, err := h.Consents.End(t.Context(), a.ID, finance.ConsentRevoked, "has called", consents.FromOperator, finance.CallID{})
			must(t, err)
			h.exec(t, "UPDATE consents SET external_id = 'd' WHERE id = $1", a.ID) // as another renewal does
			list, err := h.Read.Renewals(t.Context(), a.ID)
			must(t, err)
			for _, r := range list {
				if r.Old != "a" {
					t.Errorf("a renewal of %s as %s was %s", r.Old, r.New, r.State)
				}
			}
			h.exec(t, "DELETE FROM renewals WHERE new_id = 'c'")
			h.exec(t, "DELETE FROM consent_ids WHERE external_id = 'c'")
			h.exec(t, "UPDATE consents SET external_id = 'a' WHERE id = $1", a.ID)
			must(t, h.Consents.BoundReads(t.Context(), "bank", 4))
			stays("another budget of the connection", consents.Import{ExternalID: "b", Renews: "a"})
			stays("another end", consents.Import{ExternalID: "b", Renews: "a", ValidUntil: late})
			stays("its id alone", consents.Import{ExternalID: "b", ValidUntil: late.Add(time.Hour)})
			if name == "an operator, after a refusal" {
				_, err := h.Consents.Restore(t.Context(), a.ID, "a mistake")
				must(t, err)
				if taken, _ := h.Consents.TakeUpRenewal(t.Context(), a.ID); taken {
					t.Error("what the provider has refused is tried again after a restore")
				}
			} else if name == "an operator" {
				_, err := h.Consents.Restore(t.Context(), a.ID, "a mistake")
				must(t, err)
				if taken, err := h.Consents.TakeUpRenewal(t.Context(), a.ID); !taken || err != nil {
					t.Errorf("what waited does not wait again after a restore: %v", err)
				}
			} else if r := h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a"}}, consents.Again()); r.Renewed != 1 {
				t.Errorf("an operator's renewal: %+v", r)
			}
			h.verified(t)
		})
	}
}

// A consent that has ended, and whose renewal waits for its first day, is to go on. A whole list that names none of its ids
// ends that.
func TestAWholeListWithdrawsWhatWaitsForAnEndedConsent(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.imports(t, []consents.Import{{ExternalID: "a"}, {ExternalID: "x"}})
	a := h.byID(t, "a")
	_, err := h.Consents.End(t.Context(), a.ID, finance.ConsentRevoked, "over", consents.FromAnswer, finance.CallID{})
	must(t, err)
	soon := time.Now().Add(24 * time.Hour)
	h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a", ValidFrom: soon}, {ExternalID: "x"}}, consents.Whole(-1))
	if r := h.imports(t, []consents.Import{{ExternalID: "x"}}, consents.Whole(-1)); r.Dropped != 1 {
		t.Fatalf("got %+v", r)
	}
	h.exec(t, `UPDATE renewals SET terms = terms || jsonb_build_object('valid_from', clock_timestamp() - interval '1 day')`)
	_, err = h.Consents.Expire(t.Context())
	must(t, err)
	if c := h.byID(t, "a"); c.Status != finance.ConsentRevoked || c.ExternalID != "a" {
		t.Errorf("it goes on as %s: %s", c.ExternalID, c.Status)
	}
	h.verified(t)
}

// The budget of the connection is nothing that a list says: one that is changed tries no refused id again.
func TestAnotherBudgetIsNoOtherLine(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.imports(t, []consents.Import{{ExternalID: "a", Purpose: "loan"}})
	line := consents.Import{ExternalID: "b", Renews: "a"}
	h.imports(t, []consents.Import{line}, consents.Keep("purpose", "reads_per_day"))
	a := h.byID(t, "a")
	if taken, err := h.Consents.TakeUpRenewal(t.Context(), a.ID); !taken || err != nil {
		t.Fatal(taken, err)
	}
	_, err := h.Consents.RenewalRefused(t.Context(), consents.TrialEnd{Consent: a.ID, ExternalID: "b", Reason: "gone", Named: true})
	must(t, err)
	must(t, h.Consents.BoundReads(t.Context(), "bank", 4))
	h.imports(t, []consents.Import{{ExternalID: "a", Purpose: "car"}})
	for _, keep := range [][]string{{"purpose"}, {"purpose", "reads_per_day", "valid_until"}} {
		if r := h.imports(t, []consents.Import{line}, consents.Keep(keep...)); r.Unchanged != 1 {
			t.Errorf("the same line: %+v", r)
		}
	}
	// And whoever is taken up, or put back, has the budget that the connection has then.
	h.imports(t, []consents.Import{{ExternalID: "c", Renews: "a"}})
	must(t, h.Consents.BoundReads(t.Context(), "bank", 3))
	if taken, err := h.Consents.TakeUpRenewal(t.Context(), a.ID); !taken || err != nil {
		t.Fatal(taken, err)
	}
	if c := h.byID(t, "a"); c.ExternalID != "c" || c.ReadsPerDay != 3 {
		t.Errorf("on trial it has %d reads", c.ReadsPerDay)
	}
	must(t, h.Consents.BoundReads(t.Context(), "bank", 2))
	_, err = h.Consents.RenewalRefused(t.Context(), consents.TrialEnd{Consent: a.ID, ExternalID: "c", Reason: "gone", Named: true})
	must(t, err)
	if c := h.byID(t, "a"); c.ExternalID != "a" || c.ReadsPerDay != 2 {
		t.Errorf("put back it has %d reads", c.ReadsPerDay)
	}
	h.verified(t)
}

// A program of the release before does not tell which id a call carries: of a consent that was renewed since it has
// claimed its batch it makes none.
func TestAnOlderProgramCallsUnderNoOldID(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.imports(t, []consents.Import{{ExternalID: "a"}, {ExternalID: "x"}})
	_, batches := h.plan(t, 10)
	fence := claim(t, h.Store, batches[0]).Fence
	a, x := h.byID(t, "a"), h.byID(t, "x")
	h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a"}})
	if taken, err := h.Consents.TakeUpRenewal(t.Context(), a.ID); !taken || err != nil {
		t.Fatal(taken, err)
	}
	got := queryAll(t, h.pool, fmt.Sprintf(`SELECT coalesce(refusal, 'none') FROM admit_calls('{bank,bank}', '{bank,bank}', '{0,0}',
		'{f,f}', '{%[1]d,%[1]d}', '{%[2]d,%[2]d}', '{%[3]d,%[4]d}', '{null,null}', '{"",""}', '{0,0}', '{f,f}', '{"",""}', '{"",""}')
		ORDER BY place`, batches[0], fence, a.ID, x.ID))
	if want := []string{"renewed", "none"}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
