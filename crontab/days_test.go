package crontab

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// What crontab knows and cron/v3 does not means what crontab means by it.
func TestExpressionsMeanWhatCrontabMeans(t *testing.T) {
	from := time.Date(2026, 11, 29, 23, 0, 0, 0, time.UTC) // a Sunday
	for expr, want := range map[string]string{
		"0 1 * * 7":       "Sun Sun",
		"0 1 * * 0":       "Sun Sun",
		"0 1 * * 5-7":     "Fri Sat Sun",
		"0 1 * * fri-7":   "Fri Sat Sun",
		"0 1 * * 1,7":     "Mon Sun Mon",
		"0 1 * * 1-7/2":   "Mon Wed Fri Sun",
		"0 1 * * 0-7":     "Mon Tue Wed Thu Fri Sat Sun",
		"0 1 */2 * *":     "Tue Thu",
		"0 1 * * */2":     "Tue Thu Sat Sun",
		"0 1 1-3 * 5":     "Tue Wed Thu Fri Fri",
		"*/60 1 * * 1":    "",
		"*/90 * * * *":    "",
		"0 */36 * * *":    "",
		"0 1 */2 * 1":     "",
		"0 1 1 * */2":     "",
		"0 1 * * 6-8":     "",
		"0 1 * * tue-7/0": "",
	} {
		s, err := Parse(expr)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), expr) {
				t.Errorf("%s is taken: %v", expr, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		var days []string
		for at := s.Next(from); len(days) < len(strings.Fields(want)); at = s.Next(at) {
			days = append(days, at.Weekday().String()[:3])
		}
		if !slices.Equal(days, strings.Fields(want)) {
			t.Errorf("%s fires on %v, want %s", expr, days, want)
		}
	}
}
