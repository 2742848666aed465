package report

import (
	"fmt"
	"strings"

	"syncer/persist/read"
	"syncer/report/text"
)

// NobodyText says why a run had no consent to read.
func NobodyText(connection string, idle []read.IdleReason) string {
	reasons := make([]string, len(idle))
	for i, r := range idle {
		reasons[i] = text.Thousands(r.Consents) + " " + r.Reason
	}
	what := "there is none"
	if len(reasons) > 0 {
		what = strings.Join(reasons, ", ")
	}
	return fmt.Sprintf("Nothing was read: no consent of %s is active: %s. "+
		"`syncer consents import FILE --connection %s` brings some.",
		connection, what, connection)
}

// Expected counts the items of a run.
func Expected(r read.Report) int {
	_, all := decided(r)
	return all
}

// Proven says whether everything that a run took is proven, or excused with a reason that holds.
func Proven(r read.Report) bool {
	for _, c := range r.Counts {
		if c.Partial+c.Failed+c.Missing > 0 {
			return false
		}
	}
	return r.Causes.Unread == 0
}
