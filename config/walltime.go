package config

import (
	"fmt"
	"regexp"
	"time"
)

// WallTimePattern is how a time of day is written.
const WallTimePattern = `^([01][0-9]|2[0-3]):[0-5][0-9]$`

var wallTimeRE = regexp.MustCompile(WallTimePattern)

// WallTime is a time of day, HH:MM, as a clock on the wall shows it: since midnight, from 00:00 to 23:59.
type WallTime time.Duration

// SinceMidnight is how far the clock's hands have gone.
func (w WallTime) SinceMidnight() time.Duration { return time.Duration(w) }

// String is HH:MM.
func (w WallTime) String() string {
	minutes := int(time.Duration(w) / time.Minute)
	return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60)
}

// MarshalText writes HH:MM.
func (w WallTime) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads HH:MM.
func (w *WallTime) UnmarshalText(text []byte) error {
	if !wallTimeRE.Match(text) {
		return fmt.Errorf(`%q is not a time of day: write it as "00:00" to "23:59"`, text)
	}
	number := func(tens, ones byte) time.Duration { return time.Duration(tens-'0')*10 + time.Duration(ones-'0') }
	*w = WallTime(number(text[0], text[1])*time.Hour + number(text[3], text[4])*time.Minute)
	return nil
}
