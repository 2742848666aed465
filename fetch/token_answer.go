package fetch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// tokenAnswer is what is read of a token endpoint's answer (RFC 6749 sections 5.1 and 5.2).
type tokenAnswer struct {
	AccessToken  looseText       `json:"access_token"`
	TokenType    looseText       `json:"token_type,omitempty"`
	ExpiresIn    json.RawMessage `json:"expires_in,omitempty"`
	RefreshToken looseText       `json:"refresh_token,omitempty"`
	IDToken      looseText       `json:"id_token,omitempty"`
	Scope        looseText       `json:"scope,omitempty"`
	Error        looseText       `json:"error,omitempty"`

	// Azure AD names the call in its errors, under both of these.
	CorrelationID looseText `json:"correlation_id,omitempty"`
	TraceID       looseText `json:"trace_id,omitempty"`
}

// looseText is a text of a token answer. One of another type must not cost the token that stands beside it: a
// list of texts is taken for the texts with blanks between them (such a list of scopes is met), and
// anything else for nothing.
type looseText string

// UnmarshalJSON takes any value.
func (m *looseText) UnmarshalJSON(raw []byte) error {
	*m = ""
	switch raw[0] {
	case '"':
		return json.Unmarshal(raw, (*string)(m))
	case '[':
		var texts []string
		if json.Unmarshal(raw, &texts) == nil {
			*m = looseText(strings.Join(texts, " "))
		}
	}
	return nil
}

// name is the error as it is told to people: what is no name of an error might be anything, what we sent
// included.
func (t *tokenAnswer) name() string {
	if !errorName.MatchString(string(t.Error)) {
		return "something that is no name of an error"
	}
	return string(t.Error)
}

// errorName is what the name of an error looks like.
var errorName = regexp.MustCompile(`^[A-Za-z_]{0,40}$`)

// isOAuth2 says whether the error has the form of OAuth2's names: small letters and underscores. "Not
// Found" and "Forbidden" come from what stands in front of the token endpoint, and say nothing of our
// credentials.
func (t *tokenAnswer) isOAuth2() bool {
	return t.Error != "" && strings.Trim(string(t.Error), "abcdefghijklmnopqrstuvwxyz_") == ""
}

// classifyTokenError classifies a token endpoint's answer. Wrong credentials are fatal for the connection; what
// might pass is tried again. The error's description is not repeated: some servers put what we sent into
// it.
func classifyTokenError(a *Answer) Meaning {
	var t tokenAnswer
	parsed := json.Unmarshal(a.Body, &t) == nil
	v := t.meaning(a, parsed)
	v.Correlation = string(cmp.Or(t.CorrelationID, t.TraceID))
	return v
}

// meaning believes the error's name before the status where the name is the standard's word on our
// credentials or our grant. Otherwise the status of a bad moment decides: Keycloak, Spring and gateways put
// names of their own into the body of a 5xx, and none of them is a reason to park the connection.
func (t *tokenAnswer) meaning(a *Answer, parsed bool) Meaning {
	moment := a.class()
	if !t.isOAuth2() {
		return t.unsaid(a, moment, parsed)
	}
	said := "the token endpoint says " + t.name()
	switch t.Error {
	case "temporarily_unavailable", "server_error", "slow_down":
		return Meaning{Class: finance.Transient, Reason: said}
	case "invalid_client", "unauthorized_client":
		return Meaning{Class: finance.Fatal, Reason: "wrong credentials: " + said}
	case "invalid_grant":
		return Meaning{Class: finance.Fatal, Reason: said}
	}
	switch moment {
	case finance.Transient, finance.Throttled:
		return Meaning{Class: moment, Reason: answersWith(a) + " and says " + t.name()}
	}
	return Meaning{Class: finance.Fatal, Reason: said}
}

// unsaid is what an answer without an OAuth2 error means. Only such an error is the authorization
// server's word on our credentials: a page with status 400, 403 or 404 is one of a proxy, or of a server
// that is just being started. So everything that is no token is tried again.
func (t *tokenAnswer) unsaid(a *Answer, moment finance.Class, parsed bool) Meaning {
	_, err := parseLifetime(t.ExpiresIn)
	passing := func(reason string) Meaning { return Meaning{Class: finance.Transient, Reason: reason} }
	switch {
	case moment == finance.TokenDenied:
		return Meaning{Class: moment, Reason: "wrong credentials: " + answersWith(a)}
	case moment == finance.Rejected:
		return passing(answersWith(a) + ", which is no OAuth2 error")
	case moment != finance.OK:
		return Meaning{Class: moment, Reason: answersWith(a)}
	case !parsed:
		return passing(answersWith(a))
	case t.Error != "":
		return passing("the token endpoint says " + t.name())
	case !sendable(string(t.AccessToken)):
		return passing("the token endpoint's answer holds no token that can be sent")
	case !t.isBearer():
		return passing("the token is not a bearer token")
	case err != nil:
		return passing(err.Error())
	}
	return Meaning{Class: finance.OK}
}

// answersWith tells an answer's status, and what its body is if that is no JSON object.
func answersWith(a *Answer) string {
	told := fmt.Sprintf("the token endpoint answers with status %d", a.Status)
	if len(bytes.TrimSpace(a.Body)) == 0 {
		return told
	}
	if what := jsonread.Misshapen(a.Body, "{"); what != "" {
		return told + " and " + what
	}
	return told
}

// isBearer says whether the token may be sent as a bearer token. Some write BearerToken, and some write
// nothing.
func (t *tokenAnswer) isBearer() bool {
	kind := strings.ToLower(strings.TrimSpace(string(t.TokenType)))
	return kind == "" || strings.HasPrefix(kind, "bearer")
}

// longestToken is how long a token may be. Servers take no header that is much longer.
const longestToken = 64 << 10

// sendable says whether a token fits into a header.
func sendable(token string) bool {
	if token == "" || len(token) > longestToken {
		return false
	}
	return !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// tidy reads the lifetime and leaves x/oauth2 an answer with nothing in it but the token: x/oauth2 is
// strict about what stands beside it, and a refresh token is not its to keep.
func (t *tokenTrip) tidy(a *Answer) ([]byte, time.Duration, *Error) {
	var token tokenAnswer
	if err := json.Unmarshal(a.Body, &token); err != nil {
		return nil, 0, t.s.fail(finance.Fatal, "the token endpoint's answer is not JSON")
	}
	lifetime, err := parseLifetime(token.ExpiresIn)
	if err != nil {
		return nil, 0, t.s.fail(finance.Fatal, err.Error())
	}
	body, err := json.Marshal(tokenAnswer{AccessToken: token.AccessToken, TokenType: token.TokenType})
	if err != nil {
		return nil, 0, t.s.fail(finance.Fatal, "the token endpoint's answer can't be read")
	}
	return body, lifetime, nil
}

const (
	assumedLifetime = 5 * time.Minute
	longestLifetime = 24 * time.Hour
)

// parseLifetime reads expires_in as it is met: a number or the text of one, whole or not. Missing, null,
// zero and empty say nothing, so that five minutes are assumed; x/oauth2 would use such a token for ever. A
// negative or unreadable one is an error, and nothing is believed beyond a day.
func parseLifetime(raw json.RawMessage) (time.Duration, error) {
	text := strings.TrimSpace(strings.Trim(strings.TrimSpace(string(raw)), `"`))
	switch text {
	case "", "null":
		return assumedLifetime, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && seconds > 0:
		return longestLifetime, nil
	case err != nil, math.IsNaN(seconds):
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
