package resume

import (
	"encoding/json"

	"syncer/finance"
)

// MisfitError says that a stored position is not one that a stream can go on from: a description or a setting has
// changed, or the clock was wrong when it was stored. Why says what does not fit, in words without personal data.
type MisfitError struct{ Why string }

// Error is one line.
func (e *MisfitError) Error() string { return e.Why }

// Misfit is what a connector answers to a position that it can't go on from. It is not read on from the beginning in
// silence: that would hide what broke it, and read years again. Walk adds the command that resets the stream.
func Misfit(why string) error { return &MisfitError{why} }

// InTheFuture is why a position does not fit that was stored while the clock was wrong.
const InTheFuture = "the stored cursor lies in the future (is this machine's clock right?)"

// StrayError says that the link in a stored position may not be followed any more: a description or a base address has
// changed. Walk begins the list anew at Anew, once, if the position was stored; else Err is what is wrong.
type StrayError struct {
	Anew string
	Err  error
}

// Error is one line.
func (e *StrayError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *StrayError) Unwrap() error { return e.Err }

// ThroughDay is the day up to which a stream has been read, by its position; zero: the position tells no day.
//
// Connectors that ask for days keep it as member through of a position in JSON, or of the parts of one; of several
// parts the day that is furthest behind counts.
func ThroughDay(position string) finance.Date {
	var parts map[string]json.RawMessage
	if json.Unmarshal([]byte(position), &parts) != nil {
		return 0
	}
	if day := dayOf(parts); day != 0 {
		return day
	}
	oldest := finance.Date(0)
	for _, text := range parts {
		var inner map[string]json.RawMessage
		if json.Unmarshal(text, &inner) != nil {
			continue
		}
		day := dayOf(inner)
		switch {
		case day == 0:
		case oldest == 0, day < oldest:
			oldest = day
		}
	}
	return oldest
}

// Dated says whether a position, as it stands between passes, is of a stream that is asked for by days.
func Dated(position string) bool {
	var first struct {
		Since finance.Date `json:"since"` // of a stream that is read by the provider's cursor, and kept from a day on
	}
	if ThroughDay(position) != 0 {
		return true
	}
	err := json.Unmarshal([]byte(position), &first)
	return err == nil && first.Since != 0
}

func dayOf(parts map[string]json.RawMessage) (day finance.Date) {
	text, found := parts["through"]
	if !found || json.Unmarshal(text, &day) != nil {
		return 0
	}
	return day
}
