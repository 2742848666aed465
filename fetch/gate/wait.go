package gate

import (
	"context"
	"time"
)

// Wait waits for d, or until the context ends or the channel is closed. It says whether d has passed.
func Wait(ctx context.Context, d time.Duration, moved <-chan struct{}) (passed bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if d <= 0 {
		return true, nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true, nil
	case <-moved:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
