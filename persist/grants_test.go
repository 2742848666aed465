package persist_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/queue"
	"syncer/persist/refusals"
	"syncer/persist/seal"
)

// holder is whom the grants of these tests were given to.
const holder = "our client at the bank's server"

func given(id, refresh string, change ...func(*consents.Given)) consents.Given {
	g := consents.Given{
		Import:  consents.Import{ExternalID: id, NationalID: "01417014922", Scopes: []string{"read"}, Purpose: "loan"},
		Refresh: finance.NewSecret(refresh), Holder: holder,
	}
	for _, f := range change {
		f(&g)
	}
	return g
}

func (h *fixture) give(t *testing.T, g consents.Given) consents.GiveResult {
	t.Helper()
	got, err := h.Consents.Give(t.Context(), "bank", g)
	must(t, err)
	return got
}

// grant is the refresh token that is kept, or "".
func (h *fixture) grant(t *testing.T, consent int64) string {
	t.Helper()
	kept, err := h.Tokens.LoadGrant(t.Context(), consent, holder)
	must(t, err)
	has, err := h.Tokens.HasGrant(t.Context(), consent)
	must(t, err)
	if has == kept.Refresh.IsZero() || kept.Other {
		t.Errorf("there is one: %v, another's: %v", has, kept.Other)
	}
	return kept.Refresh.Reveal()
}

func TestAGivenConsentIsKeptWithItsSealedGrant(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	until := time.Now().Add(90 * 24 * time.Hour).UTC().Truncate(time.Microsecond)
	got := h.give(t, given("c-1", "canary-refresh", func(g *consents.Given) { g.ValidUntil, g.KeepPlain = until, true }))
	if got.Was != "" {
		t.Errorf("a new consent was %q", got.Was)
	}
	c, err := h.Consents.ByID(t.Context(), got.ID)
	must(t, err)
	plain, _ := c.Subject.Reveal()
	if c.Status != finance.ConsentActive || !c.ValidUntil.Equal(until) || !c.Subject.Is("01417014922") || plain != "01417014922" || c.Purpose != "loan" {
		t.Errorf("%+v", c)
	}
	if got := h.grant(t, got.ID); got != "canary-refresh" {
		t.Errorf("loaded %q", got)
	}
	var sealed []byte
	must(t, h.pool.QueryRow(t.Context(), "SELECT sealed FROM grants").Scan(&sealed))
	if bytes.Contains(sealed, []byte("canary")) {
		t.Error("the refresh token lies open in the table")
	}
	if by := queryInt(t, h.pool, "SELECT sealed_by(sealed) FROM grants"); by != int64(h.sealer.KeyID()) {
		t.Errorf("sealed by %d, the key is %d", by, h.sealer.KeyID())
	}
	// Moved to another consent it can't be opened: it was sealed for its own.
	other := h.give(t, given("c-2", ""))
	h.exec(t, "INSERT INTO grants (consent_id, sealed) VALUES ($1, $2)", other.ID, sealed)
	if _, err := h.Tokens.LoadGrant(t.Context(), other.ID, holder); !errors.Is(err, seal.ErrUnseal) {
		t.Errorf("a grant moved to another consent: %v", err)
	}
}

