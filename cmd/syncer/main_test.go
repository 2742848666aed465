package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the program: with "syncer" as its name it is main, with the race detector on, and
// with steps at which a test may kill or stop it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"syncer": func() { os.Exit(program(stepper(os.Getenv(stepEnv)))) }})
}

// stepper turns "kill s14.before 3" into a function that sends this process SIGKILL at the third time it gets to that
// step; "stop" sends SIGSTOP. An empty text is nil.
func stepper(text string) func(string) {
	if text == "" {
		return nil
	}
	var action, at string
	var n int
	if _, err := fmt.Sscan(text, &action, &at, &n); err != nil {
		panic("bad " + stepEnv + ": " + text)
	}
	signal := map[string]syscall.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGSTOP}[action]
	var mu sync.Mutex
	return func(step string) {
		mu.Lock()
		defer mu.Unlock()
		if step != at {
			return
		}
		if n--; n == 0 {
			_ = syscall.Kill(os.Getpid(), signal)
		}
	}
}

// waitForState waits until the kernel shows the process in a state, such as T for stopped.
func waitForState(t testing.TB, p *process, state byte) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if err == nil {
			if i := strings.LastIndexByte(string(stat), ')'); i > 0 && len(stat) > i+2 && stat[i+2] == state {
				return
			}
		}
		select {
		case <-p.ended:
			t.Fatalf("the process ended before it came to state %c", state)
		case <-deadline:
			t.Fatalf("the process did not come to state %c", state)
		case <-ticker.C:
		}
	}
}
