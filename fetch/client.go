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

	"syncer/calls"
	"syncer/fetch/gate"
	"syncer/fetch/redact"
	"syncer/fetch/wire"
	"syncer/finance"
)

// Client is the way to one connection's provider: it retries, waits at the gate, keeps the rate, records, proves who
// we are, and sends. It is safe for concurrent use, and one Client per connection and process is the way to use it:
// two would each meet a 429 of their own before the store tells them.
type Client struct {
	opt       Options
	connector Connector
	data      *http.Client
	single    *http.Client // for single-use consents
	tokens    *tokens
	semaphore chan struct{} // one element for each call on the wire

	opened    atomic.Pointer[opened]   // the connection with its newest secrets
	secrets   atomic.Pointer[[]string] // what must not come back out of an answer
	rereading rereading
	seldom    seldom

	lastHidden atomic.Pointer[redact.Secrets] // of the last answer, see hidden

	discovering singleflight.Group // of discovered
	mu          sync.Mutex
	buckets     map[string]*gate.Bucket
	discovered  *metadata // of the authorization server; nil: not asked yet
}

// NewClient makes a connection's client and the connector on top of it. It makes no call.
func NewClient(o Options) (*Client, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	c := &Client{
		opt:       o,
		data:      wire.NewClient(wire.NewTransport(o.wire(), true)),
		single:    wire.NewClient(wire.NewTransport(o.wire(), false)),
		semaphore: make(chan struct{}, o.Concurrency),
		buckets:   map[string]*gate.Bucket{},
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

// Rate is how many calls a second go to each bucket at most, by configuration; 0: no limit is named.
func (c *Client) Rate() float64 { return c.opt.Rate }

// CloseIdle closes connections that are not in use.
func (c *Client) CloseIdle() {
	c.data.CloseIdleConnections()
	c.single.CloseIdleConnections()
}

// Do makes the call that is wanted, as often as it takes within the bounds of Options, and gives its complete
// answer of class ok. The call of a data answer travels in Answer.Call, to be committed with the page, unless it is
// Durable; all others have been told to the store. The error is always an *Error.
func (c *Client) Do(ctx context.Context, wanted Request) (*Answer, error) {
	answer, err := c.do(ctx, wanted)
	answer.release()
	return answer, err
}

// do is Do for a caller that releases the answer's memory.
func (c *Client) do(ctx context.Context, wanted Request) (*Answer, error) {
	r := c.request(wanted)
	if r.once && (c.opt.Once == nil || r.task.Consent == nil) {
		return nil, r.fail(finance.Fatal, "a single-use call needs a consent and a store for it")
	}
	if !r.once && r.spendsConsent() {
		// It would be spent by the first of the calls that such a reading takes, and again every night.
		return nil, r.fail(finance.Rejected,
			"the consent is for a single use, and this provider's data can't be read with a single call")
	}
	u, no := wanted.address(c.opt.Driver.Base)
	if no != nil {
		// It is made of an id, ours or the provider's. That of another consent or account makes another path.
		return nil, r.fail(finance.Rejected, "the path does not stay below the API's address: an id in it is no id, such as `..`")
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

// spendsConsent says that the request asks for the data of a single-use consent.
func (r *request) spendsConsent() bool {
	if r.purpose != calls.ForData || r.task.Consent == nil {
		return false
	}
	return r.task.Consent.SingleUse
}

// request turns a connector's request into what the stack works on.
func (c *Client) request(r Request) *request {
	orDefault(&r.Method, http.MethodGet)
	orDefault(&r.Purpose, calls.ForData)
	name := c.opt.Connection.Name
	if r.Bucket != "" {
		name += "/" + r.Bucket
	}
	t := &request{
		c: c, bucket: c.bucket(name, c.opt.Driver.Base), purpose: r.Purpose, task: r.Task, method: r.Method, path: r.Template,
		once: r.Once, oneTry: r.Opening && r.Task.OneTry, client: c.data, semaphore: c.semaphore, of: c.now(),
		limits:   limits{timeout: c.opt.Timeout, maxWait: c.opt.MaxWait, retry: c.opt.Retry},
		classify: func(a *Answer) Meaning { return c.opt.Driver.Classify(&r, a) },
		read:     read{opening: r.Opening, paid: r.Continues},
	}
	t.keys = c.keysOf(t.bucket, r.Task.Consent, r.Account)
	if r.Once {
		t.client = c.single
	}
	if r.Opening {
		t.tried = r.Task.Tried
	}
	switch consent := r.Token.Consent; {
	case consent != 0: // one grant, one key: two refreshes at once would be reuse of its refresh token
		t.key = &TokenKey{Consent: consent}
		if of := r.Task.Consent; of != nil && of.ID == consent {
			t.key.Renewals = of.Renewals
		}
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
		req.Body = http.NoBody
		req.ContentLength = int64(len(r.Body))
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
func (c *Client) bucket(name string, at *url.URL) *gate.Bucket {
	origin := strings.ToLower(at.Scheme + "://" + at.Host)
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.buckets[name+origin]
	if b == nil {
		b = gate.NewBucket(name, origin, c.opt.Rate, c.opt.Quota)
		c.buckets[name+origin] = b
	}
	return b
}
