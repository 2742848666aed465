package clocks

import (
	"os"
	"strconv"
	"testing"
	"time"

	"syncer/proof/lab"
)

// TestEveryWindowAndEveryTickOnce backfills 48 windows of three jobs of one connection beside a minutely job,
// while all processes are killed again and again. SYNCER_TEST_WINDOWS names another number of windows for each
// job than 16, for a longer proof.
func TestEveryWindowAndEveryTickOnce(t *testing.T) {
	lab.Long(t)
	t.Parallel()
	each := 16
	if n, err := strconv.Atoi(os.Getenv("SYNCER_TEST_WINDOWS")); err == nil {
		each = n
	}
	lab.BackfillWindows(t, lab.Windows{Each: each, Ticks: 4, Kill: 1500 * time.Millisecond})
}
