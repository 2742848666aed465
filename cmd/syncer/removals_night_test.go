package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/persist/persisttest"
	"syncer/persist/seal"
	"syncer/proof/lab"
)

// debtNight is a provider that shows every consent three debts, or none, and the program on a database.
type debtNight struct {
	testing.TB
	db     persisttest.Database
	config string
	empty  atomic.Pointer[func(consent int) bool] // whose list is empty now
	asked  atomic.Int64
	hold   atomic.Pointer[func(http.ResponseWriter)] // what happens before an answer
}

const debtNightDescription = `
title: A register
base_url: %s
token: { dialect: none }
check: { path: ping }
datasets:
  debt:
    request: { path: "{consent}/debts" }
    records: rows
    whole: true
    fields: { id: id, creditor: creditor, kind: kind, currency: currency, balance: balance }
`

const debtNightConfig = `
database: { url: "file:database-url" }
keys: { file: syncer.keys }
log: { level: warn }
worker: { lease: 1s, heartbeat: 400ms, sweep: 300ms, batches: 4, drain: 10s }
connections:
  register:
    provider: rest
    base_url: %s
    settings: { description: register.yaml }
    rate: { unlimited: true }
    concurrency: 8
    allow_private: true
jobs:
  debts: { connection: register, datasets: [debt], batch_size: 100 }
`

func newDebtNight(t testing.TB, consents int) *debtNight {
	t.Helper()
	n := &debtNight{TB: t, db: persisttest.NewDatabase(t)}
	n.shows(func(int) bool { return false })
	server := httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(server.Close)
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"syncer.yaml":   fmt.Sprintf(debtNightConfig, server.URL),
		"register.yaml": fmt.Sprintf(debtNightDescription, server.URL),
		"syncer.keys":   string(keys),
		"database-url":  n.db.URL,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.config = filepath.Join(dir, "syncer.yaml")
	csv := &strings.Builder{}
	csv.WriteString("external_id\n")
	for i := range consents {
		fmt.Fprintf(csv, "c%d\n", i)
	}
	load := n.command("consents", "import", "-", "--connection", "register")
	load.Stdin = strings.NewReader(csv.String())
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	return n
}

func (n *debtNight) shows(empty func(consent int) bool) { n.empty.Store(&empty) }

// holds lets something happen before each answer, until it is undone.
func (n *debtNight) holds(hold func(http.ResponseWriter)) (undo func()) {
	n.hold.Store(&hold)
	return func() { n.hold.Store(nil) }
}

func (n *debtNight) serve(w http.ResponseWriter, r *http.Request) {
	n.asked.Add(1)
	if hold := n.hold.Load(); hold != nil {
		(*hold)(w)
	}
	consent, _ := strconv.Atoi(strings.TrimPrefix(strings.Split(r.URL.Path, "/")[1], "c"))
	rows := []map[string]string{}
	if !(*n.empty.Load())(consent) {
		for i := range 3 {
			rows = append(rows, map[string]string{"id": fmt.Sprintf("d%d", i), "creditor": "Bank", "kind": "loan",
				"currency": "NOK", "balance": fmt.Sprintf("%d.50", 100*consent+i)})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"rows": rows})
}

func (n *debtNight) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(n.Context(), "syncer", append([]string{"--config", n.config}, args...)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	return cmd
}

