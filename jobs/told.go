package jobs

import (
	"context"
	"sync"

	"github.com/rs/zerolog"

	"syncer/finance"
	"syncer/persist/queue"
)

// A night in which a provider is down fails a hundred thousand items, and a line for each would bury what else the log
// says. So a claim of a batch tells the first few of a kind, and how many more there were when it ends. All of them are
// there at level debug.

// toldAlike is how many items of a kind are told one by one, toldKinds how many kinds are.
const (
	toldAlike = 3
	toldKinds = 10
)

// toldKey is what items are told together by.
type toldKey struct {
	dataset finance.Dataset
	outcome finance.Outcome
	class   finance.Class
	kind    string
}

// told is what the log was told of items in one claim of a batch.
type told struct {
	mu    sync.Mutex
	kinds map[toldKey]*toldKind
}

type toldKind struct {
	items  int
	newest queue.Decided
}

// note counts an item. It says whether the item is to be told by itself.
func (t *told) note(d queue.Decided) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := toldKey{d.Dataset, d.Outcome, d.Class, finance.KindOf(d.Reason, d.Correlation)}
	if t.kinds == nil {
		t.kinds = map[toldKey]*toldKind{}
	}
	if t.kinds[key] == nil && len(t.kinds) >= toldKinds {
		key.kind = ""
		key.class = "" // with the others beyond the bound
	}
	kind := t.kinds[key]
	if kind == nil {
		kind = &toldKind{}
		t.kinds[key] = kind
	}
	kind.items++
	kind.newest = d
	return kind.items <= toldAlike
}

// levelOf is how loud the log tells of an item.
func levelOf(o finance.Outcome) zerolog.Level {
	switch o {
	case finance.Failed:
		return zerolog.WarnLevel
	case finance.Partial, finance.Excused:
		return zerolog.InfoLevel
	}
	return zerolog.DebugLevel
}

// tell writes to the log how an item ended.
func (w *batchWork) tell(d queue.Decided) {
	level := levelOf(d.Outcome)
	if level > zerolog.DebugLevel && !w.told.note(d) {
		level = zerolog.DebugLevel
	}
	event := w.log.WithLevel(level)
	about(event, d)
	event.Msg("item decided")
}

func about(event *zerolog.Event, d queue.Decided) {
	event.Int64("consent", d.Consent).Str("dataset", string(d.Dataset)).Str("outcome", string(d.Outcome)).
		Str("class", string(d.Class)).Str("reason", d.Reason)
	if d.Correlation != "" {
		event.Str("correlation_id", d.Correlation)
	}
	if !d.Call.IsZero() {
		event.Stringer("request_id", d.Call)
	}
}

// tellRest says at the end of a claim how many items were not told by themselves.
func (w *batchWork) tellRest() {
	w.told.mu.Lock()
	defer w.told.mu.Unlock()
	for _, kind := range w.told.kinds {
		if more := kind.items - toldAlike; more > 0 {
			event := w.log.WithLevel(levelOf(kind.newest.Outcome))
			about(event, kind.newest)
			event.Int("more", more).Msg("more items were decided like those before; this is the newest")
		}
	}
}

// tellCauses says why a settled run is not complete, a line for each cause.
func (e *Engine) tellCauses(ctx context.Context, run int64) {
	causes, err := e.Store.Read.OwnCauses(ctx, run)
	if err != nil {
		e.Log.Warn().Err(err).Int64("run", run).Msg("the reasons why the run is not complete could not be read; `syncer runs show` shows them")
		return
	}
	for _, c := range causes.List {
		event := e.Log.WithLevel(max(levelOf(c.Outcome), zerolog.InfoLevel)).Int64("run", run).Int("items", c.Items)
		about(event, queue.Decided{Consent: c.First.Consent, Dataset: c.Dataset, Decision: queue.Decision{
			Outcome: c.Outcome, Class: c.Class, Reason: c.First.Reason, Correlation: c.First.Correlation, Call: c.First.Call}})
		event.Int64("newest_consent", c.Newest.Consent).Msg("items are not complete for one cause; the first of them")
	}
	if causes.More > 0 {
		e.Log.Warn().Int64("run", run).Int("causes", causes.More).Int("items", causes.MoreItems).
			Msg("items are not complete for further causes")
	}
}
