package cli

import (
	"fmt"

	"syncer/persist/queue"
)

// The exit codes, for scripts. They are part of the command line's contract; docs/operating.md lists them.
const (
	ExitOK          = 0
	ExitError       = 1   // anything that the others are not
	ExitUsage       = 2   // a command line that can't be understood
	ExitPartial     = 3   // the run is partial
	ExitFailed      = 4   // the run has failed
	ExitInterrupted = 130 // by a signal, as a shell has it for SIGINT
)

// usageError is a command line that can't be understood.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode is an ending that has been told already: only the code is left to give.
type exitCode int

// Error is never shown.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// sentError turns a run's verdict into how the program ends.
func verdictError(v queue.Verdict) error {
	switch v {
	case queue.VerdictComplete:
		return nil
	case queue.VerdictPartial:
		return exitCode(ExitPartial)
	}
	return exitCode(ExitFailed)
}

func worse(a, b queue.Verdict) bool { return badness(a) > badness(b) }

func badness(v queue.Verdict) int {
	switch v {
	case queue.VerdictComplete:
		return 0
	case queue.VerdictPartial:
		return 1
	}
	return 2
}