// does runs the program to its end, which must have this exit code, and gives both streams.
func (n *debtNight) does(code int, args ...string) (stdout, stderr string) {
	n.Helper()
	cmd := n.command(args...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		n.Fatalf("syncer %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out.String(), err.String())
	}
	return out.String(), err.String()
}

// rows are all debts with what must be again as it was.
func (n *debtNight) rows() []string {
	n.Helper()
	rows, err := n.db.Pool.Query(n.Context(), `SELECT format('%s %s %s %s %s %s %s', consent_id, debt_id, balance,
		first_seen_at, call_id, place, removed_at IS NULL) FROM debts ORDER BY consent_id, debt_id`)
	if err != nil {
		n.Fatal(err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			n.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func (n *debtNight) number(sql string) (number int) {
	n.Helper()
	if err := n.db.Pool.QueryRow(n.Context(), sql).Scan(&number); err != nil {
		n.Fatal(err)
	}
	return number
}

func alerts(stderr string) int { return strings.Count(stderr, `"level":"error"`) }

// TestNightOfEmptyLists: a provider shows 1,000 people an empty list for one night, and the process is killed in the
// middle of it. No more than the guard's share is removed, there is one alert, undo brings back what went as it was,
// and the next night is as if nothing had been. Then 15 in a hundred have really ended: nothing is withheld.
func TestNightOfEmptyLists(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	n := newDebtNight(t, 1000)
	n.does(0, "run", "debts")
	before := n.rows()
	if len(before) != 3000 {
		t.Fatalf("%d debts", len(before))
	}

	n.shows(func(int) bool { return true })
	doomed := n.command("run", "debts")
	var said bytes.Buffer
	doomed.Stderr = &said
	if err := doomed.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n.number(`SELECT count(*) FROM removals`) < 60 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("nothing is removed")
		}
	}
	_ = doomed.Process.Signal(syscall.SIGKILL)
	_ = doomed.Wait()
	left := n.number(`SELECT count(*) FROM items WHERE outcome IS NULL`)
	if left == 0 {
		t.Fatal("the process was killed too late to tell anything")
	}
	_, again := n.does(3, "run", "debts")
	run := n.number(`SELECT max(id) FROM runs`)
	if run != 2 {
		t.Fatalf("the second night is run %d: it was not resumed", run)
	}
	if got := n.number(`SELECT count(*) FROM debts WHERE removed_at IS NOT NULL`); got != 600 {
		t.Errorf("%d of 3,000 debts were removed, want a fifth", got)
	}
	if got := alerts(said.String()) + alerts(again); got != 1 {
		t.Errorf("%d alerts, want 1:\n%s%s", got, said.String(), again)
	}
	if got := n.number(`SELECT count(*) FROM items i JOIN batches b ON b.id = i.batch_id AND b.run_id = 2
		WHERE i.outcome = 'partial' AND i.reason LIKE 'removals withheld%'`); got != 800 {
		t.Errorf("%d items are partial because removals are withheld, want 800", got)
	}
	const told = "run 2 debts, debt: removals withheld, 2,400 records of 800 consents"
	for _, look := range [][]string{{"status"}, {"runs", "show", "2"}, {"removals", "list"}} {
		if out, _ := n.does(0, look...); !strings.Contains(out, told) {
			t.Errorf("syncer %s does not say %q:\n%s", strings.Join(look, " "), told, out)
		}
	}
	n.does(0, "verify")

	out, _ := n.does(0, "removals", "undo", "2")
	if want := "Brought back 600 records of 200 consents.\n"; out != want {
		t.Errorf("undo says %q, want %q", out, want)
	}
	if diff := cmp.Diff(before, n.rows()); diff != "" {
		t.Errorf("not as before:\n%.2000s", diff)
	}
	n.shows(func(int) bool { return false })
	n.does(0, "run", "debts")
	if diff := cmp.Diff(before, n.rows()); diff != "" {
		t.Errorf("the next night has changed something:\n%.2000s", diff)
	}
	if got := n.number(`SELECT count(*) FROM absences`); got != 0 {
		t.Errorf("%d notes are left after a good night", got)
	}
	if out, _ := n.does(0, "status", "--json"); !strings.Contains(out, `"withheld_removals": []`) {
		t.Errorf("status still tells of removals:\n%s", out)
	}

	n.shows(func(consent int) bool { return consent*7919%1000 < 150 })
	_, quiet := n.does(0, "run", "debts")
	if got := n.number(`SELECT count(*) FROM debts WHERE removed_at IS NOT NULL`); got != 450 {
		t.Errorf("%d debts were removed, want 450", got)
	}
	if alerts(quiet) > 0 {
		t.Errorf("an alert without a reason:\n%s", quiet)
	}
	n.does(0, "verify")
}

// TestAcceptRemovals: a provider that means it. The same empty lists are removed once a person has said so, and a rerun
// proves the run.
func TestAcceptRemovals(t *testing.T) {
	t.Parallel()
	n := newDebtNight(t, 60)
	n.does(0, "run", "debts")
	n.shows(func(consent int) bool { return consent < 30 })
	n.does(3, "run", "debts")
	if got := n.number(`SELECT count(*) FROM debts WHERE removed_at IS NOT NULL`); got != 36 {
		t.Fatalf("%d debts were removed, want 36", got)
	}
	n.does(3, "rerun", "2")
	out, _ := n.does(0, "removals", "accept", "2", "--json")
	if want := `{"event":"accepted","run":2,"records":54,"consents":18}` + "\n"; out != want {
		t.Errorf("accept says %s, want %s", out, want)
	}
	if got := n.number(`SELECT count(*) FROM debts WHERE removed_at IS NOT NULL`); got != 90 {
		t.Errorf("%d debts were removed, want 90", got)
	}
	n.does(0, "rerun", "2")
	if got := n.number(`SELECT count(*) FROM runs WHERE verdict = 'complete'`); got != 3 { // the rerun before was not
		t.Errorf("%d runs are complete", got)
	}
	n.does(0, "verify")
	if _, said := n.does(1, "removals", "undo", "1"); !strings.Contains(said, "run 1 has withheld no removal") {
		t.Errorf("undo of a quiet night says %q", said)
	}
	if _, said := n.does(1, "removals", "accept", "99"); !strings.Contains(said, "there is no run 99") {
		t.Errorf("accept of no run says %q", said)
	}
	n.does(2, "removals", "accept", "x")
	told := n.number(`SELECT count(*) FROM acts
		WHERE act = 'removals accept' AND object = '2' AND details = '{"records": 54, "consents": 18}'`)
	if all := n.number(`SELECT count(*) FROM acts WHERE act LIKE 'removals%'`); told != 1 || all != 1 {
		t.Errorf("%d of %d acts tell who has accepted what, want 1 of 1", told, all)
	}
	n.does(0, "run", "debts")
}
