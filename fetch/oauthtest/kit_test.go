package oauthtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// reader is the smallest connector there is: it reads /api/me.
type reader struct {
	client *fetch.Client
	key    fetch.TokenKey
	grants []fetch.Grant // what people have given
}

func (*reader) PerAccount(finance.Dataset) bool { return false }

func (r *reader) me(ctx context.Context, key fetch.TokenKey) (Me, error) {
	a, err := r.client.Do(ctx, fetch.Request{Path: "me", Template: "/me", Token: key})
	if err != nil {
		return Me{}, err
	}
	var me Me
	return me, json.Unmarshal(a.Body, &me)
}

func (r *reader) Probe(ctx context.Context) error {
	_, err := r.me(ctx, r.key)
	return err
}

func (r *reader) Pages(ctx context.Context, s fetch.Stream, _ string) iter.Seq2[fetch.Page, error] {
	return func(yield func(fetch.Page, error) bool) {
		key := r.key
		key.Consent = s.Consent
		if _, err := r.me(ctx, key); err != nil {
			yield(fetch.Page{}, err)
			return
		}
		yield(fetch.Page{Done: true}, nil)
	}
}

// Granted implements fetch.Granter.
func (r *reader) Granted(_ context.Context, g fetch.Grant) (fetch.Given, error) {
	r.grants = append(r.grants, g)
	return fetch.Given{ExternalID: fmt.Sprintf("consent-%d", len(r.grants)), Scopes: g.Scopes}, nil
}

// bench is one client of the stack before the foreign server, and what it left behind.
type bench struct {
	*reader
	store   *fetchtest.CallStore
	log     *fetchtest.Log
	browser *http.Transport // the person's
}

// ask is how the client asks for the token of a key: its audience and scope are the key's.
func ask(s *Server, c Client, style fetch.TokenStyle) func(fetch.TokenKey) (fetch.TokenRequest, error) {
	return func(k fetch.TokenKey) (fetch.TokenRequest, error) {
		r := fetch.TokenRequest{
			URL: s.Issuer + tokenPath, Style: style, ID: c.ID, Secret: fetch.NewSecret(c.Secret), Scopes: strings.Fields(k.Scope),
		}
		if k.Audience != "" {
			r.Params = url.Values{"audience": {k.Audience}}
		}
		return r, nil
	}
}

// options are those of a client of the stack with a store in memory. The credentials that it is told of are those
// that must not be shown.
func options(t *testing.T, s *Server, token func(fetch.TokenKey) (fetch.TokenRequest, error)) (fetch.Options, *bench) {
	t.Helper()
	base, err := url.Parse(s.Issuer + "/api")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: fetchtest.NewCallStore(), log: &fetchtest.Log{}, browser: &http.Transport{DisableKeepAlives: true}}
	return fetch.Options{
		Connection: fetch.Connection{Name: "bank", Provider: "foreign"},
		Driver: fetch.Driver{
			Base: base, Token: token,
			Classify: func(_ *fetch.Request, a *fetch.Answer) fetch.Meaning { return fetch.Meaning{Class: fetch.ByStatus(a)} },
			Connect:  func(c *fetch.Client) fetch.Connector { b.reader = &reader{client: c}; return b.reader },
		},
		Concurrency: 64, AllowPrivate: true, Calls: b.store, Once: b.store, Tokens: b.store, Log: zerolog.New(b.log),
		Retry: fetch.Retry{Attempts: 3, Base: time.Millisecond, Cap: time.Millisecond, Budget: 30 * time.Second},
	}, b
}

func open(t *testing.T, o fetch.Options, b *bench) *bench {
	t.Helper()
	c, err := fetch.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return b
}

// bubbled serves s over a network in memory, so that its clock is that of the test's bubble. The function that it gives
// must be called at the bubble's end.
func bubbled(s *Server, o *fetch.Options, b *bench) (stop func()) {
	pipe := fetchtest.NewPipe()
	server := &http.Server{Handler: s}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(pipe)
	}()
	o.Dial, b.browser.DialContext = pipe.Dial, pipe.Dial
	return func() {
		_ = server.Close()
		<-done
	}
}

func wantClass(t *testing.T, err error, want finance.Class) *fetch.Error {
	t.Helper()
	e, ok := errors.AsType[*fetch.Error](err)
	if !ok || e.Class != want {
		t.Fatalf("error is %v (%T), want an *Error of class %q", err, err, want)
	}
	return e
}

// wantSilence looks for secrets in everything that was said: the log, the error and the recorded calls.
func wantSilence(t *testing.T, s *Server, b *bench, err error, more ...string) {
	t.Helper()
	said := b.log.String() + fmt.Sprintf("%v %+v", err, b.store.Calls())
	if !strings.Contains(said, tokenPath) {
		t.Fatal("nothing was said of the token call, so that the look for secrets proves nothing")
	}
	for _, secret := range slices.Concat(s.Secrets(), more) {
		for _, form := range []string{secret, url.QueryEscape(secret)} {
			if strings.Contains(said, form) {
				t.Errorf("a secret (%d bytes) was shown in %s", len(form), said)
			}
		}
	}
}
