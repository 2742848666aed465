package jobs

import "context"

// Work works a batch as if it had been woken for it. It returns when the batch was given back or lost.
func (e *Engine) Work(ctx context.Context, batch int64) error { return e.answer(ctx, batch) }
