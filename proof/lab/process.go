package lab

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Command is the program with the lab's configuration; env is added to its environment.
func (l *Lab) Command(env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(l.Context(), program, append([]string{"--config", l.Config}, args...)...)
	// A lab says itself where its database is. The variable, which a developer may have set for the tests' own server, would win.
	ours := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SYNCER_STATE_DIR=") })
	cmd.Env = append(append(ours, "NO_COLOR=1"), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGKILL) }
	return cmd
}

// Syncer runs the program to its end and gives what it wrote to stdout and its exit code.
func (l *Lab) Syncer(args ...string) (string, int) {
	l.Helper()
	cmd := l.Command(nil, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	cmd.Stderr = &stderr
	err := cmd.Run()
	_, exited := errors.AsType[*exec.ExitError](err)
	if err != nil && !exited {
		l.Fatalf("run syncer %v: %v", args, err)
	}
	if l.Failed() || cmd.ProcessState.ExitCode() == 1 {
		l.Logf("syncer %v: exit code %d\n%s%s", args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String())
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}

// Process is the program running beside the test.
type Process struct {
	*exec.Cmd
	Lines chan string   // stderr, line by line; closed at the end
	Ended chan struct{} // closed when it is gone
}

// Start starts the program and does not wait for it.
func (l *Lab) Start(env []string, args ...string) *Process {
	l.Helper()
	return l.Watch(l.Command(env, args...))
}

// Watch starts a command, which need not be the program under test.
func (l *Lab) Watch(cmd *exec.Cmd) *Process {
	l.Helper()
	p := &Process{Cmd: cmd, Lines: make(chan string, 10000), Ended: make(chan struct{})}
	stderr, err := p.StderrPipe()
	if err != nil {
		l.Fatal(err)
	}
	if err := p.Start(); err != nil {
		l.Fatal(err)
	}
	go func() {
		defer close(p.Ended)
		defer close(p.Lines)
		for scan := bufio.NewScanner(stderr); scan.Scan(); {
			select {
			case p.Lines <- scan.Text():
			default: // a test that does not read must not stop the program
			}
		}
		_ = p.Wait()
	}()
	l.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGCONT)
		_ = p.Process.Kill()
		<-p.Ended
	})
	return p
}

// Said are the lines of its log that nobody has read yet, of a process that has ended.
func (p *Process) Said() string {
	<-p.Ended
	var lines []string
	for line := range p.Lines {
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Kill is kill -9, and waits until the process is gone.
func (p *Process) Kill() {
	_ = p.Process.Kill()
	<-p.Ended
}

// WaitForState waits until the kernel shows the process in a state, such as T for stopped.
func WaitForState(t testing.TB, p *Process, state byte) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(Patient)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if err == nil {
			if i := strings.LastIndexByte(string(stat), ')'); i > 0 && len(stat) > i+2 && stat[i+2] == state {
				return
			}
		}
		select {
		case <-p.Ended:
			t.Fatalf("the process ended before it came to state %c", state)
		case <-deadline:
			t.Fatalf("the process did not come to state %c", state)
		case <-ticker.C:
		}
	}
}
