package jobs_test

import (
	"bytes"
	"context"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// bomb panics for one consent, before its first page or behind it.
type bomb struct {
	fetch.Connector
	consent int64
	behind  bool
}

func (b bomb) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	return func(yield func(fetch.Page, error) bool) {
		if s.Consent == b.consent && !b.behind {
			panic("a word of the answer")
		}
		for page, err := range b.Connector.Pages(ctx, s, from) {
			if !yield(page, err) {
				return
			}
			if s.Consent == b.consent {
				panic("a word of the answer")
			}
		}
	}
}

// logged is a log of several goroutines.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestAPanicFailsItsItemAlone: the process lives, and the others of the batch are had.
func TestAPanicFailsItsItemAlone(t *testing.T) {
	t.Parallel()
	for _, behind := range []bool{false, true} {
		l := newLab(t, ngsim.Options{Consents: 4}, banksim.Options{})
		l.importNG(4)
		var log logged
		n := l.start(nodeOptions{log: zerolog.New(&log), wrap: func(c fetch.Connector) fetch.Connector {
			return bomb{c, l.consent(1).ID, behind}
		}})
		r := l.run(n, debt)
		if r.Run.Verdict != queue.VerdictPartial || len(r.NotComplete) != 1 || r.NotComplete[0].Class != finance.Malformed ||
			r.NotComplete[0].Outcome != finance.Failed {
			t.Errorf("behind %t: the run is %s: %+v", behind, r.Run.Verdict, r.NotComplete)
		}
		n.stop()
		if text := log.b.String(); !strings.Contains(text, "bomb.Pages") || strings.Contains(text, "a word of the answer") {
			t.Errorf("behind %t: the log has no stack, or the panic's value: %s", behind, text)
		}
		if lost := l.number("SELECT coalesce(sum(lost), 0) FROM batches"); lost != 0 {
			t.Errorf("behind %t: %d batches were lost", behind, lost)
		}
	}
}
