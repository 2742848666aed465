package fetch

import (
	"context"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/oauth2"

	"syncer/calls"
	"syncer/finance"
)

// CodeFlow is one OAuth2 authorization code flow, in which one person is asked for one consent: what must be known when the
// browser comes back. It is good for one
// answer, and lives no longer than whoever asked: a callback that finds no flow is nobody's.
type CodeFlow struct {
	c        *Client
	of       *opened
	meta     metadata
	ask      TokenRequest
	link     string
	state    string
	verifier string
	nonce    string // empty: no ID token is wanted
	subject  Secret

	mu   sync.Mutex
	used bool
}

// Consented is a consent that a person has given, with what it can be read by.
type Consented struct {
	Given
	Refresh Secret // zero: the provider gave none, and needs none
	Holder  string // whom Refresh was given to and by whom: nobody else may be shown it
}

// ofFlow are the parameters that an Authorization's Params can't set: each is what makes the flow safe.
var ofFlow = []string{"client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "response_mode", "response_type", "scope", "state"}

// Authorize begins to ask a person for a consent. subject is the national identity number of whoever is to give it, as
// far as that is known; it is not part of the link. It makes no call except, once in a process, the one that discovers
// the provider's endpoints. The error is always an *Error.
func (c *Client) Authorize(ctx context.Context, subject Secret) (*CodeFlow, error) {
	of := c.now()
	how := of.authorize
	if _, ok := c.connector.(Granter); how == nil || !ok {
		return nil, c.unauthorized(finance.Rejected, "people don't give consents in the browser over this connection, or its settings name no redirect address for it")
	}
	if !isRedirectURI(how.Redirect) {
		return nil, c.unauthorized(finance.Rejected, "the redirect address is not an absolute URL without user and fragment")
	}
	meta, ask, failed := c.endpoints(ctx, of)
	if failed != nil {
		return nil, failed
	}
	a := &CodeFlow{c: c, of: of, meta: meta, ask: ask, state: rand.Text(), verifier: oauth2.GenerateVerifier(), subject: subject}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(a.verifier)}
	if slices.Contains(ask.Scopes, "openid") {
		a.nonce = rand.Text()
		options = append(options, oauth2.SetAuthURLParam("nonce", a.nonce))
	}
	for name, values := range how.Params {
		if slices.Contains(ofFlow, name) || len(values) != 1 {
			return nil, c.unauthorized(finance.Fatal, "the connector adds a parameter to the link that is the flow's own, or one several times")
		}
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	config := a.config()
	config.ClientID = ask.ID // the link names it, however it is proven at the token endpoint
	a.link = config.AuthCodeURL(a.state, options...)
	return a, nil
}

// isRedirectURI says that a text is an absolute URL without user and fragment.
func isRedirectURI(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	switch {
	case !u.IsAbs(), u.Host == "", u.Fragment != "", u.User != nil:
		return false
	}
	return true
}

// Link is what the person opens in a browser. It holds the state and the challenge of this flow and no secret, but
// whoever has it can answer in the person's stead: it is for their eyes only.
func (a *CodeFlow) Link() string { return a.link }

// Redirect is the address at which the answer arrives.
func (a *CodeFlow) Redirect() string { return a.of.authorize.Redirect }

func (a *CodeFlow) config() *oauth2.Config {
	style, id, secret := a.ask.proof()
	return &oauth2.Config{
		ClientID: id, ClientSecret: secret, Scopes: a.ask.Scopes, RedirectURL: a.Redirect(),
		Endpoint: oauth2.Endpoint{AuthURL: a.meta.Authorize, TokenURL: a.ask.URL, AuthStyle: style},
	}
}

// Finish takes the parameters of the callback to a consent. ErrNotOurs leaves the flow as it was; every other end of it
// is final. The error is ErrNotOurs, a *Denial or an *Error.
func (a *CodeFlow) Finish(ctx context.Context, callback url.Values) (*Consented, error) {
	if err := a.claim(callback); err != nil {
		return nil, err
	}
	if err := a.check(callback); err != nil {
		return nil, err
	}
	token, trip, failed := a.redeem(ctx, callback.Get("code"))
	if failed != nil {
		return nil, failed
	}
	claims, err := a.claims(string(trip.got.IDToken))
	if err != nil {
		return nil, a.refused(trip, "the ID token is refused: "+err.Error())
	}
	scopes := strings.Fields(string(trip.got.Scope))
	if len(scopes) == 0 { // RFC 6749 section 5.1: as asked for
		scopes = slices.Clone(a.ask.Scopes)
	}
	refresh := NewSecret(string(trip.got.RefreshToken))
	given, err := a.c.connector.(Granter).Granted(ctx, Grant{
		Token: token, Refreshable: !refresh.IsZero(), Scopes: scopes, Claims: claims, Subject: a.subject,
	})
	if err != nil {
		return nil, a.c.wrapped(err)
	}
	switch {
	case given.ExternalID == "", finance.IsNationalID(given.ExternalID):
		return nil, a.refused(trip, "the connector has no id for the consent that could be kept")
	case given.NationalID.IsZero():
		given.NationalID = a.subject
	case !a.subject.IsZero() && !samePerson(a.subject, given.NationalID):
		return nil, a.refused(trip, "somebody else has logged in than the person who was to be asked; nothing is kept")
	}
	return &Consented{Given: given, Refresh: refresh, Holder: a.c.holderPrint(&a.ask)}, nil
}

// redeem exchanges the code, once: a code that comes twice makes the provider end what it was good for (RFC 6749 section
// 4.1.2).
func (a *CodeFlow) redeem(ctx context.Context, code string) (calls.Token, *tokenTrip, *Error) {
	trip, failed := a.c.tokens.trip(a.of, a.ask, calls.Task{}, classifyCode)
	if failed != nil {
		return calls.Token{}, nil, failed
	}
	trip.attempts = 1
	trip.extra = url.Values(a.ask.Params)
	token, failed := trip.token(a.config().Exchange(trip.under(ctx), code, oauth2.VerifierOption(a.verifier)))
	return token, trip, failed
}

func (a *CodeFlow) refused(trip *tokenTrip, reason string) *Error {
	e := a.c.unauthorized(finance.Rejected, reason)
	e.Call = trip.call.ID
	e.Correlation = trip.call.Correlation
	return e
}

func (c *Client) unauthorized(class finance.Class, reason string) *Error {
	return &Error{Class: class, Op: "ask for a consent", Connection: c.opt.Connection.Name, Reason: reason}
}

func (c *Client) wrapped(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	e := c.unauthorized(finance.Rejected, "the provider could not be asked about the consent")
	e.Err = err
	return e
}

// samePerson compares national identity numbers. A Swedish one is written in several ways.
func samePerson(a, b Secret) bool {
	normal := func(s Secret) string {
		if full, ok := finance.FullPersonnummer(s.Reveal()); ok {
			return full
		}
		return s.Reveal()
	}
	return normal(a) == normal(b)
}