func TestGivingAgain(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	first := h.give(t, given("c-1", "one"))
	for _, status := range []finance.ConsentStatus{finance.ConsentReauthRequired, finance.ConsentRevoked, finance.ConsentExpired, finance.ConsentActive} {
		if status != finance.ConsentActive {
			if _, err := h.Consents.End(t.Context(), first.ID, status, "test", consents.FromAnswer, finance.CallID{}); err != nil {
				t.Fatal(err)
			}
		}
		next := "after " + string(status)
		if status == finance.ConsentReauthRequired { // agreed elsewhere; the provider's answers are silent on it
			_, err := h.pool.Exec(t.Context(), "UPDATE consents SET reads_per_day = 4, valid_until = now() + interval '1 day' WHERE id = $1", first.ID)
			must(t, err)
		}
		got := h.give(t, given("c-1", next, func(g *consents.Given) { g.NationalID, g.Scopes = "", []string{"read", "more"} }))
		c, err := h.Consents.ByID(t.Context(), first.ID)
		must(t, err)
		if got.ID != first.ID || got.Was != status || c.Status != finance.ConsentActive || len(c.Scopes) != 2 || !c.Subject.Is("01417014922") {
			t.Errorf("%s: %+v, %+v", status, got, c)
		}
		if c.ReadsPerDay != 4 || c.ValidUntil.IsZero() {
			t.Errorf("%s: %d reads a day, until %s", status, c.ReadsPerDay, c.ValidUntil)
		}
		if got := h.grant(t, first.ID); got != next {
			t.Errorf("%s: the grant is %q", status, got)
		}
	}
	history, err := h.Read.ConsentHistory(t.Context(), first.ID)
	must(t, err)
	var lines []string
	for _, e := range history {
		lines = append(lines, fmt.Sprintf("%s %s>%s %s", e.Source, e.From, e.To, e.Reason))
	}
	want := []string{
		"grant >active given in the browser",
		"answer active>reauth_required test", "grant reauth_required>active given again in the browser",
		"answer active>revoked test", "grant revoked>active given again in the browser",
		"answer active>expired test", "grant expired>active given again in the browser",
		"grant active>active given again in the browser",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCantBeGivenChangesNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	used := h.give(t, given("used", "", func(g *consents.Given) { g.SingleUse = true }))
	if _, err := h.Consents.End(t.Context(), used.ID, finance.ConsentConsumed, "", consents.FromAnswer, finance.CallID{}); err != nil {
		t.Fatal(err)
	}
	known := h.give(t, given("known", "hers"))
	tests := []struct {
		name string
		g    consents.Given
		want string
	}{
		{"used up", given("used", ""), consents.ErrUsedUp.Error()},
		{"another subject", given("known", "his", func(g *consents.Given) { g.NationalID = "14842249091" }), consents.ErrOtherSubject.Error()},
		{"no id", given("", "x"), "external id is empty"},
		{"a national id", given("01417014922", "x"), "national identity number"},
		{"ended", given("late", "x", func(g *consents.Given) { g.ValidUntil = time.Now().Add(-time.Minute) }), "ended already"},
	}
	for _, tt := range tests {
		_, err := h.Consents.Give(t.Context(), "bank", tt.g)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "0141") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM consents"); n != 2 || h.grant(t, known.ID) != "hers" {
		t.Errorf("%d consents, the grant is %q", n, h.grant(t, known.ID))
	}
}

// A consent that is given again forgets the access tokens of its old grant, and no other's.
func TestGivingAgainForgetsOldTokens(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	first := h.give(t, given("c-1", "one"))
	mine := fmt.Sprintf("bank\nhttps://api\nread\nconsent %d", first.ID)
	others := []string{mine + "1", "bank\nhttps://api\nread", fmt.Sprintf("bank2\n\n\nconsent %d", first.ID)}
	for _, key := range append(others, mine) {
		must(t, h.Tokens.SaveToken(t.Context(), key, calls.Token{AccessToken: "a"}))
	}
	h.give(t, given("c-1", "two"))
	for _, key := range append(others, mine) {
		if _, ok, err := h.Tokens.LoadToken(t.Context(), key); ok != (key != mine) || err != nil {
			t.Errorf("%q: kept %v, %v", key, ok, err)
		}
	}
}

func TestSaveGrantComparesAndSwaps(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.give(t, given("c-1", "one")).ID
	secret := finance.NewSecret
	for _, step := range []struct {
		old, next string
		saved     bool
		left      string
	}{
		{"one", "two", true, "two"},
		{"one", "two", true, "two"}, // the answer was lost, and it is saved again
		{"one", "three", false, "two"},
		{"two", "three", true, "three"},
	} {
		saved, err := h.Tokens.SaveGrant(t.Context(), id, secret(step.old), secret(step.next))
		if saved != step.saved || err != nil || h.grant(t, id) != step.left {
			t.Errorf("%+v: saved %v, %v, left %q", step, saved, err, h.grant(t, id))
		}
	}
	if saved, err := h.Tokens.SaveGrant(t.Context(), 4711, secret("one"), secret("two")); saved || err != nil {
		t.Errorf("no such consent: %v, %v", saved, err)
	}
}

// T6: of many that rotate the same token, one is the winner.
func TestOneOfManySavesWins(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.give(t, given("c-1", "one")).ID
	stores := []*persist.Store{h.Store, h.sibling(t, time.Hour), h.sibling(t, time.Hour)}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			saved, err := stores[i%3].Tokens.SaveGrant(t.Context(), id, finance.NewSecret("one"), finance.NewSecret(fmt.Sprint("next ", i)))
			if err != nil {
				t.Error(err)
			}
			if saved {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d saves of the same token have won", won.Load())
	}
}

