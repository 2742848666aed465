package fetch

import (
	"fmt"
	"time"

	"syncer/fetch/jsonread"
	"syncer/finance"
)

// cost is what a pass has cost so far, in this reading of it.
type cost struct {
	own   time.Duration // on the wire and in decoders: what is waited for a gate, a rate or a commit is not the pass's own
	bytes int64         // of answers
}

// bound ends a pass that has met one of its bounds: a provider whose list never ends would hold a worker for ever. What
// was read is committed, and the next pass goes on from there.
func (s *cost) bound(w *walk, st *Step) error {
	o := &w.c.opt
	met := ""
	switch {
	case w.n >= o.MaxPages:
		return w.malformed(op(st), nil, fmt.Sprintf("no end after %d pages", w.n))
	case s.own > o.PassTime:
		met = fmt.Sprintf("the pass has taken %s of its own, more than limits.pass_hours allows", s.own.Round(time.Second))
	case s.bytes > o.PassBytes:
		met = fmt.Sprintf("the pass has read %d bytes, more than limits.pass_bytes allows", s.bytes)
	default:
		return nil
	}
	return &Error{
		Class: finance.Transient, Op: op(st), Connection: o.Connection.Name,
		Reason: met + ": what was read is stored, and the next run goes on from there",
	}
}

// overfull says why an answer is not read because of how many records a list of it has; empty: it is. A record costs memory
// that its bytes don't show: 30 MB of {} made more than a gigabyte of records that could not be read.
func (c *Client) overfull(body []byte) string {
	if !jsonread.HasListOver(body, c.opt.MaxRecords) {
		return ""
	}
	return fmt.Sprintf("a list of the answer has more than %d records, more than limits.answer_records allows: "+
		"ask for smaller pages, or raise it", c.opt.MaxRecords)
}
