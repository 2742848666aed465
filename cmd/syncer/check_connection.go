package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"syncer/fetch"
	"syncer/finance"
	"syncer/persist"
)

// checkWithin bounds what the check of one connection may take.
const checkWithin = 45 * time.Second

// skewAllowed is how far the clocks may lie apart before a token's end or a date in Retry-After is misread.
const skewAllowed = 30 * time.Second

// connection fetches one token and makes one harmless call.
func (c *check) connection(ctx context.Context, h *house, name string) {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	for _, secret := range h.Config.Connections[name].Credentials {
		if _, err := secret.Reveal(h.opt.Env); err != nil {
			c.note(name, "not tried, because a secret can't be read (see above)")
			return
		}
	}
	o, err := h.clientOptions(name)
	if err == nil {
		err = h.Store.UpsertConnection(ctx, name, o.Connection.Provider)
	}
	if err != nil {
		c.fail(name, err)
		return
	}
	seen := &witness{Ledger: h.Store}
	o.Ledger, o.Tokens = seen, nil // a token that is fetched now, not one that was kept
	o.Retry.Attempts, o.MaxWait = 2, 10*time.Second
	classify := o.Driver.Classify
	o.Driver.Classify = func(r *fetch.Request, a *fetch.Answer) fetch.Verdict {
		seen.clock(a.Header, time.Now())
		return classify(r, a)
	}
	client, err := fetch.NewClient(o)
	if err != nil {
		c.fail(name, err)
		return
	}
	defer client.CloseIdle()
	c.probe(ctx, name, client, seen, o.Driver.Token != nil)
	for _, note := range o.Driver.Notes {
		c.note(name+" settings", "%s", note)
	}
	c.parked(ctx, h, name)
}

// probe makes the call and tells token, call and clock apart.
func (c *check) probe(ctx context.Context, name string, client *fetch.Client, seen *witness, wantsToken bool) {
	began := time.Now()
	err := client.Connector().Probe(ctx)
	token, skew, knows := seen.told()
	if wantsToken && !token && err != nil {
		c.fail(name+" token", err)
		return
	}
	if wantsToken {
		c.ok(name+" token", "fetched")
	}
	if err != nil {
		c.fail(name+" call", err)
	} else {
		c.ok(name+" call", "answered in %s", took(time.Since(began)))
	}
	switch {
	case !knows:
		return
	case skew.Abs() > skewAllowed:
		c.fail(name+" clock", fmt.Errorf("the provider's clock is %s: set this machine's clock (NTP), or tokens are used too long", ahead(skew)))
	default:
		c.ok(name+" clock", "%s", ahead(skew))
	}
}

func ahead(skew time.Duration) string {
	switch {
	case skew.Abs() < 2*time.Second: // a Date has whole seconds
		return "the same as ours"
	case skew > 0:
		return took(skew) + " ahead of ours"
	}
	return took(-skew) + " behind ours"
}

// parked tells when a connection is not used, whatever the probe said: mending the cause does not open it, unless that
// makes other credentials of those that were refused.
func (c *check) parked(ctx context.Context, h *house, name string) {
	known, err := h.Store.ConnectionByName(ctx, name)
	if errors.Is(err, persist.ErrNotFound) {
		return
	}
	if err != nil {
		c.fail(name, err)
		return
	}
	known = h.asConfigured(known)
	switch {
	case !known.Parked && len(known.Refused) > 0:
		c.ok(name+" credentials", "they are used; others were refused since %s and are not", clock(known.Refused[0].At))
	case !known.Parked:
	case known.ParkedFor != "":
		c.note(name, "parked for these credentials since %s (%s): others are used as soon as they are there; if the lines above are good, "+
			"syncer connections open %s", clock(known.ParkedAt), known.ParkedReason, name)
	default:
		c.note(name, "parked since %s (%s): if the lines above are good, syncer connections open %s", clock(known.ParkedAt), known.ParkedReason, name)
	}
}

// witness is the ledger of a check: it notes whether a token was fetched and what the provider's clock says. A parked
// connection is called all the same, since the check is how an operator learns that it may be opened; its gate holds.
type witness struct {
	fetch.Ledger

	mu    sync.Mutex
	token bool
	skew  time.Duration
	knows bool
}

// Admit lets a parked connection be probed.
func (w *witness) Admit(ctx context.Context, ask finance.Ask) (finance.Admission, error) {
	admission, err := w.Ledger.Admit(ctx, ask)
	if err != nil || admission.Refusal != finance.Fatal {
		return admission, err
	}
	ask.Connection = "" // nobody's, so it is not parked
	return w.Ledger.Look(ctx, ask)
}

// Look lets it be probed too.
func (w *witness) Look(ctx context.Context, ask finance.Ask) (finance.Admission, error) {
	ask.Connection = ""
	return w.Ledger.Look(ctx, ask)
}

// Record passes on, and sees token calls.
func (w *witness) Record(ctx context.Context, calls ...finance.Call) error {
	w.mu.Lock()
	for _, c := range calls {
		w.token = w.token || c.Purpose == finance.ForToken && c.Class == finance.OK
	}
	w.mu.Unlock()
	return w.Ledger.Record(ctx, calls...)
}

func (w *witness) clock(h http.Header, now time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew, w.knows = date.Sub(now), true
}

func (w *witness) told() (token bool, skew time.Duration, knows bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.token, w.skew, w.knows
}
