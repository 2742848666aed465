package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist"
)

// statusLease is how long a process that is asking for statuses may be silent before another takes over.
const statusLease = 30 * time.Second

// statusChunk is how many consents are asked for between two notes of how far it has come.
const statusChunk = 200

// behind says whether a connection's feed was not read for as long as its provider keeps events. A connection without
// a feed never is, nor is one that is parked: no call is made over it, and this is asked again when it is open.
func (e *Engine) behind(ctx context.Context, connection string) (bool, error) {
	conn := e.connections[connection]
	if conn == nil {
		return false, nil
	}
	feed, ok := conn.Connector.(fetch.FeedReader)
	if !ok {
		return false, nil
	}
	age, err := e.Store.FeedAge(ctx, connection)
	if err != nil || age < feed.FeedRetention() {
		return false, err
	}
	known, err := e.Store.ConnectionByName(ctx, connection)
	return !known.For(conn.credentials()).Parked, err
}

// makeUp returns when the connection's feed is not behind: it asks for the statuses itself, or waits while another
// process does. Its error says why data may not be asked for yet.
func (e *Engine) makeUp(ctx context.Context, connection string) error {
	for {
		behind, err := e.behind(ctx, connection)
		if err != nil || !behind {
			return err
		}
		if _, err = e.SyncConsents(ctx, connection); err == nil {
			return nil
		}
		if !errors.Is(err, errOthersAsk) {
			return fmt.Errorf("the consent feed of %s is behind by more than its provider keeps, and no data is asked for before every status was: %w", connection, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.leave:
			return errLeft
		case <-time.After(time.Second):
		}
	}
}

// errOthersAsk says that another process is asking for the statuses.
var errOthersAsk = errors.New("another process is asking for the statuses of the consents")

// makeUpFirst keeps a batch from calling for data while its connection's feed is behind: it may have been planned long
// ago, by a process that was then down for a week.
func (w *batchWork) makeUpFirst(ctx context.Context) error {
	err := w.makeUp(ctx, w.batch.Connection)
	f, told := errors.AsType[*fetch.Error](err)
	switch {
	case errors.Is(err, errLeft):
		return nil // nothing is begun, and the batch is given back
	case err == nil || !told:
		return err
	case f.Class == finance.TokenDenied || f.Class == finance.Fatal:
		if f.Unasked {
			return nil // parked meanwhile: the items will say so
		}
		return parkUnusable(ctx, w.Store, &w.log, w.conn.Name, f)
	case f.Class == finance.Interrupted:
		return err
	}
	w.parkFor(max(f.Wait, retryFeed), err.Error(), f.Bucket)
	return nil
}

// retryFeed is how long a batch rests whose connection's feed is behind and can't be read.
const retryFeed = 5 * time.Second

// askStatuses asks for the status of every active consent of a connection, because events were lost. A consent whose
// status alone can't be had stays as it is, and is told of: its next call shows what it is. One process asks, and where
// it was interrupted the next one goes on.
func (e *Engine) askStatuses(ctx context.Context, conn *Connection, result *FeedResult) error {
	result.Gap = true
	reader, ok := conn.Connector.(fetch.StatusReader)
	if !ok {
		return fmt.Errorf("events of %s were lost and the provider tells no status: import the consents anew", conn.Name)
	}
	since, got, err := e.Store.BeginStatuses(ctx, conn.Name, statusLease)
	if err != nil {
		return err
	}
	if !got {
		return errOthersAsk
	}
	ctx, cancel := context.WithCancel(ctx)
	var alive sync.WaitGroup
	alive.Go(func() {
		every(ctx, statusLease/3, func() {
			if err := e.Store.KeepStatuses(ctx, conn.Name, statusLease); err != nil && ctx.Err() == nil {
				e.Log.Warn().Err(err).Msg("another process may ask for the same statuses")
			}
		})
	})
	defer func() {
		cancel()
		alive.Wait()
		if err := e.Store.KeepStatuses(context.WithoutCancel(ctx), conn.Name, 0); err != nil {
			e.Log.Warn().Err(err).Msg("the statuses can't be asked for by others for a while")
		}
	}()
	for {
		consents, err := e.Store.StatusesDue(ctx, conn.Name, since, statusChunk)
		if err != nil || len(consents) == 0 {
			return err
		}
		if err := e.askChunk(ctx, conn, reader, consents, result); err != nil {
			return err
		}
	}
}

// askChunk asks for the statuses of some consents side by side, and notes which of them it got to.
func (e *Engine) askChunk(ctx context.Context, conn *Connection, reader fetch.StatusReader, consents []finance.Consent, result *FeedResult) error {
	var mu sync.Mutex
	var asked []int64
	var ended []persist.Ending
	var broken atomic.Bool // no further one is asked; an answer that is on its way still counts
	var group errgroup.Group
	group.SetLimit(max(conn.Concurrency, 1))
	for i := range consents {
		c := &consents[i]
		group.Go(func() error {
			if broken.Load() {
				return nil
			}
			unknown, end, err := e.askStatus(ctx, reader, c)
			mu.Lock()
			defer mu.Unlock()
			result.Asked++
			result.Unknown += unknown
			if err != nil {
				broken.Store(true)
				return fmt.Errorf("ask the status of consent %d: %w", c.ID, err)
			}
			asked = append(asked, c.ID)
			if end != nil {
				ended = append(ended, *end)
			}
			return nil
		})
	}
	failed := group.Wait()
	ctx = context.WithoutCancel(ctx)
	if err := e.endByStatus(ctx, conn.Name, ended, len(asked), result); err != nil {
		return errors.Join(err, failed)
	}
	return errors.Join(failed, e.Store.StatusesAsked(ctx, asked))
}

// endByStatus ends the consents that are over, all those of a chunk together, so that a mass of them can be disbelieved
// before any has ended. Then the round is not over, and the feed stays where it is.
func (e *Engine) endByStatus(ctx context.Context, connection string, ended []persist.Ending, asked int, result *FeedResult) error {
	if len(ended) == 0 {
		return nil
	}
	changed, disbelieved, parked, err := e.Store.EndByStatus(ctx, connection, ended, asked,
		persist.Disbelief{Handful: tooManyHandful, Percent: tooManyPercent, Window: tooManyWithin})
	result.Changed += changed
	if parked {
		tellParked(&e.Log, connection, finance.Fatal, disbelieved)
	}
	if err == nil && disbelieved != "" {
		err = &fetch.Error{Class: finance.Fatal, Op: "ask for the statuses of the consents", Connection: connection, Reason: disbelieved, Unasked: true}
	}
	return err
}

// statusOf asks the connector, whose panic leaves the status of this one consent unknown.
func (e *Engine) statusOf(ctx context.Context, reader fetch.StatusReader, c *finance.Consent) (state fetch.ConsentState, err error) {
	defer func() {
		if p := panicked(recover(), &e.Log, "ask for a status"); p != nil {
			err = p
		}
	}()
	return reader.Status(ctx, finance.Scope{Consent: c})
}

// askStatus asks for the status of a consent. end is nil while it lasts.
func (e *Engine) askStatus(ctx context.Context, reader fetch.StatusReader, c *finance.Consent) (unknown int, end *persist.Ending, err error) {
	if ctx.Err() != nil {
		return 0, nil, ctx.Err()
	}
	state, err := e.statusOf(ctx, reader, c)
	switch fetch.ClassOf(err) {
	case finance.Transient, finance.Rejected, finance.Malformed, finance.Withheld, finance.Refused, finance.Spent:
		e.Log.Warn().Err(err).Int64("consent", c.ID).Msg("the status of the consent is not known")
		return 1, nil, nil
	}
	if err != nil || state.Status == finance.ConsentActive {
		return 0, nil, err
	}
	return 0, &persist.Ending{Consent: c.ID, Status: state.Status, Reason: "the provider says so"}, nil
}
