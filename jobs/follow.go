package jobs

import (
	"context"
	"time"

	"syncer/persist"
)

// Follow waits until a run has its verdict, and calls seen with what is known of it now and then and at the end.
func (e *Engine) Follow(ctx context.Context, run int64, interval time.Duration, seen func(persist.Report)) (persist.Report, error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		report, err := e.Store.RunReport(ctx, run)
		if err != nil {
			return report, err
		}
		seen(report)
		if report.Run.Verdict != "" {
			return report, nil
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
