package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"syncer/persist"
	"syncer/proof/lab"
)

// TestMain lets the test binary be the program: with "syncer" as its name it is main, with the race detector on, and
// with steps at which a test may kill or stop it. So it is for the tests of this folder, and for the proofs, which build
// it; see proof/lab. As "syncer-plan" it plans a run of each job that it is given and leaves the batches to others.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"syncer":      func() { os.Exit(program(stepper(os.Getenv(lab.StepEnv)))) },
		"syncer-plan": planAll,
	})
}

// planAll is syncer-plan CONFIG JOB...
func planAll() {
	if err := plan(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitError)
	}
}

func plan(ctx context.Context, config string, names []string) error {
	a := newApp(nil, io.Discard, io.Discard, os.LookupEnv)
	a.configPath = config
	cfg, err := a.config()
	if err != nil {
		return err
	}
	h, err := a.house(ctx, cfg, zerolog.Nop())
	if err != nil {
		return err
	}
	defer h.Close()
	s, err := a.beginAll(ctx, h, engineSpec{Jobs: names})
	if err != nil {
		return err
	}
	defer s.end()
	for _, name := range names {
		job, err := s.engine.Job(name)
		if err != nil {
			return err
		}
		if _, _, err := s.engine.Fire(ctx, job, persist.Manual, time.Now().Truncate(time.Microsecond)); err != nil {
			return err
		}
	}
	return nil
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
		panic("bad " + lab.StepEnv + ": " + text)
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
