package jobs

import (
	"context"
	"time"

	"syncer/persist"
)

// Follow waits until a run has its verdict, and gives its report. Now and then and at the end it calls seen with how far
// the run is, a report without the lists of items.
func (e *Engine) Follow(ctx context.Context, run int64, interval time.Duration, seen func(persist.Report)) (persist.Report, error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		report, err := e.Store.RunProgress(ctx, run)
		if err != nil {
			return report, err
		}
		seen(report)
		if report.Run.Verdict != "" {
			return e.Store.RunReport(ctx, run)
		}
		select {
		case <-ctx.Done():
			return report, ctx.Err()
		case <-e.leave:
			return report, errLeft
		case <-ticker.C:
		}
	}
}
