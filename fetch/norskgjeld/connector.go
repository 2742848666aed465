package norskgjeld

import (
	"context"
	"iter"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

type connector struct {
	client   *fetch.Client
	settings Settings
	audience string // the origin that audiences begin with
	now      func() time.Time
}

// PerAccount is false: a person's debt is one stream.
func (*connector) PerAccount(finance.Dataset) bool { return false }

// Pages reads a person's debt.
func (c *connector) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	return c.client.Walk(ctx, s, from, func(at fetch.At) (fetch.Step, error) { return c.step(s, at.Position) })
}

// Probe asks for the status of a consent that can't exist, which costs nobody anything and needs a token for debt.
func (c *connector) Probe(ctx context.Context) error {
	_, err := c.client.Do(ctx, c.statusRequest("00000000-0000-0000-0000-000000000000", calls.ForCheck, calls.Task{}))
	return err
}

// request is the part of a request that all of a service's calls share. Our id of the call travels in X-Trace-ID,
// which the registry's errors echo.
func (c *connector) request(service, scope string) fetch.Request {
	return fetch.Request{Token: fetch.TokenKey{Audience: c.audience + service, Scope: scope}, IDHeader: "X-Trace-ID"}
}

// malformed is the error of an answer that says OK but can't be read.
func malformed(op string, a *fetch.Answer, err error) error {
	return &fetch.Error{Class: finance.Malformed, Op: op, Connection: a.Call.Connection, Correlation: a.Call.Correlation, Call: a.Call.ID, Err: err}
}
