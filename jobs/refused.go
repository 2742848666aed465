package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/queue"
	"syncer/persist/refusals"
)

// What one consent is answered ends nobody else's work: some providers answer 401 for a consent that is
// over, and a redirect or a 403 may be meant for it alone. Only where nothing works is the connection
// to blame.
const (
	// refusedInTurn is how many consents must have been refused, with no good answer between, before the
	// connection's check is asked: all, if there are fewer.
	refusedInTurn = 5
	// refusedThough is how many must have been, where the check passes: all, if there are fewer, and at
	// least refusedInTurn.
	refusedThough = 13
)

// refusedCall is for a call whose answer speaks against the token, the credentials or the address. If
// nobody else was answered either the connection is parked; else the item fails.
func (w *batchWork) refusedCall(ctx context.Context, item *queue.Item, f *fetch.Error, d queue.Decision) (
	queue.Decision, error) {
	w.conn.judging.begin()
	defer w.conn.judging.end() // not before the connection is parked
	nothing, _, err := w.nothingWorks(ctx)
	if err != nil {
		return d, err
	}
	if nothing {
		return d, parkUnusable(ctx, w.Store, &w.log, w.conn.Name, f)
	}
	d.Class = finance.Rejected
	d.Reason = "refused, so far for this consent alone: " + d.Reason
	if f.Class == finance.TokenDenied {
		d.Reason = "the token was refused again, so far for this consent alone: " + f.Reason
	}
	return d, nil
}

// isChosen says that the batch's consents were chosen because they were refused, or because they end.
func (w *batchWork) isChosen() bool {
	return w.batch.Kind == queue.Rerun || w.batch.Kind == queue.Final
}

// nothingWorks says whether the newest consents that were asked have all been refused, nobody was
// answered since, and it is not they who are to blame. The connection's check tells: where it is refused
// too, nothing works.
//
// A check that passes may say little of the data, since many need no token. So it is outvoted by many
// refusals, if nobody at all was answered lately. Those that a rerun or a final pull asks don't count for
// that: they were chosen because they were refused, or because they end.
func (w *batchWork) nothingWorks(ctx context.Context) (nothing bool, k refusals.Streak, err error) {
	k, err = w.Store.Refusals.RefusedAll(ctx, w.conn.Name)
	if err != nil {
		return false, k, err
	}
	if k.Refused == 0 || w.conn.answered.since(k.Since) {
		return false, k, nil
	}
	all := !k.Others
	if k.Refused < refusedInTurn && !all {
		return false, k, nil
	}
	refused, err := w.checkRefused(ctx)
	if err != nil {
		return refused, k, err
	}
	if refused {
		return refused, k, nil
	}
	answered := k.Answered || w.conn.answered.since(k.Bound)
	enough := refusedThough
	if all {
		enough = min(enough, refusedInTurn)
	}
	many := k.Refused >= enough
	outvoted := !answered && !w.isChosen()
	w.conn.judging.doubtful(outvoted && !many)
	return outvoted && many, k, nil
}

// answers notes the newest good answer of a connection to this process. In the tables it stands a
// moment later, when its page is committed.
type answers struct {
	mu   sync.Mutex
	sent time.Time
}

func (a *answers) note(call calls.Call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if call.SentAt.After(a.sent) {
		a.sent = call.SentAt
	}
}

// since says whether there was a good answer to a call that was sent after a moment.
func (a *answers) since(at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent.After(at)
}

// checkFresh is how long the result of a connection's check holds: all who are refused at once ask for it.
const checkFresh = 30 * time.Second

// checks are the checks of a connection by this process, one at a time.
type checks struct {
	mu      sync.Mutex
	at      time.Time // zero: there was none
	refused bool
}

// checkRefused makes the connector's own check of the connection, unless that was done just now. A bad
// moment refuses nothing.
func (w *batchWork) checkRefused(ctx context.Context) (bool, error) {
	c := &w.conn.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && time.Since(c.at) < checkFresh {
		return c.refused, nil
	}
	err := w.probe(ctx)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	switch fetch.ClassOf(err) {
	case finance.TokenDenied, finance.Fatal, finance.ConsentOver, finance.Rejected:
		c.refused = true
	default:
		c.refused = false
	}
	c.at = time.Now()
	w.log.Info().Bool("refused", c.refused).AnErr("answer", err).
		Msg("the connection was checked, because consents are refused")
	return c.refused, nil
}

