package persist_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/read"
)

func TestImportTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	list := []consents.Import{
		{ExternalID: "a", NationalID: "29868099311", KeepPlain: true, ValidFrom: time.Now().Add(-time.Hour)},
		{ExternalID: "b", NationalID: "14842249091", Scopes: []string{"debt"}, Purpose: "loan", ReadsPerDay: 4, ValidFrom: time.Now().Add(-time.Hour)},
		{ExternalID: "c", SingleUse: true},
	}
	for _, want := range []consents.ImportResult{{Inserted: 3}, {Unchanged: 3}} {
		got, err := h.Consents.Import(ctx, "bank", list)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	a, err := h.Consents.ByExternalID(ctx, "bank", "a")
	must(t, err)
	b, err := h.Consents.ByExternalID(ctx, "bank", "b")
	must(t, err)
	if plain, ok := a.Subject.Reveal(); !ok || plain != "29868099311" || !a.Subject.Is(plain) || a.Subject.Is("14842249091") {
		t.Error("a's subject is not the imported one")
	}
	if _, ok := b.Subject.Reveal(); ok || !b.Subject.Is("14842249091") {
		t.Error("b's plain number was kept although nobody asked, or its subject is another")
	}
	list[0].KeepPlain, list[1].KeepPlain, list[1].ReadsPerDay = false, true, 0
	got, err := h.Consents.Import(ctx, "bank", list)
	if err != nil || !cmp.Equal(got, consents.ImportResult{Updated: 2, Unchanged: 1}) {
		t.Errorf("got %+v, %v", got, err)
	}
	a, _ = h.Consents.ByID(ctx, a.ID)
	b, _ = h.Consents.ByID(ctx, b.ID)
	if _, ok := a.Subject.Reveal(); ok {
		t.Error("a's plain number was to be forgotten")
	}
	if _, ok := b.Subject.Reveal(); !ok || b.ReadsPerDay != 0 {
		t.Error("b's plain number was to be kept from now on, and its budget lifted")
	}
	if _, err := h.Consents.ByExternalID(ctx, "bank", "z"); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("a consent there is not: %v", err)
	}
}

// A refused import names rows and never what stands in them, and leaves nothing behind.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	now := time.Now()
	for _, test := range []struct {
		name string
		bad  consents.Import
		want string
	}{
		{"a national id as the external id", consents.Import{ExternalID: "29868099311"}, "national identity number"},
		{"the same, written with a space", consents.Import{ExternalID: "298680 99311"}, "national identity number"},
		{"no external id", consents.Import{ExternalID: " "}, "empty"},
		{"the same external id", consents.Import{ExternalID: "fine"}, "that of row 1"},
		{"not text", consents.Import{ExternalID: "a\x00"}, "not valid text"},
		{"a number with a letter", consents.Import{ExternalID: "x", NationalID: "2986809931l"}, "digits"},
		{"a window that ends first", consents.Import{ExternalID: "x", ValidFrom: now, ValidUntil: now}, "valid_until"},
		{"a name without end", consents.Import{ExternalID: strings.Repeat("x", consents.MaxExternalID+1)}, "longer"},
		{"a negative budget", consents.Import{ExternalID: "x", ReadsPerDay: -1}, "negative"},
	} {
		_, err := h.Consents.Import(t.Context(), "bank", []consents.Import{{ExternalID: "fine"}, test.bad})
		if err == nil || !strings.Contains(err.Error(), "row 2: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "2986809931") {
			t.Errorf("%s: the error gives the number away: %v", test.name, err)
		}
	}
	if _, err := h.Consents.Import(t.Context(), "nowhere", []consents.Import{{ExternalID: "fine"}}); err == nil {
		t.Error("consents of a connection there is not were imported")
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM consents"); n != 0 {
		t.Errorf("%d consents were kept", n)
	}
	if _, err := h.Consents.Import(t.Context(), "bank", []consents.Import{{ExternalID: "12345678901"}}); err != nil {
		t.Errorf("eleven digits that are no national id: %v", err)
	}
}

