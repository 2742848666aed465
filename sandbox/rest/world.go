package rest

import "time"

// dayOf counts days since 1970.
func dayOf(t time.Time) int { return int(t.UTC().Unix() / 86400) }

func isoDay(day int) string { return time.Unix(int64(day)*86400, 0).UTC().Format(time.DateOnly) }

func parseDay(text string) (int, bool) {
	t, err := time.Parse(time.DateOnly, text)
	return dayOf(t), err == nil
}
