// Command syncer pulls accounts, transactions and debt for every active consent from the providers it is configured
// for, on a schedule, and writes what they said into Postgres.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // a container from scratch has no time zones of its own
)

func main() { os.Exit(program(nil)) }

// program runs the command line of this process. step is called at the named points of a batch's and a commit's life;
// tests kill the process there, everybody else gives nil.
func program(step func(string)) int {
	ctx, leave := context.WithCancelCause(context.Background())
	defer leave(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		leave(errInterrupted)
		first := time.Now()
		for range signals {
			// timeout(1) and some supervisors deliver one signal twice, to the process and to its group.
			if time.Since(first) > 300*time.Millisecond {
				os.Exit(exitError) // nothing is tidied up: what is committed is safe, and the rest is begun anew
			}
		}
	}()
	a := newApp(os.Stdin, os.Stdout, os.Stderr, os.LookupEnv)
	a.step = step
	return a.run(ctx, os.Args[1:])
}
