package vipps

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

const (
	subscriptionHeader = "Ocp-Apim-Subscription-Key"
	msnHeader          = "Merchant-Serial-Number"
)

type connector struct {
	client   *fetch.Client
	settings Settings
	led      fetch.Tonight // when an answer last had a cursor that leads on
}

// PerAccount is true for transactions: each ledger has its own.
func (*connector) PerAccount(d finance.Dataset) bool { return d == finance.Transactions }

// Pages reads the ledgers of a recipient, or the entries of one ledger.
func (c *connector) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	switch s.Dataset {
	case finance.Accounts:
		l := &listed{}
		return c.client.Walk(ctx, s, from, func(at fetch.At) (fetch.Step, error) { return c.ledgers(ctx, s, at.Position, l) })
	case finance.Transactions:
		m := &memory{}
		return c.client.Walk(ctx, s, from, func(at fetch.At) (fetch.Step, error) { return c.transactions(ctx, s, at, m) })
	}
	return func(yield func(fetch.Page, error) bool) {
		yield(fetch.Page{}, &fetch.Error{Class: finance.Rejected, Op: "read " + string(s.Dataset), Reason: "vipps has no such dataset"})
	}
}

// Probe lists ledgers for nobody in particular.
func (c *connector) Probe(ctx context.Context) error {
	r := c.request(calls.Task{}, calls.ForCheck)
	r.Path = ledgersPath
	r.Template = "/" + ledgersPath
	_, err := c.client.Do(ctx, r)
	return err
}

// request is what all requests share. The keys of a sales unit go with every call of the standard flow and with none
// of the specialised one.
func (c *connector) request(task calls.Task, purpose calls.Purpose) fetch.Request {
	r := fetch.Request{Header: http.Header{"Accept": {"application/json"}}, Query: url.Values{}, Purpose: purpose, Task: task}
	for name, value := range c.settings.system() {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if c.settings.TokenFlow != standard {
		return r
	}
	msn := c.settings.MerchantSerialNumber
	if task.Consent != nil {
		if h, err := recipient(task.Consent); err == nil && strings.HasPrefix(h, apiHandle) {
			msn = strings.TrimPrefix(h, apiHandle)
		}
	}
	if msn != "" {
		r.Header.Set(msnHeader, msn)
	}
	return r
}

// failed is the error of an answer that the connector itself judges.
func failed(a *fetch.Answer, class finance.Class, op, reason string) *fetch.Error {
	return &fetch.Error{
		Class: class, Op: op, Reason: reason, Connection: a.Call.Connection, Call: a.Call.ID, Correlation: a.Call.Correlation,
	}
}

var _ fetch.Connector = (*connector)(nil)
