package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"syncer/cli"
	"syncer/persist/persisttest"
	"syncer/persist/seal"
)

// mint is a provider at two addresses, each with an API and a token endpoint of its own. Its tokens tell what
// they were asked for with and where, and its journal keeps what arrived.
type mint struct {
	t    *testing.T
	db   persisttest.Database
	dir  string
	now  minting // what is configured now
	a, b string  // the addresses

	mu      sync.Mutex
	refused map[string]bool // secrets that are taken no more
	dead    map[string]bool // tokens that have ended
	given   int
	journal []minted
}

// minting is all that an access token belongs to.
type minting struct{ client, secret, scope, tokens, api string }

// token is how a token begins that belongs to it.
func (m minting) token() string {
	return strings.Join([]string{m.client, m.secret, m.scope, m.tokens}, "~") + "~"
}

// minted is one request as it arrived.
type minted struct{ origin, path, token, client, secret string }

const mintDescription = `
title: The mint
base_url: %s/v1
token: { url: "%s/token", dialect: in_params, scopes: %s }
headers: { X-Api-Key: { credential: client_secret } }
check: { path: ping }
datasets:
  accounts:
    request: { path: "{consent}/accounts" }
    records: accounts
    whole: true
    fields: { id: id, name: name, currency: currency }
`

const mintConfig = `
database: { url: "file:database-url" }
keys: { file: syncer.keys }
worker: { sweep: 200ms, max_wait: 1s }
server: { listen: "127.0.0.1:0" }
log: { level: warn }
connections:
  mint:
    provider: rest
    allow_private: true
    rate: { unlimited: true }
    credentials: { client_id: "file:client-id", client_secret: "file:client-secret" }
    settings: { description: mint-api.yaml }
jobs: { night: { connection: mint, datasets: [accounts], batch_size: 1 } }
`

func newMint(t *testing.T) *mint {
	t.Helper()
	m := &mint{t: t, db: persisttest.NewDatabase(t), dir: t.TempDir(), refused: map[string]bool{}, dead: map[string]bool{}}
	for _, address := range []*string{&m.a, &m.b} {
		server := httptest.NewServer(m)
		t.Cleanup(server.Close)
		*address = server.URL
	}
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	m.write("syncer.keys", string(keys))
	m.write("database-url", m.db.URL)
	m.write("syncer.yaml", mintConfig)
	list := "external_id\n"
	for n := range 12 {
		list += fmt.Sprintf("c-%d\n", n)
	}
	m.write("consents.csv", list)
	m.configure(minting{client: "me", secret: "one", scope: "read", tokens: m.a, api: m.a})
	m.syncer(0, "consents", "import", filepath.Join(m.dir, "consents.csv"), "--connection", "mint")
	return m
}

func (m *mint) write(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		m.t.Fatal(err)
	}
}

// configure writes the files of a configuration.
func (m *mint) configure(c minting) {
	m.t.Helper()
	m.now = c
	m.write("client-id", c.client)
	m.write("client-secret", c.secret)
	m.write("mint-api.yaml", fmt.Sprintf(mintDescription, c.api, c.tokens, c.scope))
}

