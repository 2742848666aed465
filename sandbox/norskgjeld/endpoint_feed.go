package norskgjeld

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"syncer/sandbox"
)

// event is something that happened to a consent; which one is told by index.
type event struct {
	seq      int64
	index    int
	archived bool
	at       time.Time
}

// slots is how many sequence numbers each seeded consent owns. It uses one or
// two of them, so the feed has gaps from the start.
const slots = 5

func (w world) lastSeeded() int64 { return int64(w.o.Consents) * slots }

// seeded are the events of seeded consent index from before Start.
func (w world) seeded(index int) (events [2]event, n int) {
	h := w.hash(chanceSequence, index)
	first := int64(index)*slots + 1
	events[0] = event{seq: first + int64(h%2), index: index, at: w.givenAt(index).Add(time.Duration(h % 1e9))}
	if !w.expiredAtStart(index) {
		return events, 1
	}
	events[1] = event{seq: first + 2 + int64(h%3), index: index, archived: true, at: w.validUntil(index)}
	return events, 2
}

// append puts an event at the end of the feed. The caller holds mu.
func (g *register) append(e event) {
	g.lastSeq += 1 + int64(sandbox.Mix(g.o.Seed, chanceSequence, uint64(g.lastSeq))%3)
	e.seq = g.lastSeq
	g.events = append(g.events, e)
}

func (g *register) archive(index int, at time.Time) {
	g.append(event{index: index, archived: true, at: at})
}

// sweep puts expiries into the feed that the clock has passed since the last
// time. All consents end at the end of a day or with the single-use window, so
// the world is gone through only when one of those was passed.
func (g *register) sweep(now time.Time) {
	from := g.swept
	if !now.After(from) {
		return
	}
	g.swept = now
	single := g.o.Start.Add(g.o.SingleUseWindow)
	nextDay := endOfDay(from, 0)
	if !from.Before(nextDay) {
		nextDay = endOfDay(from, 1)
	}
	passed := func(end time.Time) bool { return from.Before(end) && !now.Before(end) }
	if !passed(nextDay) && !passed(single) {
		return
	}
	for index := range g.o.Consents + len(g.added) {
		ends := g.ends(index)
		due := ends.After(from) && !ends.After(now)
		if due && !g.touched[index].isGone() {
			g.archive(index, ends)
		}
	}
}

func (g *register) ends(index int) time.Time {
	if index < g.o.Consents {
		return g.validUntil(index)
	}
	return g.at(index).ValidUntil
}

// visit calls f for each event from a sequence number on that is still kept
// and belongs to the client, until f returns false.
func (g *register) visit(from int64, client string, now time.Time, f func(event) bool) {
	oldest := now.Add(-g.o.FeedRetention)
	goOn := func(e event) bool {
		if e.seq < from {
			return true
		}
		if !e.at.After(oldest) || e.at.After(now) {
			return true
		}
		return f(e)
	}
	if client == g.o.Clients[0].ID && g.o.Start.After(oldest) {
		for index := max(0, int(from-1)/slots); index < g.o.Consents; index++ {
			events, n := g.seeded(index)
			for _, e := range events[:n] {
				if !goOn(e) {
					return
				}
			}
		}
	}
	for _, e := range g.events {
		if g.at(e.index).ClientID != client {
			continue
		}
		if !goOn(e) {
			return
		}
	}
}

// bounds are the first and last sequence number available; 0 for an empty feed.
func (g *register) bounds(client string, now time.Time) (first, last int64) {
	g.visit(1, client, now, func(e event) bool { first = e.seq; return false })
	if n := len(g.events); n > 0 {
		// From just below the seeded end: the newest event is near it.
		g.visit(g.events[0].seq, client, now, func(e event) bool { last = e.seq; return true })
	}
	if first == 0 {
		return first, last
	}
	for index := g.o.Consents - 1; last == 0 && index >= 0; index-- {
		g.visit(int64(index)*slots+1, client, now, func(e event) bool { last = e.seq; return true })
	}
	return first, last
}

