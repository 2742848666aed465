package jobs

import (
	"context"
	"time"

	"syncer/persist/read"
)

// Follow waits until a run has its verdict, and gives its report. Now and then and at the end it calls seen with how far
// the run is, a report without the lists of items.
func (e *Engine) Follow(ctx context.Context, run int64, interval time.Duration, seen func(read.Report)) (read.Report, error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		report, err := e.Store.Read.Progress(ctx, run)
		if err != nil {
			return report, err
		}
		seen(report)
		if report.Run.Verdict != "" {
			return e.Store.Read.Report(ctx, run)
		}
		select {
		case <-ctx.Done():
			return report, ctx.Err()
		case <-e.leave:
			return report, errLeaving
		case <-ticker.C:
		}
	}
}
