package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"syncer/cli"
	"syncer/persist/persisttest"
	"syncer/persist/seal"
	"syncer/report"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
)

// bureau is the registry with somebody before its page, a configuration for it, and a database.
type bureau struct {
	t        *testing.T
	sim      *norskgjeld.Simulator
	db       persisttest.Database
	config   string
	redirect string
}

// freePort is a port of loopback that nobody has right now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func newBureau(t *testing.T, redirect string) *bureau {
	t.Helper()
	b := &bureau{t: t, db: persisttest.NewDatabase(t), redirect: redirect}
	if redirect == "" {
		b.redirect = "http://127.0.0.1:" + freePort(t) + "/callback"
	}
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 7})
	b.sim = norskgjeld.New(norskgjeld.Options{Kit: kit, Clients: []sandbox.Client{{ID: "me", Secret: "s3cret-s3cret", Redirects: []string{b.redirect}}}})
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := server.Mount("ng", b.sim.Handler())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"syncer.keys": string(keys), "database-url": b.db.URL, "id": "me", "secret": "s3cret-s3cret",
		"syncer.yaml": fmt.Sprintf(bureauConfig, base, base, b.redirect),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.config = filepath.Join(dir, "syncer.yaml")
	return b
}

const bureauConfig = `
database: { url: "file:database-url" }
keys: { file: syncer.keys }
connections:
  ng:
    provider: norskgjeld
    environment: preprod
    base_url: %s
    auth_url: %s
    credentials: { client_id: "file:id", client_secret: "file:secret" }
    allow_private: true
    settings: { redirect_uri: "%s", consent_scope: debt.unsecured.presentation }
jobs:
  debt: { connection: ng, datasets: [debt] }
`

// sitting is one syncer consents authorize while it waits.
type sitting struct {
	link   string
	lines  *bufio.Reader
	stderr *strings.Builder
	code   chan int
}

// sit runs the command until it has printed its link.
func (b *bureau) sit(stdin io.Reader, args ...string) *sitting {
	b.t.Helper()
	out, in := io.Pipe()
	s := &sitting{lines: bufio.NewReader(out), stderr: &strings.Builder{}, code: make(chan int, 1)}
	app := cli.New(stdin, in, s.stderr, os.LookupEnv, setup(nil))
	ctx, cancel := context.WithCancel(b.t.Context())
	b.t.Cleanup(cancel)
	go func() {
		code := app.Run(ctx, append([]string{"consents", "authorize", "ng", "--json", "--log-level", "trace", "--config", b.config}, args...))
		_ = in.Close()
		s.code <- code
	}()
	var asked struct{ Event, Link string }
	if line, err := s.lines.ReadString('\n'); err != nil || json.Unmarshal([]byte(line), &asked) != nil || asked.Event != "asked" {
		b.t.Fatalf("%q, %v, exit code %d\n%s", line, err, <-s.code, s.stderr)
	}
	s.link = asked.Link
	return s
}

// end gives what the command printed last, and its exit code.
func (s *sitting) end(t *testing.T) (string, int) {
	t.Helper()
	rest, err := io.ReadAll(s.lines)
	if err != nil {
		t.Fatal(err)
	}
	return string(rest), <-s.code
}

// visit is a browser that follows redirects, and tells where it ended.
func visit(t *testing.T, method, address string, change ...func(*http.Request)) (status int, header http.Header, body, at string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text), resp.Request.URL.String()
}

