package fetch_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// arrival is one request as the provider saw it.
type arrival struct {
	at   time.Time
	path string
	head http.Header
}

// provider is a scripted server that keeps a journal.
type provider struct {
	mu       sync.Mutex
	arrivals []arrival
	handler  func(n int, w http.ResponseWriter, r *http.Request) // n counts from 1
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.arrivals = append(p.arrivals, arrival{at: time.Now(), path: r.URL.Path, head: r.Header.Clone()})
	n := len(p.arrivals)
	p.mu.Unlock()
	p.handler(n, w, r)
}

func (p *provider) journal() []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]arrival(nil), p.arrivals...)
}

func (p *provider) count(path string) (n int) {
	for _, a := range p.journal() {
		if a.path == path {
			n++
		}
	}
	return n
}

// answers scripts one answer for each request; the last one repeats.
func answers(script ...func(w http.ResponseWriter)) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, _ *http.Request) { script[min(n, len(script))-1](w) }
}

// answer is one answer with headers given as key, value pairs.
func answer(status int, body string, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func driver(t *testing.T, base string) fetch.Driver {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return fetch.Driver{
		Base:     u,
		Classify: func(_ *fetch.Request, a *fetch.Answer) fetch.Meaning { return fetch.Meaning{Reason: string(a.Body)} },
		Connect:  func(*fetch.Client) fetch.Connector { return nil },
	}
}

func options(t *testing.T, base string, l *fetchtest.CallStore) fetch.Options {
	return fetch.Options{
		Connection: fetch.Connection{
			Name: "bank", Provider: "test", Credentials: map[string]fetch.Secret{"secret": fetch.NewSecret("hunter2-hunter2")},
		},
		Driver: driver(t, base), AllowPrivate: true, Calls: l, Once: l, Tokens: l, Log: zerolog.Nop(), Concurrency: 64,
	}
}

func client(t *testing.T, o fetch.Options) *fetch.Client {
	t.Helper()
	c, err := fetch.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// piped serves p over a network in memory, so that the test's clock is that of its bubble. Call it inside the bubble,
// and the function it gives at its end.
func piped(t *testing.T, p *provider, l *fetchtest.CallStore) (fetch.Options, func()) {
	pipe := fetchtest.NewPipe()
	server := &http.Server{Handler: p}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(pipe)
	}()
	o := options(t, "http://api.example/v1", l)
	o.Dial = pipe.Dial
	return o, func() {
		_ = server.Close()
		<-done
	}
}

// served serves p over a real socket.
func served(t *testing.T, p *provider) string {
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return s.URL
}

// withToken makes the driver ask p's own /token path.
func withToken(o *fetch.Options) {
	endpoint := "http://" + o.Driver.Base.Host + "/token"
	o.Driver.Token = func(fetch.TokenKey) (fetch.TokenRequest, error) {
		return fetch.TokenRequest{URL: endpoint, Style: fetch.BasicEscaped, ID: "me", Secret: fetch.NewSecret("hunter2-hunter2")}, nil
	}
}

func get(path string) fetch.Request { return fetch.Request{Path: path, Template: "/" + path} }

func wantClass(t *testing.T, err error, want finance.Class) *fetch.Error {
	t.Helper()
	e, ok := err.(*fetch.Error)
	if !ok {
		t.Fatalf("error is %v (%T), want *fetch.Error of class %s", err, err, want)
	}
	if e.Class != want {
		t.Fatalf("class is %q (%v), want %q", e.Class, e, want)
	}
	return e
}

func classes(calls []calls.Call) (out []finance.Class) {
	for _, c := range calls {
		out = append(out, c.Class)
	}
	return out
}
