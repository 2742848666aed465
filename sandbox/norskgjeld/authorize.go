package norskgjeld

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"syncer/sandbox"
)

const authorizePath = "/oauth2/auth"

// Callback is the redirect URI that DefaultClient is registered with.
const Callback = "http://127.0.0.1:8765/callback"

// TestPerson is the person who logs in when nobody else sits before the
// browser: one of the registry's own test persons.
const TestPerson = "14842249091"

// singleUseFor is how long a consent without a day suffix is good for its one
// answer.
const singleUseFor = 10 * time.Minute

// newAuthorize is the registry's page on which a person gives a consent. The
// names of its errors are not those of RFC 6749.
func (s *Simulator) newAuthorize() *sandbox.Authorize {
	return sandbox.NewAuthorize(s.tokens, sandbox.AuthorizeOptions{
		Kit: s.o.Kit, Seed: s.o.Seed, Consent: s.consentTo, Denied: "consent_denied", Cancelled: "login_cancelled",
		Issuer: func(r *http.Request) string { return "http://" + r.Host + "/" },
	})
}

// Authorize is the page on which people give consents: who sits before it can
// be chosen.
func (s *Simulator) Authorize() *sandbox.Authorize { return s.authorize }

// consentTo is a person's yes: a consent in the register, and a token that is
// bound to it.
func (s *Simulator) consentTo(q sandbox.Question) (sandbox.Consented, *sandbox.Refusal) {
	asked := strings.Split(q.Scope, " ")
	openid := len(asked) == 2 && asked[1] == "openid" // which must be the last
	scope, days, ok := parseScope(asked[0])
	if !ok || len(asked) > 1 && !openid {
		return sandbox.Consented{}, &sandbox.Refusal{Code: "invalid_scopes"}
	}
	person := q.Person.NationalID
	if person == "" {
		person = TestPerson
	}
	info := s.register.give(person, scope, days, q.Client.ID, s.o.Kit.Clock.Now())
	out := sandbox.Consented{
		Grant:  sandbox.Grant{Audience: s.o.AudienceBase + debtService, Scope: scope, Subject: info.ID},
		Params: url.Values{"scope": {scope}}, // without its suffix
	}
	if openid && !s.o.NoIDToken {
		out.Claims = map[string]any{"pid": person, "consent_id": info.ID, "sub": sandbox.UUIDs{Seed: sandbox.Mix(s.o.Seed, 's')}.At(len(info.ID))}
	}
	return out, nil
}

// parseScope takes a debt scope apart: debt.unsecured.presentation.50 is good
// for 50 days, and one without a number for one answer.
func parseScope(text string) (scope string, days int, ok bool) {
	for _, scope := range []string{Presentation, Processing} {
		if text == scope {
			return scope, 0, true
		}
		if suffix, found := strings.CutPrefix(text, scope+"."); found {
			days, err := strconv.Atoi(suffix)
			return scope, min(days, maxDays(scope)), err == nil && days > 0
		}
	}
	return "", 0, false
}

// give records a consent that a person has given in the browser.
func (g *register) give(person, scope string, days int, client string, now time.Time) ConsentInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	index := g.o.Consents + len(g.added)
	info := ConsentInfo{
		ID: g.ids.At(index), NationalID: person, Scope: scope, GivenAt: now, ClientID: client,
		ValidUntil: endOfDay(now, days), SingleUse: days == 0,
	}
	if info.SingleUse {
		info.ValidUntil = now.Add(singleUseFor)
	}
	g.added = append(g.added, agreement{info: info, days: days})
	g.append(event{index: index, at: now})
	return info
}

// sit puts a person before the page: POST person?mood=denies&national_id=...
func (s *Simulator) sit(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.authorize.Sit(sandbox.Person{Mood: sandbox.Mood(q.Get("mood")), NationalID: q.Get("national_id")})
	w.WriteHeader(http.StatusNoContent)
}
