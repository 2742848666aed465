package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// ParseSchedule reads a job's schedule: five cron fields or a descriptor such as @daily. It refuses what the cron
// library would take but syncer can't keep its word on: a time zone inside the expression (time_zone is a key of
// its own, and the library panics on TZ=0), @every (its phase restarts with the process, so no firing has a nominal
// time), and expressions that never fire.
func ParseSchedule(expr string) (cron.Schedule, error) {
	fields := strings.Fields(expr)
	switch {
	case len(fields) == 0:
		return nil, errors.New("an empty schedule: write five cron fields, such as 30 2 * * *")
	case strings.Contains(expr, "TZ="):
		return nil, errors.New("no TZ= in a schedule: the time zone has a key of its own, time_zone")
	case strings.HasPrefix(fields[0], "@every"):
		return nil, errors.New("@every depends on when the process was started: write cron fields, such as */15 * * * *")
	}
	schedule, err := parseCron(strings.Join(fields, " "))
	if err != nil {
		return nil, err
	}
	// The library looks five years ahead and gives the zero time when it finds nothing. 2026-03-01 is as far from a
	// 29th of February as a common day can be, and its answer is the same on every day this runs.
	if schedule.Next(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%q never fires: there is no such date", expr)
	}
	return schedule, nil
}

// parseCron is the cron library's parser with its panics turned into errors.
func parseCron(expr string) (schedule cron.Schedule, err error) {
	defer func() {
		if p := recover(); p != nil {
			schedule = nil
			err = fmt.Errorf("%q is not a cron expression", expr)
		}
	}()
	schedule, err = cron.ParseStandard(expr)
	if err != nil {
		return nil, fmt.Errorf("%q is not a cron expression: %w", expr, err)
	}
	return schedule, nil
}

// loadZone loads a time zone by its IANA name. "Local" is refused, since it means another zone on another machine.
func loadZone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New(`"Local" differs from machine to machine: write a name such as Europe/Oslo`)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("no time zone %q: write a name such as Europe/Oslo", name)
	}
	return loc, nil
}
