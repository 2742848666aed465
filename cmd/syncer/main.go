// Command syncer pulls accounts, transactions and debt for every active consent from the providers it is configured
// for, on a schedule, and writes what they said into Postgres.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // a container from scratch has no time zones of its own

	"syncer/cli"
)

func main() { os.Exit(program(nil)) }

// errInterrupted is the cause with which the program's context ends at the first signal.
var errInterrupted = errors.New("interrupted")

// endings are the signals at which the program finishes the pages in hand and leaves. A hangup is one, as when a terminal
// closes, unless the caller has the program ignore it: nohup(1) does.
func endings() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// program runs the command line of this process. step is called at the named points of a batch's and a commit's life;
// tests kill the process there, everybody else gives nil.
func program(step func(string)) int {
	ctx, leave := context.WithCancelCause(context.Background())
	defer leave(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endings()...)
	forbidDumps()
	go func() {
		<-signals
		leave(errInterrupted)
		first := time.Now()
		for range signals {
			// timeout(1) and some supervisors deliver one signal twice, to the process and to its group.
			if time.Since(first) > 300*time.Millisecond {
				os.Exit(cli.ExitError) // nothing is tidied up: what is committed is safe, and the rest is begun anew
			}
		}
	}()
	return cli.New(os.Stdin, os.Stdout, os.Stderr, os.LookupEnv, setup(step)).Run(ctx, os.Args[1:])
}
