// Package lab gives a proof the whole program to try: a sandbox of providers in the test's own process, a database, a
// configuration for both, and the program itself as processes that can be killed.
//
// The program is the one under test: [Main] builds it, with the steps at which a test may kill or stop it, and with the
// race detector where the proof itself has it.
package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/persist/persisttest"
	"syncer/persist/seal"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
	"syncer/sandbox/sbanken"
)

// Lab is a sandbox in this process, a database, a configuration for both, and the program itself as processes that
// can be killed. The sandbox's journal is the witness of what really arrived.
type Lab struct {
	testing.TB
	Kit    *sandbox.Kit
	NG     *norskgjeld.Simulator // of the first connection; those of the others hold the same world
	Bank   *sbanken.Simulator
	DB     persisttest.Database
	Config string // the path of the configuration
	server *sandbox.Server
}

// Options is the world and the settings of a lab; zero values are small and quick.
type Options struct {
	Seed        uint64
	NG          norskgjeld.Options
	Bank        sbanken.Options
	Rate        float64 // calls a second over each connection; 0: unlimited
	PerDay      int     // calls a day over each connection, whose day ends in half a day; 0: unlimited
	Concurrency int
	BatchSize   int
	Batches     int
	MaxWait     string
	Lease       string
	Log         string
	// Connections is how many connections there are of each provider; default 1. Each of Norsk Gjeldsinformasjon has a
	// client id and a registry of its own, because a registry shows a consent to one client only.
	Connections int
	DB          persisttest.Database // default: one of the test's own

}

// Day is the quota as the configuration writes it. The zones of a lab's connections are an hour from UTC at most,
// or two in summer.
func (o Options) Day() string {
	if o.PerDay == 0 {
		return ""
	}
	return fmt.Sprintf(", per_day: %d, resets: %q", o.PerDay, time.Now().UTC().Add(12*time.Hour).Format("15:04"))
}

// settings is what the configuration is made of.
type settings struct {
	Options
	BankURL, Database string
	NGURLs            map[int]string
	Numbers           []int
}

const labConfig = `
database: { url: "file:database-url" }
keys: { file: syncer.keys }
log: { level: {{.Log}} }
worker: { lease: {{.Lease}}, heartbeat: 400ms, sweep: 300ms, max_wait: {{.MaxWait}}, batches: {{.Batches}}, drain: 10s }
connections:
{{- range .Numbers}}
  ng{{.}}:
    provider: norskgjeld
    environment: preprod
    base_url: {{index $.NGURLs .}}
    auth_url: {{index $.NGURLs .}}
    credentials: { client_id: "file:ng-id-{{.}}", client_secret: "file:ng-secret" }
    rate: { {{if $.Rate}}per_second: {{$.Rate}}{{else}}unlimited: true{{end}}{{$.Day}} }
    concurrency: {{$.Concurrency}}
    timeout: 10s
    retry: { attempts: 3, base: 50ms, cap: 200ms, budget: 5s }
    allow_private: true
  bank{{.}}:
    provider: sbanken
    environment: prod
    base_url: {{$.BankURL}}
    auth_url: {{$.BankURL}}
    credentials: { client_id: "file:bank-id", client_secret: "file:bank-secret" }
    rate: { {{if $.Rate}}per_second: {{$.Rate}}{{else}}unlimited: true{{end}}{{$.Day}} }
    concurrency: {{$.Concurrency}}
    timeout: 10s
    retry: { attempts: 3, base: 50ms, cap: 200ms, budget: 5s }
    allow_private: true
{{- end}}
jobs:
{{- range .Numbers}}
  debt{{.}}: { connection: ng{{.}}, datasets: [debt], batch_size: {{$.BatchSize}} }
  money{{.}}: { connection: bank{{.}}, datasets: [accounts, transactions], batch_size: {{$.BatchSize}}, history: 400d }
{{- end}}
`

