package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"syncer/fetch"
	"syncer/persist/consents"
)

// FeedResult is what reading a provider's consent events brought.
type FeedResult struct {
	Read    bool // the provider has a feed
	Events  int
	Changed int  // consents whose status changed
	Gap     bool // events were lost, so every active consent's status was asked
	Asked   int
	Unknown int // of those asked, whose status could not be had

	told int // of the unknown ones, by a line of their own
}

// feedFresh is how young a reading of the feed is good enough for planning: every replica fires the same tick.
const feedFresh = 30 * time.Second

// feedPatience bounds what reading the feed may cost a tick: its gate may be closed for longer than a run can wait.
const feedPatience = time.Minute

// refreshConsents reads the feed before a run is planned, unless that was done just now or the connection is parked.
// A feed that can't be read does not hold the run up, since each call is checked by the provider anyway, unless it is
// so far behind that events were lost: then nothing is planned before the statuses have been asked for.
func (e *Engine) refreshConsents(ctx context.Context, connection string) error {
	if err := e.catchUpFeed(ctx, connection); err != nil {
		return e.parkUnusable(ctx, connection, err)
	}
	ctx, cancel := context.WithTimeout(ctx, feedPatience)
	defer cancel()
	err := e.syncIfStale(ctx, connection)
	if err != nil {
		e.Log.Warn().Err(err).Str("connection", connection).Msg("the consents may be older than the provider's feed")
	}
	return nil
}

// syncIfStale reads the feed of a connection that is not parked, unless it was read a moment ago.
func (e *Engine) syncIfStale(ctx context.Context, connection string) error {
	known, err := e.Store.Connections.ByName(ctx, connection)
	if err != nil {
		return err
	}
	parked := known.For(e.connections[connection].credentials()).Parked
	if parked || time.Since(known.FeedReadAt) <= feedFresh {
		return nil
	}
	_, err = e.SyncConsents(ctx, connection)
	return err
}

// parkUnusable parks a connection that has shown itself unusable before there was a run: wrong credentials would be
// tried at every tick. The run is planned all the same, so that its items say why nothing was brought. An error of any
// other kind is given back.
func (e *Engine) parkUnusable(ctx context.Context, connection string, err error) error {
	f, told := errors.AsType[*fetch.Error](err)
	if !told || !isUnusable(f) {
		return err
	}
	if f.Unasked {
		return nil // it is parked already
	}
	return parkUnusable(ctx, e.Store, &e.Log, connection, f)
}

// SyncConsents reads the provider's feed of consent events from where it was last read and applies it. When the
// reader was away for longer than the provider keeps events, what was missed can't be known: then the status of every
// active consent is asked for before any further data call.
func (e *Engine) SyncConsents(ctx context.Context, connection string) (FeedResult, error) {
	var result FeedResult
	conn := e.connections[connection]
	if conn == nil {
		return result, fmt.Errorf("there is no connection %q", connection)
	}
	feed, ok := conn.Connector.(fetch.FeedReader)
	if !ok {
		return result, nil
	}
	result.Read = true
	age, err := e.Store.Consents.FeedAge(ctx, connection)
	if err != nil {
		return result, err
	}
	if age >= feed.FeedRetention() {
		if err := e.askStatuses(ctx, conn, &result); err != nil {
			return result, err
		}
	}
	known, err := e.Store.Connections.ByName(ctx, connection)
	if err != nil {
		return result, err
	}
	for page, err := range feed.Events(ctx, known.FeedPosition) {
		if err != nil {
			return result, fmt.Errorf("read the consent events of %s: %w", connection, err)
		}
		// The statuses come before the position moves on: who breaks off while asking finds the gap again.
		if page.Gap && !result.Gap {
			if err := e.askStatuses(ctx, conn, &result); err != nil {
				return result, err
			}
		}
		changed, err := e.Store.Consents.ApplyEvents(ctx, connection, page.Next, persistEvents(page))
		if err != nil {
			return result, err
		}
		result.Events += len(page.Events)
		result.Changed += changed
	}
	e.Log.Info().Str("connection", connection).Int("events", result.Events).Int("changed", result.Changed).
		Bool("gap", result.Gap).Int("asked", result.Asked).Int("unknown", result.Unknown).Msg("consent events read")
	return result, nil
}

func persistEvents(page fetch.EventPage) []consents.Event {
	events := make([]consents.Event, len(page.Events))
	for i, ev := range page.Events {
		events[i] = consents.Event{ExternalID: ev.ConsentID, At: ev.At, Status: ev.Status, Reason: "event " + ev.ID, Call: page.Answer.Call.ID}
	}
	return events
}
