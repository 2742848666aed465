package config

import (
	_ "embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the test machine may have no time zones

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func noEnv(string) (string, bool) { return "", false }

// plainly compares configs without their positions.
var plainly = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Config{}, Settings{}), cmp.AllowUnexported(Secret{}, DatabaseURL{})}

//go:embed testdata/whole.yaml
var whole string

func TestParse(t *testing.T) {
	got, err := Parse([]byte(whole), "/etc/syncer/syncer.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	var bare Connection
	bare.SetDefaults()
	bare.Provider = "sbanken"
	var byHand Job
	byHand.SetDefaults()
	byHand.Connection, byHand.Datasets = "bare", []string{"transactions"}
	second, minute := Duration(time.Second), Duration(time.Minute)
	want := &Config{
		Database: Database{URL: DatabaseURL{Secret{"env", "DB"}}, StateDir: "/etc/syncer/state", Schema: "syncer", Migrate: "off", Plaintext: true},
		Keys:     Keys{File: "/etc/keys"},
		Log:      Log{Level: "debug"},
		Worker:   Worker{ID: "007", Lease: minute, Heartbeat: 20 * second, Sweep: second, MaxWait: 2 * minute, Batches: 4, Drain: 5 * second, Memory: 256 << 20},
		Server:   Server{Listen: ":80"},
		Connections: map[string]Connection{"bare": bare, "ng": {
			Provider: "norskgjeld", Environment: "preprod", BaseURL: "http://127.0.0.1:9000/ng", AuthURL: "https://auth.example.com",
			Credentials: map[string]Secret{"client_id": {"env", "ID"}, "client_secret": {"file", "/etc/syncer/s"}},
			Rate:        Rate{PerMinute: 30}, Concurrency: 2, Timeout: 10 * second,
			Retry:   Retry{Attempts: 3, Base: second / 10, Cap: 2 * second, Budget: minute},
			MaxBody: 1 << 20, Limits: Limits{Accounts: 300, AnswerRecords: 5000, PassHours: 2, PassBytes: 1 << 30}, AllowPrivate: true,
		}},
		Jobs: map[string]Job{"by-hand": byHand, "nightly": {
			Connection: "ng", Datasets: []string{"debt", "accounts"}, Schedule: "30 2 * * *", TimeZone: "Europe/Oslo",
			CatchUp: "all", BatchSize: 50, Purposes: []string{"credit assessment"}, Lookback: Duration(day), History: Duration(2 * week),
		}},
	}
	if diff := cmp.Diff(want, got, plainly); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	for _, doc := range []string{"", "# nothing\n", "---\n", "log:\nworker:\n", "jobs: {}\n", "\ufeff"} {
		got, err := Parse([]byte(doc), "syncer.yaml", noEnv)
		if err != nil {
			t.Errorf("%q: %v", doc, err)
			continue
		}
		if diff := cmp.Diff(Default(), got, plainly); diff != "" {
			t.Errorf("%q, want -, got +:\n%s", doc, diff)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	doc := `worker:
  leese: 3s
  lease: 3x
  batches: many
  batches: 2
log: [info]
jobz: {}
server:
  listen: {port: 80}
connections:
  one:
    provider: x
    allow_private: yes
    retry: 3
    rate: {per_second: fast}
jobs:
  nightly:
    connection: ones
    datasets: debt
    batch_size: 1.5
`
	_, err := Parse([]byte(doc), "s.yaml", noEnv)
	want := `s.yaml:2:3: worker.leese: no such key; did you mean "lease"?
s.yaml:3:10: worker.lease: "3x" is not a duration: write 30s, 5m, 2h, 10d or 1w
s.yaml:4:12: worker.batches: want a whole number, got "many"
s.yaml:5:3: worker.batches: this key is already on line 4
s.yaml:6:6: log: want keys and values here
s.yaml:7:1: jobz: no such key; did you mean "jobs"?
s.yaml:9:11: server.listen: want one value, got a list or a group of keys
s.yaml:13:20: connections.one.allow_private: want true or false, got "yes"
s.yaml:14:12: connections.one.retry: want keys and values here
s.yaml:15:24: connections.one.rate.per_second: want a number, got "fast"
s.yaml:18:17: jobs.nightly.connection: no connection "ones"; did you mean "one"?
s.yaml:19:15: jobs.nightly.datasets: want a list, such as [a, b]
s.yaml:20:17: jobs.nightly.batch_size: want a whole number, got "1.5"`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if p, ok := errors.AsType[Problem](err); !ok || p.Line != 2 || p.Path != "worker.leese" {
		t.Errorf("no Problem can be had from the error: %+v", p)
	}
}

func TestNotYAML(t *testing.T) {
	for doc, want := range map[string]string{
		"a: [b\n":                  "s.yaml:1:",
		"a: b: c\n":                "not valid YAML",
		"log: {}\n---\nserver: {}": "more than one YAML document",
		"- a\n- b\n":               "want keys and values",
		"text":                     "want keys and values",
		"log: *gone":               "s.yaml:1:6: log: alias to an anchor that isn't in this file",
		"log: &a *a":               "not valid YAML",
		"? [a, b]\n: c":            "not valid YAML",
		"log: {<<: 3}":             "<< wants an alias",
		strings.Repeat("#", 2<<20): "is it the right file?",
		"connections: {a: &a {provider: x}, b: &b {<<: *a}, c: {<<: *b}}": "<< inside of what << brings in",
		"a: &x {b: *x}\nlog: {level: *x}":                                 "want one value",
		"connections: {a: {<<: *x}}":                                      "alias to an anchor",
	} {
		_, err := Parse([]byte(doc), "s.yaml", noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", doc, err, want)
		}
	}
}

func TestAliasesAndMergeKeys(t *testing.T) {
	doc := `connections:
  a: &common
    provider: x
    credentials: {id: env:A}
    retry: &retry {attempts: 2}
  b:
    <<: *common
    credentials: {id: env:B}
  c:
    provider: y
    retry: *retry
  d:
    <<: [*common, {timeout: 9s, retry: {attempts: 5}}]
`
	c, err := Parse([]byte(doc), "s.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	b := c.Connections["b"]
	if b.Provider != "x" || b.Credentials["id"].Ref() != "env:B" || b.Retry.Attempts != 2 || c.Connections["c"].Retry.Attempts != 2 {
		t.Errorf("got %+v", c.Connections)
	}
	if d := c.Connections["d"]; d.Retry.Attempts != 2 || d.Timeout.String() != "9s" || d.Provider != "x" {
		t.Errorf("of two merged mappings the first one wins, got %+v", d)
	}
	if c.Connections["a"].Credentials["id"].Ref() != "env:A" {
		t.Error("merging changed what was merged")
	}
}

func TestEnvironment(t *testing.T) {
	doc := []byte("worker: {lease: 1m, batches: 3}\nkeys: {file: k}\n")
	c, err := Parse(doc, "/etc/s.yaml", envOf(map[string]string{
		"SYNCER_DATABASE_URL": "postgres://u:" + planted + "@h/d", "SYNCER_LOG_LEVEL": "warn", "SYNCER_STATE_DIR": "here",
		"SYNCER_WORKER_LEASE": "2m", "SYNCER_WORKER_BATCHES": "", "SYNCER_WORKER_MAX_WAIT": "1d", "SYNCER_SERVER_LISTEN": ":1", "SYNCER_KEYS_FILE": "mine",
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Database.URL.Ref(), c.Log.Level, c.Database.StateDir, c.Worker.Lease.String(), c.Worker.Batches, c.Worker.MaxWait.String(), c.Server.Listen, c.Keys.File}
	want := []any{"env:SYNCER_DATABASE_URL", "warn", "here", "2m", 3, "1d", ":1", "mine"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	c, err = Parse(nil, "s.yaml", envOf(map[string]string{"SYNCER_DATABASE_STATE_DIR": "long", "SYNCER_STATE_DIR": "short", "SYNCER_DATABASE_URL": "file:/run/db"}))
	if err != nil || c.Database.StateDir != "long" || c.Database.URL.Ref() != "file:/run/db" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestEnvironmentProblemsNameTheVariable(t *testing.T) {
	_, err := Parse([]byte("worker: {lease: 1m}"), "s.yaml", envOf(map[string]string{
		"SYNCER_WORKER_LEASE": "soon", "SYNCER_LOG_LEVEL": "inf", "SYNCER_WORKER_HEARTBEAT": "59s",
	}))
	want := `environment SYNCER_LOG_LEVEL: log.level: want one of trace, debug, info, warn, error, got "inf"; did you mean "info"?
environment SYNCER_WORKER_HEARTBEAT: worker.heartbeat: want more than 0 and less than half of lease (1m), got 59s: one lost heartbeat must not cost the batch
environment SYNCER_WORKER_LEASE: worker.lease: "soon" is not a duration: write 30s, 5m, 2h, 10d or 1w`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "syncer.yaml")
	if _, err := Load(path, noEnv); !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), "exist") != 1 || !strings.Contains(err.Error(), "syncer init") || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("connections: {a: {provider: x, credentials: {id: env:ID, key: file:key}}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadUnresolved(path, noEnv); err != nil {
		t.Error(err)
	}
	if c, err := Load(path, noEnv); c != nil || err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("missing secrets: %v, %v", c, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(planted), 0o600); err != nil {
		t.Fatal(err)
	}
	env := envOf(map[string]string{"ID": "x"})
	c, err := Load(path, env)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Connections["a"].Credentials["key"].Reveal(env); got != planted || err != nil {
		t.Errorf("a file beside the config: %q, %v", got, err)
	}
}
