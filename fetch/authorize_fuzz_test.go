package fetch

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"syncer/finance"
)

// fuzzed is a CodeFlow without a provider behind it.
func fuzzed() *CodeFlow {
	of := &opened{authorize: &Authorization{Issuer: "https://issuer.example"}}
	c := &Client{opt: Options{Connection: Connection{Name: "bank"}, Driver: Driver{Authorize: of.authorize}}}
	c.hide(map[string]Secret{"client_secret": NewSecret("hunter2-hunter2")})
	return &CodeFlow{c: c, of: of, meta: metadata{Issuer: "https://issuer.example"}, ask: TokenRequest{ID: "me"}, state: "the-state", nonce: "the-nonce"}
}

// Claims that are believed are this issuer's, for us, and answer our question; what is refused is not repeated.
func FuzzIDToken(f *testing.F) {
	f.Fuzz(func(t *testing.T, payload []byte, whole string) {
		a := fuzzed()
		for _, token := range []string{whole, "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln"} {
			claims, err := a.claims(token)
			if err != nil {
				if claims != nil || len(payload) > 8 && strings.Contains(err.Error(), string(payload)) {
					t.Errorf("%v, %v", claims, err)
				}
				continue
			}
			for name, want := range map[string]string{"iss": "https://issuer.example", "nonce": "the-nonce"} {
				var got string
				if token != "" && (json.Unmarshal(claims[name], &got) != nil || got != want) {
					t.Errorf("believed with %s %s", name, claims[name])
				}
			}
		}
	})
}

// A callback is taken with our state only, its code only from our issuer, and what it says is one harmless line.
func FuzzCallback(f *testing.F) {
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		a := fuzzed()
		if err := a.claim(values); err != nil {
			if !errors.Is(err, ErrNotOurs) || a.used {
				t.Errorf("used %v, %v", a.used, err)
			}
			return
		}
		if values.Get("state") != a.state || a.claim(values) == nil {
			t.Error("a state that is not ours, or twice")
		}
		err = a.check(values)
		if err == nil && (values.Get("code") == "" || values.Has("error") || values.Has("iss") && values.Get("iss") != a.meta.Issuer) {
			t.Error("taken for a code of our issuer")
		}
		if denial, ok := errors.AsType[*Denial](err); ok {
			if strings.ContainsFunc(denial.Error(), unicode.IsControl) || strings.ContainsAny(denial.Name, "<>&\"'") || len(denial.Error()) > 1000 {
				t.Errorf("%q", denial.Error())
			}
		}
	})
}

// Whatever a token endpoint answers, only a token that can be sent is a success, only invalid_grant ends a consent, and
// the reason repeats nothing but the name of an error.
func FuzzTokenAnswer(f *testing.F) {
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := &Answer{Status: status, Body: body}
		var answer tokenAnswer
		parsed := json.Unmarshal(body, &answer) == nil
		for name, classify := range map[string]func(*Answer) Meaning{"token": classifyTokenError, "refresh": classifyRefresh, "code": classifyCode} {
			v := classify(a)
			switch {
			case v.Class == finance.OK && (!parsed || !sendable(string(answer.AccessToken)) || answer.Error != ""):
				t.Errorf("%s: a success", name)
			case v.Class == finance.ConsentOver && (name != "refresh" || answer.Error != "invalid_grant"):
				t.Errorf("%s: ends a consent for %q", name, answer.Error)
			case len(v.Reason) > 200, strings.ContainsFunc(v.Reason, unicode.IsControl), len(answer.AccessToken) > 20 && strings.Contains(v.Reason, string(answer.AccessToken)):
				t.Errorf("%s: %q", name, v.Reason)
			}
		}
	})
}
