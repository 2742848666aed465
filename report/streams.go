package report

import (
	"time"

	"syncer/fetch/resume"
	"syncer/finance"
	"syncer/persist/read"
	"syncer/persist/streams"
)

// Stream is where a stream stands: the JSON of `streams list`.
type Stream struct {
	Connection string       `json:"connection"`
	Consent    int64        `json:"consent"`
	Dataset    string       `json:"dataset"`
	Account    string       `json:"account,omitempty"`
	Window     string       `json:"window,omitempty"`   // of a backfill
	Through    finance.Date `json:"through,omitzero"`   // the day up to which it has been read; left out: it counts no days
	MidPass    bool         `json:"mid_pass"`           // the last pass has not come to its end
	Run        int64        `json:"run,omitempty"`      // that moved it last
	PassRun    int64        `json:"pass_run,omitempty"` // that began the pass which is going on, or the last one
	Missing    string       `json:"lacks,omitempty"`    // what that pass has not got
	MovedAt    *time.Time   `json:"moved_at,omitempty"`
}

// StreamOf is where a stream stands, for programs.
func StreamOf(s read.StreamState) Stream {
	return Stream{
		Connection: s.Connection, Consent: s.Consent, Dataset: string(s.Dataset), Account: shownID(s.Account),
		Window: s.Span, Through: resume.ThroughDay(s.Position), MidPass: s.MidPass, Run: s.Run, PassRun: s.PassRun,
		Missing: s.Missing, MovedAt: instant(s.MovedAt),
	}
}

// Position is where a stream stands, in a word.
func (s Stream) Position() string {
	switch {
	case s.MidPass:
		return "mid-pass"
	case s.Through.IsZero():
		return "at its end"
	}
	return s.Through.String()
}

// StreamReset is what a reset of streams costs, or has brought about: the JSON of `streams reset`.
type StreamReset struct {
	Event     string `json:"event"` // plan, or reset when it is done
	Streams   int    `json:"streams"`
	Consents  int    `json:"consents"`
	Calls     int    `json:"calls_at_least"`
	Budgeted  int    `json:"budgeted_consents"`
	Ended     int    `json:"ended_consents"`
	SingleUse int    `json:"spent_single_use_consents"`
}

// StreamResetOf is a reset that is planned, or done: event is plan or reset.
func StreamResetOf(event string, c streams.ResetCost) StreamReset {
	return StreamReset{
		Event: event, Streams: c.Streams, Consents: c.Consents, Calls: c.Calls, Budgeted: c.Budgeted, Ended: c.Ended,
		SingleUse: c.SingleUse,
	}
}
