package report

import (
	"testing"
	"time"
)

func TestQuotaText(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 11, 30, 0, 0, 10, 0, time.UTC)
	for _, test := range []struct {
		q    DayQuota
		want string
	}{
		{DayQuota{PerDay: 5000, Used: 1000, Left: 4000}, "bank: 4,000 of 5,000 calls until 2026-11-30 00:00:10Z"},
		{DayQuota{PerDay: 5, Used: 5}, "bank: none of 5 calls until 2026-11-30 00:00:10Z"},
		{DayQuota{PerDay: 5, Used: 7}, "bank: none until 2026-11-30 00:00:10Z, 7 of 5 calls were made"},
		{DayQuota{PerDay: 5, Used: 2, Left: 3, elsewhere: true},
			"bank: 3 of 5 calls until 2026-11-30 00:00:10Z; 5 is what another process has read that still runs"},
	} {
		test.q.Bucket, test.q.Until = "bank", until
		if got := quotaText(test.q); got != test.want {
			t.Errorf("%+v:\n%s\n%s", test.q, got, test.want)
		}
	}
}
