package fetch

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// clocksApart is how far the provider's clock may lie behind or ahead of ours.
const clocksApart = 2 * time.Minute

// claims reads an ID token that came from the token endpoint, and checks whose it is, for whom, for which question and
// until when (OpenID Connect Core 1.0 section 3.1.3.7). Its signature is that of whom we are talking to over TLS. An
// empty one has none.
func (a *CodeFlow) claims(token string) (map[string]json.RawMessage, error) {
	if token == "" {
		return nil, nil
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("it is not a signed JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("it is not a signed JWT")
	}
	// A map, because encoding/json would take ISS for the field of iss.
	var all map[string]json.RawMessage
	var issuer, party, nonce string
	var audiences audience
	var end json.Number
	wanted := map[string]any{"iss": &issuer, "aud": &audiences, "azp": &party, "nonce": &nonce, "exp": &end}
	if json.Unmarshal(payload, &all) != nil {
		all = nil
	}
	if all == nil || !members(all, wanted) {
		return nil, errors.New("its claims can't be read") // an error of encoding/json would quote them
	}
	expires, err := end.Float64()
	switch {
	case a.meta.Issuer != "" && issuer != a.meta.Issuer:
		return nil, errors.New("it is another issuer's")
	case !slices.Contains(audiences, a.ask.ID), !slices.Contains([]string{"", a.ask.ID}, party):
		return nil, errors.New("it is for another client")
	case len(audiences) > 1 && party == "":
		return nil, errors.New("it is for several clients and does not say which one asked")
	case nonce != a.nonce:
		return nil, errors.New("it answers another question than ours")
	case err != nil, time.Now().Add(-clocksApart).After(time.Unix(int64(min(expires, 1<<40)), 0)):
		return nil, errors.New("it has ended, or does not say when it does")
	}
	return all, nil
}

// members reads those members of an object that are there.
func members(all map[string]json.RawMessage, into map[string]any) bool {
	for name, v := range into {
		if raw, ok := all[name]; ok && json.Unmarshal(raw, v) != nil {
			return false
		}
	}
	return true
}

// audience is one name or a list of them.
type audience []string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*a = make([]string, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}
