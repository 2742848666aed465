package persist_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/pg"
	"syncer/persist/read"
	"syncer/persist/seal"
)

// A mistaken end has a way back, with its grant; what the feed has told, what is spent and what is over
// have none.
func TestRestoreConsent(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	end := func(id int64, status finance.ConsentStatus, source consents.EventSource) int64 {
		_, err := h.Consents.End(ctx, id, status, "over", source, finance.CallID{})
		must(t, err)
		return id
	}
	ids := h.consents(t, 7)
	h.exec(t, "INSERT INTO grants (consent_id, sealed, refused_at) VALUES ($1, 'x', now())", ids[1])
	h.exec(t, "UPDATE consents SET valid_until = now() WHERE id = $1", ids[5])
	_, err := h.Consents.Expire(ctx)
	must(t, err)
	for _, test := range []struct {
		id   int64
		want error
	}{
		{end(ids[0], finance.ConsentRevoked, consents.FromOperator), nil},
		{end(ids[1], finance.ConsentReauthRequired, consents.FromAnswer), nil},
		{end(ids[2], finance.ConsentExpired, consents.FromStatus), nil},
		{end(ids[3], finance.ConsentConsumedUnknown, consents.FromAnswer), consents.ErrUsedUp},
		{end(ids[4], finance.ConsentRevoked, consents.FromFeed), consents.ErrEndWasTold},
		{ids[5], consents.ErrValidityOver},
		{ids[6], consents.ErrNotEnded},
		{4711, pg.ErrNotFound},
	} {
		was, err := h.Consents.Restore(ctx, test.id, "a slip")
		if err == nil && (status(t, h, test.id) != finance.ConsentActive || was == finance.ConsentActive) {
			t.Errorf("consent %d, which was %s, is %s", test.id, was, status(t, h, test.id))
		}
		if !errors.Is(err, test.want) {
			t.Errorf("consent %d, which was %s: %v, want %v", test.id, was, err, test.want)
		}
	}
	if has, err := h.Tokens.HasGrant(ctx, ids[1]); !has || err != nil {
		t.Errorf("its grant is as refused as it was, %v", err)
	}
	history, err := h.Read.ConsentHistory(ctx, ids[0])
	must(t, err)
	last := history[len(history)-1]
	last.At = time.Time{}
	want := read.ConsentChange{
		Source: consents.FromOperator, From: finance.ConsentRevoked, To: finance.ConsentActive, Reason: "a slip",
	}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Error(diff)
	}
	if broken, err := h.Read.Verify(ctx); err != nil || len(broken) > 0 {
		t.Errorf("%v, %v", broken, err)
	}
}

// The same list every night revives nobody whom the provider has ended, and ends nobody who was given again.
func TestTheSameListEveryNight(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	day := time.Now().Truncate(time.Second)
	in := func(days int) time.Time { return day.AddDate(0, 0, days) }
	id := h.consents(t, 1)[0]
	list := func(until time.Time) consents.Import {
		return consents.Import{ExternalID: "consent-0", ValidUntil: until}
	}
	feed := func(status finance.ConsentStatus, until time.Time) {
		_, err := h.Consents.ApplyEvents(ctx, "bank", "p", []consents.Event{
			{ExternalID: "consent-0", Status: status, ValidUntil: until, At: time.Now().Add(time.Hour)}})
		must(t, err)
	}
	end := func(source consents.EventSource) func() {
		return func() {
			_, err := h.Consents.End(ctx, id, finance.ConsentExpired, "over", source, finance.CallID{})
			must(t, err)
		}
	}
	const active, expired = finance.ConsentActive, finance.ConsentExpired
	for _, test := range []struct {
		name   string
		before func()
		until  time.Time // as listed
		want   finance.ConsentStatus
		twice  finance.ConsentStatus // the next night
	}{
		{"a consent without end", func() {}, time.Time{}, active, active},
		{"the provider has ended it", end(consents.FromAnswer), time.Time{}, expired, expired},
		{"another validity", func() {}, in(90), active, active},
		{"ended again", end(consents.FromStatus), in(90), expired, expired},
		{"ended with its day by the feed", func() {
			feed(active, in(80))
			feed(expired, in(1))
		}, in(90), expired, expired},
		{"a later one again", func() {}, in(180), active, active},
		{"shortened by the feed, and listed as before", func() { feed(active, in(30)) }, in(180), active, active},
		{"the list says that it is over", func() {}, in(-1), expired, expired},
		{"given again beside a list that is behind", func() {
			_, err := h.Consents.Give(ctx, "bank", consents.Given{Import: list(in(90))})
			must(t, err)
		}, in(-1), active, active},
		{"over before it began", func() {}, in(-300), expired, expired},
		{"which was a slip of the list", func() {}, in(90), active, active},
	} {
		test.before()
		for i, want := range []finance.ConsentStatus{test.want, test.twice} {
			_, err := h.Consents.Import(ctx, "bank", []consents.Import{list(test.until)})
			if got := status(t, h, id); got != want || err != nil {
				t.Fatalf("%s, night %d: %s, want %s; %v", test.name, i+1, got, want, err)
			}
		}
	}
	until := queryInt(t, h.pool, "SELECT extract(epoch FROM valid_until)::bigint FROM consents")
	if until != in(90).Unix() {
		t.Errorf("it is valid until %s", time.Unix(until, 0))
	}
	if broken, err := h.Read.Verify(ctx); err != nil || len(broken) > 0 {
		t.Errorf("%v, %v", broken, err)
	}
}

