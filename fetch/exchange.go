package fetch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"syncer/finance"
)

// exchange asks the provider for a token of the connection's own. The exchange itself is that of x/oauth2; its HTTP
// client is the lower half of our stack, so that a token call is admitted, paced, recorded and told to wait like any
// other.
func (s *tokens) exchange(ctx context.Context, w wantedToken, scope finance.Scope) (finance.Token, *Error) {
	ask, err := w.of.token(w.key)
	if err != nil {
		e := s.fail(finance.Fatal, "the connection has no way to ask for this token")
		e.Err = err
		return finance.Token{}, e
	}
	if ask.URL == "" { // the provider takes no token
		return finance.Token{Expiry: time.Now().Add(longest), RefreshAt: time.Now().Add(longest), AccessToken: noToken}, nil
	}
	trip, failed := s.trip(w.of, ask, scope, tokenVerdict)
	if failed != nil {
		return finance.Token{}, failed
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
	scope    finance.Scope
	path     string
	attempts int  // at most
	bare     bool // without a body
	classify func(*Answer) Verdict

	asked    time.Time
	lifetime time.Duration
	got      tokenAnswer
	call     finance.Call
	failed   *Error
}

// trip makes the way to a token endpoint.
func (s *tokens) trip(of *opened, ask TokenRequest, scope finance.Scope, classify func(*Answer) Verdict) (*tokenTrip, *Error) {
	u, err := url.Parse(ask.URL)
	if err != nil || !s.c.mayCall(u) {
		return nil, s.fail(finance.Fatal, "the token endpoint must be an https address without a user")
	}
	return &tokenTrip{s: s, of: of, ask: ask, scope: scope, path: u.Path, attempts: 3, classify: classify}, nil
}

// mayCall says whether an address of an authorization server may be called: what is sent there is our secret.
func (c *Client) mayCall(u *url.URL) bool {
	return u.User == nil && u.Host != "" && u.Fragment == "" && (u.Scheme == "https" || u.Scheme == "http" && c.opt.AllowPrivate)
}

// under puts the trip under x/oauth2.
func (t *tokenTrip) under(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, newHTTPClient(t))
}

// token is what x/oauth2 has brought, with the end that the answer told.
func (t *tokenTrip) token(got *oauth2.Token, err error) (finance.Token, *Error) {
	if t.failed != nil {
		return finance.Token{}, t.failed
	}
	if err != nil { // its text is not shown: a RetrieveError carries the body
		return finance.Token{}, t.s.fail(finance.Fatal, "the token endpoint's answer holds no token")
	}
	return lifespan(finance.Token{AccessToken: got.AccessToken, Type: got.TokenType}, t.asked, t.lifetime), nil
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
	wanted := t.s.c.authRequest(t.of, t.scope, r.Method, t.path)
	wanted.limits.retry.Attempts = min(wanted.limits.retry.Attempts, t.attempts)
	wanted.classify = t.read
	wanted.build = func(ctx context.Context, id finance.CallID) (*http.Request, error) {
		t.asked = time.Now() // the life of a token is counted from before it was asked for
		return t.request(ctx, r, form, id)
	}
	answer, failed := wanted.run(r.Context())
	if failed == nil {
		t.call = answer.Call
		answer.Body, t.lifetime, failed = t.tidy(answer)
	}
	if failed != nil {
		t.failed = failed
		return nil, errors.New("no token")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(answer.Body)), Request: r,
	}, nil
}

// read keeps what an answer holds before anything is said of it: with a rotated refresh token in it, even an answer that
// is of no use otherwise must not be asked for again, since the old one is worth nothing any more.
func (t *tokenTrip) read(a *Answer) Verdict {
	t.got = tokenAnswer{}
	if isSuccess(a.Status) {
		_ = json.Unmarshal(a.Body, &t.got) // of what is no JSON nothing is kept; of what has an odd member, the others
	}
	v := t.classify(a)
	if v.Class == finance.Transient && t.got.RefreshToken != "" {
		v.Class = finance.Fatal
	}
	return v
}

