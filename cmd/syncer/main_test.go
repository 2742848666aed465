package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"syncer/app"
	"syncer/cli"
	"syncer/config"
	"syncer/persist/queue"
	"syncer/proof/lab"
	"syncer/sandbox/sandboxtest"
)

// TestMain lets the test binary be the program: with "syncer" as its name it is main, with the race detector on, and
// with steps at which a test may kill or stop it. So it is for the tests of this folder, and for the proofs, which build
// it; see proof/lab. As "syncer-plan" it plans a run of each job that it is given and leaves the batches to others.
func TestMain(m *testing.M) {
	testscript.Main(sideBySide{m}, map[string]func(){
		"syncer":      func() { os.Exit(program(stepper(os.Getenv(lab.StepEnv)))) },
		"syncer-plan": planAll,
	})
}

// sideBySide runs the tests, which wait for processes and the database most of their time, more at once with -short.
type sideBySide struct{ *testing.M }

func (s sideBySide) Run() int {
	return lab.Races(func() int { return sandboxtest.SideBySideIfShort(s.M) })
}

// planAll is syncer-plan CONFIG JOB...
func planAll() {
	if err := planOnly(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(cli.ExitError)
	}
}

func planOnly(ctx context.Context, path string, names []string) error {
	cfg, err := config.LoadUnresolved(path, os.LookupEnv)
	if err != nil {
		return err
	}
	inst, err := app.Open(ctx, cfg, app.Options{Providers: providers(), Env: os.LookupEnv, Log: zerolog.Nop()})
	if err != nil {
		return err
	}
	defer inst.Close()
	work, err := inst.Start(ctx, app.EngineSpec{Jobs: names})
	if err != nil {
		return err
	}
	defer work.Stop()
	for _, name := range names {
		job, err := work.Engine.Job(name)
		if err != nil {
			return err
		}
		if _, _, err := work.Engine.Fire(ctx, job, queue.Manual, time.Now().Truncate(time.Microsecond)); err != nil {
			return err
		}
	}
	return nil
}

// stepper turns "kill commit.ready 3" into a function that sends this process SIGKILL at the third time it gets to that
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
