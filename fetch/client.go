package fetch

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"syncer/finance"
)

// Client is the way to one connection's provider: it retries, waits at the gate, keeps the rate, records, proves who
// we are, and sends. It is safe for concurrent use, and one Client per connection and process is the way to use it:
// two would each meet a 429 of their own before the ledger tells them.
type Client struct {
	opt       Options
	connector Connector
	data      *http.Client
	single    *http.Client // for single-use consents
	tokens    *tokens
	wire      chan struct{} // one element for each call on the wire

	opened    atomic.Pointer[opened]   // the connection with its newest secrets
	secrets   atomic.Pointer[[]string] // what must not come back out of an answer
	rereading rereading

	discovering singleflight.Group // of discovered
	mu          sync.Mutex
	buckets     map[string]*bucket
	discovered  *metadata // of the authorization server; nil: not asked yet
}

// NewClient makes a connection's client and the connector on top of it. It makes no call.
func NewClient(o Options) (*Client, error) {
	if err := o.settle(); err != nil {
		return nil, err
	}
	c := &Client{
		opt:     o,
		data:    newHTTPClient(newTransport(&o, true)),
		single:  newHTTPClient(newTransport(&o, false)),
		wire:    make(chan struct{}, o.Concurrency),
		buckets: map[string]*bucket{},
	}
	c.hide(o.Connection.Credentials)
	c.opened.Store(c.open(o.Connection.Credentials, &o.Driver))
	c.rereading.next.Store(time.Now().Add(rereadEvery).UnixNano())
	c.tokens = &tokens{c: c, kept: map[string]*keptToken{}, sweepAt: 1024}
	c.connector = o.Driver.Connect(c)
	return c, nil
}

// Connector is the provider's connector on top of this client.
func (c *Client) Connector() Connector { return c.connector }

// CloseIdle closes connections that are not in use.
func (c *Client) CloseIdle() {
	c.data.CloseIdleConnections()
	c.single.CloseIdleConnections()
}

// Do makes the call that is wanted, as often as it takes within the bounds of Options, and gives its complete
// answer of class ok. The call of a data answer travels in Answer.Call, to be committed with the page, unless it is
// Durable; all others have been told to the ledger. The error is always an *Error.
func (c *Client) Do(ctx context.Context, wanted Request) (*Answer, error) {
	r := c.request(wanted)
	if r.once && (c.opt.Once == nil || r.scope.Consent == nil) {
		return nil, r.fail(finance.Fatal, "a single-use call needs a consent and a ledger for it")
	}
	if !r.once && r.purpose == finance.ForData && r.scope.Consent != nil && r.scope.Consent.SingleUse {
		// It would be spent by the first of the calls that such a reading takes, and again every night.
		return nil, r.fail(finance.Rejected,
			"the consent is for a single use, and this provider's data can't be read with a single call")
	}
	u, no := wanted.address(c.opt.Driver.Base)
	if no != nil {
		return nil, r.fail(finance.Fatal, "the path does not stay below the API's address")
	}
	r.build = func(ctx context.Context, id finance.CallID) (*http.Request, error) {
		return newRequest(ctx, &wanted, r.of.header, u, id)
	}
	answer, failed := r.run(ctx)
	if failed != nil {
		return nil, failed
	}
	return answer, nil
}

// request turns a connector's request into what the stack works on.
func (c *Client) request(r Request) *request {
	orDefault(&r.Method, http.MethodGet)
	orDefault(&r.Purpose, finance.ForData)
	name := c.opt.Connection.Name
	if r.Bucket != "" {
		name += "/" + r.Bucket
	}
	t := &request{
		c: c, bucket: c.bucket(name, c.opt.Driver.Base), purpose: r.Purpose, scope: r.Scope, method: r.Method, path: r.Template,
		once: r.Once, oneTry: r.Opening && r.Scope.OneTry, client: c.data, wire: c.wire, of: c.now(),
		limits:   limits{timeout: c.opt.Timeout, maxWait: c.opt.MaxWait, retry: c.opt.Retry},
		classify: func(a *Answer) Verdict { return c.opt.Driver.Classify(&r, a) },
		read:     read{opening: r.Opening, paid: r.Continues},
	}
	t.keys = c.keysOf(t.bucket, t.onBehalf(), r.Account)
	if r.Once {
		t.client = c.single
	}
	if r.Opening {
		t.tried = r.Scope.Tried
	}
	switch consent := r.Token.Consent; {
	case consent != 0: // one grant, one key: two refreshes at once would be reuse of its refresh token
		t.key = &TokenKey{Consent: consent}
	case t.of.token != nil:
		t.key = &r.Token
	}
	return t
}

// newRequest makes what is sent. header is what every call carries; the request's own headers come after it.
func newRequest(ctx context.Context, r *Request, header map[string]Secret, u *url.URL, id finance.CallID) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method(r), u.String(), nil)
	if err != nil {
		return nil, err
	}
	if len(r.Body) > 0 {
		req.Body, req.ContentLength = http.NoBody, int64(len(r.Body))
		req.Body = readOnce{bytes.NewReader(r.Body)}
	}
	for name, value := range header {
		req.Header.Set(name, value.Reveal())
	}
	maps.Copy(req.Header, r.Header.Clone())
	idHeader := r.IDHeader
	orDefault(&idHeader, "X-Request-Id")
	req.Header.Set(idHeader, id.String())
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	return req, nil
}

func method(r *Request) string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

// readOnce is a body without GetBody, which net/http can't send a second time.
type readOnce struct{ *bytes.Reader }

func (readOnce) Close() error { return nil }

// bucket is what this process knows of a bucket at an address.
func (c *Client) bucket(name string, at *url.URL) *bucket {
	origin := strings.ToLower(at.Scheme + "://" + at.Host)
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.buckets[name+origin]
	if b == nil {
		b = newBucket(name, origin, c.opt.Rate)
		c.buckets[name+origin] = b
	}
	return b
}
