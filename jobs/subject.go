package jobs

import (
	"context"
	"sync"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/queue"
)

// othersWithin is how close together two answers about somebody else park a connection. One may be a slip of one
// record; two are a provider, or a proxy before it, that mixes people up, and each further call shows us one more person's
// data that we have no right to.
const othersWithin = 10 * time.Minute

// others remembers when a connection last answered about somebody else. It is of this process: each other one comes to
// the same end by its own two answers at the latest.
type others struct {
	mu   sync.Mutex
	last time.Time
}

// again notes an answer about somebody else, and says whether there was another one lately.
func (o *others) again(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	lately := !o.last.IsZero() && now.Sub(o.last) < othersWithin
	o.last = now
	return lately
}

// wrongSubject tells of an answer about somebody else, of which nothing was stored, and parks the connection at the
// second one.
func (w *batchWork) wrongSubject(ctx context.Context, item *queue.Item, f *fetch.Error) error {
	w.log.Error().Int64("consent", item.Consent.ID).Str("dataset", string(item.Dataset)).Stringer("request_id", f.Call).
		Str("correlation_id", f.Correlation).Msg("the provider answered about another subject than was asked for; nothing was stored")
	if !w.conn.others.again(time.Now()) {
		return nil
	}
	return w.parkConnection(ctx, finance.Fatal, "answers about other subjects than were asked for: "+f.Error())
}