// A list that says nothing of a column leaves what is known there: a consent for one answer would otherwise be read twice,
// and a budget of reads be gone.
func TestImportKeepsWhatIsNotTold(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	told := consents.Import{ExternalID: "a", Purpose: "advice", Scopes: []string{"read"}, ValidUntil: time.Now().Add(time.Hour),
		SingleUse: true, ReadsPerDay: 4}
	_, err := h.Consents.Import(ctx, "bank", []consents.Import{told})
	must(t, err)
	bare := []consents.Import{{ExternalID: "a"}, {ExternalID: "b"}}
	keep := []string{"purpose", "scopes", "valid_until", "single_use", "reads_per_day"}
	got, err := h.Consents.Import(ctx, "bank", bare, consents.Keep(keep...))
	if err != nil || !cmp.Equal(got, consents.ImportResult{Inserted: 1, Unchanged: 1}) {
		t.Errorf("got %+v, %v", got, err)
	}
	const kept = `SELECT count(*) FROM consents WHERE external_id = 'a' AND purpose = 'advice' AND scopes = '{read}' AND single_use
		AND valid_until IS NOT NULL AND reads_per_day = 4`
	if n := queryInt(t, h.pool, kept); n != 1 {
		t.Error("what was not told is gone")
	}
	got, err = h.Consents.Import(ctx, "bank", bare[:1], consents.Keep(keep[:4]...))
	if err != nil || got.Updated != 1 || queryInt(t, h.pool, "SELECT count(*) FROM consents WHERE reads_per_day IS NULL AND single_use") != 1 {
		t.Errorf("an empty cell clears: %+v, %v", got, err)
	}
}

// What only the table can judge of a row costs that row, not the file.
func TestImportLeavesOutAWindowThatIsNone(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	ahead := time.Now().Add(48 * time.Hour)
	_, err := h.Consents.Import(ctx, "bank", []consents.Import{{ExternalID: "later", ValidFrom: ahead}})
	must(t, err)
	got, err := h.Consents.Import(ctx, "bank", []consents.Import{
		{ExternalID: "fine"},
		{ExternalID: "over", ValidUntil: time.Now().Add(-time.Hour)},
		{ExternalID: "later", ValidUntil: ahead.Add(-time.Hour)},
	})
	must(t, err)
	want := consents.ImportResult{Inserted: 1, Over: 1, Refused: []consents.RefusedImport{
		{Row: 2, Reason: "valid_until does not lie after the valid_from that is known"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An import revives what had run out, and nothing that was revoked or spent.
func TestImportRevives(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	ends := []finance.ConsentStatus{finance.ConsentExpired, finance.ConsentReauthRequired, finance.ConsentRevoked,
		finance.ConsentConsumed, finance.ConsentConsumedUnknown}
	ids := h.consents(t, len(ends)+1)
	list := make([]consents.Import, len(ids))
	for i := range ids {
		list[i] = consents.Import{ExternalID: fmt.Sprintf("consent-%d", i), ValidFrom: time.Now().Add(-time.Hour), ValidUntil: time.Now().Add(time.Hour)}
		if i < len(ends) {
			_, err := h.Consents.End(ctx, ids[i], ends[i], "over", consents.FromOperator, finance.CallID{})
			must(t, err)
		}
	}
	got, err := h.Consents.Import(ctx, "bank", list)
	if err != nil || !cmp.Equal(got, consents.ImportResult{Updated: 6, Revived: 2}) {
		t.Errorf("got %+v, %v", got, err)
	}
	want := []finance.ConsentStatus{finance.ConsentActive, finance.ConsentActive, finance.ConsentRevoked, finance.ConsentConsumed,
		finance.ConsentConsumedUnknown, finance.ConsentActive}
	for i, id := range ids {
		if s := status(t, h, id); s != want[i] {
			t.Errorf("consent %d is %s, want %s", i, s, want[i])
		}
	}
}

func TestImportHundredThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100,000 consents")
	}
	persisttest.Turn(t)
	h := newFixture(t)
	list := make([]consents.Import, 100_000)
	for i := range list {
		list[i] = consents.Import{ExternalID: fmt.Sprintf("c%d", i), NationalID: fmt.Sprintf("%011d", i), KeepPlain: true,
			ValidFrom: time.Now().Add(-time.Hour).Truncate(time.Microsecond)}
	}
	for _, want := range []consents.ImportResult{{Inserted: len(list)}, {Unchanged: len(list)}} {
		begin := time.Now()
		got, err := h.Consents.Import(t.Context(), "bank", list)
		t.Logf("%+v in %v", got, time.Since(begin))
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("the import took %v, want seconds", took)
		}
	}
}

func TestEndConsentIsTheFirstWord(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	id := h.consents(t, 1)[0]
	call := newCall(debtStream(id)).ID
	for i, s := range []finance.ConsentStatus{finance.ConsentRevoked, finance.ConsentExpired, finance.ConsentRevoked} {
		changed, err := h.Consents.End(ctx, id, s, "the provider says so\x00", consents.FromAnswer, call)
		if err != nil || changed != (i == 0) {
			t.Errorf("end %d: changed %v, %v", i, changed, err)
		}
	}
	if _, err := h.Consents.End(ctx, id, finance.ConsentActive, "", consents.FromOperator, call); err == nil {
		t.Error("a consent was ended as active")
	}
	history, err := h.Read.ConsentHistory(ctx, id)
	must(t, err)
	for i := range history {
		history[i].At = time.Time{}
	}
	want := []read.ConsentChange{
		{Source: consents.FromImport, To: finance.ConsentActive},
		{Source: consents.FromAnswer, From: finance.ConsentActive, To: finance.ConsentRevoked, Reason: "the provider says so", Call: call},
	}
	if diff := cmp.Diff(want, history); diff != "" {
		t.Error(diff)
	}
}

func TestExpireByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 3)
	h.exec(t, "UPDATE consents SET valid_until = now() WHERE id = $1", ids[0])
	h.exec(t, "UPDATE consents SET valid_until = now() + interval '1 minute' WHERE id = $1", ids[1])
	for _, want := range []int{1, 0} {
		if n, err := h.Consents.Expire(t.Context()); n != want || err != nil {
			t.Errorf("%d expired, %v; want %d", n, err, want)
		}
	}
	if s := status(t, h, ids[0]); s != finance.ConsentExpired {
		t.Errorf("it is %s", s)
	}
	list, err := h.Consents.List(t.Context(), consents.Filter{Connection: "bank", Status: finance.ConsentActive, After: ids[1]})
	if err != nil || len(list) != 1 || list[0].ID != ids[2] {
		t.Errorf("%d active ones after the second, %v", len(list), err)
	}
}