// New makes a lab that goes with the test. The program is on the PATH: [Main] has seen to that.
func New(t testing.TB, opt Options) *Lab {
	t.Helper()
	look(t)
	o := opt.withDefaults()
	if o.DB.Pool == nil {
		o.DB = persisttest.NewDatabase(t)
	}
	l := &Lab{TB: t, Kit: sandbox.NewKit(sandbox.KitOptions{Seed: o.Seed}), DB: o.DB}
	var err error
	if l.server, err = sandbox.Start(l.Kit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.server.Close() })
	o.NG.Kit, o.Bank.Kit = l.Kit, l.Kit
	for _, n := range o.Numbers {
		o.NG.Clients = []sandbox.Client{{ID: fmt.Sprintf("client-%d", n), Secret: "s3cret"}}
		ng := norskgjeld.New(o.NG)
		if o.NGURLs[n], err = l.server.Mount(fmt.Sprintf("ng%d", n), ng.Handler()); err != nil {
			t.Fatal(err)
		}
		if l.NG == nil {
			l.NG = ng
		}
	}
	l.Bank = sbanken.New(o.Bank)
	if o.BankURL, err = l.server.Mount("bank", l.Bank.Handler()); err != nil {
		t.Fatal(err)
	}
	o.Database = l.DB.URL
	l.write(o)
	return l
}

func (o Options) withDefaults() settings {
	if o.Seed == 0 {
		o.Seed = 7
	}
	if o.Connections == 0 {
		o.Connections = 1
	}
	if o.Concurrency == 0 {
		o.Concurrency = 4
	}
	if o.BatchSize == 0 {
		o.BatchSize = 10
	}
	if o.Batches == 0 {
		o.Batches = 2
	}
	if o.MaxWait == "" {
		o.MaxWait = "30s"
	}
	if o.Lease == "" {
		o.Lease = "5s" // a slow machine keeps a heartbeat waiting for a second; a proof of take-overs asks for less
	}
	if o.Log == "" {
		o.Log = "warn"
	}
	if o.Bank.Quota == nil {
		o.Bank.Quota = &sandbox.Quota{}
	}
	full := settings{Options: o, NGURLs: map[int]string{}}
	for n := range o.Connections {
		full.Numbers = append(full.Numbers, n+1)
	}
	return full
}

// write makes the folder with the configuration, the keys and the secrets.
func (l *Lab) write(o settings) {
	l.Helper()
	dir := l.TempDir()
	keys, err := seal.NewKeyset()
	if err != nil {
		l.Fatal(err)
	}
	var yaml bytes.Buffer
	if err := template.Must(template.New("config").Parse(labConfig)).Execute(&yaml, o); err != nil {
		l.Fatal(err)
	}
	bank := sbanken.DefaultClient()
	files := map[string]string{
		"syncer.yaml": yaml.String(), "syncer.keys": string(keys), "database-url": o.Database,
		"ng-secret": "s3cret", "bank-id": bank.ID, "bank-secret": bank.Secret,
	}
	for _, n := range o.Numbers {
		files[fmt.Sprintf("ng-id-%d", n)] = fmt.Sprintf("client-%d", n)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			l.Fatal(err)
		}
	}
	l.Config = filepath.Join(dir, "syncer.yaml")
}

// ImportNG imports the seeded consents [from, to) of Norsk Gjeldsinformasjon over one connection.
func (l *Lab) ImportNG(connection string, from, to int) {
	l.Helper()
	var csv strings.Builder
	csv.WriteString("external_id,national_id,scopes,valid_until,single_use\n")
	for i := from; i < to; i++ {
		c := l.NG.Consent(i)
		fmt.Fprintf(&csv, "%s,%s,%s,%s,%t\n", c.ID, c.NationalID, c.Scope, c.ValidUntil.UTC().Format("2006-01-02T15:04:05Z"), c.SingleUse)
	}
	l.ImportCSV(connection, csv.String())
}

// ImportBank imports the customers [from, to) of the bank over one connection.
func (l *Lab) ImportBank(connection string, from, to int) {
	l.Helper()
	var csv strings.Builder
	csv.WriteString("external_id,national_id\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&csv, "agreement-%06d,%s\n", i, l.Bank.Customer(i).CustomerID)
	}
	l.ImportCSV(connection, csv.String())
}

