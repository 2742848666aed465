// Package crontab reads cron expressions so that they mean what crontab(5) means by them, or are refused.
package crontab

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Parse reads five cron fields, or a descriptor such as @daily. It refuses, beside what is no expression, what cron/v3 would take
// and can't be kept: a time zone inside (which has a key of its own, and TZ=0 makes the library panic), @every (its phase begins
// with the process, so no firing has a nominal time), and what never fires. The location of what it gives is UTC.
func Parse(expr string) (*cron.SpecSchedule, error) {
	fields := strings.Fields(expr)
	switch {
	case len(fields) == 0:
		return nil, errors.New("an empty schedule: write five cron fields, such as 30 2 * * *")
	case strings.Contains(expr, "TZ="):
		return nil, fmt.Errorf("no TZ= in a schedule, as in %q: the time zone has a key of its own, time_zone", expr)
	case strings.HasPrefix(fields[0], "@every"):
		return nil, fmt.Errorf("@every depends on when the process was started (%q): write cron fields, such as */15 * * * *", expr)
	}
	known, err := asCrontab(strings.Join(fields, " "))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", expr, err)
	}
	spec, err := parse(known)
	if err != nil {
		return nil, fmt.Errorf("%q is not a cron expression: %w", expr, err)
	}
	spec.Location = time.UTC
	// The library looks five years ahead and gives the zero time when it finds nothing. 2026-03-01 is as far from a
	// 29th of February as a common day can be, and its answer is the same on every day this runs.
	if spec.Next(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%q never fires: there is no such date", expr)
	}
	return spec, nil
}

// parse is the cron library's parser with its panics turned into errors.
func parse(expr string) (spec *cron.SpecSchedule, err error) {
	defer func() {
		if p := recover(); p != nil {
			spec = nil
			err = errors.New("the cron library fails at it")
		}
	}()
	parsed, err := cron.ParseStandard(expr)
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, errors.New("write five cron fields, such as 30 2 * * *")
	}
	return spec, nil
}

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
