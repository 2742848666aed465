package norskgjeld

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// FeedRetention is how long the registry keeps events.
func (*connector) FeedRetention() time.Duration { return 7 * 24 * time.Hour }

// feedPage is one answer of the feed. Its numbers count every event, also those of kinds that we don't know.
type feedPage struct {
	fetch.EventPage
	count       int
	first, last int64 // the numbers of its events; 0: it has none
	end         int64 // endSequenceNr: either its last event or the last there is; the documents say both
}

// Events reads the feed, oldest first. A position is the decimal number of the next event wanted. It ends with the
// first answer that is not full, unless that answer itself says that there is more.
func (c *connector) Events(ctx context.Context, from string) iter.Seq2[fetch.EventPage, error] {
	return func(yield func(fetch.EventPage, error) bool) {
		next, err := c.position(from)
		for first := true; err == nil; first = false {
			var p feedPage
			if p, err = c.events(ctx, next); err != nil {
				break
			}
			if first && from != "" {
				if p.Gap, err = c.gap(ctx, next, p); err != nil {
					break
				}
			}
			if !yield(p.EventPage, nil) || p.count == 0 || p.count < c.settings.FeedLimit && p.end <= p.last {
				return
			}
			next = p.last + 1
		}
		if err != nil {
			yield(fetch.EventPage{}, err)
		}
	}
}

func (c *connector) position(from string) (int64, error) {
	if from == "" {
		return 1, nil // the oldest event there is
	}
	n, err := strconv.ParseInt(from, 10, 64)
	if err != nil || n < 1 {
		return 0, c.misfit("the stored position is not an event's number")
	}
	return n, nil
}

// misfit fails the reading of the feed: from such a position nobody can say what was missed.
func (c *connector) misfit(why string) error {
	return &fetch.Error{Class: finance.Rejected, Op: feedOp, Reason: c.client.MisfitFeed(why)}
}

const (
	feedOp    = "GET /feed/v1/consent"
	feedScope = "client.access.consent.events"
)

// gap says whether events between the position and the page were lost to the feed's retention. Numbers leave gaps
// anyway, so only a hole is asked about, and an empty answer: the first number kept, or the last one given, tells.
func (c *connector) gap(ctx context.Context, next int64, p feedPage) (bool, error) {
	switch {
	case p.count > 0 && p.first == next:
		return false, nil
	case p.count > 0:
		first, err := c.bound(ctx, "firstSequenceNr")
		return first > next, err
	}
	last, err := c.bound(ctx, "lastSequenceNr")
	if err == nil && last > 0 && last < next-1 {
		return false, c.misfit(fmt.Sprintf("the stored position %d lies beyond the feed's end %d", next, last))
	}
	return last >= next, err
}

func (c *connector) bound(ctx context.Context, name string) (n int64, err error) {
	r := c.request(feedService, feedScope)
	r.Path = "feed/v1/consent/" + name
	r.Template = "/feed/v1/consent/" + name
	r.Purpose = calls.ForFeed
	a, err := c.client.Do(ctx, r)
	if err != nil {
		return 0, err
	}
	s := jsonread.Scan(a.Body)
	ok := false
	for o := s.Object(); o.Next(); {
		if o.Key() == name {
			n, ok = s.Int()
		}
	}
	if err := s.End(); err != nil || !ok {
		return 0, malformed("GET /feed/v1/consent/"+name, a, cmp.Or(err, errors.New("the answer has no number")))
	}
	return n, nil
}

func (c *connector) events(ctx context.Context, from int64) (feedPage, error) {
	r := c.request(feedService, feedScope)
	r.Path = "feed/v1/consent"
	r.Template = "/feed/v1/consent"
	r.Purpose = calls.ForFeed
	r.Query = url.Values{"fromSequenceNr": {strconv.FormatInt(from, 10)}, "limit": {strconv.Itoa(c.settings.FeedLimit)}}
	a, err := c.client.Do(ctx, r)
	if err != nil {
		return feedPage{}, err
	}
	p, err := decodeFeed(a.Body, from)
	if err != nil {
		return feedPage{}, malformed(feedOp, a, err)
	}
	p.Answer = a
	return p, nil
}

// decodeFeed reads an answer. An event that can't be read fails it: to pass over one might mean to go on calling for
// a consent that was withdrawn.
func decodeFeed(body []byte, from int64) (feedPage, error) {
	s := jsonread.Scan(body)
	p := feedPage{}
	listed := false
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "endSequenceNr":
			p.end, _ = s.Int()
		case "result":
			listed = s.Peek() == '['
			for l := s.Array(); l.Next(); {
				number, event := readEvent(s)
				if s.Err() == nil && number < max(from, p.last+1) {
					s.Fail("an event out of order")
				}
				if event.Status != "" {
					p.Events = jsonread.Append(s, p.Events, event)
				}
				p.first = cmp.Or(p.first, number)
				p.last = number
				p.count++
			}
		}
	}
	if err := s.End(); err != nil {
		return feedPage{}, err
	}
	if !listed {
		return feedPage{}, errors.New("the answer has no list of events")
	}
	p.Next = strconv.FormatInt(max(from, p.last+1), 10)
	return p, nil
}

// readEvent reads one event. The outer consentId is the registry's; the inner one of an archived event has been seen
// to be our own reference. An event of another kind than the two known ones has no Status.
func readEvent(s *jsonread.Scanner) (number int64, e fetch.ConsentEvent) {
	for o := s.Object(); o.Next(); {
		switch o.Key() {
		case "sequenceNr":
			number, _ = s.Int()
		case "eventId":
			e.ID = s.Text()
		case "consentId":
			e.ConsentID = s.Text()
		case "timestamp":
			e.At = s.Time()
		case "eventType":
			switch s.Text() {
			case "SAMTYKKE_OPPRETTET":
				e.Status = finance.ConsentActive
			case "SAMTYKKE_ARKIVERT": // revoked or expired, it does not say which
				e.Status = finance.ConsentRevoked
			}
		case "samtykkeOpprettetEvent":
			for in := s.Object(); in.Next(); {
				switch in.Key() {
				case "scope":
					e.Scope = s.Text()
				case "externalConsentId":
					e.ClientRef = s.Text()
				}
			}
		}
	}
	if e.ConsentID == "" {
		s.Fail("an event without a consent")
	}
	return number, e
}
