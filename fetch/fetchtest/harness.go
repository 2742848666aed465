package fetchtest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

// Harness is one provider with a server that behaves like it. The callbacks spoil what the server answers until the
// function they give is called; each strikes data calls only.
type Harness struct {
	Provider   fetch.Provider
	Connection fetch.Connection // addresses, credentials and settings; nil settings are the provider's defaults
	Consent    finance.Consent  // of a subject that the server knows; not single-use
	Streams    []fetch.Stream   // what is read; Run fills in consent and scope

	// Pause answers one data call with 429 and a pause of one second, after so many good ones. form is "" for a Retry-After
	// in seconds, or another form of it, as sandbox.RetryAfter has them; "words" tells it in the body's message alone,
	// "reset" in X-RateLimit-Reset; "body" is a 200 whose body is an error that names the rate.
	Pause func(after int, form string) (undo func())
	// Instead answers all data calls, after so many good ones, with a status and a body.
	Instead func(after, status int, body string) (undo func())
	// Expire ends all tokens at the arrival of some data calls, after so many good ones, so that the provider answers
	// each as it answers a stale token. times is how many; 0: all.
	Expire func(after, times int) (undo func())
	// Withdraw takes the consent back at the provider, or withholds its data, for good: it comes last. The class is what
	// an item then ends with. Nil: the provider has no such thing.
	Withdraw func() finance.Class
	// Spoil makes exactly one record of the first answer of the stream unreadable, and nothing else of it.
	Spoil func(fetch.Stream) (undo func())
	// Insert puts further members, with a comma behind each, into exactly one record of the first answer of the stream.
	Insert func(s fetch.Stream, members string) (undo func())
	// Double shows the first record of the stream's first answer twice, the second time with another content if changed. It
	// gives nil for a stream whose records have no ids of the provider's own. Nil: no stream's have.
	Double func(s fetch.Stream, changed bool) (undo func())
	// Impostor makes the server answer with another person's data. Nil: answers name no subject.
	Impostor func() (undo func())
	// Impersonal says that a stream's answers name no subject, so that an impostor can't be told there.
	Impersonal func(fetch.Stream) bool
	// Grow makes a new record that the stream's list shows on its first page, and Shrink takes one away from there, so that
	// everything behind it moves up. They say whether the stream has such a list. Nil: the provider's lists don't move so.
	Grow, Shrink func(fetch.Stream) bool
	// Unseen says that the provider's answers give no sign that a stream's list has grown, or has shrunk, between two pages.
	Unseen func(s fetch.Stream, grown bool) bool
	// Endless makes the stream's last page lead on to itself for ever, always under another name. It says whether the
	// stream has such pages. Nil: the provider's answers lead nowhere.
	Endless func(fetch.Stream) bool
	// Accounts are the same dataset's streams of the consent's accounts, each of which is refused in turn. Nil: the provider
	// has no accounts.
	Accounts []fetch.Stream
	// Refuse makes the provider answer what is asked of one account with a status.
	Refuse func(s fetch.Stream, status int) (undo func())
	// Now is the provider's present, and Calendar the time zone in which its days begin.
	Now      func() time.Time
	Calendar string
	// Dial reaches a server in memory; nil: it is reached over the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Arrivals are the paths, without queries, of all calls that the server has seen.
	Arrivals func() []string
	// Secrets must stand in no error, log line, path or record: the client's secret, tokens, identity numbers.
	Secrets func() []string
}

// mostPages bounds a pass: more than any harness has, and few enough for a test to tell that a list has no end.
const mostPages = 1000

func (h *Harness) bench(t *testing.T) *Client {
	t.Helper()
	if h.Connection.Settings == nil {
		h.Connection.Settings = h.Provider.Settings()
	}
	return Dial(t, h.Provider, h.Connection, func(o *fetch.Options) { o.Dial, o.MaxPages = h.Dial, mostPages })
}

// streams are the harness's streams on behalf of its consent.
func (h *Harness) streams() []fetch.Stream {
	out := slices.Clone(h.Streams)
	for i := range out {
		out[i].Consent = h.Consent.ID
		out[i].Task = calls.Task{Dataset: out[i].Dataset, Consent: &h.Consent}
	}
	return out
}

// table is a record table as the pages would leave it: the latest of each key, minus what a whole set no longer has.
type table map[string]string

// apply does with a page what a store does.
func (tb table) apply(p *fetch.Page) {
	now := map[string]bool{}
	for key, line := range lines(&p.Records) {
		tb[key] = line
		now[key] = true
	}
	if p.Whole == nil {
		return
	}
	for _, id := range p.Whole.Earlier {
		now["transaction "+id] = true
		now["account "+id] = true
		now["debt "+id] = true
	}
	for _, r := range p.Rejects {
		now["transaction "+r.Key] = true
		now["account "+r.Key] = true
		now["debt "+r.Key] = true
	}
	for key, line := range tb {
		_, id, _ := strings.Cut(key, " ")
		if now[key] || !strings.HasPrefix(id, p.Whole.Prefix) || p.Whole.Status != "" && !strings.HasPrefix(line, p.Whole.Status+" ") {
			continue
		}
		delete(tb, key)
	}
}

func tableOf(pages ...fetch.Page) table {
	tb := table{}
	for i := range pages {
		tb.apply(&pages[i])
	}
	return tb
}

// lines are a page's records as text by their keys. A transaction's begins with its status.
func lines(r *finance.Records) map[string]string {
	var h finance.Hasher
	out := map[string]string{}
	for i := range r.Accounts {
		out["account "+r.Accounts[i].ID] = fmt.Sprintf("%x %s", h.Account(&r.Accounts[i]), r.Accounts[i].Extra)
	}
	for i := range r.Balances {
		b := &r.Balances[i]
		out["balance "+b.AccountID+"/"+b.Kind+"/"+b.Currency] = fmt.Sprintf("%x %s", h.Balance(b), b.Amount)
	}
	for i := range r.Transactions {
		x := &r.Transactions[i]
		out["transaction "+x.ID] = fmt.Sprintf("%s %x %s %s %q %s", x.Status, h.Transaction(x), x.BookedOn, x.Amount, x.Text, x.Extra)
	}
	for i := range r.Debts {
		d := &r.Debts[i]
		out["debt "+d.ID] = fmt.Sprintf("%x %s %s %s", h.Debt(d), d.Creditor, d.Balance, d.Extra)
	}
	return out
}