type feedEvent struct {
	SequenceNr int64          `json:"sequenceNr"`
	EventID    string         `json:"eventId"`
	ConsentID  string         `json:"consentId"`
	Timestamp  string         `json:"timestamp"` // up to nine fractional digits
	EventType  string         `json:"eventType"`
	Created    *createdEvent  `json:"samtykkeOpprettetEvent"`
	Archived   *archivedEvent `json:"samtykkeArkivertEvent"`
}

type createdEvent struct {
	ClientID          string `json:"clientId"`
	ConsentID         string `json:"consentId"`
	Scope             string `json:"scope"`
	ExternalConsentID string `json:"externalConsentId"`
}

type archivedEvent struct {
	ClientID  string `json:"clientId"`
	ConsentID string `json:"consentId"`
}

func (g *register) feedEvent(e event) feedEvent {
	c := g.at(e.index)
	out := feedEvent{
		SequenceNr: e.seq, ConsentID: c.ID, EventType: "SAMTYKKE_OPPRETTET",
		EventID:   sandbox.UUIDs{Seed: sandbox.Mix(g.o.Seed, 'e')}.At(int(e.seq)),
		Timestamp: e.at.UTC().Format(time.RFC3339Nano),
	}
	if !e.archived {
		out.Created = &createdEvent{c.ClientID, c.ID, c.Scope, c.ClientRef}
		return out
	}
	out.EventType = "SAMTYKKE_ARKIVERT"
	out.Archived = &archivedEvent{c.ClientID, c.ID}
	if g.o.ArchivedExternalID {
		out.Archived.ConsentID = c.ClientRef
	}
	return out
}

type feedPage struct {
	Start       int64       `json:"startSequenceNr"`
	End         int64       `json:"endSequenceNr"`
	GeneratedAt string      `json:"generatedAt"`
	Result      []feedEvent `json:"result"`
}

// serveFeed answers GET /feed/v1/consent. An empty answer ends just before the
// number asked for: what the registry does then is not documented.
func (s *Simulator) serveFeed(w http.ResponseWriter, r *http.Request, client string) {
	from, errFrom := strconv.ParseInt(r.URL.Query().Get("fromSequenceNr"), 10, 64)
	limit, errLimit := strconv.ParseInt(r.URL.Query().Get("limit"), 10, 32)
	if errors.Join(errFrom, errLimit) != nil || from < 0 || limit < 1 {
		s.fail(w, r, http.StatusBadRequest, "bad request", "fromSequenceNr and limit are required numbers")
		return
	}
	now := s.o.Kit.Clock.Now()
	page := feedPage{Start: from, End: from - 1, GeneratedAt: now.UTC().Format(time.RFC3339Nano), Result: []feedEvent{}}
	g := s.register
	g.mu.Lock()
	g.sweep(now)
	g.visit(from, client, now, func(e event) bool {
		page.Result = append(page.Result, g.feedEvent(e))
		return len(page.Result) < min(int(limit), s.o.FeedLimit)
	})
	_, last := g.bounds(client, now)
	g.mu.Unlock()
	if n := len(page.Result); n > 0 {
		page.Start, page.End = page.Result[0].SequenceNr, page.Result[n-1].SequenceNr
	}
	if s.o.FeedEndIsLast {
		page.End = last
	}
	sandbox.WriteJSON(w, http.StatusOK, page)
}

func (s *Simulator) serveBound(w http.ResponseWriter, name, client string) {
	now := s.o.Kit.Clock.Now()
	s.register.mu.Lock()
	s.register.sweep(now)
	first, last := s.register.bounds(client, now)
	s.register.mu.Unlock()
	n := first
	if name == "lastSequenceNr" {
		n = last
	}
	sandbox.WriteJSON(w, http.StatusOK, map[string]int64{name: n})
}
