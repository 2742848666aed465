package fetchtest

import (
	"sync"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

// calls counts the calls for a purpose that ended with a class.
func (c *Client) calls(p calls.Purpose, class finance.Class) (n int) {
	for _, call := range c.Store.Calls() {
		if call.Purpose == p && call.Class == class {
			n++
		}
	}
	return n
}

func (h Harness) expired(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		whole := b.MustRead(t, s, "")
		defer h.Expire(len(whole)/2, 1)()
		other := h.bench(t)
		got := other.MustRead(t, s, "")
		if diff := gocmp.Diff(tableOf(whole...), tableOf(got...)); diff != "" {
			t.Error(diff)
		}
		if tokens, denied := other.calls(calls.ForToken, finance.OK), other.calls(calls.ForData, finance.TokenDenied); tokens != 2 || denied != 1 {
			t.Errorf("%d token calls and %d calls of class token for one token that ended", tokens, denied)
		}
	})
}

func (h Harness) denied(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		defer h.Expire(0, 0)()
		pages, err := b.Read(t.Context(), s, "")
		if len(pages) > 0 || fetch.ClassOf(err) != finance.TokenDenied {
			t.Errorf("%d pages, error %v; want class token", len(pages), err)
		}
		if n := b.calls(calls.ForData, finance.TokenDenied); n != 2 {
			t.Errorf("%d data calls with tokens that were refused, want one and its one repetition", n)
		}
	})
}

// deniedMany reads a stream many times at once, with few concurrent calls allowed, while the tokens die twice. Whoever waits for
// a place must see that the token it holds was refused to somebody else: otherwise each spends its one refresh on old news,
// and the second death fails them all.
func (h Harness) deniedMany(t *testing.T) {
	const callers, atOnce = 24, 2
	s := h.streams()[0]
	b := h.crowd(t, atOnce)
	whole := tableOf(b.MustRead(t, s, "")...)
	if b.calls(calls.ForToken, finance.OK) == 0 {
		t.Log("this API takes no token")
		return
	}
	// Each rule counts the calls that it lets pass, so the second death comes while the callers still wait.
	defer h.Expire(3, 1)()
	defer h.Expire(9, 1)()
	var wg sync.WaitGroup
	var metBoth atomic.Int32
	for range callers {
		wg.Go(func() {
			pages, err := b.Read(t.Context(), s, "")
			if fetch.ClassOf(err) == finance.TokenDenied {
				metBoth.Add(1) // it was on the wire at the first death, and came to its repetition only at the second
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			if diff := gocmp.Diff(whole, tableOf(pages...)); diff != "" {
				t.Error(diff)
			}
		})
	}
	wg.Wait()
	if n := int(metBoth.Load()); n > atOnce {
		t.Errorf("%d callers failed, and only %d can have met both deaths", n, atOnce)
	}
	tokens := b.calls(calls.ForToken, finance.OK)
	denied := b.calls(calls.ForData, finance.TokenDenied)
	if tokens != 3 || denied < 2 || denied > 2*atOnce {
		t.Errorf("%d tokens for one that died twice, and %d refused calls with %d at a time", tokens, denied, atOnce)
	}
}

// crowd is a client that allows few concurrent calls.
func (h *Harness) crowd(t *testing.T, atOnce int) *Client {
	t.Helper()
	if h.Connection.Settings == nil {
		h.Connection.Settings = h.Provider.Settings()
	}
	return Dial(t, h.Provider, h.Connection, func(o *fetch.Options) { o.Dial, o.MaxPages, o.Concurrency = h.Dial, mostPages, atOnce })
}
