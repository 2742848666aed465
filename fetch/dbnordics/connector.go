package dbnordics

import (
	"context"
	"crypto/sha256"
	"iter"
	"net/http"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

type connector struct {
	client   *fetch.Client
	name     string // the connection's, for errors
	settings Settings
	token    fetch.TokenKey
}

// PerAccount is false: a company's debts are one stream.
func (*connector) PerAccount(finance.Dataset) bool { return false }

// Pages reads a company's debts, which is one page, so the only position is the beginning.
func (c *connector) Pages(ctx context.Context, s fetch.Stream, from string) iter.Seq2[fetch.Page, error] {
	key := pageKey()
	kept := s.Kept
	if kept != nil {
		s.Kept = func(finance.PageKey) (finance.Kept, bool) { return kept(key) }
	}
	pages := c.client.Walk(ctx, s, from, func(at fetch.At) (fetch.Step, error) { return c.step(ctx, s, at.Position) })
	return func(yield func(fetch.Page, error) bool) {
		for page, err := range pages {
			if err == nil {
				page.Key = key
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// pageKey names the only page of a stream. Walk's own name of it is a hash of the request's body too, and the unkeyed hash
// of a body with a personal identity number gives the number away.
func pageKey() finance.PageKey {
	sum := sha256.Sum256([]byte("POST /companies/{country} " + version))
	return finance.PageKey(sum[:16])
}

// Probe counts the companies of a name, which is no credit report: it costs nobody anything and nobody gets a letter.
func (c *connector) Probe(ctx context.Context) error {
	_, err := c.client.Do(ctx, c.post("companies", []byte(`{"country":"SE","name":"syncer","limit":0}`), calls.ForCheck))
	return err
}

// post is the part of a request that all calls share.
func (c *connector) post(path string, body []byte, purpose calls.Purpose) fetch.Request {
	return fetch.Request{
		Method: http.MethodPost, Path: path, Template: "/" + path, Body: body, Purpose: purpose, Token: c.token,
		Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}},
	}
}