// ImportCSV imports a file of consents over one connection, by the command line.
func (l *Lab) ImportCSV(connection, csv string) {
	l.Helper()
	cmd := l.Command(nil, "consents", "import", "-", "--connection", connection)
	cmd.Stdin = strings.NewReader(csv)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.Fatalf("import consents: %v\n%s", err, out)
	}
}

// Content is what the record tables hold, without what differs between two runs that brought the same: ids of calls,
// times and transactions. A digest a table keeps failures readable; rows are compared when the digests differ.
func Content(t testing.TB, db persisttest.Database) map[string][]string {
	t.Helper()
	const lineage = "ARRAY['call_id','changed_at','changed_xid','first_seen_at','replaced_at','replaced_by']"
	got := map[string][]string{}
	for _, table := range []string{"accounts", "balances", "transactions", "debts",
		"accounts_history", "balances_history", "transactions_history", "debts_history"} {
		rows, err := db.Pool.Query(t.Context(), fmt.Sprintf(`SELECT ((to_jsonb(x) - %s - 'removed_at') ||
			jsonb_build_object('removed', removed_at IS NOT NULL, 'consent_id', c.external_id))::text FROM %s x
			JOIN consents c ON c.id = x.consent_id ORDER BY 1`, lineage, table))
		if err != nil {
			t.Fatal(err)
		}
		if got[table], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// Number runs a query that gives one number.
func (l *Lab) Number(sql string, args ...any) int {
	l.Helper()
	var n int
	if err := l.DB.Pool.QueryRow(l.Context(), sql, args...).Scan(&n); err != nil {
		l.Fatalf("%s: %v", sql, err)
	}
	return n
}

// Verify runs syncer verify, which must find every promise of the tables kept.
func (l *Lab) Verify() {
	l.Helper()
	if out, code := l.Syncer("verify"); code != 0 {
		l.Errorf("syncer verify: exit code %d\n%s", code, out)
	}
}

// Scan runs a query that gives one value.
func (l *Lab) Scan(to any, sql string, args ...any) {
	l.Helper()
	if err := l.DB.Pool.QueryRow(l.Context(), sql, args...).Scan(to); err != nil {
		l.Fatalf("%s: %v", sql, err)
	}
}

// Says runs the program, wants its exit code, and wants every text in what it prints to stdout.
func (l *Lab) Says(code int, args []string, texts ...string) string {
	l.Helper()
	out, got := l.Syncer(args...)
	if got != code {
		l.Fatalf("syncer %v: exit code %d, want %d\n%s", args, got, code, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			l.Errorf("syncer %v does not say %q:\n%s", args, text, out)
		}
	}
	return out
}

// Rule lets the sandbox misbehave, until it is undone.
func (l *Lab) Rule(r sandbox.Rule) (undo func()) {
	l.Helper()
	id, err := l.Kit.Faults.Add(r)
	if err != nil {
		l.Fatal(err)
	}
	return func() { l.Kit.Faults.Remove(id) }
}

// Arrivals are the data calls that the sandbox has seen since so many arrivals, by subject.
func (l *Lab) Arrivals(since int) map[string]int {
	seen := map[string]int{}
	for _, e := range l.Kit.Journal.Entries()[since:] {
		if !e.Token && e.Subject != "" {
			seen[e.Subject]++
		}
	}
	return seen
}

// Plan plans a run of each job and leaves its batches to the processes. It is TestMain of cmd/syncer that knows how,
// under the name syncer-plan.
func (l *Lab) Plan(jobs ...string) {
	l.Helper()
	cmd := exec.CommandContext(l.Context(), planner, append([]string{l.Config}, jobs...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.Fatalf("plan %v: %v\n%s", jobs, err, out)
	}
}

// Wait waits until ok, looking often, for as long as [Patient].
func (l *Lab) Wait(what string, ok func() bool) {
	l.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for late := time.After(Patient); !ok(); {
		select {
		case <-ticker.C:
		case <-late:
			l.Fatalf("it did not come to this: %s", what)
		}
	}
}
