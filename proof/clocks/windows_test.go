package clocks

import (
	"testing"
	"time"

	"syncer/proof/lab"
)

// TestEveryWindowAndEveryTickOnce backfills 120 windows of three jobs of one connection beside a
// minutely job, while all processes are killed again and again.
func TestEveryWindowAndEveryTickOnce(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	lab.BackfillWindows(t, lab.Windows{Each: 40, Ticks: 4, Kill: 1500 * time.Millisecond})
}
