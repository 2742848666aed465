package report

import (
	"syncer/persist/consents"
)

// RefusedLine is a line of a list that can't be imported, and why. The reason never holds a national identity number.
type RefusedLine struct {
	Line    int    `json:"line"`
	Problem string `json:"problem"`
}

// ImportResult is what an import has done: the last line of the JSON of `consents import`.
type ImportResult struct {
	Event     string `json:"event"` // imported; a refused line has line and problem
	Inserted  int    `json:"inserted"`
	Updated   int    `json:"updated"`
	Revived   int    `json:"revived"`
	Unchanged int    `json:"unchanged"`
	Refused   int    `json:"refused"`
	Ended     int    `json:"ended"`    // of the updated: their valid_until has passed
	Over      int    `json:"over"`     // left out: over, and not known
	Unnamed   int    `json:"unnamed"`  // active, and not in the list
	Dropped   int    `json:"revoked"`  // of the unnamed
	Renewed   int    `json:"renewed"`  // have ended, and go on under another id
	Renewing  int    `json:"renewing"` // go on under another id when that has been answered
}

// ImportResultOf is the result of an import that has refused so many lines.
func ImportResultOf(r consents.ImportResult, refused int) ImportResult {
	return ImportResult{
		Event: "imported", Inserted: r.Inserted, Updated: r.Updated, Revived: r.Revived, Unchanged: r.Unchanged,
		Refused: refused, Ended: r.Ended, Over: r.Over, Unnamed: r.Unnamed, Dropped: r.Dropped,
		Renewed: r.Renewed, Renewing: r.Renewing,
	}
}
