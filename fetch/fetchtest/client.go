package fetchtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

// Client is a client of one connection, and what it leaves behind.
type Client struct {
	*fetch.Client
	Store  *CallStore
	Grants *Grants
	Log    *Log
}

// Dial opens a connection with everything in memory and waits that a test can bear. change may set the options anew.
func Dial(t testing.TB, p fetch.Provider, conn fetch.Connection, change ...func(*fetch.Options)) *Client {
	t.Helper()
	driver, err := p.Open(conn)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	c := &Client{Store: NewCallStore(), Grants: NewGrants(), Log: &Log{}}
	o := fetch.Options{
		Connection: conn, Driver: driver, Rate: 10_000, AllowPrivate: true,
		Retry: fetch.Retry{Attempts: 3, Base: time.Millisecond, Cap: time.Millisecond, Budget: 30 * time.Second},
		Calls: c.Store, Once: c.Store, Tokens: c.Store, Grants: c.Grants, Log: zerolog.New(c.Log),
	}
	for _, f := range change {
		f(&o)
	}
	if c.Client, err = fetch.NewClient(o); err != nil {
		t.Fatalf("client: %v", err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// Read is Read of the client's connector.
func (c *Client) Read(ctx context.Context, s fetch.Stream, from string) ([]fetch.Page, error) {
	return Read(ctx, c.Connector(), s, from)
}

// Read reads a stream from a cursor to its end. The pages that came before an error are given with it.
func Read(ctx context.Context, c fetch.Connector, s fetch.Stream, from string) (pages []fetch.Page, err error) {
	for page, err := range c.Pages(ctx, s, from) {
		if err != nil {
			return pages, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// MustRead is Read of a pass that has pages and an end.
func (c *Client) MustRead(t testing.TB, s fetch.Stream, from string) []fetch.Page {
	t.Helper()
	pages, err := c.Read(t.Context(), s, from)
	if err != nil {
		t.Fatalf("%s: %v", s.Dataset, err)
	}
	if len(pages) == 0 || !pages[len(pages)-1].Done {
		t.Fatalf("%s: the pass has %d pages and no end", s.Dataset, len(pages))
	}
	return pages
}

// StreamOf is a stream of a consent's dataset.
func StreamOf(c finance.Consent, d finance.Dataset) fetch.Stream {
	return fetch.Stream{Stream: finance.Stream{Consent: c.ID, Dataset: d}, Task: calls.Task{Dataset: d, Consent: &c}}
}

// Credentials are a client's id and secret.
func Credentials(id, secret string) map[string]fetch.Secret {
	return map[string]fetch.Secret{"client_id": fetch.NewSecret(id), "client_secret": fetch.NewSecret(secret)}
}

// Keyed stands for the hash that a process has the key of.
func Keyed(s string) []byte { h := sha256.Sum256([]byte("test key" + s)); return h[:] }

// Subject is a person whose number was kept.
func Subject(number string) finance.Subject { return finance.NewSubject(Keyed(number), number, Keyed) }

// Log is a log of several goroutines.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is everything written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
