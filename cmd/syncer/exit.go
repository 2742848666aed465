package main

import (
	"errors"
	"fmt"

	"syncer/persist"
)

// The exit codes, for scripts. They are part of the command line's contract; docs/operating.md lists them.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitPartial     = 3
	exitFailed      = 4
	exitInterrupted = 130 // as a shell has it for SIGINT
)

// errInterrupted is the cause with which the program's context ends at the first signal.
var errInterrupted = errors.New("interrupted")

// usageError is a command line that can't be understood.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode is an ending that has been told already: only the code is left to give.
type exitCode int

// Error is never shown.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// verdictError turns a run's verdict into how the program ends.
func verdictError(v persist.Verdict) error {
	switch v {
	case persist.VerdictComplete:
		return nil
	case persist.VerdictPartial:
		return exitCode(exitPartial)
	}
	return exitCode(exitFailed)
}