func TestARefusedGrantIsGivenNoMore(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	id := h.give(t, given("c-1", "one")).ID
	end := func(refresh string) bool {
		ended, err := h.Tokens.EndGrant(t.Context(), id, finance.NewSecret(refresh))
		must(t, err)
		return ended
	}
	if end("older") || h.grant(t, id) != "one" {
		t.Error("the refusal of an older token has ended the grant")
	}
	for range 2 { // two processes may hear the refusal
		if !end("one") || h.grant(t, id) != "" {
			t.Error("the refused token is still given")
		}
	}
	h.give(t, given("c-1", "two"))
	if h.grant(t, id) != "two" {
		t.Error("a grant that was given again is not")
	}
}

// A provider that refuses so many at once is not believed, and what it has refused may be tried again.
func TestADisbelievedRefusalKeepsTheGrants(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	var ids []int64
	for i := range 4 {
		ids = append(ids, h.give(t, given(fmt.Sprint("c-", i), fmt.Sprint("refresh-", i), func(g *consents.Given) { g.NationalID = "" })).ID)
	}
	_, batches := h.plan(t, 10)
	c := claim(t, h.Store, batches[0])
	refuse := func(id int64) refusals.Refused {
		kept, err := h.Tokens.LoadGrant(t.Context(), id, holder)
		if kept.Refresh.IsZero() || err != nil {
			t.Fatalf("consent %d: %v", id, err)
		}
		if _, err := h.Tokens.EndGrant(t.Context(), id, kept.Refresh); err != nil {
			t.Fatal(err)
		}
		out, err := h.Refusals.Refuse(t.Context(), refusals.Refusal{
			Connection: "bank", Batch: c.ID, Fence: c.Fence, Status: finance.ConsentReauthRequired, Reason: "invalid_grant", Named: true,
			Item: queue.Decided{Consent: id, Dataset: finance.Debts, Decision: decision(finance.Excused)},
		})
		must(t, err)
		return out
	}
	for i, id := range ids { // the third is one too many
		if out := refuse(id); (out.Held > 0) != (i >= 2) {
			t.Fatalf("refusal %d: %+v", i, out)
		}
	}
	for i, id := range ids {
		if got := h.grant(t, id); got != fmt.Sprint("refresh-", i) {
			t.Errorf("the grant of consent %d is %q", id, got)
		}
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM consents WHERE status = 'suspected'"); n != 4 {
		t.Errorf("%d consents are suspected", n)
	}
}

// A refresh token is given to its holder alone. Those that were kept before there were holders go to the first that asks, all
// of a connection at once: a client that is changed before the last of them is used gets none.
func TestAGrantIsGivenToItsHolderAlone(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	must(t, h.Connections.Use(t.Context(), "club", connections.Endpoint{Provider: "club"}))
	first, second := h.give(t, given("c-1", "one")).ID, h.give(t, given("c-2", "two")).ID
	got, err := h.Consents.Give(t.Context(), "club", given("c-3", "three"))
	must(t, err)
	load := func(id int64, who string) string {
		t.Helper()
		kept, err := h.Tokens.LoadGrant(t.Context(), id, who)
		must(t, err)
		if kept.Other != kept.Refresh.IsZero() {
			t.Errorf("another's: %v, none: %v", kept.Other, kept.Refresh.IsZero())
		}
		return kept.Refresh.Reveal()
	}
	if got := load(first, "another client"); got != "" {
		t.Errorf("another client got %q", got)
	}
	if got := load(first, holder); got != "one" {
		t.Errorf("its holder got %q", got)
	}
	h.exec(t, "UPDATE grants SET holder = NULL") // as the version before kept them
	if got := load(first, "the client of the upgrade"); got != "one" {
		t.Errorf("after the upgrade: %q", got)
	}
	for id, want := range map[int64]string{first: "", second: "", got.ID: "three"} {
		if got := load(id, "another client"); got != want {
			t.Errorf("consent %d: another client got %q, want %q", id, got, want)
		}
	}
	if got := load(second, "the client of the upgrade"); got != "two" {
		t.Errorf("after the upgrade: %q", got)
	}
}
