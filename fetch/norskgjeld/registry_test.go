package norskgjeld

import (
	"strings"
	"testing"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	registry "syncer/sandbox/norskgjeld"
)

func client(t *testing.T, w *world) fetch.Connector {
	t.Helper()
	return fetchtest.Dial(t, Provider(), w.conn).Connector()
}

func read(t *testing.T, c fetch.Connector, consent finance.Consent) ([]fetch.Page, error) {
	return fetchtest.Read(t.Context(), c, fetchtest.StreamOf(consent, finance.Debts), "")
}

func TestASingleUseConsentIsAskedOnce(t *testing.T) {
	w := start(t, registry.Options{SingleUse: 1})
	c, consent := client(t, w), w.consent(2)
	consent.SingleUse = true
	for range 2 { // the second time the stored answer is read
		if pages, err := read(t, c, consent); err != nil || len(pages) != 1 {
			t.Fatalf("%d pages, %v", len(pages), err)
		}
	}
	if n := w.Kit.Journal.CountSubject("norskgjeld", consent.ExternalID); n != 1 {
		t.Errorf("the registry saw %d calls", n)
	}
}

func TestARevokedConsentIsOver(t *testing.T) {
	w := start(t, registry.Options{})
	c, consent := client(t, w), w.consent(2)
	if got, err := c.(fetch.StatusReader).Status(t.Context(), calls.Task{Consent: &consent}); err != nil || got.Status != finance.ConsentActive {
		t.Errorf("before: %v, %v", got, err)
	}
	w.sim.Revoke(consent.ExternalID)
	if _, err := read(t, c, consent); fetch.ClassOf(err) != finance.ConsentOver {
		t.Errorf("got %v", err)
	}
	if got, err := c.(fetch.StatusReader).Status(t.Context(), calls.Task{Consent: &consent}); err != nil || got.Status != finance.ConsentRevoked {
		t.Errorf("after: %v, %v", got, err)
	}
}

// events reads the feed to its end.
func events(t *testing.T, c fetch.Connector, from string) (all []fetch.ConsentEvent, next string, gap bool) {
	t.Helper()
	next = from
	for p, err := range c.(fetch.FeedReader).Events(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		all, next, gap = append(all, p.Events...), p.Next, gap || p.Gap
	}
	return all, next, gap
}

func TestTheFeedTellsEveryChange(t *testing.T) {
	w := start(t, registry.Options{})
	w.conn.Settings.(*Settings).FeedLimit = 3
	c := client(t, w)
	_, from, _ := events(t, c, "")
	revoked := map[string]bool{}
	for i := range 8 {
		w.sim.Revoke(w.consent(i + 1).ExternalID)
		if !w.sim.Active(w.consent(i + 1).ExternalID) {
			revoked[w.consent(i+1).ExternalID] = true
		}
	}
	all, next, gap := events(t, c, from)
	for _, e := range all {
		if e.Status == finance.ConsentRevoked {
			delete(revoked, e.ConsentID)
		}
	}
	if len(all) < 8 || len(revoked) > 0 || gap {
		t.Errorf("%d events from %q, %d revocations are missing, gap %t", len(all), from, len(revoked), gap)
	}
	if again, still, gap := events(t, c, next); len(again) != 0 || still != next || gap {
		t.Errorf("caught up, but there are %d events, next %s after %s, gap %t", len(again), still, next, gap)
	}
	w.Kit.Clock.Advance(9 * 24 * time.Hour)
	w.sim.Revoke(w.consent(20).ExternalID)
	if _, _, gap := events(t, c, from); !gap {
		t.Error("what the registry has forgotten meanwhile went unnoticed")
	}
	for _, bad := range []string{"x", "0", "-3", "99999999999"} {
		for _, err := range c.(fetch.FeedReader).Events(t.Context(), bad) {
			reset := "`syncer streams reset --connection " + w.conn.Name + " --feed`"
			if fetch.ClassOf(err) != finance.Rejected || !strings.Contains(err.Error(), reset) {
				t.Errorf("position %q: %v", bad, err)
			}
		}
	}
}

func TestTheFeedIsReadStrictly(t *testing.T) {
	const event = `{"sequenceNr":7,"eventId":"e2a7","consentId":"5b1f","timestamp":"2026-11-02T10:11:12.100000001Z","eventType":"SAMTYKKE_ARKIVERT","samtykkeOpprettetEvent":null,"samtykkeArkivertEvent":{"clientId":"c0ff","consentId":"our-own"}}`
	p, err := decodeFeed([]byte(`{"startSequenceNr":7,"endSequenceNr":7,"result":[`+event+`]}`), 3)
	if err != nil || len(p.Events) != 1 || p.Events[0].ConsentID != "5b1f" || p.Events[0].Status != finance.ConsentRevoked || p.Next != "8" {
		t.Errorf("%+v, %v", p, err)
	}
	for name, body := range map[string]string{
		"older than asked for": `{"result":[` + event + `]}`,
		"twice the same":       `{"result":[` + event + `,` + event + `]}`,
		"no list":              `{}`,
		"no consent":           `{"result":[{"sequenceNr":9,"eventType":"SAMTYKKE_ARKIVERT"}]}`,
	} {
		from := int64(3)
		if name == "older than asked for" {
			from = 8
		}
		if _, err := decodeFeed([]byte(body), from); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestConnectionsAreChecked(t *testing.T) {
	w := start(t, registry.Options{})
	for name, spoil := range map[string]func(*fetch.Connection){
		"environment": func(c *fetch.Connection) { c.Environment = "test" },
		"credentials": func(c *fetch.Connection) { c.Credentials = nil },
		"settings":    func(c *fetch.Connection) { c.Settings = &Settings{} },
	} {
		conn := w.conn
		spoil(&conn)
		if _, err := Provider().Open(conn); err == nil {
			t.Errorf("a connection with a bad %s was accepted", name)
		}
	}
	conn := w.conn
	conn.BaseURL, conn.AuthURL = "", ""
	d, err := Provider().Open(conn)
	if err != nil || d.Base.String() != "https://api-preprod.norskgjeld.no" {
		t.Fatalf("%v, %v", d.Base, err)
	}
	token, err := d.Token(fetch.TokenKey{Audience: "a", Scope: "x y"})
	if err != nil || token.URL != "https://access-preprod.norskgjeld.no/oauth2/token" || token.Style != fetch.BasicRaw || len(token.Scopes) != 2 {
		t.Errorf("%+v, %v", token, err)
	}
}
