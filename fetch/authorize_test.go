package fetch_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/sandbox"
)

func TestAPersonGivesAConsent(t *testing.T) {
	w := newAuthority(t)
	c, log := w.logged(t)
	a := w.ask(t, c)
	link, err := url.Parse(a.Link())
	if err != nil {
		t.Fatal(err)
	}
	q := link.Query()
	state, challenge := q.Get("state"), q.Get("code_challenge")
	if len(state) < 20 || len(challenge) != 43 || len(q.Get("nonce")) < 20 {
		t.Errorf("state, challenge or nonce can be guessed: %v", q)
	}
	for _, once := range []string{"state", "code_challenge", "nonce"} {
		q.Del(once)
	}
	want := url.Values{
		"client_id": {"me"}, "response_type": {"code"}, "redirect_uri": {redirect}, "scope": {"read openid"},
		"code_challenge_method": {"S256"}, "prompt": {"login"},
	}
	if diff := cmp.Diff(want, q); diff != "" || link.Path != "/authorize" {
		t.Errorf("the link: %s\n%s", link.Path, diff)
	}

	callback := browse(t, a.Link())
	got, err := a.Finish(t.Context(), callback)
	if err != nil {
		t.Fatal(err)
	}
	if got.ExternalID != "c-1" || got.Refresh.IsZero() || !cmp.Equal(got.Scopes, []string{"read", "openid"}) {
		t.Errorf("%+v", got)
	}
	form := w.forms[0]
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != challenge || form.Get("redirect_uri") != redirect {
		t.Errorf("the exchange: %v", form)
	}
	for _, call := range w.store.Calls() {
		if call.Purpose != calls.ForToken || !strings.HasPrefix(call.Bucket, "bank/token@http") || strings.Contains(call.Path, "?") {
			t.Errorf("recorded: %+v", call)
		}
	}
	for _, secret := range []string{form.Get("code_verifier"), callback.Get("code"), got.Refresh.Reveal(), state} {
		if strings.Contains(log.String(), secret) || strings.Contains(fmt.Sprintf("%+v %v", got, w.store.Calls()), secret) {
			t.Error("a secret of the flow is told")
		}
	}
	if _, err := a.Finish(t.Context(), callback); !errors.Is(err, fetch.ErrNotOurs) {
		t.Errorf("the same callback again: %v", err)
	}
	if len(w.forms) != 1 {
		t.Errorf("%d token calls for one code", len(w.forms))
	}
}

// A callback whose state is not ours is nobody's, and the person who is being asked can still answer.
func TestACallbackOfSomebodyElseSpoilsNothing(t *testing.T) {
	w := newAuthority(t)
	c := client(t, w.opt)
	a, other := w.ask(t, c), w.ask(t, c)
	good := browse(t, a.Link())
	for name, state := range map[string][]string{
		"none": nil, "empty": {""}, "another's": {browse(t, other.Link()).Get("state")},
		"two": {good.Get("state"), good.Get("state")}, "a part": {good.Get("state")[:10]},
	} {
		callback := url.Values{"code": good["code"], "iss": good["iss"], "state": state}
		if _, err := a.Finish(t.Context(), callback); !errors.Is(err, fetch.ErrNotOurs) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := a.Finish(t.Context(), good); err != nil {
		t.Errorf("the true callback after them: %v", err)
	}
}

func TestCallbacksThatEndTheFlow(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(url.Values)
		want  string
	}{
		{"another issuer (mix-up)", func(q url.Values) { q.Set("iss", "https://evil.example") }, "another issuer"},
		{"no issuer", func(q url.Values) { q.Del("iss") }, "names no issuer"},
		{"two issuers", func(q url.Values) { q.Add("iss", "https://evil.example") }, "iss twice"},
		{"an error of another issuer", func(q url.Values) {
			q.Del("code")
			q.Set("error", "access_denied")
			q.Set("iss", "https://evil.example")
		}, "another issuer"},
		{"no code", func(q url.Values) { q.Del("code") }, "no code"},
		{"two codes", func(q url.Values) { q.Add("code", "x") }, "code twice"},
		{"a long code", func(q url.Values) { q.Set("code", strings.Repeat("x", 5000)) }, "no code"},
		{"code and error", func(q url.Values) { q.Set("error", "server_error") }, "the provider has failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newAuthority(t)
			a := w.ask(t, client(t, w.opt))
			good := browse(t, a.Link())
			bad := url.Values{}
			for k, v := range good {
				bad[k] = append([]string(nil), v...)
			}
			tt.spoil(bad)
			if _, err := a.Finish(t.Context(), bad); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
			if _, err := a.Finish(t.Context(), good); !errors.Is(err, fetch.ErrNotOurs) || len(w.forms) != 0 {
				t.Errorf("after that: %v, %d token calls", err, len(w.forms))
			}
		})
	}
}