// The person says yes; the consent is kept, and its one answer is pulled by the next run.
func TestAuthorizeFromLinkToRows(t *testing.T) {
	t.Parallel()
	b := newBureau(t, "")
	s := b.sit(strings.NewReader(norskgjeld.TestPerson+"\n"), "--subject", "-", "--purpose", "loan")
	status, header, body, at := visit(t, http.MethodGet, s.link)
	if status != 200 || !strings.Contains(body, "the consent is kept") || !strings.HasPrefix(at, b.redirect+"?") {
		t.Errorf("the browser ends with %d at %s\n%s", status, at, body)
	}
	if !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("Referrer-Policy") != "no-referrer" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page: %v", header)
	}
	out, code := s.end(t)
	var given report.GivenConsent
	if err := json.Unmarshal([]byte(out), &given); err != nil || code != 0 || given.Event != "given" || !given.SingleUse || given.Was != "" {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, out, s.stderr)
	}
	callback, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{norskgjeld.TestPerson, callback.Query().Get("code"), callback.Query().Get("state"), "s3cret"} {
		if strings.Contains(out+s.stderr.String()+body, secret) {
			t.Errorf("a secret of the flow is told\n%s%s", out, s.stderr)
		}
	}
	var stdout, stderr strings.Builder
	if code := cli.New(nil, &stdout, &stderr, os.LookupEnv, setup(nil)).Run(t.Context(), []string{"run", "debt", "--config", b.config}); code != 0 {
		t.Errorf("run: exit code %d\n%s%s", code, &stdout, &stderr)
	}
	var status2, purpose string
	var known bool
	if err := b.db.Pool.QueryRow(t.Context(), "SELECT status, purpose, subject_hmac IS NOT NULL FROM consents WHERE id = $1", given.Consent).
		Scan(&status2, &purpose, &known); err != nil || status2 != "consumed" || purpose != "loan" || !known {
		t.Errorf("the consent: %s, %s, %v, %v", status2, purpose, known, err)
	}
}

// What is not the answer that is waited for changes nothing, and the true one still comes through.
func TestTheListenerTurnsAwayWhatIsNotTheAnswer(t *testing.T) {
	t.Parallel()
	b := newBureau(t, "")
	s := b.sit(nil)
	link, err := url.Parse(s.link)
	if err != nil {
		t.Fatal(err)
	}
	state := link.Query().Get("state")
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for _, tt := range []struct {
		name, method, address string
		want                  int
		change                []func(*http.Request)
	}{
		{"another state", "GET", b.redirect + "?code=x&state=y", 400, nil},
		{"no state", "GET", b.redirect + "?code=x", 400, nil},
		{"another path", "GET", strings.TrimSuffix(b.redirect, "callback") + "?code=x&state=" + state, 404, nil},
		{"another method", "POST", b.redirect + "?code=x&state=" + state, 405, nil},
		{"a name that was turned here", "GET", b.redirect + "?code=x&state=" + state, 404, []func(*http.Request){host("evil.example")}},
		{"an icon", "GET", strings.TrimSuffix(b.redirect, "callback") + "favicon.ico", 404, nil},
	} {
		if status, _, body, _ := visit(t, tt.method, tt.address, tt.change...); status != tt.want || strings.Contains(body, "code=x") {
			t.Errorf("%s: %d %s", tt.name, status, body)
		}
	}
	if status, _, _, _ := visit(t, http.MethodGet, s.link); status != 200 {
		t.Errorf("the true answer: %d", status)
	}
	if out, code := s.end(t); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, s.stderr)
	}
}

func TestANoIsToldToBothSides(t *testing.T) {
	t.Parallel()
	b := newBureau(t, "")
	for mood, want := range map[sandbox.Mood]string{sandbox.Denies: "the person did not give the consent (consent_denied)", sandbox.Cancels: "the person broke off the login (login_cancelled)"} {
		b.sim.Authorize().Sit(sandbox.Person{Mood: mood})
		s := b.sit(nil)
		if status, _, body, _ := visit(t, http.MethodGet, s.link); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: the page: %d\n%s", mood, status, body)
		}
		if out, code := s.end(t); code != 1 || !strings.Contains(s.stderr.String(), want) {
			t.Errorf("%s: exit code %d\n%s%s", mood, code, out, s.stderr)
		}
	}
	if n := b.number("SELECT count(*) FROM consents"); n != 0 {
		t.Errorf("%d consents were kept", n)
	}
}

