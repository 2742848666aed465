package sandbox_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
)

const (
	home     = "https://home.example/callback"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// inquirer is an authorization server that asks people, and one client of it.
type inquirer struct {
	t    *testing.T
	kit  *sandbox.Kit
	auth *sandbox.Authorize
	base string
}

func newInquirer(t *testing.T, o sandbox.AuthorizeOptions) *inquirer {
	t.Helper()
	q := &inquirer{t: t, kit: sandbox.NewKit(sandbox.KitOptions{Seed: 3})}
	tokens := sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: q.kit, Provider: "bank", Identify: sandbox.BasicRaw, TTL: time.Minute, TokenType: "Bearer",
		Clients: []sandbox.Client{{ID: "me", Secret: "s", Redirects: []string{home}}, {ID: "you", Secret: "s", Redirects: []string{home}}},
		Bad:     sandbox.Refusal{Status: 401, Code: "invalid_client"},
		Accept: func(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
			if form.Get("grant_type") == "refresh_token" {
				return q.auth.Refresh(c, form)
			}
			return q.auth.Redeem(c, form)
		},
	})
	o.Kit, o.RefreshTTL = q.kit, time.Hour
	o.Consent = func(sandbox.Question) (sandbox.Consented, *sandbox.Refusal) {
		return sandbox.Consented{Grant: sandbox.Grant{Scope: "read"}, Claims: map[string]any{"pid": "p"}}, nil
	}
	o.Issuer = func(*http.Request) string { return "https://bank.example" }
	q.auth = sandbox.NewAuthorize(tokens, o)
	mux := http.NewServeMux()
	mux.Handle("/authorize", q.auth)
	mux.Handle("/token", tokens)
	mux.HandleFunc("/data", func(w http.ResponseWriter, r *http.Request) {
		if _, _, live := tokens.Bearer(r); !live {
			w.WriteHeader(401)
		}
	})
	server, err := sandbox.Start(q.kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if q.base, err = server.Mount("bank", mux); err != nil {
		t.Fatal(err)
	}
	return q
}

func (q *inquirer) do(req *http.Request, err error) (*http.Response, map[string]any) {
	q.t.Helper()
	if err != nil {
		q.t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		q.t.Fatal(err)
	}
	defer resp.Body.Close()
	body := map[string]any{}
	_ = json.NewDecoder(resp.Body).Decode(&body) // a page is none
	return resp, body
}

// ask gives the redirect's parameters, or nil for a page without a redirect.
func (q *inquirer) ask(change func(url.Values)) url.Values {
	q.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	form := url.Values{
		"client_id": {"me"}, "response_type": {"code"}, "redirect_uri": {home}, "scope": {"read"}, "state": {"12345678"},
		"nonce": {"n"}, "code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	if change != nil {
		change(form)
	}
	resp, _ := q.do(http.NewRequestWithContext(q.t.Context(), http.MethodGet, q.base+"/authorize?"+form.Encode(), nil))
	where, err := resp.Location()
	if err != nil {
		return nil
	}
	return where.Query()
}

func (q *inquirer) token(client string, form url.Values) map[string]any {
	q.t.Helper()
	req, err := http.NewRequestWithContext(q.t.Context(), http.MethodPost, q.base+"/token", strings.NewReader(form.Encode()))
	if err == nil {
		req.SetBasicAuth(client, "s")
	}
	_, body := q.do(req, err)
	return body
}

func exchange(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {home}, "code_verifier": {verifier}}
}

func refresh(token any) url.Values {
	text, _ := token.(string)
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text}}
}

