package report

import (
	"time"

	"syncer/persist"
)

// Act is what somebody has changed by a command: the JSON of `acts`.
type Act struct {
	ID      int64          `json:"id"`
	At      time.Time      `json:"at"`
	Who     string         `json:"who"`
	Why     string         `json:"why,omitempty"`
	Act     string         `json:"act"`  // the command
	Kind    string         `json:"kind"` // of object
	Object  string         `json:"object,omitempty"`
	Details map[string]any `json:"details,omitempty"`
	DoneAt  *time.Time     `json:"done_at,omitempty"` // left out: broken off, or still at work
}

// ActOf is an act for programs.
func ActOf(act persist.Act) Act {
	return Act{
		ID: act.ID, At: act.At, Who: act.Who, Why: act.Why, Act: act.Name, Kind: act.Kind, Object: act.Object,
		Details: act.Details, DoneAt: instant(act.DoneAt),
	}
}