func (m *mint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/token" {
		<-time.After(20 * time.Millisecond) // so that two processes share the work of a night
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	came := minted{origin: "http://" + r.Host, path: r.URL.Path, token: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	if r.URL.Path == "/token" {
		came.client, came.secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	} else {
		came.secret = r.Header.Get("X-Api-Key")
	}
	m.journal = append(m.journal, came)
	switch {
	case r.URL.Path == "/token" && m.refused[came.secret]:
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_client"}`)
	case r.URL.Path == "/token":
		m.given++
		asked := minting{client: came.client, secret: came.secret, scope: r.PostFormValue("scope"), tokens: came.origin}
		fmt.Fprintf(w, `{"access_token":"%s%d","token_type":"Bearer","expires_in":3600}`, asked.token(), m.given)
	case m.dead[came.token]:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		fmt.Fprint(w, `{"accounts":[{"id":"a-1","name":"Salary","currency":"NOK"}]}`)
	}
}

// Took gives what has arrived since it was asked last.
func (m *mint) took() []minted {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.journal
	m.journal = nil
	return all
}

// refuse makes the provider take a secret no more, and ends all tokens that were given for it so far.
func (m *mint) refuse(secret string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused[secret] = true
	for n := range m.given + 1 {
		for _, tokens := range []string{m.a, m.b} {
			old := minting{client: m.now.client, secret: secret, scope: m.now.scope, tokens: tokens}
			m.dead[fmt.Sprint(old.token(), n)] = true
		}
	}
}

// syncer is the program, in a process of its own as far as it knows.
func (m *mint) syncer(want int, args ...string) string {
	m.t.Helper()
	return m.in(m.dir, want, args...)
}

func (m *mint) in(dir string, want int, args ...string) string {
	m.t.Helper()
	var out bytes.Buffer
	args = append(args, "--config", filepath.Join(dir, "syncer.yaml"))
	if code := cli.New(nil, &out, &out, os.LookupEnv, setup(nil)).Run(m.t.Context(), args); code != want {
		m.t.Fatalf("syncer %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, want, out.String())
	}
	return out.String()
}

// belongs holds that nothing arrived but what belongs to one of these configurations.
func (m *mint) belongs(what string, came []minted, to ...minting) {
	m.t.Helper()
	data := 0
	for _, r := range came {
		ok := false
		for _, c := range to {
			if r.path == "/token" {
				ok = ok || r.origin == c.tokens && r.client == c.client && r.secret == c.secret
			} else {
				ok = ok || r.origin == c.api && strings.HasPrefix(r.token, c.token()) && r.secret == c.secret
			}
		}
		if !ok {
			m.t.Errorf("%s: %s%s got the token %q and the secret %q, which belong elsewhere", what, r.origin, r.path, r.token, r.secret)
		}
		if r.path != "/token" {
			data++
		}
	}
	if data == 0 {
		m.t.Errorf("%s: no data was asked for: nothing is proven", what)
	}
}

// changes are what may change of a configuration, one by one.
func (m *mint) changes() []struct {
	name   string
	change func(*minting)
} {
	return []struct {
		name   string
		change func(*minting)
	}{
		{"the client", func(c *minting) { c.client = "you" }},
		{"the secret", func(c *minting) { c.secret = "two" }},
		{"the scopes", func(c *minting) { c.scope = "write" }},
		{"the token address", func(c *minting) { c.tokens = m.b }},
		{"base_url", func(c *minting) { c.api = m.b }},
		{"all of it, back", func(c *minting) { *c = minting{client: "me", secret: "one", scope: "read", tokens: m.a, api: m.a} }},
	}
}

// Between two nights one thing after the other changes, and the token of the night before is still good. It
// is not sent: not to another server, and not to the same one either.
func TestNoTokenOutlivesWhatItBelongsTo(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	m.syncer(0, "run", "night")
	m.belongs("the first night", m.took(), m.now)
	for _, step := range m.changes() {
		next := m.now
		step.change(&next)
		m.configure(next)
		m.syncer(0, "run", "night")
		m.belongs("with another "+step.name, m.took(), next)
	}
	if m.given != 6 { // the last configuration is the first, whose token is still there
		t.Errorf("%d tokens were given", m.given)
	}
}

// serving is a running `syncer serve`.
func (m *mint) serving(dir string) (stop func()) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	var out bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- cli.New(nil, &out, &out, os.LookupEnv, setup(nil)).Run(ctx, []string{"serve", "--config", filepath.Join(dir, "syncer.yaml")})
	}()
	return sync.OnceFunc(func() {
		cancel()
		<-ended
		if m.t.Failed() {
			m.t.Logf("serve said:\n%s", out.String())
		}
	})
}

