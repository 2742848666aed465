package fetch

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"syncer/calls"
	"syncer/fetch/pause"
	"syncer/fetch/wire"
	"syncer/finance"
)

// exchange asks the provider for a token of the connection's own. The exchange itself is that of x/oauth2; its HTTP
// client is the lower half of our stack, so that a token call is admitted, paced, recorded and told to wait like any
// other.
func (s *tokens) exchange(ctx context.Context, w wantedToken, task calls.Task) (calls.Token, *Error) {
	ask, err := w.of.token(w.key)
	if err != nil {
		e := s.fail(finance.Fatal, "the connection has no way to ask for this token")
		e.Err = err
		return calls.Token{}, e
	}
	if ask.URL == "" { // the provider takes no token
		return calls.Token{Expiry: time.Now().Add(pause.Longest), RefreshAt: time.Now().Add(pause.Longest), AccessToken: noToken}, nil
	}
	trip, failed := s.trip(w.of, ask, task, classifyTokenError)
	if failed != nil {
		return calls.Token{}, failed
	}
	trip.bare = ask.empty()
	style, id, secret := ask.proof()
	config := clientcredentials.Config{
		ClientID: id, ClientSecret: secret, AuthStyle: style,
		TokenURL: ask.URL, Scopes: ask.Scopes, EndpointParams: url.Values(ask.Params),
	}
	return trip.token(config.Token(trip.under(ctx)))
}

// proof is how x/oauth2 is told to prove who we are. Never AuthStyleAutoDetect: it sends every failed call twice. What
// it has no word for, tokenTrip adds as a header.
func (r *TokenRequest) proof() (style oauth2.AuthStyle, id, secret string) {
	switch r.Style {
	case BasicEscaped:
		return oauth2.AuthStyleInHeader, r.ID, r.Secret.Reveal()
	case InParams:
		return oauth2.AuthStyleInParams, r.ID, r.Secret.Reveal()
	}
	return oauth2.AuthStyleInParams, "", ""
}

// noToken stands for "send no token". It is never sent.
const noToken = "\x00none"

// tokenTrip is the RoundTripper under x/oauth2. It makes one token call through the stack, and gives x/oauth2 an
// answer that it can read: as JSON, and with an expires_in that is a whole number.
type tokenTrip struct {
	s        *tokens
	of       *opened // whose secrets ask holds
	ask      TokenRequest
	extra    url.Values // form fields that x/oauth2 has no place for
	task     calls.Task
	attempts int  // at most
	bare     bool // without a body
	denied   bool // there was a 401 without an OAuth2 error
	classify func(*Answer) Meaning

	asked    time.Time
	lifetime time.Duration
	got      tokenAnswer
	call     calls.Call
	failed   *Error
}

// trip makes the way to a token endpoint.
func (s *tokens) trip(of *opened, ask TokenRequest, task calls.Task, classify func(*Answer) Meaning) (*tokenTrip, *Error) {
	u, err := url.Parse(ask.URL)
	if err != nil || !s.c.mayCall(u) {
		return nil, s.fail(finance.Fatal, "the token endpoint must be an https address without a user")
	}
	return &tokenTrip{s: s, of: of, ask: ask, task: task, attempts: 3, classify: classify}, nil
}

// mayCall says whether an address of an authorization server may be called: what is sent there is our secret.
func (c *Client) mayCall(u *url.URL) bool {
	switch {
	case u.User != nil, u.Host == "", u.Fragment != "":
		return false
	case u.Scheme == "http":
		return c.opt.AllowPrivate
	}
	return u.Scheme == "https"
}

// under puts the trip under x/oauth2.
func (t *tokenTrip) under(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, wire.NewClient(t))
}

// token is what x/oauth2 has brought, with the end that the answer told.
func (t *tokenTrip) token(got *oauth2.Token, err error) (calls.Token, *Error) {
	if t.failed != nil {
		return calls.Token{}, t.failed
	}
	if err != nil { // its text is not shown: a RetrieveError carries the body
		return calls.Token{}, t.s.fail(finance.Fatal, "the token endpoint's answer holds no token")
	}
	return lifespan(calls.Token{AccessToken: got.AccessToken, Type: got.TokenType}, t.asked, t.lifetime), nil
}

// RoundTrip implements http.RoundTripper.
func (t *tokenTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if len(t.extra) > 0 {
		form = append(append(form, '&'), t.extra.Encode()...)
	}
	wanted := t.s.c.authRequest(t.of, t.task, r.Method, r.URL)
	wanted.limits.retry.Attempts = min(wanted.limits.retry.Attempts, t.attempts)
	wanted.classify = func(a *Answer) Meaning { return t.read(wanted, a) }
	wanted.build = func(ctx context.Context, id finance.CallID) (*http.Request, error) {
		t.asked = time.Now() // the life of a token is counted from before it was asked for
		return t.request(ctx, r, form, id)
	}
	answer, failed := wanted.run(r.Context())
	answer.release()
	if failed == nil {
		t.call = answer.Call
		answer.Body, t.lifetime, failed = t.tidy(answer)
	}
	if failed != nil {
		failed.Again = false // that is between this trip and its request
		t.failed = failed
		return nil, errors.New("no token")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(answer.Body)), Request: r,
	}, nil
}

// read keeps what an answer holds before anything is said of it: with a rotated refresh token in it, even
// an answer that is of no use otherwise must not be asked for again by this request, since the old one is
// worth nothing any more.
//
// A 401 without an OAuth2 error may be a bad moment of what stands in front of the token endpoint. One that
// comes again at once is not: so some say that the credentials are wrong.
func (t *tokenTrip) read(wanted *request, a *Answer) Meaning {
	t.got = tokenAnswer{}
	if isSuccess(a.Status) {
		_ = json.Unmarshal(a.Body, &t.got) // of what is no JSON nothing is kept
	}
	v := t.classify(a)
	if v.Class == finance.TokenDenied {
		v.Class = finance.Transient
		if t.denied {
			v.Class = finance.Fatal
		}
		t.denied = true
	}
	if v.Class == finance.Transient && t.got.RefreshToken != "" {
		wanted.oneTry = true
	}
	return v
}

// authRequest is a request to the authorization server with these secrets, without what builds and what classifies it.
func (c *Client) authRequest(of *opened, task calls.Task, method string, at *url.URL) *request {
	again := c.opt.Retry
	again.Attempts = min(again.Attempts, 3)
	again.Budget = min(again.Budget, tokenRetries)
	bucket := c.bucket(c.opt.Connection.Name+"/token", at)
	return &request{
		c: c, bucket: bucket, keys: c.keysOf(bucket, nil, ""), purpose: calls.ForToken, task: task,
		method: method, path: at.Path, client: c.data, of: of, pinned: true,
		limits: limits{timeout: c.authTimeout(), maxWait: min(c.opt.MaxWait, tokenWaits), retry: again},
	}
}

func (t *tokenTrip) request(ctx context.Context, r *http.Request, form []byte, id finance.CallID) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	if t.bare {
		req.Header.Del("Content-Type")
	} else {
		req.Body = readOnce{bytes.NewReader(form)}
		req.ContentLength = int64(len(form))
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Request-Id", id.String())
	if t.ask.Style == BasicRaw {
		pair := t.ask.ID + ":" + t.ask.Secret.Reveal()
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	for name, value := range t.ask.Header {
		req.Header.Set(name, value.Reveal())
	}
	return req, nil
}
