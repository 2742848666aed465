package sandbox_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/sandboxtest"
)

const (
	home     = "https://home.example/callback"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// inquirer is an authorization server that asks people, and one client of it.
type inquirer struct {
	*sandboxtest.Host
	t    *testing.T
	auth *sandbox.Authorize
}

func newInquirer(t *testing.T, o sandbox.AuthorizeOptions) *inquirer {
	t.Helper()
	q, kit := &inquirer{t: t}, sandbox.NewKit(sandbox.KitOptions{Seed: 3})
	tokens := sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: kit, Provider: "bank", Identify: sandbox.BasicRaw, TTL: time.Minute, TokenType: "Bearer",
		Clients: []sandbox.Client{{ID: "me", Secret: "s", Redirects: []string{home}}, {ID: "you", Secret: "s", Redirects: []string{home}}},
		Bad:     sandbox.Refusal{Status: 401, Code: "invalid_client"},
		Accept: func(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
			if form.Get("grant_type") == "refresh_token" {
				return q.auth.Refresh(c, form)
			}
			return q.auth.Redeem(c, form)
		},
	})
	o.Kit, o.RefreshTTL = kit, time.Hour
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
	q.Host = sandboxtest.Serve(t, kit, "bank", mux)
	return q
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
	to := q.Do(q.t, "GET", "/authorize?"+form.Encode(), "").Header.Get("Location")
	if to == "" {
		return nil
	}
	where, err := url.Parse(to)
	if err != nil {
		q.t.Fatal(err)
	}
	return where.Query()
}

func (q *inquirer) token(client string, form url.Values) (answer map[string]any) {
	q.t.Helper()
	q.Ask(q.t, "/token", client, "s", form).Decode(q.t, &answer)
	return answer
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
	q.Kit.Clock.Advance(2 * time.Minute)
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
		if r := q.Do(t, "GET", "/data", "", "Authorization", "Bearer "+token.(string)); r.Status != status {
			t.Errorf("status %d, want %d", r.Status, status)
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
