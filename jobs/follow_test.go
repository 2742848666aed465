package jobs

import (
	"testing"
	"time"
)

// Whoever looks at a large run takes little from those who work it, and sees its end all the same.
func TestALongLookPutsTheNextOneOff(t *testing.T) {
	t.Parallel()
	const interval = 500 * time.Millisecond
	for took, want := range map[time.Duration]time.Duration{
		0:                      interval,
		10 * time.Millisecond:  interval,
		100 * time.Millisecond: 2 * time.Second,
		time.Minute:            10 * time.Second,
	} {
		if got := rest(took, interval); got != want {
			t.Errorf("after a look of %v the next one comes after %v, want %v", took, got, want)
		}
	}
}
