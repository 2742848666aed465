package cli

import (
	"time"

	"syncer/persist/read"
	"syncer/report"
)

// progress shows a run's reports as they come, on standard error: on a terminal one live line, with --json a JSON line for
// each, and otherwise a plain line whenever another tenth of the items is decided, or the run waits for long.
type progress struct {
	program *Program
	told    int       // tenths
	parked  time.Time // until when, as was told last
	last    string
}

// Show tells what is known of a run now.
func (p *progress) Show(r read.Report) {
	switch text := report.ProgressLine(r); {
	case p.program.json:
		if text != p.last {
			_ = writeLine(p.program.live, report.ProgressOf(r))
		}
		p.last = text
	case p.program.live.on:
		p.program.live.show(text)
	default:
		t := report.Tenths(r)
		waits := p.waitsLonger(r)
		if t != p.told || waits {
			p.told = t
			p.program.hint("%s", text)
		}
	}
}

// Hide clears the live line.
func (p *progress) Hide() { p.program.live.clear() }

// waitsLonger says whether a run is parked for more than a minute, and for more than a minute longer than was told. Without a
// word somebody who looks at a log takes it for dead.
func (p *progress) waitsLonger(r read.Report) bool {
	soon := time.Now().Add(time.Minute)
	if !r.ParkedUntil.After(soon) || !r.ParkedUntil.After(p.parked.Add(time.Minute)) {
		return false
	}
	p.parked = r.ParkedUntil
	return true
}