func (b *bureau) number(sql string) (n int) {
	b.t.Helper()
	if err := b.db.Pool.QueryRow(b.t.Context(), sql).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestWhatTheProviderSaysIsEscaped(t *testing.T) {
	t.Parallel()
	b := newBureau(t, "")
	s := b.sit(nil)
	link, err := url.Parse(s.link)
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"state": {link.Query().Get("state")}, "error": {"server_error"},
		"error_description": {`<script>alert(1)</script> "x" & for 01417014922` + "\x1b[31m"}}
	status, _, body, _ := visit(t, http.MethodGet, b.redirect+"?"+q.Encode())
	if status != 200 || strings.Contains(body, "<script>") || !strings.Contains(body, "&lt;script&gt;") || strings.Contains(body, "014170") {
		t.Errorf("%d\n%s", status, body)
	}
	if _, code := s.end(t); code != 1 || strings.ContainsAny(s.stderr.String(), "\x1b") || strings.Contains(s.stderr.String(), "0141") {
		t.Errorf("exit code %d\n%q", code, s.stderr)
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	b := newBureau(t, "")
	s := b.sit(nil, "--wait", "50ms")
	if out, code := s.end(t); code != 1 || !strings.Contains(s.stderr.String(), "nobody answered in time") {
		t.Errorf("exit code %d\n%s%s", code, out, s.stderr)
	}
	if _, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(b.redirect, "http://"), "/callback")); err == nil {
		t.Error("it still listens")
	}
}

// The listener is at the redirect address and nowhere else; a second one finds it taken.
func TestTheListenerIsOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	b := newBureau(t, "")
	s := b.sit(nil)
	port := b.redirect[strings.LastIndex(b.redirect, ":")+1 : strings.LastIndex(b.redirect, "/")]
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			if c, err := net.Dial("tcp", net.JoinHostPort(ip.String(), port)); err == nil {
				c.Close()
				t.Errorf("it listens on %s", ip)
			}
		}
	}
	var stdout, stderr strings.Builder
	if code := cli.New(nil, &stdout, &stderr, os.LookupEnv, setup(nil)).Run(t.Context(), []string{"consents", "authorize", "ng", "--config", b.config}); code != 1 ||
		!strings.Contains(stderr.String(), "does another") || stdout.Len() != 0 {
		t.Errorf("exit code %d\n%s%s", code, &stdout, &stderr)
	}
	visit(t, http.MethodGet, s.link)
	s.end(t)
}

// Where the redirect address is elsewhere, the person brings the address at which the browser ended.
func TestAnAnswerThatIsBroughtByHand(t *testing.T) {
	t.Parallel()
	const elsewhere = "https://ops.example/oauth/callback"
	b := newBureau(t, elsewhere)
	for _, tt := range []struct {
		name  string
		spoil func(string) string
		code  int
		want  string
	}{
		{"another address", func(s string) string { return strings.Replace(s, "ops.", "evil.", 1) }, 1, "not the redirect address"},
		{"another state", func(s string) string { return s + "x" }, 1, "state is missing, wrong or used up"},
		{"nothing", func(string) string { return "" }, 1, "from stdin"},
		{"the answer", func(s string) string { return s }, 0, ""},
	} {
		in, type_ := io.Pipe()
		s := b.sit(in)
		browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.link, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		where := resp.Header.Get("Location")
		_, _ = io.WriteString(type_, tt.spoil(where))
		_ = type_.Close()
		out, code := s.end(t)
		if code != tt.code || !strings.Contains(s.stderr.String(), tt.want) {
			t.Errorf("%s: exit code %d\n%s%s", tt.name, code, out, s.stderr)
		}
		if u, err := url.Parse(where); err != nil || strings.Contains(s.stderr.String(), u.Query().Get("code")) {
			t.Errorf("%s: the code is told: %s", tt.name, s.stderr)
		}
	}
}
