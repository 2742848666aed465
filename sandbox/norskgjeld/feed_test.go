package norskgjeld_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

type feedEvent struct {
	SequenceNr int64     `json:"sequenceNr"`
	EventID    string    `json:"eventId"`
	ConsentID  string    `json:"consentId"`
	Timestamp  time.Time `json:"timestamp"`
	EventType  string    `json:"eventType"`
	Created    *struct {
		ClientID, ConsentID, Scope, ExternalConsentID string
	} `json:"samtykkeOpprettetEvent"`
	Archived *struct {
		ClientID, ConsentID string
	} `json:"samtykkeArkivertEvent"`
}

type feedPage struct {
	Start  int64       `json:"startSequenceNr"`
	End    int64       `json:"endSequenceNr"`
	Result []feedEvent `json:"result"`
}

// readAll pages through the feed the way the documents say.
func (g *registry) readAll(t *testing.T, from int64, limit int) []feedEvent {
	t.Helper()
	token := g.token(t, "feed")
	var all []feedEvent
	for {
		var p feedPage
		r := g.do(t, "GET", fmt.Sprintf("/feed/v1/consent?fromSequenceNr=%d&limit=%d", from, limit), token, "")
		r.Decode(t, &p)
		if strings.Count(r.Body, `Event":null`) != len(p.Result) {
			t.Fatalf("the event that didn't happen must be null: %s", r.Body)
		}
		all = append(all, p.Result...)
		if len(p.Result) < limit {
			return all
		}
		from = p.Result[len(p.Result)-1].SequenceNr + 1
	}
}

func (g *registry) bound(t *testing.T, name string) int64 {
	t.Helper()
	var n map[string]int64
	g.do(t, "GET", "/feed/v1/consent/"+name, g.token(t, "feed"), "").Decode(t, &n)
	return n[name]
}

func TestFeedHasEveryConsentWithGapsAndDisorder(t *testing.T) {
	g := open(t, norskgjeld.Options{Consents: 300, Expired: 0.1})
	all := g.readAll(t, 1, 7)
	created, archived, gaps, disorder := map[string]bool{}, 0, 0, 0
	ids := map[string]bool{}
	for i, e := range all {
		ids[e.EventID] = true
		if i > 0 && e.SequenceNr <= all[i-1].SequenceNr {
			t.Fatalf("sequence went from %d to %d", all[i-1].SequenceNr, e.SequenceNr)
		}
		if i > 0 && e.SequenceNr > all[i-1].SequenceNr+1 {
			gaps++
		}
		if i > 0 && e.Timestamp.Before(all[i-1].Timestamp) {
			disorder++
		}
		if (e.EventType == "SAMTYKKE_OPPRETTET") != (e.Created != nil) || (e.Archived != nil) == (e.Created != nil) {
			t.Fatalf("event %+v", e)
		}
		if e.Created != nil {
			created[e.ConsentID] = true
			continue
		}
		archived++
		if g.Active(e.ConsentID) {
			t.Errorf("%s is archived and active", e.ConsentID)
		}
	}
	if len(created) != 300 || archived < 15 || archived > 50 || gaps == 0 || disorder == 0 || len(ids) != len(all) {
		t.Errorf("%d created, %d archived, %d gaps, %d out of order, %d ids for %d events",
			len(created), archived, gaps, disorder, len(ids), len(all))
	}
	if first, last := g.bound(t, "firstSequenceNr"), g.bound(t, "lastSequenceNr"); first != all[0].SequenceNr || last != all[len(all)-1].SequenceNr {
		t.Errorf("bounds %d to %d, want %d to %d", first, last, all[0].SequenceNr, all[len(all)-1].SequenceNr)
	}
}

func TestFeedTellsRevocationRegistrationAndExpiry(t *testing.T) {
	g := open(t, norskgjeld.Options{Consents: 40, Lifetime: 3 * 24 * time.Hour})
	next := g.bound(t, "lastSequenceNr") + 1
	revoked := g.Consent(7)
	g.Revoke(revoked.ID)
	new := g.register(t, `{"nin":"14842249091","scope_of_consent":"debt.unsecured.processing","consent_duration_days":5,"client_consent_id":"mine"}`, 200)
	events := g.readAll(t, next, 500)
	if len(events) != 2 || events[0].ConsentID != revoked.ID || events[0].Archived.ConsentID != revoked.ID ||
		events[1].ConsentID != new.Consent.ID || events[1].Created.ExternalConsentID != "mine" {
		t.Fatalf("events %+v", events)
	}
	next = events[1].SequenceNr + 1
	g.Kit.Clock.Advance(3 * 24 * time.Hour)
	ended := map[string]int{}
	for _, e := range g.readAll(t, next, 500) {
		ended[e.ConsentID]++
	}
	for _, c := range g.Consents() {
		want := 0
		if c.ID != revoked.ID && !c.ValidUntil.After(g.Kit.Clock.Now()) {
			want = 1
		}
		if ended[c.ID] != want {
			t.Errorf("consent until %v was archived %d times, want %d", c.ValidUntil, ended[c.ID], want)
		}
	}
	if len(ended) == 0 {
		t.Error("nothing expired in three days")
	}
}