// The feed's position and what its events did are one commit.
func TestFeedEvents(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	ids := h.consents(t, 4)
	_, err := h.Consents.End(ctx, ids[3], finance.ConsentConsumed, "spent", consents.FromAnswer, finance.CallID{})
	must(t, err)
	until := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	changed, err := h.Consents.ApplyEvents(ctx, "bank", "p7", []consents.Event{
		{ExternalID: "consent-0", Status: finance.ConsentRevoked, Reason: "by the subject"},
		{ExternalID: "consent-0", Status: finance.ConsentRevoked},
		{ExternalID: "consent-1", Status: finance.ConsentRevoked},
		{ExternalID: "consent-1", Status: finance.ConsentActive},
		{ExternalID: "consent-2", Status: finance.ConsentActive, ValidUntil: until},
		{ExternalID: "consent-3", Status: finance.ConsentActive},
		{ExternalID: "somebody else's", Status: finance.ConsentRevoked},
	})
	if err != nil || changed != 4 {
		t.Errorf("%d changed, %v; want 4", changed, err)
	}
	for i, want := range []finance.ConsentStatus{finance.ConsentRevoked, finance.ConsentActive, finance.ConsentActive, finance.ConsentConsumed} {
		if s := status(t, h, ids[i]); s != want {
			t.Errorf("consent %d is %s, want %s", i, s, want)
		}
	}
	if c, _ := h.Consents.ByID(ctx, ids[2]); !c.ValidUntil.Equal(until) {
		t.Errorf("consent 2 is valid until %v", c.ValidUntil)
	}
	_, err = h.Consents.ApplyEvents(ctx, "bank", "p8", []consents.Event{
		{ExternalID: "consent-2", Status: finance.ConsentRevoked}, {ExternalID: "consent-1", Status: "nonsense"}})
	if err == nil {
		t.Error("a status that there is not was stored")
	}
	c, err := h.Connections.ByName(ctx, "bank")
	if err != nil || c.FeedPosition != "p7" || c.FeedReadAt.IsZero() || status(t, h, ids[2]) != finance.ConsentActive {
		t.Errorf("after a page that failed: %+v, %v", c, err)
	}
	if _, err := h.Consents.ApplyEvents(ctx, "nowhere", "p", nil); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("a connection there is not: %v", err)
	}
}