// probe asks the connector for its check. Its panic is no word of the provider's.
func (w *batchWork) probe(ctx context.Context) (err error) {
	defer func() {
		if p := panicked(recover(), &w.log, "check the connection"); p != nil {
			err = p
		}
	}()
	return w.conn.Connector.Probe(ctx)
}

// refusedConsent is for an answer that speaks against the consent itself. See persist.RefuseConsent for
// when it is believed.
func (w *batchWork) refusedConsent(
	ctx context.Context, item *queue.Item, f *fetch.Error, d queue.Decision) (queue.Decision, error) {
	status := f.Consent
	if status == "" {
		status = finance.ConsentRevoked
	}
	d.Outcome = finance.Excused
	d.Reason = fmt.Sprintf("consent %s: %s", status, f.Reason)
	if f.Unasked { // there is no grant to ask with: the provider has said nothing that could be disbelieved
		_, err := w.Store.Consents.End(ctx, item.Consent.ID, status, f.Reason, consents.FromGrant, finance.CallID{})
		return d, err
	}
	if !f.Named {
		told, err := w.toldFirst(ctx, item)
		if err != nil || told.Outcome != "" {
			return told, err
		}
	}
	out, err := w.refuse(ctx, refusals.Refusal{
		Connection: w.conn.Name, Credentials: w.conn.credentials(), Batch: w.batch.ID, Fence: w.batch.Fence,
		Status: status, Reason: f.Reason, Named: f.Named, ExternalID: item.Consent.ExternalID,
		Item: queue.Decided{Consent: item.Consent.ID, Dataset: item.Dataset, Decision: d},
	})
	if err != nil {
		return d, err
	}
	if out.Renewed {
		return d, errRenewed
	}
	if out.Parked == "" {
		out.Parked, err = w.parkIfNothingWorks(ctx, f)
	}
	if out.Parked != "" {
		out.Item = d // of a connection that was parked before nothing was decided yet
		out.Item.Outcome, out.Item.Class, out.Item.Reason = finance.Failed, finance.Fatal, out.Parked
	}
	return out.Item, err
}

// wasAnswered says that an item had a good answer.
func wasAnswered(d queue.Decision) bool {
	switch d.Outcome {
	case finance.Rows, finance.Empty:
		return true
	case finance.Partial:
		return !d.Call.IsZero()
	}
	return false
}

// clear ends the suspicion of a consent that was answered.
func (w *batchWork) clear(ctx context.Context, item *queue.Item, d queue.Decision) error {
	if item.Consent.Status != finance.ConsentSuspected || !wasAnswered(d) {
		return nil
	}
	_, err := w.Store.Refusals.ClearSuspicion(ctx, item.Consent.ID, item.Dataset, consents.FromAnswer, d.Call)
	return err
}

// refuse tells the tables of a refusal, with the connection's check where that decides.
func (w *batchWork) refuse(ctx context.Context, r refusals.Refusal) (refusals.Refused, error) {
	out, err := w.Store.Refusals.Refuse(ctx, r)
	if err != nil {
		return out, err
	}
	if !out.Unchecked {
		return out, nil
	}
	refused, err := w.checkRefused(ctx)
	if err != nil {
		return out, err
	}
	r.Checked = !refused
	r.CheckFailed = refused
	return w.Store.Refusals.Refuse(ctx, r)
}

// parkIfNothingWorks parks the connection when the consents that were asked last have all been refused:
// then it is not they who have changed their minds, and nobody's end is believed. It gives the reason.
func (w *batchWork) parkIfNothingWorks(ctx context.Context, f *fetch.Error) (reason string, err error) {
	w.conn.judging.begin()
	defer w.conn.judging.end() // not before the connection is parked
	nothing, k, err := w.nothingWorks(ctx)
	if err != nil {
		return "", err
	}
	if !nothing {
		return "", nil
	}
	reason = fmt.Sprintf("%d consents were refused in a row and nobody was answered: "+
		"a broken token or provider, not revocations; nothing was revoked: %s", k.Refused, f.Reason)
	first, err := w.Store.Refusals.ParkRefused(ctx, w.conn.Name, k.Since, reason)
	if first {
		tellParked(&w.log, w.conn.Name, finance.Fatal, reason)
	}
	return reason, err
}

