package sandbox

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kit is what the simulators of one process share.
type Kit struct {
	Seed    uint64
	Clock   *Clock
	Journal *Journal
	Faults  *Faults

	mu      sync.Mutex
	auths   map[string][]*OAuth2 // by provider
	control map[string]http.Handler
	trap    string // where redirects lead by default
}

// KitOptions configures a kit; the zero value is usable.
type KitOptions struct {
	Seed uint64
	// Now is the base of the clock and of the journal; nil means time.Now.
	Now func() time.Time
	// JournalKeep and JournalSink are JournalOptions.Keep and Sink.
	JournalKeep int
	JournalSink io.Writer
}

// NewKit returns a kit without simulators.
func NewKit(o KitOptions) *Kit {
	return &Kit{
		Seed:    o.Seed,
		Clock:   NewClock(o.Now),
		Journal: NewJournal(JournalOptions{Now: o.Now, Keep: o.JournalKeep, Sink: o.JournalSink}),
		Faults:  NewFaults(o.Seed),
		auths:   make(map[string][]*OAuth2),
		control: make(map[string]http.Handler),
	}
}

// Call is what a simulator recognises in a request before it is answered.
type Call struct {
	Provider string
	Bucket   string // what quotas and pauses are counted for
	Template string // the path without its ids, such as /v1/debt/{consent}
	Subject  string // consent or account; empty: none
	Token    bool   // a call to the token endpoint
}

// Site is one simulator as the kit serves it.
type Site struct {
	// Name is the provider's name in the journal, in rules and in the control
	// paths.
	Name string
	// Describe recognises a request. It must not have effects.
	Describe func(*http.Request) Call
	// API answers, token endpoint included. Faults, quota and journal are
	// already seen to.
	API http.Handler
	// Control serves /_sandbox/<name>/...; the prefix is stripped. May be nil.
	Control http.Handler
	// Limiter is the provider's quota; nil: none. Token calls are not counted.
	Limiter *Limiter
	// Announce writes quota headers to an answer; may be nil.
	Announce func(http.Header, Decision)
	// Problem is the provider's own error body for a status, used by quotas and
	// faults; may be nil.
	Problem func(r *http.Request, status int) (contentType, body string)
}

// Handler serves a site with the journal, the quota and the faults in front,
// and the kit's control surface under /_sandbox/.
func (k *Kit) Handler(s Site) http.Handler {
	if s.Control != nil {
		k.mu.Lock()
		k.control[s.Name] = s.Control
		k.mu.Unlock()
	}
	control := k.Control()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_sandbox/") {
			control.ServeHTTP(w, r)
			return
		}
		k.serve(s, w, r)
	})
}

func (k *Kit) serve(s Site, w http.ResponseWriter, r *http.Request) {
	call := s.Describe(r)
	call.Provider = s.Name
	visit := k.Journal.Arrive(call, r)
	out := &statusWriter{ResponseWriter: w}
	// Deferred, because an aborted answer leaves by a panic.
	defer func() {
		if visit.demands() {
			// A pause counts from when the caller can know of it, and net/http
			// would keep a small answer until the handler has returned.
			_ = http.NewResponseController(out).Flush() // fails when the caller is gone
		}
		visit.Finish(out.status)
	}()
	// A caller measures a Retry-After date against it.
	out.Header().Set("Date", k.Clock.Wall(k.Clock.Now()).UTC().Format(http.TimeFormat))
	if s.Limiter != nil && !call.Token {
		d := s.Limiter.Take(call.Bucket)
		if s.Announce != nil {
			s.Announce(out.Header(), d)
		}
		if !d.Allowed {
			visit.Demand(d.Wait, "")
			out.Header().Set("Retry-After", strconv.Itoa(int(d.Wait/time.Second)))
			s.problem(out, r, http.StatusTooManyRequests)
			return
		}
	}
	if f := k.Faults.Match(call, r); f != nil {
		visit.Fault(f.Rule + ":" + string(f.Kind))
		injection{kit: k, site: s, call: call, visit: visit, fault: f}.serve(out, r)
		return
	}
	s.API.ServeHTTP(out, r)
}

func (s Site) problem(w http.ResponseWriter, r *http.Request, status int) {
	contentType := "application/json"
	body := ""
	if s.Problem != nil {
		contentType, body = s.Problem(r, status)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the caller may be gone; the journal has it
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ExpireTokens makes every live token of a provider invalid, of all providers
// when the name is empty, and returns how many there were.
func (k *Kit) ExpireTokens(provider string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for name, auths := range k.auths {
		if provider != "" && provider != name {
			continue
		}
		for _, a := range auths {
			n += a.ExpireAll()
		}
	}
	return n
}

func (k *Kit) register(provider string, a *OAuth2) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.auths[provider] = append(k.auths[provider], a)
}

func (k *Kit) trapURL() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.trap
}