// An end that was learnt otherwise than by the feed is not undone by the feed's old news, only by what came after it.
func TestOldNewsReviveNobody(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	before, after := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for _, test := range []struct {
		source consents.EventSource
		at     time.Time
		want   finance.ConsentStatus
	}{
		{consents.FromOperator, before, finance.ConsentRevoked},
		{consents.FromAnswer, before, finance.ConsentRevoked},
		{consents.FromStatus, before, finance.ConsentRevoked},
		{consents.FromOperator, time.Time{}, finance.ConsentRevoked},
		{consents.FromFeed, before, finance.ConsentActive},
		{consents.FromAnswer, after, finance.ConsentActive},
	} {
		id := h.consents(t, 1)[0]
		_, err := h.Consents.End(t.Context(), id, finance.ConsentRevoked, "over", test.source, finance.CallID{})
		must(t, err)
		c, err := h.Consents.ByID(t.Context(), id)
		must(t, err)
		_, err = h.Consents.ApplyEvents(t.Context(), "bank", "p", []consents.Event{
			{ExternalID: c.ExternalID, At: test.at, Status: finance.ConsentActive, Reason: "given"}})
		if got := status(t, h, id); got != test.want || err != nil {
			t.Errorf("ended by %s, given %s: %s, want %s; %v", test.source, test.at, got, test.want, err)
		}
	}
}

func TestConnectionIsParkedOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	for i, reason := range []string{"wrong secret", "something else"} {
		first, err := h.Connections.Park(ctx, "bank", finance.Fatal, reason)
		if err != nil || first != (i == 0) {
			t.Errorf("first %v, %v", first, err)
		}
	}
	must(t, h.Connections.Use(ctx, "bank", connections.Endpoint{Provider: "sbanken"}))
	c, err := h.Connections.ByName(ctx, "bank")
	if err != nil || !c.Parked || c.ParkedReason != "wrong secret" || c.ParkedClass != "fatal" || c.Provider != "sbanken" || c.ParkedAt.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	must(t, h.Connections.Open(ctx, "bank"))
	list, err := h.Connections.List(ctx)
	if err != nil || len(list) != 1 || list[0].Parked || list[0].ParkedReason != "" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := h.Connections.Park(ctx, "nowhere", finance.Fatal, "x"); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("park nowhere: %v", err)
	}
	if err := h.Connections.Open(ctx, "nowhere"); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("open nowhere: %v", err)
	}
}

// A park for refused credentials is one for them alone, and each of several refused ones has its own.
func TestCredentialsAreParkedAlone(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	park := func(credentials, reason string) bool {
		t.Helper()
		first, err := h.Connections.ParkCredentials(ctx, "bank", credentials, finance.Fatal, reason)
		must(t, err)
		return first
	}
	if !park("old", "wrong secret") || park("old", "something else") || !park("older", "wrong, too") {
		t.Error("who parks first is told otherwise")
	}
	c, err := h.Connections.ByName(ctx, "bank")
	must(t, err)
	if c.Parked || len(c.Refused) != 2 {
		t.Errorf("%+v", c)
	}
	for credentials, want := range map[string]string{"old": "wrong secret", "older": "wrong, too", "new": "", "": ""} {
		got := c.For(credentials)
		if got.Parked != (want != "") || got.ParkedReason != want || got.Parked && (got.ParkedFor != credentials || got.ParkedAt.IsZero()) {
			t.Errorf("for %q: %+v", credentials, got)
		}
	}
	_, err = h.Connections.Park(ctx, "bank", finance.Refused, "by an operator")
	must(t, err)
	if c, err = h.Connections.ByName(ctx, "bank"); err != nil || c.For("old").ParkedReason != "by an operator" || !c.For("new").Parked {
		t.Errorf("%+v, %v", c, err)
	}
	must(t, h.Connections.Open(ctx, "bank"))
	if c, err = h.Connections.ByName(ctx, "bank"); err != nil || c.For("old").Parked || len(c.Refused) != 0 {
		t.Errorf("opened: %+v, %v", c, err)
	}
	if _, err := h.Connections.ParkCredentials(ctx, "nowhere", "old", finance.Fatal, "x"); err == nil {
		t.Error("the credentials of no connection were parked")
	}
}
