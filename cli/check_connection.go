package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"syncer/app"
	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/persist/pg"
	"syncer/report"
	"syncer/report/text"
)

// checkWithin bounds what the check of one connection may take.
const checkWithin = 45 * time.Second

// skewAllowed is how far the clocks may lie apart before a token's end or a date in Retry-After is misread.
const skewAllowed = 30 * time.Second

// connection fetches one token and makes one harmless call.
func (c *check) connection(ctx context.Context, inst *app.Installation, name string) {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	for _, secret := range inst.Config.Connections[name].Credentials {
		if _, err := secret.Reveal(c.program.env); err != nil {
			c.note(name, "not tried, because a secret can't be read (see above)")
			return
		}
	}
	o, err := inst.ClientOptions(name)
	if err == nil {
		err = inst.Store.Connections.Use(ctx, name, app.EndpointOf(o))
	}
	if err != nil {
		c.fail(name, err)
		return
	}
	seen := &witness{CallStore: inst.Store.Admit}
	o.Calls = seen
	o.Tokens = nil // a token that is fetched now, not one that was kept
	o.Retry.Attempts = 2
	o.MaxWait = 10 * time.Second
	classify := o.Driver.Classify
	o.Driver.Classify = func(r *fetch.Request, a *fetch.Answer) fetch.Meaning {
		seen.clock(a.Header, time.Now())
		return classify(r, a)
	}
	client, err := fetch.NewClient(o)
	if err != nil {
		c.fail(name, err)
		return
	}
	defer client.CloseIdle()
	c.keys(ctx, inst, name, client.Connector())
	restrained := c.restrained(ctx, inst, name)
	if !restrained {
		c.probe(ctx, name, client, seen, o.Driver.Token != nil)
	}
	for _, note := range o.Driver.Notes {
		c.note(name+" settings", "%s", note)
	}
	if !restrained {
		c.parked(ctx, inst, name)
	}
}

// restrained says that an operator has parked the connection. Others are called all the same, to see whether what has parked them
// is over; here somebody has said that nobody is to call.
func (c *check) restrained(ctx context.Context, inst *app.Installation, name string) bool {
	known, err := inst.Store.Connections.ByName(ctx, name)
	if err != nil || !known.ByOperator() {
		return false // the calls will say what is wrong
	}
	c.note(name, "not called: parked since %s, %s; to use it again: syncer connections open %s", text.Clock(known.ParkedAt),
		known.ParkedReason, name)
	return true
}

// keys tells of each dataset whose records would be stored anew, since their keys are made in another way than before.
func (c *check) keys(ctx context.Context, inst *app.Installation, name string, connector fetch.Connector) {
	for _, d := range []finance.Dataset{finance.Accounts, finance.Transactions, finance.Debts} {
		made := fetch.KeysOf(connector, d).Made
		if made == "" {
			continue
		}
		if err := inst.Store.Streams.CheckRecordKeys(ctx, name, d, made); err != nil {
			c.fail(name+" keys", err)
		}
	}
	left, err := inst.Store.Read.KeysLeft(ctx, name)
	if err != nil {
		c.fail(name+" keys", err)
	}
	for _, of := range left {
		for _, note := range report.OldKeys(of, inst.BackfillJob(name)) {
			c.note(name+" keys", "%s", note)
		}
	}
}

// probe makes the call and tells token, call and clock apart.
func (c *check) probe(ctx context.Context, name string, client *fetch.Client, seen *witness, wantsToken bool) {
	began := time.Now()
	err := client.Connector().Probe(ctx)
	token, skew, knows := seen.told()
	if wantsToken && !token && err != nil {
		c.failOrNote(name+" token", err)
		return
	}
	if wantsToken {
		c.ok(name+" token", "fetched")
	}
	if err != nil {
		c.failOrNote(name+" call", err)
	} else {
		c.ok(name+" call", "answered in %s", text.Took(time.Since(began)))
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

// failOrNote tells why a call brought nothing. That no call is left of the day is no fault of the configuration.
func (c *check) failOrNote(what string, err error) {
	failure, ok := errors.AsType[*fetch.Error](err)
	if ok && strings.HasPrefix(failure.Told, calls.PauseByQuota) {
		c.note(what, "not tried: %s", failure.Told)
		return
	}
	c.fail(what, err)
}

func ahead(skew time.Duration) string {
	switch {
	case skew.Abs() < 2*time.Second: // a Date has whole seconds
		return "the same as ours"
	case skew > 0:
		return text.Took(skew) + " ahead of ours"
	}
	return text.Took(-skew) + " behind ours"
}

// parked tells when a connection is not used, whatever the probe said: mending the cause does not open it, unless that
// makes other credentials of those that were refused.
func (c *check) parked(ctx context.Context, inst *app.Installation, name string) {
	known, err := inst.Store.Connections.ByName(ctx, name)
	if errors.Is(err, pg.ErrNotFound) {
		return
	}
	if err != nil {
		c.fail(name, err)
		return
	}
	known = inst.AsConfigured(known)
	switch {
	case !known.Parked && len(known.Refused) > 0:
		c.ok(name+" credentials", "they are used; others were refused since %s and are not", text.Clock(known.Refused[0].At))
	case !known.Parked:
	case known.ParkedFor != "":
		c.note(name, "parked for these credentials since %s (%s): others are used as soon as they are there; if the lines above are good, "+
			"syncer connections open %s", text.Clock(known.ParkedAt), known.ParkedReason, name)
	default:
		c.note(name, "parked since %s (%s): if the lines above are good, syncer connections open %s", text.Clock(known.ParkedAt), known.ParkedReason, name)
	}
}

// witness is the store of a check: it notes whether a token was fetched and what the provider's clock says. A parked
// connection is called all the same, since the check is how an operator learns that it may be opened; its gate holds.
type witness struct {
	fetch.CallStore

	mu    sync.Mutex
	token bool
	skew  time.Duration
	knows bool
}

// Admit lets a parked connection be probed.
func (w *witness) Admit(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	admission, err := w.CallStore.Admit(ctx, ask)
	if err != nil {
		return admission, err
	}
	if admission.Refusal != finance.Fatal {
		return admission, nil
	}
	ask.Connection = "" // nobody's, so it is not parked
	return w.CallStore.Look(ctx, ask)
}

// Look lets it be probed too.
func (w *witness) Look(ctx context.Context, ask calls.Ask) (calls.Admission, error) {
	ask.Connection = ""
	return w.CallStore.Look(ctx, ask)
}

// Record passes on, and sees token calls.
func (w *witness) Record(ctx context.Context, made ...calls.Call) error {
	w.mu.Lock()
	for _, c := range made {
		w.token = w.token || c.Purpose == calls.ForToken && c.Class == finance.OK
	}
	w.mu.Unlock()
	return w.CallStore.Record(ctx, made...)
}

func (w *witness) clock(h http.Header, now time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew = date.Sub(now)
	w.knows = true
}

func (w *witness) told() (token bool, skew time.Duration, knows bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.token, w.skew, w.knows
}

// forgotten tells of connections whose consents nobody reads, since the configuration does not name them.
func (c *check) forgotten(ctx context.Context, inst *app.Installation) {
	list, err := inst.Forgotten(ctx)
	if err != nil {
		c.fail("consents", err)
		return
	}
	for _, f := range list {
		c.note("consents", "%s", report.ForgottenText(f))
	}
	orphans, err := inst.Orphans(ctx)
	if err != nil {
		c.fail("runs", err)
		return
	}
	for _, r := range orphans {
		c.note("runs", "%s", report.OrphanText(r))
	}
}
