package fetchtest

import (
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/finance"
)

// calls counts the calls for a purpose that ended with a class.
func (c *Client) calls(p finance.Purpose, class finance.Class) (n int) {
	for _, call := range c.Ledger.Calls() {
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
		if tokens, denied := other.calls(finance.ForToken, finance.OK), other.calls(finance.ForData, finance.TokenDenied); tokens != 2 || denied != 1 {
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
		if n := b.calls(finance.ForData, finance.TokenDenied); n != 2 {
			t.Errorf("%d data calls with tokens that were refused, want one and its one repetition", n)
		}
	})
}

// deniedMany reads a stream many times at once, with few places on the wire, while the tokens die twice. Whoever waits for
// a place must see that the token it holds was refused to somebody else: otherwise each spends its one refresh on old news,
// and the second death fails them all.
func (h Harness) deniedMany(t *testing.T) {
	const callers, places = 24, 2
	s := h.streams()[0]
	b := h.crowd(t, places)
	whole := tableOf(b.MustRead(t, s, "")...)
	if b.calls(finance.ForToken, finance.OK) == 0 {
		t.Log("this API takes no token")
		return
	}
	// Each rule counts the calls that it lets pass, so the second death comes while the callers still wait.
	defer h.Expire(3, 1)()
	defer h.Expire(9, 1)()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			pages, err := b.Read(t.Context(), s, "")
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
	tokens, denied := b.calls(finance.ForToken, finance.OK), b.calls(finance.ForData, finance.TokenDenied)
	if tokens != 3 || denied < 2 || denied > 2*places {
		t.Errorf("%d tokens for one that died twice, and %d refused calls with %d at a time", tokens, denied, places)
	}
}

// crowd is a client with few places on the wire.
func (h *Harness) crowd(t *testing.T, places int) *Client {
	t.Helper()
	if h.Connection.Settings == nil {
		h.Connection.Settings = h.Provider.Settings()
	}
	return Dial(t, h.Provider, h.Connection, func(o *fetch.Options) { o.Dial, o.MaxPages, o.Concurrency = h.Dial, mostPages, places })
}