// authRequest is a request to the authorization server with these secrets, without what builds and what classifies it.
func (c *Client) authRequest(of *opened, scope finance.Scope, method, path string) *request {
	again := c.opt.Retry
	again.Attempts = min(again.Attempts, 3)
	again.Budget = min(again.Budget, tokenRetries)
	return &request{
		c: c, bucket: c.bucket(c.opt.Connection.Name + "/token"), purpose: finance.ForToken, scope: scope,
		method: method, path: path, client: c.data, of: of, pinned: true,
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
		req.Body, req.ContentLength = readOnce{bytes.NewReader(form)}, int64(len(form))
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

// tokenAnswer is what is read of a token endpoint's answer (RFC 6749 sections 5.1 and 5.2).
type tokenAnswer struct {
	AccessToken  string          `json:"access_token"`
	TokenType    string          `json:"token_type,omitempty"`
	ExpiresIn    json.RawMessage `json:"expires_in,omitempty"`
	RefreshToken string          `json:"refresh_token,omitempty"`
	IDToken      string          `json:"id_token,omitempty"`
	Scope        string          `json:"scope,omitempty"`
	Error        string          `json:"error,omitempty"`

	// Azure AD names the call in its errors, under both of these.
	CorrelationID string `json:"correlation_id,omitempty"`
	TraceID       string `json:"trace_id,omitempty"`
}

// name is the error as it is told to people: what is no name of an error might be anything, what we sent included.
func (t *tokenAnswer) name() string {
	for i := range len(t.Error) {
		if c := t.Error[i]; c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') || i == 40 {
			return "something that is no name of an error"
		}
	}
	return t.Error
}

// tokenVerdict classifies a token endpoint's answer. Wrong credentials are fatal for the connection; what might pass
// is tried again. The error's description is not repeated: some servers put what we sent into it.
func tokenVerdict(a *Answer) Verdict {
	var t tokenAnswer
	parsed := json.Unmarshal(a.Body, &t) == nil
	v := t.verdict(a, parsed)
	v.Correlation = cmp.Or(t.CorrelationID, t.TraceID)
	return v
}

// verdict believes the error's name before the status where the name is the standard's word on our credentials or our
// grant. Otherwise the status of a bad moment decides: Keycloak, Spring and gateways put names of their own into the
// body of a 5xx, and none of them is a reason to park the connection.
func (t *tokenAnswer) verdict(a *Answer, parsed bool) Verdict {
	switch t.Error {
	case "":
	case "temporarily_unavailable", "server_error", "slow_down":
		return Verdict{Class: finance.Transient, Reason: "the token endpoint says " + t.name()}
	case "invalid_client", "unauthorized_client":
		return Verdict{Class: finance.Fatal, Reason: "wrong credentials: the token endpoint says " + t.name()}
	default:
		if moment := ofStatus(a.Status, a.Announced().Asked); t.Error != "invalid_grant" && (moment == finance.Transient || moment == finance.Throttled) {
			return Verdict{Class: moment, Reason: "the token endpoint answers with status " + strconv.Itoa(a.Status) + " and says " + t.name()}
		}
		return Verdict{Class: finance.Fatal, Reason: "the token endpoint says " + t.name()}
	}
	switch class := ofStatus(a.Status, a.Announced().Asked); {
	case class == finance.TokenDenied:
		return Verdict{Class: finance.Fatal, Reason: "wrong credentials: the token endpoint answers with status 401"}
	case class == finance.Rejected:
		return Verdict{Class: finance.Fatal, Reason: "the token endpoint answers with status " + strconv.Itoa(a.Status)}
	case class != finance.OK:
		return Verdict{Class: class}
	case !parsed:
		return Verdict{Class: finance.Transient, Reason: "the token endpoint's answer is not JSON"}
	case !sendable(t.AccessToken):
		return Verdict{Class: finance.Fatal, Reason: "the token endpoint's answer holds no token that can be sent"}
	case t.TokenType != "" && !strings.EqualFold(t.TokenType, "bearer"):
		return Verdict{Class: finance.Fatal, Reason: "the token is not a bearer token"}
	}
	return Verdict{Class: finance.OK}
}

// sendable says whether a token fits into a header.
func sendable(token string) bool {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] >= 0x7f {
			return false
		}
	}
	return token != ""
}

// tidy reads the lifetime and leaves x/oauth2 an answer without one.
func (t *tokenTrip) tidy(a *Answer) ([]byte, time.Duration, *Error) {
	var token tokenAnswer
	if err := json.Unmarshal(a.Body, &token); err != nil {
		return nil, 0, t.s.fail(finance.Fatal, "the token endpoint's answer is not JSON")
	}
	lifetime, err := parseLifetime(token.ExpiresIn)
	if err != nil {
		e := t.s.fail(finance.Fatal, err.Error())
		e.Call, e.Correlation = a.Call.ID, a.Call.Correlation
		return nil, 0, e
	}
	// A refresh token is not x/oauth2's to keep.
	token.ExpiresIn, token.RefreshToken, token.IDToken, token.Scope = nil, "", "", ""
	body, err := json.Marshal(token)
	if err != nil {
		return nil, 0, t.s.fail(finance.Fatal, "the token endpoint's answer can't be read")
	}
	return body, lifetime, nil
}

const (
	assumedLifetime = 5 * time.Minute
	longestLifetime = 24 * time.Hour
)

// parseLifetime reads expires_in as it is met: a number or the text of one, whole or not. Missing, null, zero and
// empty say nothing, so that five minutes are assumed; x/oauth2 would use such a token for ever. A negative or
// unreadable one is an error, and nothing is believed beyond a day.
func parseLifetime(raw json.RawMessage) (time.Duration, error) {
	text := strings.TrimSpace(strings.Trim(strings.TrimSpace(string(raw)), `"`))
	if text == "" || text == "null" {
		return assumedLifetime, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && seconds > 0:
		return longestLifetime, nil
	case err != nil || seconds != seconds:
		return 0, errors.New("the token's expires_in is not a number")
	case seconds < 0:
		return 0, errors.New("the token's expires_in is negative")
	case seconds == 0:
		return assumedLifetime, nil
	case seconds >= longestLifetime.Seconds():
		return longestLifetime, nil
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
