package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"syncer/cli"
	"syncer/proof/lab"
)

// What is no regular file is refused at once, wherever a file is named.
func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	n := newDebtNight(t, 1)
	dir := filepath.Dir(n.config)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, odd := range []string{pipe, "/dev/zero", dir} {
		for what, args := range map[string][]string{
			"config":      {"--config", odd, "check"},
			"description": {"--config", n.with("description: register.yaml", "description: "+odd), "run", "debts"},
			"keys":        {"--config", n.with("file: syncer.keys", "file: "+odd), "run", "debts"},
			"secret":      {"--config", n.with("file:database-url", "file:"+odd), "run", "debts"},
			"list":        {"--config", n.config, "consents", "import", odd, "--connection", "register"},
			"ids":         {"--config", n.config, "consents", "revoke", "--file", odd, "--connection", "register"},
		} {
			cmd := exec.CommandContext(t.Context(), "syncer", args...)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != cli.ExitError || !strings.Contains(string(out), "not a regular file") {
				t.Errorf("%s for the %s: exit code %d\n%s", odd, what, code, out)
			}
		}
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 8<<30); err != nil {
		t.Fatal(err)
	}
	for what, config := range map[string]string{
		"config": large, "description": n.with("description: register.yaml", "description: "+large),
		"keys": n.with("file: syncer.keys", "file: "+large),
	} {
		out, _ := exec.CommandContext(t.Context(), "syncer", "--config", config, "run", "debts").CombinedOutput()
		if !strings.Contains(string(out), "is it the right file?") {
			t.Errorf("a %s of 8 GiB:\n%s", what, out)
		}
	}
}

// with is a configuration that differs from the night's in one text.
func (n *debtNight) with(text, other string) (path string) {
	n.Helper()
	config, err := os.ReadFile(n.config)
	if err != nil {
		n.Fatal(err)
	}
	f, err := os.CreateTemp(filepath.Dir(n.config), "other-*.yaml")
	if err != nil {
		n.Fatal(err)
	}
	defer f.Close()
	if !bytes.Contains(config, []byte(text)) {
		n.Fatalf("no %q in the configuration", text)
	}
	if _, err := f.Write(bytes.ReplaceAll(config, []byte(text), []byte(other))); err != nil {
		n.Fatal(err)
	}
	return f.Name()
}

// coreLimit is the line of /proc/PID/limits that says how large a core dump may be: the soft and the hard limit.
var coreLimit = regexp.MustCompile(`(?m)^Max core file size +0 +0 `)

// The program forbids core dumps, and one that waits for a list on standard input hears a signal.
func TestAPipeWithoutAWriterHearsASignal(t *testing.T) {
	t.Parallel()
	n := newDebtNight(t, 1)
	cmd := n.command("consents", "import", "-", "--connection", "register")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds: when it is written the program reads.
	if _, err := io.WriteString(in, "external_id\n"+strings.Repeat("\n", 1<<20)); err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	if err != nil || !coreLimit.Match(limits) {
		t.Errorf("core dumps are allowed: %v\n%s", err, limits)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitInterrupted {
		t.Errorf("exit code %d, want %d", code, cli.ExitInterrupted)
	}
}

func TestTheProcessCanNotBeDumped(t *testing.T) {
	was := dumpable()
	forbidDumps()
	if dumpable() {
		t.Errorf("the process can be dumped; before it could: %t", was)
	}
}

// A pipe that nobody reads, and one whose reader has gone, stop no work.
func TestStderrThatNobodyReadsStopsNothing(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"nobody reads": false, "the reader has gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newDebtNight(t, 100)
			out, in, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			const setPipeSize = 1031 // F_SETPIPE_SZ of fcntl(2)
			if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, in.Fd(), setPipeSize, 4096); errno != 0 {
				t.Fatal(errno)
			}
			if gone {
				_ = out.Close()
			}
			cmd := n.command("run", "debts", "--log-level", "debug")
			cmd.Stderr = in
			if err := errors.Join(cmd.Run(), in.Close()); err != nil {
				t.Fatalf("the run has not ended well: %v", err)
			}
			if asked := n.asked.Load(); asked != 100 {
				t.Errorf("%d consents were called for", asked)
			}
			if !gone {
				said, _ := io.ReadAll(out)
				if len(said) == 0 || len(said) > 64<<10 {
					t.Errorf("%d bytes of the log were in the pipe", len(said))
				}
			}
		})
	}
}