func TestANoIsExplained(t *testing.T) {
	w := newAuthority(t)
	for _, tt := range []struct{ name, words string }{
		{"access_denied", "she said no"}, // the driver's words win
		{"temporarily_unavailable", "maintenance"},
		{"no_idea_what", "not known here"},
		{"<script>", "not known here"},
	} {
		a := w.ask(t, client(t, w.opt))
		callback := browse(t, a.Link())
		callback.Del("code")
		callback.Set("error", tt.name)
		callback.Set("error_description", "<b>no</b>\r\nfor 01417014922, Bearer abcdefghijkl")
		_, err := a.Finish(t.Context(), callback)
		denial, ok := errors.AsType[*fetch.Denial](err)
		if !ok || !strings.Contains(denial.Words, tt.words) || strings.ContainsAny(denial.Name, "<>") {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if denial.Description != "<b>no</b> for [number], [token]" {
			t.Errorf("the description is %q", denial.Description)
		}
	}
	w.auth.Sit(sandbox.Person{Mood: sandbox.Denies})
	a := w.ask(t, client(t, w.opt))
	if _, err := a.Finish(t.Context(), browse(t, a.Link())); !strings.Contains(fmt.Sprint(err), "she said no (access_denied): the person said no") {
		t.Errorf("got %v", err)
	}
}

// A code that was given to another session, an attacker's, is of no use with our state: its challenge is not ours.
func TestACodeFromAnotherSessionIsRefused(t *testing.T) {
	w := newAuthority(t)
	c := client(t, w.opt)
	mine, theirs := w.ask(t, c), w.ask(t, c)
	callback := browse(t, mine.Link())
	callback.Set("code", browse(t, theirs.Link()).Get("code"))
	_, err := mine.Finish(t.Context(), callback)
	if e := wantClass(t, err, finance.Rejected); !strings.Contains(e.Reason, "invalid_grant") {
		t.Errorf("got %v", e)
	}
}

// A code is exchanged once, whatever becomes of the answer: a second time would end what the first has brought.
func TestAnExchangeIsNotRepeated(t *testing.T) {
	w := newAuthority(t)
	a := w.ask(t, client(t, w.opt))
	callback := browse(t, a.Link())
	if _, err := w.kit.Faults.Add(sandbox.Rule{Provider: "bank", Only: "token", Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 502, Work: true}}); err != nil {
		t.Fatal(err)
	}
	_, err := a.Finish(t.Context(), callback)
	wantClass(t, err, finance.Transient)
	if w.auth.Reuses() != 0 || len(w.forms) != 1 {
		t.Errorf("%d token calls, %d of them a reuse", len(w.forms), w.auth.Reuses())
	}
}

func TestIDTokensAreChecked(t *testing.T) {
	tests := []struct {
		name, want string
		claims     map[string]any
	}{
		{"of another issuer", "another issuer", map[string]any{"iss": "https://evil.example"}},
		{"for another client", "another client", map[string]any{"aud": "you"}},
		{"for several clients", "several clients", map[string]any{"aud": []string{"you", "me"}}},
		{"asked for by another", "another client", map[string]any{"aud": []string{"you", "me"}, "azp": "you"}},
		{"of another question", "another question", map[string]any{"nonce": "n-0S6_WzA2Mj"}},
		{"ended", "ended", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}},
		{"without an end", "ended", map[string]any{"exp": nil}},
		{"unreadable", "can't be read", map[string]any{"aud": 4}},
		{"good for two", "", map[string]any{"aud": []string{"you", "me"}, "azp": "me", "exp": 1e300}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newAuthority(t)
			tt.claims["consent_id"] = "c-2"
			w.claims = tt.claims
			a := w.ask(t, client(t, w.opt))
			got, err := a.Finish(t.Context(), browse(t, a.Link()))
			if tt.want == "" {
				if err != nil || got.ExternalID != "c-2" {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if e := wantClass(t, err, finance.Rejected); !strings.Contains(e.Reason, tt.want) || e.Call.IsZero() {
				t.Errorf("got %v", e)
			}
		})
	}
}

