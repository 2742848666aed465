// Package memory proves that the answers in flight of a process cost no more memory than worker.memory says, however many and
// however large they are.
package memory

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"syncer/persist/persisttest"
	"syncer/persist/seal"
	"syncer/proof/lab"
)

// beside is how much more than worker.memory a process may take at its peak.
const beside = 128 << 20

const description = `
title: A bank
base_url: %s
token: { dialect: none }
check: { path: ping }
datasets:
  transactions:
    request: { path: "{consent}/tx" }
    records: rows
    fields: { account: account, id: id, booked_on: day, amount: amount, currency: currency, text: text }
`

const settings = `
database: { url: "file:database-url" }
keys: { file: syncer.keys }
log: { level: warn }
worker: { lease: 20s, heartbeat: 1s, sweep: 300ms, memory: %s }
connections:
  bank:
    provider: rest
    base_url: %s
    settings: { description: bank.yaml }
    rate: { unlimited: true }
    concurrency: 8
    timeout: 60s
    retry: { attempts: 1 }
    max_body: 48MiB
    allow_private: true
jobs:
  nightly: { connection: bank, datasets: [transactions], batch_size: 100 }
`

// row is a transaction of a given number with a text of so many characters.
func row(n, text int) string {
	return fmt.Sprintf(`{"account":"a","id":"tx-%07d","day":"2026-11-%02d","amount":"%d.%02d","currency":"NOK","text":"%s"}`,
		n, 1+n%28, n%9000, n%100, strings.Repeat("x", text))
}

// rows writes an answer with so many rows.
func rows(w io.Writer, count, text int) {
	_, _ = io.WriteString(w, `{"rows":[`)
	for n := range count {
		if n > 0 {
			_, _ = io.WriteString(w, ",")
		}
		_, _ = io.WriteString(w, row(n, text))
	}
	_, _ = io.WriteString(w, "]}")
}

// attack is what a provider answers to so many consents at once.
type attack struct {
	name     string
	consents int
	exit     int
	want     int // rows that are stored in all
	answer   func(w http.ResponseWriter)
}

// attacks are made for a budget of so many bytes, with what 256 MiB are to hold out against in its proportion.
func attacks(memory int) []attack {
	part := func(of int) int { return of * (memory >> 20) / 256 }
	body := func(w http.ResponseWriter, write func(io.Writer)) {
		var b bytes.Buffer
		write(&b)
		w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
		_, _ = w.Write(b.Bytes())
	}
	large := part(32<<20) / len(row(0, 210))
	many := part(300_000)
	return []attack{
		{"eight large answers", 8, 0, 8 * large, func(w http.ResponseWriter) {
			body(w, func(w io.Writer) { rows(w, large, 210) })
		}},
		{"eight large answers of which nobody says how long they are", 8, 0, 8 * large, func(w http.ResponseWriter) {
			rows(w, large, 210)
		}},
		{"four answers of many rows", 4, 0, 4 * many, func(w http.ResponseWriter) {
			body(w, func(w io.Writer) { rows(w, many, 10) })
		}},
		{"answers of empty records", 4, lab.ExitFailed, 0, func(w http.ResponseWriter) {
			body(w, func(w io.Writer) {
				_, _ = io.WriteString(w, `{"rows":[{}`+strings.Repeat(",{}", part(10_000_000))+"]}")
			})
		}},
		{"eight large errors", 8, lab.ExitFailed, 0, func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"`+strings.Repeat("x", 30<<20)+`"}`)
		}},
	}
}

// memoryEnv is worker.memory in MiB; a quarter of its default, to be quick.
const memoryEnv = "SYNCER_TEST_MEMORY"

// TestAnswersKeepToTheirMemory lets a provider answer far too much, to all calls at once, and looks at the most memory that
// the program ever had (VmHWM). What it read is stored all the same.
func TestAnswersKeepToTheirMemory(t *testing.T) {
	lab.Long(t)
	memory := 64 << 20
	if text := os.Getenv(memoryEnv); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		memory = n << 20
	}
	syncer := lab.Shipped(t)
	for _, a := range attacks(memory) {
		t.Run(a.name, func(t *testing.T) { a.try(t, syncer, memory) })
	}
}

func (a attack) try(t *testing.T, syncer string, memory int) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { a.answer(w) }))
	t.Cleanup(server.Close)
	db := persisttest.NewDatabase(t)
	config := install(t, db, server.URL, memory)
	var csv strings.Builder
	csv.WriteString("external_id\n")
	for n := range a.consents {
		fmt.Fprintf(&csv, "c%d\n", n)
	}
	run(t, syncer, config, strings.NewReader(csv.String()), "consents", "import", "-", "--connection", "bank")
	peak, code, out := run(t, syncer, config, nil, "run", "nightly")
	if code != a.exit {
		t.Errorf("exit code %d, want %d\n%s", code, a.exit, out)
	}
	stored := 0
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM transactions").Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if stored != a.want {
		t.Errorf("%d rows are stored, want %d\n%s", stored, a.want, out)
	}
	t.Logf("peak of resident memory: %d MiB with worker.memory %d MiB", peak>>20, memory>>20)
	if peak > memory+beside {
		t.Errorf("the program had %d MiB at its peak, and may have %d", peak>>20, (memory+beside)>>20)
	}
}

// install writes a configuration and what it names.
func install(t *testing.T, db persisttest.Database, api string, memory int) string {
	t.Helper()
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"syncer.yaml":  fmt.Sprintf(settings, strconv.Itoa(memory>>20)+"MiB", api),
		"bank.yaml":    fmt.Sprintf(description, api),
		"syncer.keys":  string(keys),
		"database-url": db.URL,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "syncer.yaml")
}

// run runs the program to its end, and gives the most memory that it was seen to have had.
func run(t *testing.T, syncer, config string, in io.Reader, args ...string) (peak, code int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), syncer, append([]string{"--config", config}, args...)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	cmd.Stdin = in
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		peak = max(peak, highWater(cmd.Process.Pid))
		select {
		case <-ended:
			return peak, cmd.ProcessState.ExitCode(), both.String()
		case <-ticker.C:
		}
	}
}

// highWater is the most resident memory that a process has had so far; 0 when it is gone. The rusage of a child would not do: it
// begins with the memory of its parent.
func highWater(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib := 0
	_, _ = fmt.Sscan(rest, &kib) // a zombie has none
	return kib << 10
}
