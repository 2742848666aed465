package jobs

import (
	"context"
	"time"

	"syncer/persist/read"
)

// lookRest is how many times as long as a look at a run has taken the next one is put off, so that those who look take no more
// than a twentieth of a core from those who work. The first look at a large run takes long, and those behind it do not: so it is
// not put off for ever.
const (
	lookRest = 20
	mostRest = 10 * time.Second
)

// rest is how long nobody looks after a look that took so long.
func rest(took, interval time.Duration) time.Duration {
	return max(interval, min(lookRest*took, mostRest))
}

// Follow waits until a run has its verdict, and gives its report. At intervals, which are longer where a look takes long, and at
// the end it calls seen with how far the run is, a report without the lists of items.
func (e *Engine) Follow(ctx context.Context, run int64, interval time.Duration, seen func(read.Report)) (read.Report, error) {
	watch := e.Store.Read.Watch(run)
	for {
		began := time.Now()
		report, err := watch.Look(ctx)
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
		case <-time.After(rest(time.Since(began), interval)):
		}
	}
}