func TestFeedForgetsAfterSevenDays(t *testing.T) {
	g := open(t, norskgjeld.Options{Consents: 100, Lifetime: 100 * 24 * time.Hour})
	first := g.bound(t, "firstSequenceNr")
	g.Kit.Clock.Advance(4 * 24 * time.Hour)
	if moved := g.bound(t, "firstSequenceNr"); moved <= first || g.readAll(t, 1, 500)[0].SequenceNr != moved {
		t.Errorf("the feed still begins at %d", moved)
	}
	g.Kit.Clock.Advance(365 * 24 * time.Hour)
	for _, e := range g.readAll(t, 1, 500) {
		if g.Kit.Clock.Now().Sub(e.Timestamp) > 7*24*time.Hour {
			t.Errorf("an event of %v is still there", e.Timestamp)
		}
	}
}

func TestFeedQuirksAndRefusals(t *testing.T) {
	g := open(t, norskgjeld.Options{Consents: 20, ArchivedExternalID: true, FeedEndIsLast: true, FeedLimit: 5, ArchiveSpent: true, SingleUse: 1})
	c := g.Consent(2)
	last := g.bound(t, "lastSequenceNr")
	g.do(t, "GET", "/v1/debt/"+c.ID, g.token(t, "debt"), "")
	e := g.readAll(t, last+1, 5)
	if len(e) != 1 || e[0].ConsentID != c.ID || e[0].Archived.ConsentID != c.ClientRef {
		t.Fatalf("events %+v", e)
	}
	token := g.token(t, "feed")
	var p feedPage
	g.do(t, "GET", "/feed/v1/consent?fromSequenceNr=1&limit=500", token, "").Decode(t, &p)
	if len(p.Result) != 5 || p.End != e[0].SequenceNr {
		t.Errorf("%d events up to %d", len(p.Result), p.End)
	}
	for path, want := range map[string]int{
		"?fromSequenceNr=1": 400, "?limit=5": 400, "?fromSequenceNr=x&limit=5": 400, "?fromSequenceNr=1&limit=0": 400,
		"/other": 404, "?fromSequenceNr=999999&limit=5": 200,
	} {
		if r := g.do(t, "GET", "/feed/v1/consent"+path, token, ""); r.Status != want {
			t.Errorf("%s: %d, want %d", path, r.Status, want)
		}
	}
	if r := g.do(t, "GET", "/feed/v1/consent?fromSequenceNr=1&limit=1", g.token(t, "debt"), ""); r.Status != 403 {
		t.Errorf("with the debt token: %d", r.Status)
	}
}

type agreement struct {
	ClientConsentID string `json:"client_consent_id"`
	Consent         struct {
		ID        string    `json:"id"`
		ExpiresAt time.Time `json:"expires_at"`
		Scope     string    `json:"scope_of_consent"`
	} `json:"consent"`
	// of errors
	Error     string `json:"error"`
	Path      string `json:"path"`
	RequestID string `json:"requestId"`
	Status    int    `json:"status"`
}

func (g *registry) register(t *testing.T, body string, want int) (a agreement) {
	t.Helper()
	r := g.do(t, http.MethodPut, "/v1/consent/agreement", g.token(t, "agreement"), body)
	r.Decode(t, &a)
	if r.Status != want {
		t.Fatalf("%s: %d %s, want %d", body, r.Status, r.Body, want)
	}
	if want != 200 && (a.Status != want || a.Path != "/v1/consent/agreement" || a.RequestID == "" || a.Error == "") {
		t.Errorf("error body %s", r.Body)
	}
	return a
}

