package jobs

import (
	"context"
	"fmt"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist"
)

// FeedResult is what reading a provider's consent events brought.
type FeedResult struct {
	Read    bool // the provider has a feed
	Events  int
	Changed int  // consents whose status changed
	Gap     bool // events were lost, so every active consent's status was asked
	Asked   int
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
	known, err := e.Store.ConnectionByName(ctx, connection)
	if err != nil {
		return result, err
	}
	away := !known.FeedReadAt.IsZero() && time.Since(known.FeedReadAt) >= feed.FeedRetention()
	for page, err := range feed.Events(ctx, known.FeedPosition) {
		if err != nil {
			return result, fmt.Errorf("read the consent events of %s: %w", connection, err)
		}
		changed, err := e.Store.ApplyConsentEvents(ctx, connection, page.Next, persistEvents(page))
		if err != nil {
			return result, err
		}
		result.Events += len(page.Events)
		result.Changed += changed
		result.Gap = result.Gap || page.Gap
	}
	if result.Gap = result.Gap || away; result.Gap {
		err = e.askStatuses(ctx, conn, &result)
	}
	e.Log.Info().Str("connection", connection).Int("events", result.Events).Int("changed", result.Changed).
		Bool("gap", result.Gap).Int("asked", result.Asked).Msg("consent events read")
	return result, err
}

func persistEvents(page fetch.EventPage) []persist.ConsentEvent {
	events := make([]persist.ConsentEvent, len(page.Events))
	for i, ev := range page.Events {
		events[i] = persist.ConsentEvent{ExternalID: ev.ConsentID, Status: ev.Status, Reason: "event " + ev.ID, Call: page.Answer.Call.ID}
	}
	return events
}

// askStatuses asks for the status of every active consent of a connection.
func (e *Engine) askStatuses(ctx context.Context, conn *Connection, result *FeedResult) error {
	reader, ok := conn.Connector.(fetch.StatusReader)
	if !ok {
		return fmt.Errorf("events of %s were lost and the provider tells no status: import the consents anew", conn.Name)
	}
	filter := persist.ConsentFilter{Connection: conn.Name, Status: finance.ConsentActive, Limit: 1000}
	for {
		consents, err := e.Store.Consents(ctx, filter)
		if err != nil || len(consents) == 0 {
			return err
		}
		for i := range consents {
			filter.After = consents[i].ID
			state, err := reader.Status(ctx, finance.Scope{Consent: &consents[i]})
			if err != nil {
				return fmt.Errorf("ask the status of consent %d: %w", consents[i].ID, err)
			}
			result.Asked++
			if state.Status == finance.ConsentActive {
				continue
			}
			changed, err := e.Store.EndConsent(ctx, consents[i].ID, state.Status, "the provider says so", persist.FromStatus, finance.CallID{})
			if err != nil {
				return err
			}
			if changed {
				result.Changed++
			}
		}
	}
}
