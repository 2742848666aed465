package config

import (
	"testing"
	"time"
)

// What a wall time is written as reads back as the same one.
func TestWallTimeReadsWhatItWrites(t *testing.T) {
	for minutes := range 24 * 60 {
		want := WallTime(time.Duration(minutes) * time.Minute)
		var got WallTime
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%s reads back as %s: %v", want, got, err)
		}
	}
}
