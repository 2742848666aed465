package report

import (
	"syncer/persist/read"
)

// Violation is a promise of the tables that is broken: the JSON of `verify`.
type Violation struct {
	Rule  string `json:"rule"`
	Count int    `json:"count"` // rows
	What  string `json:"what"`
}

// ViolationOf is a broken promise for programs.
func ViolationOf(v read.Violation) Violation {
	return Violation{Rule: v.Rule, Count: v.Count, What: v.What}
}