// tellHeld tells once that ends have come together in such a number that they wait for an operator.
func (e *Engine) tellHeld(ctx context.Context, connection string) error {
	held, err := e.Store.Refusals.HeldNews(ctx, connection)
	if err != nil {
		return err
	}
	if held == 0 {
		return nil
	}
	e.Log.Error().Str("connection", connection).Int("consents", held).
		Msg("too many consents were ended at once: they are held and not called; ask the provider, then " +
			"`syncer consents accept-ends " + connection + " --reason TEXT`; " +
			"whoever is answered again is active again")
	return nil
}

// feedLately is how old a reading of the feed may be that answers whether a refused consent has ended.
const feedLately = 10 * time.Second

// toldFirst asks the provider itself whether a refused consent has ended, by its feed and by its
// status, if it has them. The decision is empty where that does not tell.
func (w *batchWork) toldFirst(ctx context.Context, item *queue.Item) (d queue.Decision, err error) {
	if _, ok := w.conn.Connector.(fetch.FeedReader); ok {
		if err := w.conn.feeds.read(ctx, w.Engine, w.conn.Name); err != nil {
			return d, err
		}
		now, err := w.Store.Consents.ByID(ctx, item.Consent.ID)
		if err != nil {
			return d, err
		}
		mayBeCalled := now.Status == finance.ConsentActive || now.Status == finance.ConsentSuspected
		if !mayBeCalled {
			return overBy(now.Status, "the provider's feed says so"), nil
		}
	}
	reader, ok := w.conn.Connector.(fetch.StatusReader)
	if !ok {
		return d, nil
	}
	unknown, end, err := w.askStatus(ctx, reader, &item.Consent)
	switch {
	case ctx.Err() != nil:
		return d, ctx.Err()
	case err != nil, unknown != nil: // its status is not told: the refusal is all there is
		w.log.Debug().Err(cmp.Or(err, unknown)).Int64("consent", item.Consent.ID).Msg("the status of the consent is not known")
		return d, nil
	case end == nil:
		return queue.Decision{Outcome: finance.Failed, Class: finance.Rejected,
			Reason: "refused as if the consent had ended, while the provider says that it is active"}, nil
	}
	_, held, err := w.Store.Refusals.EndByStatus(ctx, w.conn.Name, []refusals.Ending{*end})
	d = overBy(end.Status, end.Reason)
	if held > 0 {
		d.Outcome = finance.Failed // settling the run excuses it, if others were answered
		d.Reason += "; " + queue.HeldReason
	}
	return d, err
}

func overBy(status finance.ConsentStatus, why string) queue.Decision {
	return queue.Decision{Outcome: finance.Excused, Class: finance.ConsentOver,
		Reason: fmt.Sprintf("consent %s: %s", status, why)}
}

// feeds are the readings of a connection's feed that refusals have brought about, one at a time.
type feeds struct {
	mu sync.Mutex
	at time.Time
}

// read reads the feed, unless that was done lately. A feed that can't be read tells nothing.
func (r *feeds) read(ctx context.Context, e *Engine, connection string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < feedLately {
		return nil
	}
	patient, cancel := context.WithTimeout(ctx, feedPatience)
	defer cancel()
	_, err := e.SyncConsents(patient, connection)
	r.at = time.Now()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, errOthersAsk) {
		e.Log.Warn().Err(err).Str("connection", connection).
			Msg("the feed could not be asked whether a refused consent has ended")
	}
	return nil
}

// tellHeldOf is tellHeld for the connection of a run that has settled: by then it is known whether it
// was not the token.
func (e *Engine) tellHeldOf(ctx context.Context, run int64) error {
	settled, err := e.Store.Queue.RunByID(ctx, run)
	if err != nil {
		return err
	}
	return e.tellHeld(ctx, settled.Connection)
}
