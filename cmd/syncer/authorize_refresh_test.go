package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/app"
	"syncer/calls"
	"syncer/cli"
	"syncer/config"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/queue"
	"syncer/persist/read"
	"syncer/persist/seal"
	"syncer/sandbox"
)

// club is a provider whose consents have grants of their own: a refresh token each, which rotates.
type club struct {
	t        *testing.T
	kit      *sandbox.Kit
	auth     *sandbox.Authorize
	db       persisttest.Database
	base     string
	redirect string
	dir      string
	sweeper  *sweeper

	id, secret string // of the client: what the club's configuration says, and the only secret that the club takes
}

func newClub(t *testing.T) *club {
	t.Helper()
	c := &club{t: t, kit: sandbox.NewKit(sandbox.KitOptions{Seed: 5}), db: persisttest.NewDatabase(t), dir: t.TempDir(),
		redirect: "http://127.0.0.1:" + freePort(t) + "/callback", id: "me", secret: clubSecret}
	c.sweeper = &sweeper{TB: t, pool: c.db.Pool, secrets: map[string]string{clubSecret: "the client's secret"}}
	tokens := sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: c.kit, Provider: "club", Identify: c.identify, TTL: time.Hour, TokenType: "Bearer",
		Clients: []sandbox.Client{{ID: "me", Secret: clubSecret, Redirects: []string{c.redirect}}},
		Bad:     sandbox.Refusal{Status: 401, Code: "invalid_client"},
		Accept: func(client sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
			if form.Get("grant_type") == "refresh_token" {
				return c.auth.Refresh(client, form)
			}
			return c.auth.Redeem(client, form)
		},
	})
	c.auth = sandbox.NewAuthorize(tokens, sandbox.AuthorizeOptions{
		Kit: c.kit, PKCE: true, RefreshTTL: time.Hour, Issuer: func(*http.Request) string { return c.base },
		Consent: func(q sandbox.Question) (sandbox.Consented, *sandbox.Refusal) {
			return sandbox.Consented{Claims: map[string]any{"sub": "member-" + q.Person.NationalID}}, nil
		},
	})
	mux := http.NewServeMux()
	mux.Handle("/authorize", c.auth)
	mux.Handle("/token", tokens)
	mux.HandleFunc("/debts", func(w http.ResponseWriter, r *http.Request) {
		if _, _, live := tokens.Bearer(r); !live {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"debts":[]}`)
	})
	server, err := sandbox.Start(c.kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	c.base, err = server.Mount("club", c.kit.Handler(sandbox.Site{Name: "club", API: c.sweeper.noting(mux), Describe: func(r *http.Request) sandbox.Call {
		return sandbox.Call{Bucket: "club", Template: r.URL.Path, Token: r.URL.Path == "/token"}
	}}))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"syncer.keys": string(keys), "database-url": c.db.URL, "syncer.yaml": clubConfig} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// identify takes the secret of now.
func (c *club) identify(r *http.Request) (id, secret string, ok bool) {
	id, secret, ok = sandbox.BasicEncoded(r)
	if secret == c.secret {
		secret = clubSecret // which the simulator knows
	}
	return id, secret, ok
}

const clubSecret = "the club's own +/= secret"

const clubConfig = `
database: { url: "file:database-url" }
keys: { file: syncer.keys }
worker: { sweep: 300ms }
connections: { club: { provider: club, environment: test, allow_private: true, rate: { unlimited: true } } }
jobs: { dues: { connection: club, datasets: [debt] } }
`

// Provider is how the club is read.
func (c *club) provider() fetch.Provider {
	return fetch.Provider{
		Name: "club", Title: "Club", Datasets: []finance.Dataset{finance.Debts}, Settings: func() any { return &struct{}{} },
		Open: func(fetch.Connection) (fetch.Driver, error) {
			base, err := url.Parse(c.base)
			return fetch.Driver{
				Base: base, Classify: func(_ *fetch.Request, a *fetch.Answer) fetch.Meaning { return fetch.Meaning{Class: fetch.ByStatus(a)} },
				Token: func(fetch.TokenKey) (fetch.TokenRequest, error) { return fetch.TokenRequest{}, nil },
				Authorize: &fetch.Authorization{Issuer: c.base, URL: c.base + "/authorize", Redirect: c.redirect, Token: fetch.TokenRequest{
					URL: c.base + "/token", ID: c.id, Secret: fetch.NewSecret(c.secret), Scopes: []string{"openid"}}},
				Connect: func(client *fetch.Client) fetch.Connector { return member{client} },
			}, err
		},
	}
}

// member is the club's connector.
type member struct{ client *fetch.Client }

func (member) PerAccount(finance.Dataset) bool { return false }
func (member) Probe(context.Context) error     { return nil }
func (m member) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	return m.client.Walk(ctx, s, from, func(fetch.At) (fetch.Step, error) {
		return fetch.Step{
			Request: fetch.Request{Path: "debts", Template: "/debts", Task: s.Task, Token: fetch.TokenKey{Consent: s.Consent}},
			Version: "club-1", Decode: func(*fetch.Answer) (fetch.Page, error) { return fetch.Page{Done: true}, nil },
		}, nil
	})
}
func (member) Granted(_ context.Context, g fetch.Grant) (fetch.Given, error) {
	var id string
	err := json.Unmarshal(g.Claims["sub"], &id)
	return fetch.Given{ExternalID: id}, err
}

// config is the path of the club's configuration.
func (c *club) config() string { return filepath.Join(c.dir, "syncer.yaml") }

// open opens the database as a process of its own does.
func (c *club) open() *app.Installation {
	c.t.Helper()
	cfg, err := config.LoadUnresolved(c.config(), os.LookupEnv)
	if err != nil {
		c.t.Fatal(err)
	}
	inst, err := app.Open(c.t.Context(), cfg, app.Options{Providers: []fetch.Provider{c.provider()}, Env: os.LookupEnv, Log: zerolog.New(c.sweeper)})
	if err != nil {
		c.t.Fatal(err)
	}
	return inst
}

// syncer runs the program in a process of its own, as far as it knows, and gives its exit code.
func (c *club) syncer(out io.Writer, args ...string) int {
	setup := cli.Setup{Providers: []fetch.Provider{c.provider()}}
	args = append(args, "--config", c.config(), "--log-level", "trace")
	return cli.New(nil, out, c.sweeper, os.LookupEnv, setup).Run(c.t.Context(), args)
}

// give is a member who consents in the browser.
func (c *club) give(name string) string {
	c.t.Helper()
	c.auth.Sit(sandbox.Person{NationalID: name})
	out, in := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- c.syncer(in, "consents", "authorize", "club", "--wait", "1m", "--json")
		_ = in.Close()
	}()
	lines := bufio.NewReader(out)
	var asked struct{ Link string }
	line, err := lines.ReadString('\n')
	if err != nil || json.Unmarshal([]byte(line), &asked) != nil {
		c.t.Fatalf("%q, %v", line, err)
	}
	visit(c.t, http.MethodGet, asked.Link)
	rest, _ := io.ReadAll(lines)
	if code := <-done; code != cli.ExitOK {
		c.t.Fatalf("exit code %d: %s", code, rest)
	}
	return string(rest)
}

// run runs the job in a process of its own, and gives its report.
func (c *club) run() read.Report {
	c.t.Helper()
	if code := c.syncer(c.sweeper, "run", "dues", "--new"); code == cli.ExitError || code == cli.ExitUsage || code == cli.ExitInterrupted {
		c.t.Fatalf("exit code %d", code)
	}
	inst := c.open()
	defer inst.Close()
	id, err := strconv.ParseInt(c.texts("SELECT max(id)::text FROM runs")[0], 10, 64)
	if err != nil {
		c.t.Fatal(err)
	}
	report, err := inst.Store.Read.Report(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return report
}

func (c *club) texts(sql string) (all []string) {
	c.t.Helper()
	rows, err := c.db.Pool.Query(c.t.Context(), sql)
	if err != nil {
		c.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			c.t.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}

// The life of a grant: given, refreshed and rotated by the nights' runs, withdrawn at the provider, given again; and none
// of the secrets that have passed is to be found anywhere.
func TestAGrantFromTheBrowserToItsEndAndBack(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	if out := c.give("anna"); !strings.Contains(out, `"refreshed":true`) || !strings.Contains(out, `"external_id":"member-anna"`) {
		t.Fatal(out)
	}
	for night := 1; night <= 2; night++ {
		if r := c.run(); r.Run.Verdict != queue.VerdictComplete || c.auth.Reuses() != 0 {
			t.Fatalf("night %d: %s, %d reuses: %+v", night, r.Run.Verdict, c.auth.Reuses(), r.NotComplete)
		}
		c.kit.ExpireTokens("club")
	}
	rotated := c.texts("SELECT consent_id::text FROM grants WHERE rotated_at > granted_at")
	if len(rotated) != 1 {
		t.Errorf("rotated: %v", rotated)
	}

	c.auth.RevokeGrants()
	r := c.run()
	if len(r.NotComplete) != 1 || r.NotComplete[0].Outcome != finance.Excused || !strings.Contains(r.NotComplete[0].Reason, "reauth_required") {
		t.Errorf("after the withdrawal: %s, %+v", r.Run.Verdict, r.NotComplete)
	}
	before := c.kit.Journal.Arrivals()
	if r := c.run(); r.Run.Verdict != queue.VerdictPartial || c.kit.Journal.Arrivals() != before {
		t.Errorf("the night after: %s and %d calls", r.Run.Verdict, c.kit.Journal.Arrivals()-before)
	}

	if out := c.give("anna"); !strings.Contains(out, `"was":"reauth_required"`) {
		t.Errorf("given again: %s", out)
	}
	if r := c.run(); r.Run.Verdict != queue.VerdictComplete || c.kit.Journal.Arrivals() == before {
		t.Errorf("given again: %s, %+v", r.Run.Verdict, r.NotComplete)
	}
	got := strings.Join(c.texts("SELECT source || ' ' || coalesce(from_status, 'new') || '>' || to_status FROM consent_events ORDER BY id"), ", ")
	if want := "grant new>active, answer active>reauth_required, grant reauth_required>active"; got != want {
		t.Errorf("history: %s\nwant %s", got, want)
	}
	if reasons := fmt.Sprint(c.texts("SELECT reason FROM consent_events WHERE to_status = 'reauth_required'")); !strings.Contains(reasons, "invalid_grant") {
		t.Errorf("the reason: %s", reasons)
	}
	if broken := c.texts("SELECT external_id FROM consents WHERE status <> 'active'"); len(broken) != 0 {
		t.Errorf("not active: %v", broken)
	}

	kinds := map[string]int{}
	for _, what := range c.sweeper.secrets {
		kinds[what]++
	}
	for _, what := range []string{"the client's secret", "a basic credential", "a bearer credential", "a code", "a code_verifier", "a refresh_token"} {
		if kinds[what] == 0 {
			t.Errorf("%s never passed: %v", what, kinds)
		}
	}
	c.sweeper.everything()
}

// Two processes with a pool of callers each need a token of the same grant, night after night: the database lets one of
// them refresh it, and the other reads what that one has saved.
func TestTwoProcessesRefreshOneGrant(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	c.give("anna")
	one, two := c.open(), c.open()
	defer one.Close()
	defer two.Close()
	var clients []*fetch.Client
	for _, inst := range []*app.Installation{one, two} {
		client, err := inst.Client(t.Context(), "club")
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client)
	}
	for night := 1; night <= 3; night++ {
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				r := fetch.Request{Path: "debts", Template: "/debts", Purpose: calls.ForStatus, Token: fetch.TokenKey{Consent: 1}}
				if _, err := clients[i%2].Do(t.Context(), r); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := len(c.texts("SELECT id::text FROM calls WHERE purpose = 'token'")); n != 1+night || c.auth.Reuses() != 0 {
			t.Fatalf("night %d: %d token calls, %d reuses", night, n-1, c.auth.Reuses())
		}
		c.kit.ExpireTokens("club")
	}
}

// A provider that refuses every grant at once is broken: the connection is parked, no consent ends, and once it is opened
// again the same grants are tried.
func TestARefusalOfEveryGrantIsNotBelieved(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	c.give("anna") // before the world breaks, so that one grant is good
	inst := c.open()
	defer inst.Close()
	for i := range 12 {
		if _, err := inst.Store.Consents.Give(t.Context(), "club", consents.Given{
			Import: consents.Import{ExternalID: fmt.Sprint("member-", i)}, Refresh: finance.NewSecret(fmt.Sprint("refresh-", i)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	broken, err := c.kit.Faults.Add(sandbox.Rule{Provider: "club", Only: "token", Action: sandbox.Action{
		Kind: sandbox.AnswerStatus, Status: 400, Body: `{"error":"invalid_grant"}`}})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.run(); r.Run.Verdict != queue.VerdictFailed {
		t.Errorf("%s: %+v", r.Run.Verdict, r.NotComplete)
	}
	parked := c.texts("SELECT parked_reason FROM connections WHERE state = 'parked'")
	if len(parked) != 1 || !strings.Contains(parked[0], "nothing was revoked") {
		t.Errorf("parked: %v", parked)
	}
	if ended := c.texts("SELECT external_id FROM consents WHERE status <> 'active'"); len(ended) != 0 {
		t.Errorf("ended: %v", ended)
	}
	if refused := c.texts("SELECT consent_id::text FROM grants WHERE refused_at IS NOT NULL"); len(refused) != 0 {
		t.Errorf("the grants of %v are given up", refused)
	}
	c.kit.Faults.Remove(broken)
	if err := inst.Store.Connections.Open(t.Context(), "club"); err != nil {
		t.Fatal(err)
	}
	c.run()
	if rotated := c.texts("SELECT external_id FROM grants g JOIN consents c ON c.id = g.consent_id WHERE rotated_at IS NOT NULL"); len(rotated) != 1 || rotated[0] != "member-anna" {
		t.Errorf("tried again and good: %v", rotated)
	}
}

// A consent that was never given here has no grant: it ends as due for authorisation, and nobody is asked.
func TestAConsentWithoutAGrantIsDueForAuthorisation(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	inst := c.open()
	if err := inst.Store.Connections.Use(t.Context(), "club", connections.Endpoint{Provider: "club"}); err != nil {
		t.Fatal(err)
	}
	var list []consents.Import
	for i := range 12 { // more than would be believed of a provider
		list = append(list, consents.Import{ExternalID: fmt.Sprint("imported-", i)})
	}
	if _, err := inst.Store.Consents.Import(t.Context(), "club", list); err != nil {
		t.Fatal(err)
	}
	inst.Close()
	r := c.run()
	ended := c.texts("SELECT status FROM consents WHERE status = 'reauth_required'")
	if len(ended) != 12 || c.kit.Journal.Arrivals() != 0 || len(c.texts("SELECT name FROM connections WHERE state = 'parked'")) != 0 {
		t.Errorf("%d have ended after %d calls: %+v", len(ended), c.kit.Journal.Arrivals(), r.NotComplete)
	}
}

// A new secret asks nobody again: the refresh token is the client's, and the client is the same. Another client never gets it,
// which ends no consent: with the old client all goes on. So does what the version before has kept without a holder.
func TestAGrantSurvivesAnotherSecretAndAnUpgrade(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	c.give("anna")
	night := func(what string) {
		t.Helper()
		c.kit.ExpireTokens("club")
		if r := c.run(); r.Run.Verdict != queue.VerdictComplete || c.auth.Reuses() != 0 {
			t.Errorf("%s: %s, %d reuses: %+v", what, r.Run.Verdict, c.auth.Reuses(), r.NotComplete)
		}
	}
	night("the first night")
	c.secret = "another secret"
	c.sweeper.know(c.secret, "the client's secret")
	night("with another secret")

	c.id = "you"
	before := c.kit.Journal.Arrivals()
	r := c.run()
	if len(r.NotComplete) != 1 || r.NotComplete[0].Class != finance.Rejected || !strings.Contains(r.NotComplete[0].Reason, "given to another client") {
		t.Errorf("with another client: %+v", r.NotComplete)
	}
	if n := c.kit.Journal.Arrivals() - before; n != 0 {
		t.Errorf("another client made %d calls", n)
	}
	c.id = "me"
	night("with the client of before")

	// What the version before has kept: the grant without a holder, and the access token under the connection's name.
	if _, err := c.db.Pool.Exec(t.Context(), "UPDATE grants SET holder = NULL"); err != nil {
		t.Fatal(err)
	}
	night("after the upgrade")
	c.id = "you"
	before = c.kit.Journal.Arrivals()
	c.run()
	if n := c.kit.Journal.Arrivals() - before; n != 0 {
		t.Errorf("another client made %d calls after the upgrade", n)
	}
	if active := c.texts("SELECT status FROM consents"); len(active) != 1 || active[0] != "active" {
		t.Errorf("the consent is %v", active)
	}
}
