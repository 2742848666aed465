package report

import (
	"fmt"
	"io"
	"time"

	"syncer/calls"
	"syncer/persist/read"
	"syncer/report/text"
)

// DayQuota is what a bucket has left of its day.
type DayQuota struct {
	Connection string    `json:"connection"`
	Bucket     string    `json:"bucket"`
	PerDay     int       `json:"per_day"`
	Used       int       `json:"used"`
	Left       int       `json:"left"`
	Until      time.Time `json:"until"` // when the day ends, and all of it can be used again

	elsewhere bool // the number is that of another process, which runs
}

// DayQuotaOf is what a quota leaves of a bucket's day. elsewhere: the quota is what another process has read, which runs.
func DayQuotaOf(quota calls.Quota, day read.DayCalls, now time.Time, elsewhere bool) DayQuota {
	until := day.Ends
	if until.IsZero() {
		until = quota.Next(now).Until
	}
	return DayQuota{
		Connection: day.Connection, Bucket: day.Bucket, PerDay: quota.PerDay, Used: day.Calls,
		Left: max(0, quota.PerDay-day.Calls), Until: until.UTC(),
		elsewhere: elsewhere,
	}
}

// writeQuotas lists what is left of the quotas of the day.
func writeQuotas(w io.Writer, p text.Paint, quotas []DayQuota) {
	if len(quotas) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", p.Bold("Calls that are left today"))
	for _, q := range quotas {
		for _, line := range text.Lines(w, "  ", quotaText(q)) {
			if q.Left == 0 {
				line = p.Warn(line)
			}
			fmt.Fprintln(w, line)
		}
	}
}

// quotaText is a day's quota on one line.
func quotaText(q DayQuota) string {
	left := text.Thousands(q.Left)
	if q.Left == 0 {
		left = "none"
	}
	said := fmt.Sprintf("%s: %s of %s until %s", text.Printable(q.Bucket), left, text.Count(q.PerDay, "call"), text.Clock(q.Until))
	if q.Used > q.PerDay { // under a higher number, or before there was one
		said = fmt.Sprintf("%s: none until %s, %s of %s were made",
			text.Printable(q.Bucket), text.Clock(q.Until), text.Thousands(q.Used), text.Count(q.PerDay, "call"))
	}
	if q.elsewhere {
		said += fmt.Sprintf("; %s is what another process has read that still runs", text.Thousands(q.PerDay))
	}
	return said
}
