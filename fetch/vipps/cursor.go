package vipps

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"syncer/fetch/resume"
	"syncer/finance"
)

// The two topics of a ledger, in the order in which a pass reads them.
const (
	funds = "funds" // captures, refunds, payouts
	fees  = "fees"  // what the provider takes for them
)

// cursor is where a ledger's transactions stand, as JSON: the place in either topic, and within a pass the topic that
// is being read. Between passes it is
//
//	{"v":1,"by":"feed","funds":{"feed":"ZmVlZDoy","chain":{...}},"fees":{...}}
//
// A cursor that can't be right is refused: to begin anew in silence would hide what broke it. One of the other way of
// reading is no such case: the operator has changed read_by, and the ledger is read from the beginning. The keys of the
// rows are the same either way, so nothing doubles.
type cursor struct {
	V  int    `json:"v"`
	By string `json:"by"` // feed or dates
	// Since is the oldest day wanted when the feed was first read. The feed always begins with the ledger, so earlier
	// rows pass by and are not kept.
	Since finance.Date `json:"since,omitzero"`
	Topic string       `json:"topic,omitempty"` // empty: between passes
	Funds topicState   `json:"funds,omitzero"`
	Fees  topicState   `json:"fees,omitzero"`
}

// topicState is where one topic stands.
type topicState struct {
	Feed    string       `json:"feed,omitempty"`   // the provider's cursor, which is the whole position
	Through finance.Date `json:"through,omitzero"` // dates: every day up to this one has been read after it was closed
	Chain   chain        `json:"chain,omitzero"`   // behind the last row of Feed or Through
	Day     *day         `json:"day,omitempty"`    // dates: in the middle of a pass, the day being read
	Doubt   *doubt       `json:"doubt,omitempty"`  // the balances have broken
}

// day is a day that is being read. Its chain becomes the topic's only when the day turns out to be closed.
type day struct {
	On    finance.Date `json:"on"`
	Page  string       `json:"page,omitempty"` // the provider's cursor of the next page
	Open  bool         `json:"open,omitempty"` // a page has said tryLater
	Chain chain        `json:"chain,omitzero"`
	Anew  bool         `json:"anew,omitempty"` // the day was begun anew, so that its places are others than before

	Search *resume.DaySearch `json:"search,omitempty"` // a day was refused: which is the first that is given?
}

func (c *cursor) at() *topicState {
	if c.Topic == fees {
		return &c.Fees
	}
	return &c.Funds
}

// readCursor reads a stored cursor for a way of reading, and begins a pass if none is going on.
func readCursor(text, by string, since, today finance.Date) (c cursor, err error) {
	if text != "" {
		err := strictly(text, &c)
		if err != nil || c.V != 1 {
			return c, resume.Misfit("the stored cursor can't be read")
		}
		if !c.sound(today.AddDays(1)) { // one day of grace for calendars that differ
			return c, resume.Misfit("the stored cursor contradicts itself, or lies in the future (is this machine's clock right?)")
		}
	}
	if c.By != by {
		c = cursor{V: 1, By: by}
		if by == byFeed {
			c.Since = since
		}
	}
	if c.Topic == "" {
		c.Topic = funds
	}
	return c, nil
}

func (c *cursor) sound(latest finance.Date) bool {
	if !slices.Contains([]string{"", funds, fees}, c.Topic) {
		return false
	}
	for _, p := range []*topicState{&c.Funds, &c.Fees} {
		switch {
		case !c.readsBy(p, latest):
			return false
		case p.Day != nil && !c.mayRead(p, latest):
			return false
		case p.Doubt != nil && !p.Doubt.sound(latest):
			return false
		case !p.Chain.sound():
			return false
		}
	}
	return true
}

// readsBy says that a topic has what its way of reading needs, and nothing of the other way's.
func (c *cursor) readsBy(p *topicState, latest finance.Date) bool {
	switch c.By {
	case byFeed:
		return p.Through.IsZero() && p.Day == nil && c.Since <= latest
	case byDates:
		return p.Feed == "" && p.Through <= latest && c.Since.IsZero()
	}
	return false
}

// mayRead says that the day which a topic is at can be the one that is being read.
func (c *cursor) mayRead(p *topicState, latest finance.Date) bool {
	if c.Topic == "" || p != c.at() {
		return false
	}
	if p.Day.On < earliest || p.Day.On > latest {
		return false
	}
	return p.Day.Chain.sound()
}

func (d *doubt) sound(latest finance.Date) bool { return d.Through <= latest && d.Chain.sound() }

// sound says that no more rows are remembered than are ever stored.
func (c *chain) sound() bool { return len(c.Tail) <= tailLength }

// earliest is the first day that the Report API has data for.
const earliest finance.Date = 737545 // 2020-05-01

// listing is where the list of ledgers stands within a pass, as JSON; between passes it is empty.
type listing struct {
	V    int    `json:"v"`
	At   string `json:"at"`             // the provider's cursor
	Some bool   `json:"some,omitempty"` // there were ledgers on the pages behind us

	// Earlier and Broken are of earlier versions, which kept the proof of the set in the position. They are not used.
	Earlier []string `json:"earlier,omitempty"`
	Broken  bool     `json:"broken,omitempty"`
}

func readListing(text string) (l listing, err error) {
	if text == "" {
		return listing{V: 1}, nil
	}
	if err := strictly(text, &l); err != nil || l.V != 1 || l.At == "" {
		return l, resume.Misfit("the stored cursor of the ledgers can't be read")
	}
	return l, nil
}

// strictly decodes a stored cursor. What it doesn't know was not written by this version.
func strictly(text string, into any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more than one value")
	}
	return nil
}

func cursorText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("vipps: a cursor has no JSON form: " + err.Error()) // can't be: it holds texts and numbers
	}
	return string(b)
}