// night has whoever serves work a run of the job, and gives its verdict.
func (m *mint) night(dir string) string {
	m.t.Helper()
	if err := planOnly(m.t.Context(), filepath.Join(dir, "syncer.yaml"), []string{"night"}); err != nil {
		m.t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for patience := time.After(time.Minute); ; {
		var verdict string
		err := m.db.Pool.QueryRow(m.t.Context(), "SELECT coalesce(verdict, '') FROM runs ORDER BY id DESC LIMIT 1").Scan(&verdict)
		if err != nil {
			m.t.Fatal(err)
		}
		if verdict != "" {
			return verdict
		}
		select {
		case <-tick.C:
		case <-patience:
			m.t.Fatal("the run does not end")
		}
	}
}

// A configuration that changes under a running `serve`, as in a rolling deploy: both work on side by side,
// each with what is its own, and neither throws the other's token out.
func TestTwoConfigurationsSideBySide(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	old := m.now
	second := t.TempDir()
	for _, name := range []string{"syncer.keys", "database-url", "syncer.yaml", "client-id", "client-secret", "mint-api.yaml"} {
		data, err := os.ReadFile(filepath.Join(m.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(second, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	stop := m.serving(second)
	defer stop()
	if v := m.night(second); v != "complete" {
		t.Fatalf("the first night: %s", v)
	}
	m.belongs("before the change", m.took(), old)
	steps := m.changes()[:5]
	for _, step := range steps {
		next := m.now
		step.change(&next)
		m.configure(next)
		m.syncer(0, "check")
		m.syncer(0, "run", "night") // some of it is worked by the one that serves
		if v := m.night(second); v != "complete" {
			t.Errorf("with another %s beside: %s", step.name, v)
		}
		m.belongs("with another "+step.name+" beside", m.took(), old, next)
	}
	if n := m.number("SELECT count(*) FROM tokens WHERE sealed IS NOT NULL"); n != 1+len(steps) || m.given != n+len(steps) {
		t.Errorf("%d tokens are kept and %d were given: each configuration has one, and each check asks for one", n, m.given)
	}
}

func (m *mint) number(sql string) (n int) {
	m.t.Helper()
	if err := m.db.Pool.QueryRow(m.t.Context(), sql).Scan(&n); err != nil {
		m.t.Fatal(err)
	}
	return n
}

// The secret is rotated in its file while `serve` runs: nothing is parked, nothing is lost, nobody has to do
// anything.
func TestASecretIsRotatedUnderARunningServe(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	stop := m.serving(m.dir)
	defer stop()
	if v := m.night(m.dir); v != "complete" {
		t.Fatalf("the first night: %s", v)
	}
	m.took()
	next := m.now
	next.secret = "two"
	m.refuse("one")
	m.configure(next)
	if v := m.night(m.dir); v != "complete" {
		t.Errorf("the night after the rotation: %s", v)
	}
	refused := 0
	for _, r := range m.took() {
		if r.secret == "one" {
			refused++
		}
	}
	if refused > 2*4 { // the calls that were on their way with the old token, and one at the token endpoint
		t.Errorf("%d calls were made with the old secret", refused)
	}
	if n := m.number("SELECT count(*) FROM connections WHERE state = 'parked' OR EXISTS (SELECT FROM credential_parks)"); n != 0 {
		t.Error("the connection is parked")
	}
}

// The provider takes the secret away before anybody puts the new one into the file. That parks the old one
// alone; the new one is used as soon as it is there, and the operator is told so.
func TestARefusedSecretIsParkedAlone(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	stop := m.serving(m.dir)
	defer stop()
	if v := m.night(m.dir); v != "complete" {
		t.Fatalf("the first night: %s", v)
	}
	m.refuse("one")
	if v := m.night(m.dir); v != "failed" {
		t.Errorf("with a refused secret: %s", v)
	}
	m.took()
	if v := m.night(m.dir); v != "failed" || len(m.took()) != 0 {
		t.Errorf("while it is parked: %s, and calls are made", v)
	}
	for command, says := range map[string][]string{
		"connections list": {"parked", "fatal: wrong"},
		"status":           {"invalid_client", "other credentials are used as soon as they are there"},
		"runs show 2":      {"invalid_client", "its credentials are refused: put good ones into their place"},
	} {
		text := strings.Join(strings.Fields(m.syncer(0, strings.Fields(command)...)), " ") // it is wrapped
		for _, words := range says {
			if !strings.Contains(text, words) {
				t.Errorf("%s does not say %q:\n%s", command, words, text)
			}
		}
	}
	if text := m.syncer(1, "check"); !strings.Contains(text, "parked for these credentials") {
		t.Errorf("check:\n%s", text)
	}

	next := m.now
	next.secret = "two"
	m.configure(next)
	m.took()
	if v := m.night(m.dir); v != "complete" {
		t.Errorf("with a new secret: %s", v)
	}
	m.belongs("with a new secret", m.took(), next)
	if text := m.syncer(0, "check"); !strings.Contains(text, "others were refused since") {
		t.Errorf("check:\n%s", text)
	}
	var list struct{ State string }
	if err := json.Unmarshal([]byte(m.syncer(0, "connections", "list", "--json")), &list); err != nil || list.State != "open" {
		t.Errorf("connections list: %+v, %v", list, err)
	}

	stop() // which has the new secret
	old := m.now
	old.secret = "one"
	m.configure(old)
	m.took()
	m.syncer(cli.ExitFailed, "run", "night")
	if came := m.took(); len(came) != 0 {
		t.Errorf("the old secret is not parked any more: %v", came)
	}
	m.mu.Lock()
	m.refused, m.dead = map[string]bool{}, map[string]bool{}
	m.mu.Unlock()
	m.syncer(0, "connections", "open", "mint")
	m.syncer(0, "run", "night")
}

// What the version before has kept under the connection's name alone is sent to nobody: it may belong to
// anybody.
func TestATokenOfTheVersionBeforeIsNotSent(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	var sealer *seal.Sealer
	data, err := os.ReadFile(filepath.Join(m.dir, "syncer.keys"))
	if err == nil {
		sealer, err = seal.OpenSealer(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	const key = "mint\n\n"
	plain := fmt.Sprintf(`{"access_token":"token-of-the-version-before","type":"Bearer","expiry":%q,"refresh_at":%q}`,
		time.Now().Add(time.Hour).Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339))
	sealed, err := sealer.Seal([]byte(plain), []byte("token:"+key))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.db.Pool.Exec(t.Context(), "INSERT INTO tokens (key, sealed, expires_at) VALUES ($1, $2, now() + interval '1 hour')", key, sealed); err != nil {
		t.Fatal(err)
	}
	m.syncer(0, "run", "night")
	m.belongs("after the upgrade", m.took(), m.now)
}
