package cli

import (
	"errors"
	"testing"

	"syncer/persist/queue"
)

func TestVerdictsAreExitCodes(t *testing.T) {
	for verdict, want := range map[queue.Verdict]int{queue.VerdictComplete: 0, queue.VerdictPartial: 3, queue.VerdictFailed: 4, "": 4} {
		err := verdictError(verdict)
		code, ok := errors.AsType[exitCode](err)
		if err != nil && !ok {
			t.Errorf("%q ends with %v", verdict, err)
		}
		if int(code) != want {
			t.Errorf("%q: exit code %d, want %d", verdict, code, want)
		}
	}
}
