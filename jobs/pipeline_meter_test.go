package jobs_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/sandbox"
	"syncer/sandbox/sandboxtest"
	banksim "syncer/sandbox/sbanken"
)

// bankEnv makes the test binary a bank: the sandbox of a benchmark runs in a process of its own, so that the CPU time
// of the benchmark's process is syncer's alone.
const bankEnv = "SYNCER_BENCH_BANK"

func TestMain(m *testing.M) {
	if world := os.Getenv(bankEnv); world != "" {
		if err := serveBank(world); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if records := os.Getenv(lenderEnv); records != "" {
		if err := serveLender(records); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(sandboxtest.SideBySideIfShort(m))
}

// serveBank serves a bank until its stdin is closed, which the end of its parent does too. Its address is the first
// line of stdout.
func serveBank(world string) error {
	var o banksim.Options
	if err := json.Unmarshal([]byte(world), &o); err != nil {
		return err
	}
	o.Kit, o.Quota = sandbox.NewKit(sandbox.KitOptions{Seed: o.Seed, JournalKeep: -1}), &sandbox.Quota{}
	server, err := sandbox.Start(o.Kit)
	if err != nil {
		return err
	}
	url, err := server.Mount("bank", banksim.New(o).Handler())
	if err != nil {
		return err
	}
	fmt.Println(url)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

// startBank starts the bank of a world and gives its address and its process.
func startBank(t testing.TB, o banksim.Options) (url string, pid int) {
	t.Helper()
	o.Quota = nil
	world, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return startBeside(t, bankEnv+"="+string(world))
}

// startBeside starts the test binary as what a variable makes of it, and gives its first line and its process.
func startBeside(t testing.TB, variable string) (line string, pid int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), variable)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("what is beside did not start: %v", err)
	}
	return strings.TrimSpace(line), cmd.Process.Pid
}

// cost is what a piece of work took: wall time, WAL, and the CPU time of each of the three that did it.
type cost struct {
	rows                         int
	took, client, postgres, bank time.Duration
	wal                          int64
}

func (c cost) rate() float64 { return float64(c.rows) / c.took.Seconds() }

// aRow is a time in microseconds a row.
func (c cost) aRow(d time.Duration) float64 { return float64(d.Microseconds()) / float64(c.rows) }

// cpu is what syncer and Postgres took together, in microseconds a row.
func (c cost) cpu() float64 { return c.aRow(c.client + c.postgres) }

func (c cost) String() string {
	return fmt.Sprintf("%d rows in %.2f s: %.0f rows/s; CPU a row in µs: client %.2f, Postgres %.2f, bank %.2f", c.rows,
		c.took.Seconds(), c.rate(), c.aRow(c.client), c.aRow(c.postgres), c.aRow(c.bank))
}

// meter measures costs. It reads /proc, in whole ticks of 10 ms.
type meter struct {
	pool       *pgxpool.Pool
	postmaster int
	bank       int
}

func newMeter(t testing.TB, pool *pgxpool.Pool, bank int) *meter {
	t.Helper()
	var backend int
	if err := pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		t.Fatal(err)
	}
	parent, _, ok := readStat(strconv.Itoa(backend))
	if !ok {
		t.Fatal("the server's processes are not to be seen in /proc: the CPU time of Postgres can't be measured here")
	}
	return &meter{pool: pool, postmaster: parent, bank: bank}
}

// measure runs f, which gives the number of its rows.
func (m *meter) measure(t testing.TB, f func() int) cost {
	t.Helper()
	before := m.now(t)
	start := time.Now()
	c := cost{rows: f()}
	c.took = time.Since(start)
	after := m.now(t)
	c.client, c.postgres, c.bank = after.client-before.client, after.postgres-before.postgres, after.bank-before.bank
	c.wal = after.wal - before.wal
	return c
}

func (m *meter) now(t testing.TB) (c cost) {
	t.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		t.Fatal(err)
	}
	c.client = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		pid := filepath.Base(filepath.Dir(stat))
		parent, ticks, ok := readStat(pid)
		switch {
		case !ok: // it has ended since
		case pid == strconv.Itoa(m.bank):
			c.bank = ticks.own
		case pid == strconv.Itoa(m.postmaster):
			c.postgres += ticks.own + ticks.children
		case parent == m.postmaster:
			c.postgres += ticks.own
		}
	}
	if err := m.pool.QueryRow(t.Context(), "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8").Scan(&c.wal); err != nil {
		t.Fatal(err)
	}
	return c
}

// cpuTicks is the CPU time of a process and of its children that have ended.
type cpuTicks struct{ own, children time.Duration }

// readStat reads /proc/PID/stat: see proc(5).
func readStat(pid string) (parent int, ticks cpuTicks, ok bool) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return 0, ticks, false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	number := func(field int) time.Duration { // fields are counted from 1, and the third comes first here
		n, _ := strconv.Atoi(fields[field-3])
		return time.Duration(n)
	}
	const tick = 10 * time.Millisecond
	return int(number(4)), cpuTicks{(number(14) + number(15)) * tick, (number(16) + number(17)) * tick}, true
}