// A national id that can't be opened hides neither its consent nor those beside it, and another person's
// is not taken for a known consent unless that is meant.
func TestSubjectsOfAnImport(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	const anna, berit = "29868099311", "14842249091"
	list := []consents.Import{
		{ExternalID: "a", NationalID: anna, KeepPlain: true, ValidUntil: time.Now().Add(time.Hour)},
		{ExternalID: "b", NationalID: berit, KeepPlain: true, ValidUntil: time.Now().Add(time.Hour)},
	}
	_, err := h.Consents.Import(ctx, "bank", list)
	must(t, err)
	h.exec(t, "UPDATE consents SET subject_sealed = 'other bytes' WHERE external_id = 'a'")
	_, batches := h.plan(t, 10)
	all, err := h.Consents.List(ctx, consents.Filter{})
	must(t, err)
	soon, err := h.Read.Expiring(ctx, "bank", 2*time.Hour, 10)
	must(t, err)
	items, err := h.Queue.Items(ctx, batches[0])
	must(t, err)
	due, err := h.Consents.StatusesDue(ctx, "bank", time.Now().Add(time.Hour), 10)
	must(t, err)
	if len(all) != 2 || len(soon) != 2 || len(items) != 2 || len(due) != 2 {
		t.Fatalf("%d listed, %d that end soon, %d items, %d statuses due; want 2 each",
			len(all), len(soon), len(items), len(due))
	}
	for i, c := range []finance.Consent{all[0], soon[0].Consent, items[0].Consent, due[0]} {
		knows := c.Subject.Known() && c.Subject.Is(anna) && !c.Subject.Is(berit)
		if !errors.Is(c.Subject.Unopened(), seal.ErrUnseal) || !knows {
			t.Errorf("%d: %v", i, c.Subject.Unopened())
		}
	}
	if plain, ok := all[1].Subject.Reveal(); !ok || plain != berit || all[1].Subject.Unopened() != nil {
		t.Errorf("the one beside it: %v", all[1].Subject.Unopened())
	}

	list[1].NationalID = anna
	got, err := h.Consents.Import(ctx, "bank", list)
	want := consents.ImportResult{Unchanged: 1, Refused: []consents.RefusedImport{
		{Row: 1, Reason: "the national id is another person's than that of consent 2, which has this " +
			"external_id; --replace-national-ids takes it all the same"}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	got, err = h.Consents.Import(ctx, "bank", list, consents.ReplaceSubjects())
	if diff := cmp.Diff(consents.ImportResult{Updated: 2}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, id := range []int64{all[0].ID, all[1].ID} {
		c, err := h.Consents.ByID(ctx, id)
		if plain, ok := c.Subject.Reveal(); err != nil || !ok || plain != anna {
			t.Errorf("consent %d: %v, %v", id, c.Subject.Unopened(), err)
		}
	}
}
