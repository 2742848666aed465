package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/refusals"
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
	age, err := e.Store.Consents.FeedAge(ctx, connection)
	if err != nil {
		return false, err
	}
	if age < feed.FeedRetention() {
		return false, nil
	}
	known, err := e.Store.Connections.ByName(ctx, connection)
	return !known.For(conn.credentials()).Parked, err
}

// catchUpFeed returns when the connection's feed is not behind: it asks for the statuses itself, or waits while another
// process does. Its error says why data may not be asked for yet.
func (e *Engine) catchUpFeed(ctx context.Context, connection string) error {
	for {
		behind, err := e.behind(ctx, connection)
		if err != nil {
			return err
		}
		if !behind {
			return nil
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
			return errLeaving
		case <-time.After(time.Second):
		}
	}
}

// errOthersAsk says that another process is asking for the statuses.
var errOthersAsk = errors.New("another process is asking for the statuses of the consents")

// catchUpFeedFirst keeps a batch from calling for data while its connection's feed is behind: it may have been planned long
// ago, by a process that was then down for a week.
func (w *batchWork) catchUpFeedFirst(ctx context.Context) error {
	err := w.catchUpFeed(ctx, w.batch.Connection)
	f, told := errors.AsType[*fetch.Error](err)
	switch {
	case errors.Is(err, errLeaving):
		return nil // nothing is begun, and the batch is given back
	case err == nil, !told:
		return err
	case isUnusable(f):
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

// askStatuses asks for the status of every consent of a connection that has not ended, because events were lost. A consent whose
// status alone can't be had stays as it is, and is told of: its next call shows what it is. One process asks, and where
// it was interrupted the next one goes on.
func (e *Engine) askStatuses(ctx context.Context, conn *Connection, result *FeedResult) error {
	result.Gap = true
	reader, ok := conn.Connector.(fetch.StatusReader)
	if !ok {
		return fmt.Errorf("events of %s were lost and the provider tells no status: import the consents anew", conn.Name)
	}
	since, got, err := e.Store.Consents.BeginStatuses(ctx, conn.Name, statusLease)
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
			if err := e.Store.Consents.KeepStatuses(ctx, conn.Name, statusLease); err != nil && ctx.Err() == nil {
				e.Log.Warn().Err(err).Msg("another process may ask for the same statuses")
			}
		})
	})
	defer func() {
		cancel()
		alive.Wait()
		if err := e.Store.Consents.KeepStatuses(context.WithoutCancel(ctx), conn.Name, 0); err != nil {
			e.Log.Warn().Err(err).Msg("the statuses can't be asked for by others for a while")
		}
	}()
	for {
		consents, err := e.Store.Consents.StatusesDue(ctx, conn.Name, since, statusChunk)
		if err != nil {
			return err
		}
		if len(consents) == 0 {
			return nil
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
	var ended []refusals.Ending
	var refused refusedStatuses
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
			err = refused.note(e, c, err, result)
			result.Asked++
			if unknown != nil {
				result.Unknown++
				e.tellUnknown(c, unknown, result)
			}
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
	failed := errors.Join(group.Wait(), refused.ofAll())
	result.Unknown += refused.consents
	ctx = context.WithoutCancel(ctx)
	if err := e.endByStatus(ctx, conn.Name, ended, result); err != nil {
		return errors.Join(err, failed)
	}
	return errors.Join(failed, e.Store.Consents.StatusesAsked(ctx, asked))
}

// refusedStatuses are those of a chunk whose call was refused as one with a bad token or to a wrong address is. What one
// consent is answered stops no other: its status is not known. Where all are answered so, it is the connection's.
type refusedStatuses struct {
	consents, others int
	first            error
}

// note counts an answer. It gives the error that ends the round, if there is one.
func (r *refusedStatuses) note(e *Engine, c *finance.Consent, err error, result *FeedResult) error {
	f, ok := errors.AsType[*fetch.Error](err)
	if !ok || !refusedAStatus(f) {
		r.others++
		return err
	}
	r.consents++
	r.first = cmp.Or(r.first, err)
	if r.others == 0 && r.consents >= refusedInTurn {
		return err
	}
	e.tellUnknown(c, err, result)
	return nil
}

// refusedAStatus says that a call for a status was made, and refused as one with a bad token or to a wrong address is.
func refusedAStatus(f *fetch.Error) bool {
	made := !f.Call.IsZero()
	return isUnusable(f) && made && f.Purpose == calls.ForStatus
}

// isUnusable says that a failure speaks against the token, the client or the address.
func isUnusable(f *fetch.Error) bool {
	return f.Class == finance.TokenDenied || f.Class == finance.Fatal
}

// tellUnknown tells of a consent whose status could not be had: of the first few of a round aloud. How many there were is told
// when the feed has been read.
func (e *Engine) tellUnknown(c *finance.Consent, why error, result *FeedResult) {
	level := zerolog.WarnLevel
	if result.told++; result.told > toldAlike {
		level = zerolog.DebugLevel
	}
	e.Log.WithLevel(level).Err(why).Int64("consent", c.ID).Msg("the status of the consent is not known")
}

// ofAll is the error of a chunk of which nobody's status was told.
func (r *refusedStatuses) ofAll() error {
	if r.others > 0 || r.consents < 2 {
		return nil
	}
	return fmt.Errorf("ask for statuses: %w", r.first)
}

// endByStatus ends the consents that are over, all those of a chunk together. A mass of them is held.
func (e *Engine) endByStatus(ctx context.Context, connection string, ended []refusals.Ending, result *FeedResult) error {
	if len(ended) == 0 {
		return nil
	}
	changed, _, err := e.Store.Refusals.EndByStatus(ctx, connection, ended)
	result.Changed += changed
	return errors.Join(err, e.tellHeld(ctx, connection))
}

// statusOf asks the connector, whose panic leaves the status of this one consent unknown.
func (e *Engine) statusOf(ctx context.Context, reader fetch.StatusReader, c *finance.Consent) (state fetch.ConsentState, err error) {
	defer func() {
		if p := panicked(recover(), &e.Log, "ask for a status"); p != nil {
			err = p
		}
	}()
	if err := c.Subject.Unopened(); err != nil {
		return state, &fetch.Error{Class: finance.Malformed, Op: "ask for the status", Reason: err.Error()}
	}
	return reader.Status(ctx, calls.Task{Consent: c})
}

// askStatus asks for the status of a consent. unknown is why it alone could not be had; end is nil while it lasts.
func (e *Engine) askStatus(ctx context.Context, reader fetch.StatusReader, c *finance.Consent) (unknown error, end *refusals.Ending, err error) {
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	state, err := e.statusOf(ctx, reader, c)
	switch fetch.ClassOf(err) {
	case finance.Transient, finance.Rejected, finance.Malformed, finance.Withheld, finance.Refused, finance.Spent:
		return err, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if state.Status == finance.ConsentActive {
		_, err := e.Store.Refusals.ClearSuspicion(ctx, c.ID, "", consents.FromStatus, finance.CallID{})
		return nil, nil, err
	}
	return nil, &refusals.Ending{Consent: c.ID, Status: state.Status, Reason: "the provider says so",
		ExternalID: c.ExternalID}, nil
}
