package vipps

import "syncer/finance"

// doubt is where a topic stood before its balances first broke in a pass, or before the first row that could not be read.
// The next pass reads from there once more: an answer may have lost a row that the provider still has, and a rerun that
// looked only at what came later would call the hole closed. Balances that break again in that second reading are
// reported again, and then left as the provider has them. So is a row that can't be read and comes again with the same bytes: it
// stays in quarantine, and the item partial.
type doubt struct {
	Feed    string       `json:"feed,omitempty"`
	Through finance.Date `json:"through,omitzero"`
	Chain   chain        `json:"chain,omitzero"`
	Again   bool         `json:"again,omitempty"` // this pass is the second reading
}

// doubts looks at an answer that was asked for at a place, and remembers the place if the answer can't be all.
func (p *topicState) doubts(got *report, at doubt) {
	if got.broken() {
		got.page.AddMissing(p.suspect(at))
	}
	if got.page.Holds() && (p.Doubt == nil || p.Doubt.Again) {
		p.Doubt = &at
	}
}

// suspect remembers the first break of a pass, and says what will be done about it.
func (p *topicState) suspect(at doubt) string {
	switch {
	case p.Doubt == nil:
		p.Doubt = &at
	case p.Doubt.Again:
		return "this was the second reading"
	}
	return "the next run reads from there once more"
}

// end ends the topic's part of a pass: the next one begins here, or where the balances broke.
func (p *topicState) end() {
	p.Day = nil
	switch d := p.Doubt; {
	case d == nil:
	case d.Again:
		p.Doubt = nil
	default:
		p.Feed = d.Feed
		p.Through = d.Through
		p.Chain = d.Chain
		p.Doubt = &doubt{Again: true}
	}
}

// openingOf is where a topic stood before a day, as far as the chain of balances is known there.
func (p *topicState) openingOf(on finance.Date) doubt {
	d := doubt{Through: on - 1}
	if p.Through == d.Through {
		d.Chain = p.Chain
	}
	return d
}
