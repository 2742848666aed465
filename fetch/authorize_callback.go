package fetch

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"net/url"

	"syncer/fetch/redact"
	"syncer/finance"
)

// ErrNotOurs says that a callback is no answer to what was asked: its state is missing, another's, or has had its answer
// already. Nothing was done with it.
var ErrNotOurs = errors.New("the callback does not belong to the consent that is being asked for: its state is missing, wrong or used up")

// Denial is the provider's answer that there will be no consent.
type Denial struct {
	Name        string // the provider's name of the error, such as access_denied
	Words       string // what it means, for a person
	Description string // the provider's own description, one printable line; escape it before it stands in HTML
}

// Error is one line.
func (d *Denial) Error() string {
	s := "there is no consent: " + d.Words + " (" + d.Name + ")"
	if d.Description != "" {
		s += ": " + d.Description
	}
	return s
}

// words are the errors of an authorization endpoint (RFC 6749 section 4.1.2.1, OpenID Connect Core 1.0 section 3.1.2.6)
// for a person.
var words = map[string]string{
	"access_denied":             "the person, or the provider for them, has said no",
	"invalid_request":           "the provider can't read the question: check the connection's settings",
	"invalid_scope":             "the provider does not know a scope that was asked for, or does not allow it: check the connection's settings",
	"unauthorized_client":       "the provider does not allow this client to ask people: have it enabled there",
	"unsupported_response_type": "the provider does not allow this client to ask people: have it enabled there",
	"server_error":              "the provider has failed: begin again later",
	"temporarily_unavailable":   "the provider is overloaded or under maintenance: begin again later",
	"login_required":            "the person has not logged in",
	"interaction_required":      "the provider wanted to ask the person something and could not",
	"consent_required":          "the person has not answered the question",
}

// claim makes sure that the callback answers this flow, and that it is the first to do so. A wrong state does not use
// the flow up: whoever guesses at the address must not be able to spoil it for the person who is being asked.
func (a *CodeFlow) claim(callback url.Values) error {
	states := callback["state"]
	if len(states) != 1 || subtle.ConstantTimeCompare([]byte(states[0]), []byte(a.state)) != 1 {
		return ErrNotOurs
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used {
		return ErrNotOurs
	}
	a.used = true
	return nil
}

// longestCode is more than any provider's code has.
const longestCode = 4 << 10

// check refuses what is no code for us. The issuer is looked at first (RFC 9207 section 2.4): an error, too, is to be
// believed only from whom we asked.
func (a *CodeFlow) check(callback url.Values) error {
	for _, name := range []string{"code", "error", "iss"} {
		if len(callback[name]) > 1 {
			return a.c.unauthorized(finance.Rejected, "the callback has the parameter "+name+" twice")
		}
	}
	switch iss := callback.Get("iss"); {
	case a.meta.Issuer == "": // nobody to compare with
	case callback.Has("iss") && iss != a.meta.Issuer:
		return a.c.unauthorized(finance.Rejected, "the callback comes from another issuer than the one that was asked; nothing was sent to it")
	case a.meta.SendsIss && !callback.Has("iss"):
		return a.c.unauthorized(finance.Rejected, "the callback names no issuer, although this one always does; nothing was sent")
	}
	if callback.Has("error") {
		return a.denial(callback)
	}
	if code := callback.Get("code"); code == "" || len(code) > longestCode {
		return a.c.unauthorized(finance.Rejected, "the callback has no code")
	}
	return nil
}

func (a *CodeFlow) denial(callback url.Values) *Denial {
	name := (&tokenAnswer{Error: looseText(callback.Get("error"))}).name()
	secrets := append([]string{a.state, a.verifier, a.subject.Reveal()}, a.c.shown()...)
	return &Denial{
		Name:        name,
		Words:       cmp.Or(a.of.authorize.Words[name], words[name], "the provider gives a reason that is not known here"),
		Description: redact.Words(callback.Get("error_description"), secrets...),
	}
}
