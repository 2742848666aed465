package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/cli"
	"syncer/demo"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/seal"
	"syncer/proof/lab"
	"syncer/sandbox"
)

// TestNothingSecretIsWritten runs a night of every provider, with its faults and with logs of the finest level, and
// looks for secrets, tokens and national identity numbers in everything that it wrote and in every URL that it asked
// for: plain, URL-escaped, in hex, and in base64 at every alignment. Sealed columns are swept like all others.
func TestNothingSecretIsWritten(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	n := newNosyNight(t)
	var runs sync.WaitGroup
	for _, job := range n.world.Jobs() {
		runs.Go(func() { n.run("run", job, "--log-level", "trace") })
	}
	runs.Wait()
	for _, args := range [][]string{{"check"}, {"status"}, {"runs", "show", "1"}, {"runs", "show", "1", "--json"}, {"consents", "list", "--json"},
		{"consents", "show", "1"}, {"connections", "list"}, {"verify"}, {"rerun", "1"}} {
		n.run(append(args, "--log-level", "trace")...)
	}
	if len(n.secrets) < 50 || len(n.urls) < 300 {
		t.Fatalf("%d secrets and %d URLs are too few to prove anything", len(n.secrets), len(n.urls))
	}
	n.everything()
}

// sweeper collects secrets, and looks for them in what the program has written.
type sweeper struct {
	testing.TB
	pool  *pgxpool.Pool
	swept int

	mu      sync.Mutex
	secrets map[string]string // what each is
	urls    []string
	printed bytes.Buffer
}

// Write keeps what the program prints.
func (s *sweeper) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.printed.Write(p)
}

func (s *sweeper) know(secret, what string) {
	if secret == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[secret] = what
}

// noting notes the URLs that are asked for, what the requests prove themselves with, and what a token endpoint is told
// and gives.
func (s *sweeper) noting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.urls = append(s.urls, r.URL.String())
		s.mu.Unlock()
		if kind, value, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
			s.know(value, "a "+strings.ToLower(kind)+" credential")
		}
		if r.Method != http.MethodPost {
			h.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			s.Errorf("read a request: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body)) // what is none holds none of these
		for _, field := range []string{"code", "code_verifier", "refresh_token", "client_secret"} {
			s.know(form.Get(field), "a "+field)
		}
		heard := &eavesdropped{ResponseWriter: w}
		h.ServeHTTP(heard, r)
		var token map[string]any
		_ = json.Unmarshal(heard.body.Bytes(), &token) // the same
		for _, field := range []string{"access_token", "refresh_token", "id_token"} {
			text, _ := token[field].(string)
			s.know(text, "a "+field)
		}
	})
}

// eavesdropped is an answer that is heard by somebody else too.
type eavesdropped struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (e *eavesdropped) Write(p []byte) (int, error) {
	e.body.Write(p)
	return e.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (e *eavesdropped) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// everything sweeps the tables, what was printed, and the URLs.
func (s *sweeper) everything() {
	s.Helper()
	texts := s.tables()
	texts["what the program printed"] = s.printed.String()
	texts["the URLs"] = strings.Join(s.urls, "\n")
	for name, text := range texts {
		s.sweep(name, text)
	}
	s.Logf("%d secrets in %d texts of %d bytes", len(s.secrets), len(texts), s.swept)
}

// nosyNight is the demo's world, whose simulators note every secret that reaches them.
type nosyNight struct {
	*sweeper
	world  *demo.World
	config string
}

func newNosyNight(t testing.TB) *nosyNight {
	t.Helper()
	db := persisttest.NewDatabase(t)
	n := &nosyNight{sweeper: &sweeper{TB: t, pool: db.Pool, secrets: map[string]string{}}}
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 3})
	parts := demo.Parts(kit, 1)
	for i, p := range parts {
		parts[i].Handler = n.noting(p.Handler)
		n.knowAll(p)
	}
	var err error
	if n.world, err = demo.StartWorld(kit, parts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.world.Close() })
	if n.config, err = n.world.WriteConfig(t.TempDir(), db.URL); err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(filepath.Join(filepath.Dir(n.config), "syncer.keys"))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.OpenSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	n.importAll(persist.NewStore(db.Pool, sealer, pg.Worker{}))
	if err := n.world.Misbehave(); err != nil {
		t.Fatal(err)
	}
	return n
}

