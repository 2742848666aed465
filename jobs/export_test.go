package jobs

import "context"

// Work works a batch as if its bell had rung. It returns when the batch was given back or lost.
func (e *Engine) Work(ctx context.Context, batch int64) error { return e.work(ctx, batch) }
