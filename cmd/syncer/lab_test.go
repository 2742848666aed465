package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"

	"github.com/jackc/pgx/v5"

	"syncer/persist"
	"syncer/persist/persisttest"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
	"syncer/sandbox/sbanken"
)

// lab is a sandbox in this process, a database, a configuration for both, and the program itself as processes that
// can be killed. The sandbox's journal is the witness of what really arrived.
type lab struct {
	testing.TB
	kit    *sandbox.Kit
	ng     *norskgjeld.Simulator // of the first connection; those of the others hold the same world
	bank   *sbanken.Simulator
	server *sandbox.Server
	db     persisttest.Database
	config string
}

// labOptions is the world and the settings of a lab; zero values are small and quick.
type labOptions struct {
	Seed        uint64
	NG          norskgjeld.Options
	Bank        sbanken.Options
	Rate        float64 // calls a second over each connection; 0: unlimited
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

	// Set by newLab.
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
    rate: { {{if $.Rate}}per_second: {{$.Rate}}{{else}}unlimited: true{{end}} }
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
    rate: { {{if $.Rate}}per_second: {{$.Rate}}{{else}}unlimited: true{{end}} }
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

func newLab(t testing.TB, o labOptions) *lab {
	t.Helper()
	o.settle()
	if o.DB.Pool == nil {
		o.DB = persisttest.NewDatabase(t)
	}
	l := &lab{TB: t, kit: sandbox.NewKit(sandbox.KitOptions{Seed: o.Seed}), db: o.DB}
	var err error
	if l.server, err = sandbox.Start(l.kit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.server.Close() })
	o.NG.Kit, o.Bank.Kit = l.kit, l.kit
	o.NGURLs = map[int]string{}
	for _, n := range o.Numbers {
		o.NG.Clients = []sandbox.Client{{ID: fmt.Sprintf("client-%d", n), Secret: "s3cret"}}
		ng := norskgjeld.New(o.NG)
		if o.NGURLs[n], err = l.server.Mount(fmt.Sprintf("ng%d", n), ng.Handler()); err != nil {
			t.Fatal(err)
		}
		if l.ng == nil {
			l.ng = ng
		}
	}
	l.bank = sbanken.New(o.Bank)
	if o.BankURL, err = l.server.Mount("bank", l.bank.Handler()); err != nil {
		t.Fatal(err)
	}
	o.Database = l.db.URL
	l.write(o)
	return l
}

func (o *labOptions) settle() {
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
		o.Lease = "1s"
	}
	if o.Log == "" {
		o.Log = "warn"
	}
	if o.Bank.Quota == nil {
		o.Bank.Quota = &sandbox.Quota{}
	}
	for n := range o.Connections {
		o.Numbers = append(o.Numbers, n+1)
	}
}

// write makes the folder with the configuration, the keys and the secrets.
func (l *lab) write(o labOptions) {
	l.Helper()
	dir := l.TempDir()
	keys, err := persist.NewKeyset()
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
	l.config = filepath.Join(dir, "syncer.yaml")
}

// importNG imports the seeded consents [from, to) of Norsk Gjeldsinformasjon over one connection.
func (l *lab) importNG(connection string, from, to int) {
	l.Helper()
	var csv strings.Builder
	csv.WriteString("external_id,national_id,scopes,valid_until,single_use\n")
	for i := from; i < to; i++ {
		c := l.ng.Consent(i)
		fmt.Fprintf(&csv, "%s,%s,%s,%s,%t\n", c.ID, c.NationalID, c.Scope, c.ValidUntil.UTC().Format("2006-01-02T15:04:05Z"), c.SingleUse)
	}
	l.importCSV(connection, csv.String())
}

// importBank imports the customers [from, to) of the bank over one connection.
func (l *lab) importBank(connection string, from, to int) {
	l.Helper()
	var csv strings.Builder
	csv.WriteString("external_id,national_id\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&csv, "agreement-%06d,%s\n", i, l.bank.Customer(i).CustomerID)
	}
	l.importCSV(connection, csv.String())
}

func (l *lab) importCSV(connection, csv string) {
	l.Helper()
	cmd := l.command(nil, "consents", "import", "-", "--connection", connection)
	cmd.Stdin = strings.NewReader(csv)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.Fatalf("import consents: %v\n%s", err, out)
	}
}

// command is the program with the lab's configuration; env is added to its environment.
func (l *lab) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(l.Context(), "syncer", append([]string{"--config", l.config}, args...)...)
	cmd.Env = append(append(os.Environ(), "NO_COLOR=1"), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGKILL) }
	return cmd
}

// syncer runs the program to its end and gives what it wrote to stdout and its exit code.
func (l *lab) syncer(args ...string) (string, int) {
	l.Helper()
	cmd := l.command(nil, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.Fatalf("run syncer %v: %v", args, err)
	}
	if l.Failed() || cmd.ProcessState.ExitCode() == 1 {
		l.Logf("syncer %v: exit code %d\n%s%s", args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String())
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}

// process is the program running beside the test.
type process struct {
	*exec.Cmd
	lines chan string // stderr, line by line; closed at the end
	ended chan struct{}
}

// start starts the program and does not wait for it.
func (l *lab) start(env []string, args ...string) *process {
	l.Helper()
	p := &process{Cmd: l.command(env, args...), lines: make(chan string, 10000), ended: make(chan struct{})}
	stderr, err := p.StderrPipe()
	if err != nil {
		l.Fatal(err)
	}
	if err := p.Start(); err != nil {
		l.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		defer close(p.lines)
		for scan := bufio.NewScanner(stderr); scan.Scan(); {
			select {
			case p.lines <- scan.Text():
			default: // a test that does not read must not stop the program
			}
		}
		_ = p.Wait()
	}()
	l.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGCONT)
		_ = p.Process.Kill()
		<-p.ended
	})
	return p
}

// kill is kill -9, and waits until the process is gone.
func (p *process) kill() {
	_ = p.Process.Kill()
	<-p.ended
}

// content is what the record tables hold, without what differs between two runs that brought the same: ids of calls,
// times and transactions. A digest a table keeps failures readable; rows are compared when the digests differ.
func content(t testing.TB, db persisttest.Database) map[string][]string {
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

// number runs a query that gives one number.
func (l *lab) number(sql string, args ...any) int {
	l.Helper()
	var n int
	if err := l.db.Pool.QueryRow(l.Context(), sql, args...).Scan(&n); err != nil {
		l.Fatalf("%s: %v", sql, err)
	}
	return n
}

// verify runs syncer verify, which must find every promise of the tables kept.
func (l *lab) verify() {
	l.Helper()
	if out, code := l.syncer("verify"); code != 0 {
		l.Errorf("syncer verify: exit code %d\n%s", code, out)
	}
}