// knowAll notes a provider's secrets and the people behind its consents.
func (n *nosyNight) knowAll(p demo.Part) {
	for name, text := range p.Files {
		if strings.HasSuffix(name, "-secret") || strings.HasSuffix(name, "-key") {
			n.know(text, "the secret "+name)
		}
	}
	for _, c := range p.Consents {
		if finance.IsNationalID(c.NationalID) || finance.IsPersonnummer(c.NationalID) {
			n.know(c.NationalID, "the number of somebody at "+p.Connection)
		}
		if len(c.NationalID) == 12 { // as people write it
			n.know(c.NationalID[2:], "the short number of somebody at "+p.Connection)
			n.know(c.NationalID[:8]+"-"+c.NationalID[8:], "the written number of somebody at "+p.Connection)
		}
	}
}

func (n *nosyNight) importAll(store *persist.Store) {
	n.Helper()
	provider := map[string]string{}
	for _, p := range n.world.Parts {
		_, rest, _ := strings.Cut(p.Settings, "provider: ")
		provider[p.Connection], _, _ = strings.Cut(rest, "\n")
		if err := store.Connections.Use(n.Context(), p.Connection, connections.Endpoint{Provider: provider[p.Connection]}); err != nil {
			n.Fatal(err)
		}
		if _, err := store.Consents.Import(n.Context(), p.Connection, p.Consents); err != nil {
			n.Fatal(err)
		}
	}
}

// FindRun runs the program to its end, whatever that is, and keeps what it printed.
func (n *nosyNight) run(args ...string) {
	n.Helper()
	cmd := exec.CommandContext(n.Context(), "syncer", append([]string{"--config", n.config}, args...)...)
	out, err := cmd.CombinedOutput()
	_, exited := errors.AsType[*exec.ExitError](err)
	if err != nil && !exited {
		n.Errorf("run syncer %v: %v", args, err)
		return
	}
	if code := cmd.ProcessState.ExitCode(); code == cli.ExitUsage || code < 0 {
		n.Errorf("syncer %v: exit code %d\n%s", args, code, out)
	}
	fmt.Fprintf(n, "syncer %v\n%s\n", args, out)
}

// tables are all rows of all tables as text, a bytea in hex.
func (s *sweeper) tables() map[string]string {
	s.Helper()
	rows, err := s.pool.Query(s.Context(), `SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
		WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		s.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range names {
		var text string
		if err := s.pool.QueryRow(s.Context(), "SELECT coalesce(string_agg(x::text, E'\n'), '') FROM "+name+" x").Scan(&text); err != nil {
			s.Fatal(err)
		}
		texts["table "+name] = text
	}
	if texts["table public.calls"] == "" || texts["table public.answers"] == "" || texts["table public.tokens"] == "" {
		s.Fatal("the tables are not those of a night")
	}
	return texts
}

func (s *sweeper) sweep(name, text string) {
	s.Helper()
	s.swept += len(text)
	folded := strings.ToLower(text)
	for secret, what := range s.secrets {
		for form, found := range map[string]bool{
			"plain":  strings.Contains(text, secret),
			"URL":    strings.Contains(text, url.QueryEscape(secret)) || strings.Contains(text, url.PathEscape(secret)),
			"hex":    strings.Contains(folded, hex.EncodeToString([]byte(secret))),
			"base64": inBase64(text, secret),
		} {
			if found {
				s.Errorf("%s stands in %s, in the form %s", what, name, form)
			}
		}
	}
}

// inBase64 says whether a text holds a secret in base64, wherever in a group of three its first byte stands.
func inBase64(text, secret string) bool {
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for lead := range 3 {
			coded := enc.EncodeToString([]byte("\x00\x00"[:lead] + secret))
			skip := []int{0, 2, 3}[lead] // characters that the bytes before have a part in
			whole := coded[skip : (len(secret)+lead)/3*4]
			if len(whole) >= 8 && strings.Contains(text, whole) {
				return true
			}
		}
	}
	return false
}

func TestInBase64FindsASecretAtEveryPlace(t *testing.T) {
	const secret = "s3cret-key"
	for _, before := range []string{"", "a", "ab", "abc", "abcd"} {
		for _, after := range []string{"", "x", "xy"} {
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				if text := "... " + enc.EncodeToString([]byte(before+secret+after)); !inBase64(text, secret) {
					t.Errorf("not found behind %q and before %q", before, after)
				}
			}
		}
	}
	if inBase64(base64.StdEncoding.EncodeToString([]byte("nothing of that kind")), secret) {
		t.Error("found where it is not")
	}
}
