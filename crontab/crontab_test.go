package crontab

import (
	"strings"
	"testing"
)

// What is refused says which expression it is, or what to write instead.
func TestWhatIsNoSchedule(t *testing.T) {
	for expr, want := range map[string]string{
		"":                "write five cron fields",
		" ":               "write five cron fields",
		"TZ=0":            "time_zone",
		"@every 1h":       "*/15",
		"30 2 * *":        "is not a cron expression",
		"61 2 * * *":      "is not a cron expression",
		"0 0 31 2 *":      "never fires",
		"*/90 * * * *":    "a step of 90 is longer than the field minute goes",
		"0 1 * * 6-8":     "8",
		"0 1 * * tue-7/0": "is no step",
		"@yesterday":      "is not a cron expression",
	} {
		if _, err := Parse(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", expr, err, want)
		}
	}
}
