package clocks

import (
	"testing"
	"time"

	"syncer/proof/lab"
	"syncer/sandbox/sandboxtest"
)

// TestEveryWindowAndEveryTickOnce backfills 120 windows (with the race detector 48) of three jobs of one connection beside a
// minutely job, while all processes are killed again and again.
func TestEveryWindowAndEveryTickOnce(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	each := 40
	if sandboxtest.Race {
		each = 16
	}
	lab.BackfillWindows(t, lab.Windows{Each: each, Ticks: 4, Kill: 1500 * time.Millisecond})
}
