package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/consents"
)

// SpentStatuses counts what providers have told of the single-use consents of a restored database.
type SpentStatuses struct {
	Asked   int
	Unused  int // they may be called for
	Ended   int
	Unknown int // consumed_unknown: the provider does not tell of this one
}

// watchDatabase looks whether the database is the one that this process has worked on, and tells the log when that changes.
func (e *Engine) watchDatabase(ctx context.Context) error {
	state, err := e.Store.Restore.Look(ctx)
	if err != nil {
		return err
	}
	was := e.restored.Swap(state.Restored)
	switch {
	case state.Restored && !was:
		e.Log.Error().Str("why", state.Why).Time("since", state.Since).Msg("the database is a restored copy: no call is made for " +
			"single-use consents, nor for those with a number of reads a day, until `syncer db accept-restore`")
	case was && !state.Restored:
		e.Log.Info().Msg("the restored database is accepted: all calls are made again")
	}
	return nil
}

// watch looks before each heartbeat of this process, which would hide that the one before it is gone. The lease hangs on the
// heartbeat, so a database that does not answer is waited for only so long.
func (e *Engine) watch(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, e.Heartbeat/2)
	defer cancel()
	if err := e.watchDatabase(within); err != nil && ctx.Err() == nil {
		e.Log.Warn().Err(err).Msg("it is tried again")
	}
}

// TellsStatus says whether the provider of a connection tells what a consent is.
func (e *Engine) TellsStatus(connection string) bool {
	conn := e.connections[connection]
	if conn == nil {
		return false
	}
	_, ok := conn.Connector.(fetch.StatusReader)
	return ok
}

// AskSpent asks for the status of the single-use consents of a connection that may have been called for since the database
// was dumped, and ends those that are over. since is when it was noticed that the database is a restored copy: a call that
// was sent before it may still arrive, so what is unused by then is asked for once more before it is called for.
//
// Where the provider can't be asked nothing is decided: that is the error, and the question can be put again.
func (e *Engine) AskSpent(ctx context.Context, connection string, since time.Time) (told SpentStatuses, err error) {
	conn := e.connections[connection]
	reader, ok := conn.Connector.(fetch.StatusReader)
	if !ok {
		return told, fmt.Errorf("the provider of %s tells no status", connection)
	}
	var mu sync.Mutex
	for last := int64(0); ; {
		some, err := e.Store.Consents.MayBeSpent(ctx, connection, last, statusChunk)
		if err != nil || len(some) == 0 {
			return told, err
		}
		last = some[len(some)-1].ID
		var group errgroup.Group // the others are asked for all the same, where one can't be
		group.SetLimit(max(conn.Concurrency, 1))
		for i := range some {
			group.Go(func() error {
				became, err := e.askSpent(ctx, conn, reader, &some[i], since)
				if err != nil {
					err = fmt.Errorf("consent %d: %w", some[i].ID, err)
				}
				mu.Lock()
				defer mu.Unlock()
				told.count(became)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return told, fmt.Errorf("ask for the statuses of the single-use consents of %s: %w; try again, and where one consent is never "+
				"told, end it: `syncer consents revoke --help`", connection, err)
		}
	}
}

// Add adds another connection's.
func (s *SpentStatuses) Add(other SpentStatuses) {
	s.Asked += other.Asked
	s.Unused += other.Unused
	s.Ended += other.Ended
	s.Unknown += other.Unknown
}

func (s *SpentStatuses) count(became finance.ConsentStatus) {
	switch became {
	case "":
		return
	case finance.ConsentActive:
		s.Unused++
	case finance.ConsentConsumedUnknown:
		s.Unknown++
	default:
		s.Ended++
	}
	s.Asked++
}

// askSpent gives what has become of one consent; empty: that could not be asked for.
func (e *Engine) askSpent(ctx context.Context, conn *Connection, reader fetch.StatusReader, c *finance.Consent,
	since time.Time) (finance.ConsentStatus, error) {
	state, err := e.statusOf(ctx, reader, c)
	f, told := errors.AsType[*fetch.Error](err)
	of := consents.End{Consent: c.ID, Source: consents.FromStatus, Reason: "the provider says so, after a restore of the database"}
	switch {
	case err != nil && !(told && ofOneConsent(f.Class)):
		return "", err
	case err != nil:
		of.Status = finance.ConsentConsumedUnknown
		of.Reason = "the database was restored, and its status is not told: " + f.Reason
	case state.Status == finance.ConsentActive:
		if time.Since(since) > conn.InFlight {
			return state.Status, nil
		}
		return state.Status, e.Store.Consents.AskAgain(ctx, c.ID, since)
	case state.Status == finance.ConsentExpired:
		of.Status = finance.ConsentExpired
	case state.Status == finance.ConsentRevoked || state.Status == finance.ConsentConsumed:
		of.Status = finance.ConsentConsumed
		of.Reason = "the database was restored, and the provider says that it is not active, so it is taken for spent"
	default:
		of.Status = finance.ConsentConsumedUnknown
		of.Reason = fmt.Sprintf("the database was restored, and its status %q does not say whether it is used", state.Status)
	}
	_, err = e.Store.Consents.End(ctx, of.Consent, of.Status, of.Reason, of.Source, finance.CallID{})
	return of.Status, err
}

// ofOneConsent says that an answer concerns the consent that was asked for, and not the connection.
func ofOneConsent(c finance.Class) bool {
	switch c {
	case finance.Rejected, finance.Malformed, finance.Withheld, finance.Refused, finance.ConsentOver:
		return true
	}
	return false
}
