package rest

import (
	"errors"
	"slices"
	"strings"

	"syncer/finance"
)

// word is what an answer says of a member that leads on or tells the end.
type word int

const (
	absent word = iota // nowhere in the answer
	null               // there, and null
	said               // there, with a value
)

// heard is what stands at the first of the slots that has a value, or else the most that is said of any.
func (d *decoder) heard(slots []int) (raw string, w word) {
	for _, slot := range slots {
		if d.found[slot] != "" {
			return d.found[slot], said
		}
		if d.nulls[slot] {
			w = null
		}
	}
	return "", w
}

// ends is what a stream remembers of how its lists end, so that an end is told from a member that has moved.
type ends struct {
	Told string `json:"told,omitzero"` // endsNull or endsAbsent; empty: no list has ended yet
	Full int    `json:"full,omitzero"` // the most records of a page
}

const (
	endsNull   = "null"   // always with a null
	endsAbsent = "absent" // without the member, at least once
)

// learn adds what a position remembers. That of a page which was passed over is as old as the page.
func (e *ends) learn(o ends) {
	if e.Told == "" {
		e.Told = o.Told
	}
	e.Full = max(e.Full, o.Full)
}

// note takes down how a list has ended.
func (e *ends) note(w word) {
	switch {
	case w == absent:
		e.Told = endsAbsent
	case w == null && e.Told == "":
		e.Told = endsNull
	}
}

// silence ends a list whose answer has no member that leads on, which should stand at one of the paths. Such a list has
// ended, unless the API has always said so with a null, or everything speaks for a member that has moved: the page is full,
// records that are known would be missing, and no answer of this connection has had the member tonight. Then the page is
// partial.
func (p *pass) silence(d *decoder, at Paths) error {
	moved, err := p.memberMoved(d)
	switch {
	case err != nil:
		return err
	case moved:
		why := "the answer does not say whether there is more: nothing stands at " + strings.Join(at, " or ")
		d.page.AddMissing(why)
	default:
		p.ends.note(absent)
	}
	return nil
}

func (p *pass) memberMoved(d *decoder) (bool, error) {
	if p.ends.Told == endsNull {
		return true, nil
	}
	full := d.count > 0 && d.count >= p.ends.Full
	if !full || !p.list.whole() || p.led.Seen() {
		return false, nil
	}
	return p.others(p.extent(""), append(p.list.ids, d.ids()...))
}

// extent is what of the stream's records the present window shows.
func (p *pass) extent(status string) finance.Extent {
	e := finance.Extent{Status: status}
	if p.dated {
		e.From = p.at.From
		e.To = p.at.To
	}
	return e
}

// hasMore reads a has_more, which stands at one of the paths.
func (p *pass) hasMore(d *decoder, at Paths) (bool, error) {
	p.ends.Full = max(p.ends.Full, d.count)
	raw, w := d.heard(p.more)
	if w == absent {
		return false, p.silence(d, at)
	}
	p.led.Note()
	if w == null {
		p.ends.note(null)
		return false, nil
	}
	more, err := flagOf(raw)
	if err != nil {
		return false, errors.New("what stands at has_more is neither yes nor no")
	}
	d.page.More = more
	return more, nil
}

// flagOf reads yes or no as APIs write it: true, 1, "Y", "yes", and their opposites.
func flagOf(raw string) (bool, error) {
	text, err := textOf(raw)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(text) {
	case "true", "1", "y", "yes":
		return true, nil
	case "false", "0", "n", "no", "":
		return false, nil
	}
	return false, errNoFlag
}

// isEnd says whether a value that should lead on says that there is nothing more: false, 0, an empty text, or a word that
// the description names.
func isEnd(raw string, words Words) bool {
	if raw == "false" || raw == "0" || raw == `""` {
		return true
	}
	text, err := textOf(raw)
	return err == nil && slices.Contains(words, text)
}
