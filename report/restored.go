package report

import (
	"fmt"
	"io"
	"time"

	"syncer/persist/restore"
	"syncer/report/text"
)

// Restored is a database that is a restored copy, and has not been accepted.
type Restored struct {
	Since  time.Time `json:"since"` // when that was noticed
	Reason string    `json:"reason"`
}

func restoredOf(s restore.State) *Restored {
	if !s.Restored {
		return nil
	}
	return &Restored{Since: s.Since, Reason: s.Why}
}

// RestoredText says what it means.
func RestoredText(s restore.State) string {
	return fmt.Sprintf("the database is a restored copy (%s; noticed %s): no call is made for single-use consents, nor for those "+
		"with a number of reads a day, until `syncer db accept-restore` has said what is to become of them", s.Why, text.Clock(s.Since))
}

func writeRestored(w io.Writer, p text.Paint, s restore.State) {
	if s.Restored {
		fmt.Fprintf(w, "%s\n%s\n\n", p.Bad("Restored"), text.Paragraph(w, "  ", RestoredText(s)))
	}
}
