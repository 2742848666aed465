package fetch

import (
	"fmt"
	"time"
)

// LoadZone is the time zone of an IANA name, such as Europe/Oslo. The machine's own is refused: it would make of one
// instant two days on two machines.
func LoadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("no time zone %q: write one such as Europe/Oslo", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("no time zone %q: write one such as Europe/Oslo", name)
	}
	return zone, nil
}

// InZone is Provider.Zone of a provider that serves one country.
func InZone(name string) func(Connection) (*time.Location, error) {
	return func(Connection) (*time.Location, error) { return LoadZone(name) }
}

// ZoneOf is the calendar of a connection over this provider.
func (p Provider) ZoneOf(c Connection) (*time.Location, error) {
	if p.Zone == nil {
		return time.UTC, nil
	}
	zone, err := p.Zone(c)
	if err != nil {
		return nil, fmt.Errorf("connection %s: %w", c.Name, err)
	}
	return zone, nil
}
