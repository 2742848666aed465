package config

import (
	"errors"
	"fmt"
	"time"
)

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
