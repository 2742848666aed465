package persist_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"syncer/finance"
	"syncer/persist"
)

func refusal(c persist.Claimed, consent int64) persist.Refusal {
	return persist.Refusal{Connection: "bank", Batch: c.ID, Fence: c.Fence, Status: finance.ConsentRevoked, Reason: "no valid consent",
		Item: persist.Decided{Consent: consent, Dataset: finance.Debts, Decision: persist.Decision{
			Outcome: finance.Excused, Class: finance.ConsentOver, Reason: "consent revoked: no valid consent"}}}
}

var disbelief = persist.Disbelief{Handful: 2, Percent: 10, Window: time.Minute}

// A few refusals are believed: their consents end, their items are excused, and what settled with them stays so.
func TestFewRefusalsAreBelieved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ids := h.consents(t, 4)
	_, batches := h.plan(t, 4)
	c := claim(t, h.Store, batches[0])
	for _, id := range ids[:2] {
		if reason, parked, err := h.RefuseConsent(t.Context(), refusal(c, id), disbelief); reason != "" || parked || err != nil {
			t.Errorf("consent %d: %q, %v, %v", id, reason, parked, err)
		}
		if s := status(t, h, id); s != finance.ConsentRevoked {
			t.Errorf("consent %d is %s", id, s)
		}
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM items WHERE outcome = 'excused' AND class = 'consent'"); n != 2 {
		t.Errorf("%d items are excused", n)
	}
	stale := c
	stale.Fence--
	if _, _, err := h.RefuseConsent(t.Context(), refusal(stale, ids[2]), persist.Disbelief{Handful: 99}); !errors.Is(err, persist.ErrFenced) {
		t.Errorf("with an old fence: %v", err)
	}
	if s := status(t, h, ids[2]); s != finance.ConsentActive {
		t.Errorf("a worker that was fenced off has ended a consent: %s", s)
	}
}

// Refusals that come side by side and are too many end nothing: neither those before the last one, nor those after,
// nor those of a run that has settled meanwhile. Others keep their end.
func TestManyRefusalsEndNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ids := h.consents(t, 12)
	_, err := h.EndConsent(t.Context(), ids[11], finance.ConsentRevoked, "withdrawn", persist.FromFeed, finance.CallID{})
	must(t, err)
	early, batches := h.plan(t, 12)
	c := claim(t, h.Store, batches[0])
	_, _, err = h.RefuseConsent(t.Context(), refusal(c, ids[0]), disbelief)
	must(t, err)
	for _, id := range ids[1:11] {
		must(t, h.DecideItem(t.Context(), c.ID, c.Fence, id, finance.Debts, decision(finance.Rows)))
	}
	must(t, h.Finish(t.Context(), c.ID, c.Fence))
	if v, _, err := h.Settle(t.Context(), early.ID); v != persist.VerdictComplete || err != nil {
		t.Fatalf("the early run: %s, %v", v, err)
	}

	_, batches = h.plan(t, 12)
	c = claim(t, h.Store, batches[0])
	var wg sync.WaitGroup
	var mu sync.Mutex
	believed, parkings := 0, 0
	for _, id := range ids[1:11] {
		wg.Go(func() {
			reason, parked, err := h.RefuseConsent(t.Context(), refusal(c, id), disbelief)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || parked && !strings.Contains(reason, "nothing was revoked") {
				t.Errorf("consent %d: %q, %v", id, reason, err)
			}
			if reason == "" {
				believed++
			}
			if parked {
				parkings++
			}
		})
	}
	wg.Wait()
	if believed != 1 || parkings != 1 {
		t.Errorf("%d of 10 were believed and %d parked the connection", believed, parkings)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM consents WHERE status <> 'active'"); n != 1 || status(t, h, ids[11]) != finance.ConsentRevoked {
		t.Errorf("%d consents have ended", n)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM items WHERE outcome = 'excused'"); n != 0 {
		t.Errorf("%d items are still excused", n)
	}
	if run, err := h.RunByID(t.Context(), early.ID); run.Verdict != persist.VerdictPartial || err != nil {
		t.Errorf("the early run is %s, %v", run.Verdict, err)
	}
	conn, err := h.ConnectionByName(t.Context(), "bank")
	if err != nil || !conn.Parked || conn.ParkedClass != "fatal" {
		t.Errorf("%+v, %v", conn, err)
	}
}

// Of a large connection a few refusals are little, but when half of its newest calls are refused it is broken all the
// same, however slow it is; when most of them were answered, they are revocations.
func TestRefusedCallsAreDisbelieved(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name               string
		answered, refused  int
		believed, parkings int
	}{
		{"all were refused", 0, 7, 2, 1},
		{"two of three", 4, 8, 3, 1},
		{"most were answered", 20, 8, 8, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t)
			ids := h.consents(t, 400)
			_, batches := h.plan(t, 400)
			c := claim(t, h.Store, batches[0])
			record := func(class finance.Class) {
				call := newCall(debtStream(ids[0]))
				call.ID, call.Class = finance.CallID(uuid.Must(uuid.NewV7())), class
				must(t, h.Record(t.Context(), call))
			}
			for range test.answered {
				record(finance.OK)
			}
			believed, parkings := 0, 0
			for _, id := range ids[:test.refused] {
				record(finance.ConsentOver)
				reason, parked, err := h.RefuseConsent(t.Context(), refusal(c, id), disbelief)
				must(t, err)
				if reason == "" {
					believed++
				}
				if parked {
					parkings++
				}
			}
			if believed != test.believed || parkings != test.parkings {
				t.Errorf("%d believed, %d parkings; want %d, %d", believed, parkings, test.believed, test.parkings)
			}
			want := int64(test.refused)
			if test.parkings > 0 {
				want = 0
			}
			if n := queryInt(t, h.pool, "SELECT count(*) FROM consents WHERE status <> 'active'"); n != want {
				t.Errorf("%d consents have ended, want %d", n, want)
			}
		})
	}
}
