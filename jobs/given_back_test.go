package jobs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/jobs"
)

// A job that is taken out of the configuration and given back after 90 days begins then, whatever its
// policy. One that was there all the time catches up, also when its schedule is spelled in another way
// meanwhile.
func TestAJobThatIsGivenBackBeginsThen(t *testing.T) {
	t.Parallel()
	onOneClock(t, "2026-06-01T12:00:00Z", func(t *testing.T, pool *pgxpool.Pool) {
		stays := scheduled(t, "stays", "30 2 * * *", jobs.CatchUpAll)
		respelled := scheduled(t, "stays", "30 2 */1 * *", jobs.CatchUpAll)
		goes := scheduled(t, "goes", "0 */4 * * *", jobs.CatchUpAll)
		for _, l := range []struct {
			life
			all []jobs.Job
		}{
			{life{"2026-06-01T12:00:00Z", "2026-06-01T15:00:00Z", ""}, []jobs.Job{stays, goes}},
			{life{"2026-06-01T16:00:00Z", "2026-06-01T17:00:00Z", ""}, []jobs.Job{stays}},
			{life{"2026-06-04T12:00:00Z", "2026-06-04T13:00:00Z", ""}, []jobs.Job{respelled}},
			{life{"2026-06-05T12:00:00Z", "2026-06-05T13:00:00Z", ""}, []jobs.Job{stays}},
			{life{"2026-09-01T09:00:00Z", "2026-09-01T10:30:00Z", ""}, []jobs.Job{goes}},
		} {
			l.live(t, pool, l.all, nil)
		}
		want := map[string][]string{
			"stays": {"2026-06-02T00:30:00Z", "2026-06-03T00:30:00Z", "2026-06-04T00:30:00Z", "2026-06-05T00:30:00Z"},
			"goes":  {"2026-06-01T14:00:00Z", "2026-09-01T10:00:00Z"},
		}
		if diff := cmp.Diff(want, scheduledRuns(t, pool)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}
