package jobs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// cronFields are the fields of a cron expression (crontab(5)) and their highest values.
var cronFields = []struct {
	name string
	most int
}{{"minute", 59}, {"hour", 23}, {"day of the month", 31}, {"month", 12}, {"day of the week", 7}}

// asCrontab makes an expression of five fields mean to cron/v3 what it means to crontab, or says why it can't.
//
// cron/v3 knows no day 7; it takes a step beyond the end of a field for its first value alone; and of "*/2" beside a
// day of the week it makes either of both, where crontab wants both.
func asCrontab(expr string) (string, error) {
	fields := strings.Fields(expr)
	if len(fields) != len(cronFields) {
		return expr, nil // a descriptor, or what cron/v3 refuses
	}
	for i, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			_, step, _ := strings.Cut(part, "/")
			if n, err := strconv.Atoi(step); err == nil && n > cronFields[i].most {
				return "", fmt.Errorf("a step of %d is longer than the field %s goes; "+
					"an interval that does not fit into it can't be said in cron", n, cronFields[i].name)
			}
		}
	}
	day := fields[2]
	weekday := fields[4]
	steps := strings.HasPrefix(day, "*/") || strings.HasPrefix(weekday, "*/")
	if steps && !slices.Contains([]string{day, weekday}, "*") {
		return "", fmt.Errorf("%q with %q for the days: crontab takes the days that are both, and this schedule can't; "+
			"name the days of one of the fields and leave the other *", day, weekday)
	}
	weekday, err := sundays(weekday)
	if err != nil {
		return "", err
	}
	fields[4] = weekday
	return strings.Join(fields, " "), nil
}

// sundays writes a field of weekdays without the day 7, which is Sunday as 0 is.
func sundays(field string) (string, error) {
	var parts []string
	for part := range strings.SplitSeq(field, ",") {
		span, step, stepped := strings.Cut(part, "/")
		from, to, ranged := strings.Cut(span, "-")
		switch {
		case from == "7" && !ranged && !stepped:
			parts = append(parts, "0")
		case to == "7":
			days, err := daysUpToSunday(from, step)
			if err != nil {
				return "", fmt.Errorf("%q is no range of weekdays: %w", part, err)
			}
			parts = append(parts, days...)
		default:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ","), nil
}

// daysUpToSunday are the days from one up to 7, each by itself.
func daysUpToSunday(from, step string) ([]string, error) {
	first := slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, strings.ToLower(from))
	if first < 0 {
		n, err := strconv.Atoi(from)
		if err != nil || n < 0 || n > 7 {
			return nil, fmt.Errorf("%q is no weekday", from)
		}
		first = n
	}
	by := 1
	if step != "" {
		n, err := strconv.Atoi(step)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no step", step)
		}
		by = n
	}
	var days []string
	for day := first; day <= 7; day += by {
		days = append(days, strconv.Itoa(day%7))
	}
	return days, nil
}
