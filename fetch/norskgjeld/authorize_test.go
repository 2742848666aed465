package norskgjeld

import (
	"strings"
	"testing"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox"
	registry "syncer/sandbox/norskgjeld"
)

// newFlow is a client that may ask people, and the first question.
func newFlow(t *testing.T, w *world, scope, subject string) (*fetch.Client, *fetch.CodeFlow) {
	t.Helper()
	s := w.conn.Settings.(*Settings)
	s.RedirectURI, s.ConsentScope = registry.Callback, scope
	c := fetchtest.Dial(t, Provider(), w.conn)
	c.Store.Refuse(func(a calls.Ask) (finance.Class, string) {
		if a.Task.Consent != nil && a.Task.Consent.ID == 0 {
			return finance.Refused, "a consent that is not in the books"
		}
		return "", ""
	})
	a, err := c.Authorize(t.Context(), fetch.NewSecret(subject))
	if err != nil {
		t.Fatal(err)
	}
	return c.Client, a
}

// A person gives a single-use consent, and its one answer is still there to be read afterwards.
func TestAPersonGivesASingleUseConsent(t *testing.T) {
	w := start(t, registry.Options{})
	c, a := newFlow(t, w, registry.Processing, registry.TestPerson)
	if strings.Contains(a.Link(), registry.TestPerson) {
		t.Error("the link tells whom it is for")
	}
	got, err := a.Finish(t.Context(), fetchtest.Browse(t, a.Link(), registry.Callback))
	if err != nil {
		t.Fatal(err)
	}
	left := time.Until(got.ValidUntil)
	if !got.SingleUse || got.NationalID.Reveal() != registry.TestPerson || !got.Refresh.IsZero() || left < 8*time.Minute || left > 11*time.Minute ||
		len(got.Scopes) != 1 || got.Scopes[0] != registry.Processing {
		t.Errorf("%+v, good for another %s", got, left)
	}
	consent := finance.Consent{ID: 900, ExternalID: got.ExternalID, Subject: fetchtest.Subject(registry.TestPerson), Status: finance.ConsentActive, SingleUse: true}
	for _, bought := range []int{1, 1} { // the second time from the stored answer
		if pages, err := read(t, c.Connector(), consent); err != nil || len(pages) != bought {
			t.Errorf("%d pages, %v", len(pages), err)
		}
	}
}

func TestAPersonGivesAConsentForDays(t *testing.T) {
	w := start(t, registry.Options{})
	_, a := newFlow(t, w, registry.Presentation+".50", "")
	got, err := a.Finish(t.Context(), fetchtest.Browse(t, a.Link(), registry.Callback))
	if err != nil || got.SingleUse || time.Until(got.ValidUntil) < 49*24*time.Hour || got.Scopes[0] != registry.Presentation {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWhatTheRegistrySaysInsteadOfAConsent(t *testing.T) {
	tests := []struct {
		name   string
		o      registry.Options
		person sandbox.Person
		want   string
	}{
		{"denied", registry.Options{}, sandbox.Person{Mood: sandbox.Denies}, "the person did not give the consent (consent_denied)"},
		{"cancelled", registry.Options{}, sandbox.Person{Mood: sandbox.Cancels}, "the person broke off the login (login_cancelled)"},
		{"another person", registry.Options{}, sandbox.Person{NationalID: "29868099311"}, "somebody else has logged in"},
		{"no ID token", registry.Options{NoIDToken: true}, sandbox.Person{}, "no ID token with the consent's id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := start(t, tt.o)
			w.sim.Authorize().Sit(tt.person)
			_, a := newFlow(t, w, registry.Presentation, registry.TestPerson)
			_, err := a.Finish(t.Context(), fetchtest.Browse(t, a.Link(), registry.Callback))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "29868") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestConsentScopesAreChecked(t *testing.T) {
	for scope, good := range map[string]bool{
		presentation: true, processing: true, presentation + ".365": true, processing + ".28": true, processing + ".29": false,
		presentation + ".0": false, presentation + ".366": false, presentation + ".x": false, presentation + ".": false,
		"": false, "debt": false, presentation + " " + processing: false, presentation + "50": false,
	} {
		w := start(t, registry.Options{})
		s := w.conn.Settings.(*Settings)
		s.RedirectURI, s.ConsentScope = registry.Callback, scope
		if _, err := Provider().Open(w.conn); (err == nil) != good {
			t.Errorf("%q: %v", scope, err)
		}
		s.RedirectURI = ""
		if d, err := Provider().Open(w.conn); err != nil || d.Authorize != nil {
			t.Errorf("%q without a redirect URI: %v", scope, err)
		}
	}
}