func TestACodeIsGoodForOneHonestExchange(t *testing.T) {
	q := newInquirer(t, sandbox.AuthorizeOptions{PKCE: true})
	for name, spoil := range map[string]func(url.Values){
		"another verifier": func(f url.Values) { f.Set("code_verifier", verifier+"x") },
		"no verifier":      func(f url.Values) { f.Del("code_verifier") },
		"another redirect": func(f url.Values) { f.Set("redirect_uri", home+"/") },
		"another code":     func(f url.Values) { f.Set("code", "x") },
		"another id":       func(f url.Values) { f.Set("client_id", "you") },
	} {
		form := exchange(q.ask(nil).Get("code"))
		spoil(form)
		if got := q.token("me", form); got["error"] != "invalid_grant" {
			t.Errorf("%s: %v", name, got)
		}
	}
	form := exchange(q.ask(nil).Get("code"))
	if got := q.token("you", form); got["error"] != "invalid_grant" {
		t.Errorf("another client: %v", got)
	}
	got := q.token("me", form)
	if got["access_token"] == nil || got["refresh_token"] == nil || got["id_token"] == nil {
		t.Fatalf("%v", got)
	}
	if again := q.token("me", form); again["error"] != "invalid_grant" || q.auth.Reuses() != 1 {
		t.Errorf("a second time: %v", again)
	}
	if after := q.token("me", refresh(got["refresh_token"])); after["error"] != "invalid_grant" {
		t.Errorf("what the code was good for is still good: %v", after)
	}
	late := exchange(q.ask(nil).Get("code"))
	q.kit.Clock.Advance(2 * time.Minute)
	if got := q.token("me", late); got["error"] != "invalid_grant" {
		t.Errorf("late: %v", got)
	}
}

func TestReuseOfARefreshTokenEndsItsFamily(t *testing.T) {
	q := newInquirer(t, sandbox.AuthorizeOptions{})
	bystander := q.token("me", exchange(q.ask(nil).Get("code")))
	first := q.token("me", exchange(q.ask(nil).Get("code")))
	second := q.token("me", refresh(first["refresh_token"]))
	if second["refresh_token"] == nil || second["refresh_token"] == first["refresh_token"] {
		t.Fatalf("%v", second)
	}
	if got := q.token("me", refresh(first["refresh_token"])); got["error"] != "invalid_grant" || q.auth.Reuses() != 1 {
		t.Errorf("reuse: %v", got)
	}
	if got := q.token("me", refresh(second["refresh_token"])); got["error"] != "invalid_grant" {
		t.Errorf("its successor: %v", got)
	}
	for token, status := range map[any]int{first["access_token"]: 401, second["access_token"]: 401, bystander["access_token"]: 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, q.base+"/data", nil)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+token.(string))
		}
		if resp, _ := q.do(req, err); resp.StatusCode != status {
			t.Errorf("status %d, want %d", resp.StatusCode, status)
		}
	}
}

func TestQuestionsThatAreNotPut(t *testing.T) {
	q := newInquirer(t, sandbox.AuthorizeOptions{PKCE: true, Denied: "no", Cancelled: "gone", SendIssuer: true})
	for _, tt := range []struct {
		name, want string
		change     func(url.Values)
	}{
		{"no challenge", "invalid_request", func(f url.Values) { f.Del("code_challenge") }},
		{"a plain challenge", "invalid_request", func(f url.Values) { f.Set("code_challenge_method", "plain") }},
		{"a short state", "invalid_state", func(f url.Values) { f.Set("state", "x") }},
		{"a token at once", "unsupported_response_type", func(f url.Values) { f.Set("response_type", "token") }},
		{"another redirect", "", func(f url.Values) { f.Set("redirect_uri", home+"?x") }},
		{"another client", "", func(f url.Values) { f.Set("client_id", "they") }},
	} {
		got := q.ask(tt.change)
		if got.Get("error") != tt.want || (tt.want == "") != (got == nil) || got.Has("code") {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	for mood, want := range map[sandbox.Mood]string{sandbox.Denies: "no", sandbox.Cancels: "gone"} {
		q.auth.Sit(sandbox.Person{Mood: mood})
		if got := q.ask(nil); got.Get("error") != want || got.Get("iss") != "https://bank.example" || got.Get("state") != "12345678" {
			t.Errorf("%s: %v", mood, got)
		}
	}
}
