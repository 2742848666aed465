package jobs

import (
	"context"
	"errors"
	"time"

	"syncer/finance"
	"syncer/persist/pg"
)

// maintainedEvery is how often somebody looks whether a connection that an operator has parked is open again.
const maintainedEvery = 2 * time.Second

// maintained waits while the job's connection is parked by an operator, and says whether it had to. A run that was planned
// meanwhile would only fail, once for each tick of the night. The ticks are not considered, so none is lost: when the
// connection is opened the job's policy says which of them fire. A connection that is parked because something is wrong is not
// waited for: its runs fail, and are seen.
func (e *Engine) maintained(ctx context.Context, job Job) (waited bool, err error) {
	for {
		c, err := e.Store.Connections.ByName(ctx, job.Connection)
		switch {
		case errors.Is(err, pg.ErrNotFound):
			return waited, nil
		case err != nil:
			return waited, err
		case !c.Parked || c.ParkedClass != string(finance.Refused):
			if waited {
				e.Log.Info().Str("job", job.Name).Str("connection", job.Connection).
					Msg("the connection is open again: ticks that came meanwhile are treated by the job's catch_up")
			}
			return waited, nil
		}
		if !waited {
			e.Log.Warn().Str("job", job.Name).Str("connection", job.Connection).Str("reason", c.ParkedReason).
				Msg("a tick waits, because an operator has parked the connection: no run is planned until it is opened")
		}
		waited = true
		select {
		case <-ctx.Done():
			return waited, ctx.Err()
		case <-time.After(maintainedEvery):
		}
	}
}
