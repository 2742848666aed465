package jobs

import (
	"context"

	"syncer/persist/read"
)

// tellUnworked warns once of each open run that no living process works: its job was renamed or removed, or whoever works it
// is down. It would wait for ever, and look as if it waited for its provider.
func (e *Engine) tellUnworked(ctx context.Context) error {
	if !e.Watch {
		return nil
	}
	runs, err := e.Store.Read.Unworked(ctx, read.ListedCauses)
	if err != nil {
		return err
	}
	still := map[int64]bool{}
	for _, run := range runs {
		still[run.ID] = true
		if e.unworked[run.ID] {
			continue
		}
		e.Log.Warn().Int64("run", run.ID).Str("job", run.Job).Str("connection", run.Connection).
			Msg("no process works this run, so it waits for ever: start one that has its job, or `syncer runs close` ends it")
	}
	e.unworked = still
	return nil
}