func TestTheConsentMustBeOneThatCanBeKept(t *testing.T) {
	tests := []struct {
		name    string
		given   fetch.Given
		err     error
		subject string
		want    string
	}{
		{"no id", fetch.Given{}, nil, "", "no id"},
		{"a national id for an id", fetch.Given{ExternalID: "01417014922"}, nil, "", "no id"},
		{"somebody else logged in", fetch.Given{ExternalID: "c", NationalID: fetch.NewSecret("01417014922")}, nil, "14842249091", "somebody else"},
		{"the provider does not tell", fetch.Given{}, errors.New("gone"), "", "could not be asked about the consent: gone"},
		{"the person who was named", fetch.Given{ExternalID: "c", NationalID: fetch.NewSecret("14842249091")}, nil, "14842249091", ""},
		{"as the operator named them", fetch.Given{ExternalID: "c"}, nil, "14842249091", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newAuthority(t)
			w.given = func(fetch.Grant) (fetch.Given, error) { return tt.given, tt.err }
			a, err := client(t, w.opt).Authorize(t.Context(), fetch.NewSecret(tt.subject))
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Finish(t.Context(), browse(t, a.Link()))
			switch {
			case tt.want == "" && (err != nil || got.NationalID.Reveal() != tt.subject):
				t.Errorf("%+v, %v", got, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "0141")):
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDiscoveryBelievesOnlyTheIssuer(t *testing.T) {
	tests := []struct {
		name, want string
		metadata   map[string]any
		private    bool
	}{
		{"another issuer", "another issuer's", map[string]any{"issuer": "https://evil.example"}, true},
		{"a slash more", "another issuer's", map[string]any{"issuer": "SELF/"}, true},
		{"no PKCE", "PKCE", map[string]any{"code_challenge_methods_supported": []string{"plain"}}, true},
		{"a token endpoint with a user", "https", map[string]any{"token_endpoint": "https://me@evil.example/token"}, true},
		{"an authorization endpoint that is none", "https", map[string]any{"authorization_endpoint": "javascript:alert(1)"}, true},
		{"no endpoints", "https", map[string]any{"token_endpoint": ""}, true},
		{"not an object", "can't be read", map[string]any{"issuer": 3}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newAuthority(t)
			if tt.metadata["issuer"] == "SELF/" {
				tt.metadata["issuer"] = w.base + "/"
			}
			w.metadata = tt.metadata
			_, err := client(t, w.opt).Authorize(t.Context(), fetch.Secret{})
			if e := wantClass(t, err, finance.Fatal); !strings.Contains(e.Error(), tt.want) {
				t.Errorf("got %v", e)
			}
		})
	}
}

func TestDiscoveryIsAskedOnceAndRecorded(t *testing.T) {
	w := newAuthority(t)
	c := client(t, w.opt)
	for range 3 {
		w.ask(t, c)
	}
	made := w.store.Calls()
	if len(made) != 1 || made[0].Path != "/.well-known/openid-configuration" || made[0].Purpose != calls.ForToken || !strings.HasPrefix(made[0].Bucket, "bank/token@http") {
		t.Errorf("recorded: %+v", made)
	}
	if _, err := w.kit.Faults.Add(sandbox.Rule{Provider: "bank", Action: sandbox.Action{Kind: sandbox.Redirect}}); err != nil {
		t.Fatal(err)
	}
	_, err := client(t, w.opt).Authorize(t.Context(), fetch.Secret{})
	wantClass(t, err, finance.Fatal)
	for _, e := range w.kit.Journal.Entries() {
		if e.Provider == "trap" {
			t.Errorf("the redirect was followed")
		}
	}
}

func TestAConnectionThatCantAsk(t *testing.T) {
	w := newAuthority(t)
	for name, spoil := range map[string]func(*fetch.Options){
		"no authorization":    func(o *fetch.Options) { o.Driver.Authorize = nil },
		"a relative redirect": func(o *fetch.Options) { o.Driver.Authorize.Redirect = "/callback" },
		"a fragment":          func(o *fetch.Options) { o.Driver.Authorize.Redirect = redirect + "#x" },
		"a state of its own":  func(o *fetch.Options) { o.Driver.Authorize.Params = url.Values{"state": {"x"}} },
		"an issuer by http": func(o *fetch.Options) {
			o.AllowPrivate, o.Driver.Base = false, &url.URL{Scheme: "https", Host: "a.example"}
		},
		"no connector for it": func(o *fetch.Options) { o.Driver.Connect = func(*fetch.Client) fetch.Connector { return nil } },
	} {
		o := w.opt
		authorization := *w.opt.Driver.Authorize
		o.Driver.Authorize = &authorization
		spoil(&o)
		if a, err := client(t, o).Authorize(t.Context(), fetch.Secret{}); err == nil {
			t.Errorf("%s: %s", name, a.Link())
		}
	}
}
