package sbanken

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

type connector struct {
	client   *fetch.Client
	settings Settings
}

// PerAccount is true for transactions.
func (*connector) PerAccount(d finance.Dataset) bool { return d == finance.Transactions }

// Pages reads the accounts with their balances, or the transactions of one account.
func (c *connector) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	switch s.Dataset {
	case finance.Accounts:
		return c.client.Walk(ctx, s, from, func(at fetch.At) (fetch.Step, error) { return c.accounts(ctx, s, at.Position) })
	case finance.Transactions:
		return c.client.Walk(ctx, s, from, func(at fetch.At) (fetch.Step, error) { return c.transactions(ctx, s, at.Position) })
	}
	return func(yield func(fetch.Page, error) bool) {
		yield(fetch.Page{}, &fetch.Error{Class: finance.Rejected, Op: "read " + string(s.Dataset), Reason: "sbanken has no such dataset"})
	}
}

// Probe asks for the accounts of nobody in particular. An application of one customer gets them; one of many is told
// to name a customer, which shows just as well that address, credentials and grant are good.
func (c *connector) Probe(ctx context.Context) error {
	r := c.request(calls.Task{}, calls.ForCheck)
	r.Path = "Accounts"
	r.Template = "/Accounts"
	_, err := c.client.Do(ctx, r)
	if e, ok := errors.AsType[*fetch.Error](err); ok && e.Class == finance.Rejected && strings.Contains(strings.ToLower(e.Reason), "customer") {
		return nil
	}
	return err
}

// request is what all requests share. The customer's number travels in a header, the only place for it: URLs and
// templates are logged.
func (c *connector) request(task calls.Task, purpose calls.Purpose) fetch.Request {
	r := fetch.Request{Header: http.Header{"Accept": {"application/json"}}, Purpose: purpose, Task: task}
	if c.settings.CustomerHeader == "auto" && task.Consent != nil {
		if number, ok := task.Consent.Subject.Reveal(); ok {
			r.Header.Set("customerId", number)
		}
	}
	return r
}

var _ fetch.Connector = (*connector)(nil)