func TestRegisterConsent(t *testing.T) {
	g := open(t, norskgjeld.Options{})
	body := func(nin, scope, days, ref string) string {
		return fmt.Sprintf(`{"nin":%q,"scope_of_consent":%q,"consent_duration_days":%s,"client_consent_id":%q}`, nin, scope, days, ref)
	}
	nin := "29868099311"
	first := g.register(t, body(nin, norskgjeld.Presentation, `"100"`, "a"), 200)
	again := g.register(t, body(nin, norskgjeld.Presentation, `100`, "a"), 200)
	if again != first || first.ClientConsentID != "a" {
		t.Errorf("the same again gave %+v, first %+v", again, first)
	}
	if want := time.Date(2027, 2, 11, 22, 59, 59, 0, time.UTC); !first.Consent.ExpiresAt.Equal(want) {
		t.Errorf("expires at %v, want %v", first.Consent.ExpiresAt, want)
	}
	g.register(t, body(nin, norskgjeld.Processing, `100`, "a"), 409)
	g.register(t, body(nin, norskgjeld.Presentation, `99`, "a"), 409)
	clamped := g.register(t, body(nin, norskgjeld.Processing, `300`, "b"), 200)
	if days := clamped.Consent.ExpiresAt.Sub(start).Hours() / 24; days > 29 {
		t.Errorf("processing lasts %v days", days)
	}
	for name, bad := range map[string]string{
		"nin": body("29868099312", norskgjeld.Presentation, `1`, "c"), "scope": body(nin, "debt", `1`, "c"),
		"days": body(nin, norskgjeld.Presentation, `0`, "c"), "text": body(nin, norskgjeld.Presentation, `"x"`, "c"),
		"ref": body(nin, norskgjeld.Presentation, `1`, ""), "json": "{",
	} {
		t.Run(name, func(t *testing.T) { g.register(t, bad, 400) })
	}
	var d debt
	g.do(t, "GET", "/v1/debt/"+first.Consent.ID, g.token(t, "debt"), "").Decode(t, &d)
	if d.SSN != nin {
		t.Errorf("the new consent answers for %s", d.SSN)
	}
	for name, c := range map[string]struct {
		method, token string
		want          int
		empty         bool
	}{
		"post":        {"POST", g.token(t, "agreement"), 405, false},
		"no token":    {"PUT", "", 401, true},
		"other token": {"PUT", g.token(t, "debt"), 403, false},
	} {
		r := g.do(t, c.method, "/v1/consent/agreement", c.token, "{}")
		if r.Status != c.want || (r.Body == "") != c.empty {
			t.Errorf("%s: %d %q", name, r.Status, r.Body)
		}
	}
}

func TestDiscoveryNamesTheTokenEndpoint(t *testing.T) {
	g := open(t, norskgjeld.Options{})
	var d struct {
		Token string   `json:"token_endpoint"`
		Auth  []string `json:"token_endpoint_auth_methods_supported"`
	}
	g.do(t, "GET", "/.well-known/openid-configuration", "", "").Decode(t, &d)
	if d.Token != g.Base+"/oauth2/token" || len(d.Auth) != 1 || d.Auth[0] != "client_secret_basic" {
		t.Errorf("discovery %+v", d)
	}
	if r := g.do(t, "GET", "/.well-known/jwks.json", "", ""); r.Body != `{"keys":[]}` {
		t.Errorf("keys %s", r.Body)
	}
}

func TestControlsAndJournal(t *testing.T) {
	g := open(t, norskgjeld.Options{Consents: 25, Quota: sandbox.Quota{Calls: 3, Period: time.Hour}})
	c := g.Consent(0)
	token := g.token(t, "debt")
	g.do(t, "GET", "/v1/debt/"+c.ID, token, "")
	for path, want := range map[string]int{
		"touch?consent=" + c.ID: 204, "silence?consent=" + c.ID: 204, "repay?consent=" + c.ID: 204, "revoke?consent=nobody": 404,
	} {
		if r := g.do(t, "POST", "/_sandbox/norskgjeld/"+path, "", ""); r.Status != want {
			t.Errorf("%s: %d", path, r.Status)
		}
	}
	if r := g.do(t, "POST", "/_sandbox/norskgjeld/revoke?consent="+c.ID, "", ""); r.Status != 204 || g.Active(c.ID) {
		t.Errorf("revoke: %d", r.Status)
	}
	if lines := strings.Count(g.do(t, "GET", "/_sandbox/norskgjeld/consents", "", "").Body, "\n"); lines != 26 {
		t.Errorf("%d lines of consents", lines)
	}
	id := norskgjeld.DefaultClient().ID
	j := g.Entries(t)
	if len(j) != 2 || !j[0].Token || j[0].Bucket != id+"/token" || j[1].Bucket != id || j[1].Subject != c.ID ||
		j[1].Template != "/v1/debt/{consent}" || j[1].RequestID != "trace-1" || j[1].Status != 200 {
		t.Errorf("journal %+v", j)
	}
	g.do(t, "GET", "/v1/debt/"+c.ID, token, "")
	g.do(t, "GET", "/v1/debt/"+c.ID, token, "")
	if r := g.do(t, "GET", "/v1/debt/"+c.ID, token, ""); r.Status != 429 || !strings.Contains(r.Body, "too many requests") {
		t.Errorf("over the quota: %d %s", r.Status, r.Body)
	}
}