// max_in_flight bounds the calls of all processes together. Those of a process that was killed do not count: the worker that had their
// batch is gone, or another one has it.
func TestCallsInFlightOfAllProcesses(t *testing.T) {
	t.Parallel()
	const most = 3
	n := newDebtNight(t, 60)
	n.config = n.with("lease: 1s, heartbeat: 400ms", "lease: 60s, heartbeat: 1s") // however slow the machine is
	n.config = n.with("batch_size: 100", "batch_size: 10")
	n.config = n.with("concurrency: 8", fmt.Sprintf("concurrency: 8\n    max_in_flight: %d", most))
	var now, peak atomic.Int64
	var once sync.Once
	met := make(chan struct{}) // closed when as many calls as may be are on their way
	defer n.holds(func(http.ResponseWriter) {
		defer now.Add(-1)
		on := now.Add(1)
		for seen := peak.Load(); on > seen && !peak.CompareAndSwap(seen, on); seen = peak.Load() {
		}
		if on >= most-1 {
			once.Do(func() { close(met) })
		}
		select {
		case <-met:
		case <-time.After(2 * time.Second): // a slow machine takes so long to send the next one
		}
		<-time.After(10 * time.Millisecond)
	})()
	if out, err := exec.CommandContext(t.Context(), "syncer-plan", n.config, "debts").CombinedOutput(); err != nil {
		t.Fatalf("plan: %v\n%s", err, out)
	}
	_, err := n.db.Pool.Exec(t.Context(), `INSERT INTO flights (call_id, connection, batch_id, fence, until)
		SELECT gen_random_uuid(), 'register', b.id, b.fence - x, clock_timestamp() + interval '1 hour'
		FROM generate_series(0, 2) x, (SELECT id, fence FROM batches ORDER BY id LIMIT 1) b
		UNION ALL SELECT gen_random_uuid(), 'register', NULL, NULL, clock_timestamp() - interval '1 second'
		UNION ALL SELECT gen_random_uuid(), 'register', NULL, NULL, clock_timestamp() + interval '1 hour'`)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		worker := n.command("work")
		if err := worker.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = worker.Process.Signal(syscall.SIGTERM)
			_ = worker.Wait()
		}()
	}
	n.eventually("SELECT count(*) FROM runs WHERE verdict = 'complete'", 1)
	if got := peak.Load(); got != most-1 {
		t.Errorf("%d calls were on their way at a time, want %d beside the one of another process that lives", got, most-1)
	}
	n.eventually("SELECT count(*) FROM flights", 1)
}

// A process that is killed with calls on their way takes their places with it when its lease ends, and no sooner.
func TestCallsOfAKilledProcessAreNotInFlight(t *testing.T) {
	t.Parallel()
	const most = 2
	n := newDebtNight(t, 12)
	n.config = n.with("lease: 1s, heartbeat: 400ms", "lease: 5s, heartbeat: 1s")
	n.config = n.with("concurrency: 8", fmt.Sprintf("concurrency: 8\n    max_in_flight: %d", most))
	var now, peak atomic.Int64
	var once sync.Once
	met := make(chan struct{})
	stays := make(chan struct{})
	undo := n.holds(func(http.ResponseWriter) {
		if now.Add(1) == most {
			once.Do(func() { close(met) })
		}
		<-stays
	})
	end := sync.OnceFunc(func() { close(stays) })
	defer end()
	doomed := n.command("run", "debts")
	if err := doomed.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-met:
	case <-time.After(lab.Patient):
		t.Fatal("the calls are not on their way")
	}
	if err := doomed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = doomed.Wait()
	if got := n.number("SELECT count(*) FROM flights"); got != most {
		t.Errorf("%d calls of the killed process are written down, want %d", got, most)
	}
	undo()
	end()
	n.eventually("SELECT count(*) FROM batches b JOIN workers w ON w.id = b.holder AND w.expires_at > clock_timestamp()", 0)

	var later atomic.Int64 // those of the killed process may be about to end
	defer n.holds(func(http.ResponseWriter) {
		defer later.Add(-1)
		on := later.Add(1)
		for seen := peak.Load(); on > seen && !peak.CompareAndSwap(seen, on); seen = peak.Load() {
		}
		<-time.After(20 * time.Millisecond)
	})()
	n.does(0, "run", "debts")
	if got := peak.Load(); got > most {
		t.Errorf("%d calls were on their way at a time, want %d at most", got, most)
	}
	if got := n.number("SELECT count(*) FROM flights"); got > 0 {
		t.Errorf("%d calls count still", got)
	}
}

// eventually waits until a query gives a number.
func (n *debtNight) eventually(sql string, want int) {
	n.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(lab.Patient)
	for {
		got := 0
		if err := n.db.Pool.QueryRow(n.Context(), sql).Scan(&got); err != nil {
			n.Fatal(err)
		}
		if got == want {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			n.Fatalf("%s gives %d, want %d", sql, got, want)
		}
	}
}

// What can't be printed is an error: a report that a full disk has cut looks whole to whoever reads only the exit code.
func TestAReportThatIsCutIsAnError(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "syncer", "version")
	cmd.Stdout = full
	cmd.Stderr = &said
	err = cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "print what there is to say: write /dev/stdout: no space left on device") {
		t.Errorf("%v, and said: %s", err, &said)
	}
}
