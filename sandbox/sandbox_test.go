package sandbox_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/sandboxtest"
)

// stand is a kit with a tiny provider on it: a token endpoint and one resource.
type stand struct {
	*sandboxtest.Host
	tokens  *sandbox.OAuth2
	limiter *sandbox.Limiter
	worked  atomic.Int32 // how often the resource was really served
}

func newStand(t *testing.T, identify sandbox.Identify) *stand {
	t.Helper()
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 7})
	s := &stand{limiter: sandbox.NewLimiter(kit.Clock, sandbox.Quota{})}
	s.tokens = sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: kit, Provider: "bank", Seed: 7, Identify: identify, TTL: time.Minute, TokenType: "Bearer",
		Clients: []sandbox.Client{{ID: "me:1", Secret: "a+b%c"}},
		Bad:     sandbox.Refusal{Status: 401, Code: "invalid_client"},
		Accept:  func(sandbox.Client, url.Values) (sandbox.Grant, *sandbox.Refusal) { return sandbox.Grant{}, nil },
	})
	mux := http.NewServeMux()
	mux.Handle("/token", s.tokens)
	mux.HandleFunc("/debt/", func(w http.ResponseWriter, _ *http.Request) {
		s.worked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, trueBody)
	})
	s.Host = sandboxtest.Serve(t, kit, "bank", kit.Handler(sandbox.Site{
		Name: "bank", API: mux, Limiter: s.limiter,
		Describe: func(r *http.Request) sandbox.Call {
			id := strings.TrimPrefix(r.URL.Path, "/debt/")
			return sandbox.Call{Bucket: "b", Template: "/debt/{id}", Subject: id, Token: r.URL.Path == "/token"}
		},
	}))
	return s
}

const trueBody = `{"name":"whole answer","n":1}`

// journal is the settled journal.
func (s *stand) journal(t *testing.T) *sandbox.Journal {
	t.Helper()
	s.Entries(t)
	return s.Kit.Journal
}

type reply struct {
	status int
	header http.Header
	body   string
	err    error // of the call or of reading the body
}

func call(t *testing.T, method, target string, header map[string]string, body string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(b), err}
}

func (s *stand) get(t *testing.T, path string) reply {
	t.Helper()
	return call(t, "GET", s.Base+path, map[string]string{"X-Request-Id": "r-1"}, "")
}

func (s *stand) add(t *testing.T, r sandbox.Rule) string {
	t.Helper()
	id, err := s.Kit.Faults.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestEveryFaultOnTheWire(t *testing.T) {
	half := trueBody[:len(trueBody)/2]
	cases := map[string]struct {
		action sandbox.Action
		want   func(r reply) error
		worked int
	}{
		"429":        {sandbox.Action{Kind: "status", Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 120}}, header(429, "Retry-After", "120"), 0},
		"503 plain":  {sandbox.Action{Kind: "status", Status: 503}, header(503, "Retry-After", ""), 0},
		"502 html":   {sandbox.Action{Kind: "status", Status: 502, Body: "<html>", ContentType: "text/html"}, header(502, "Content-Type", "text/html"), 0},
		"text":       {sandbox.Action{Kind: "status", Status: 429, RetryAfter: sandbox.RetryAfter{Literal: "soon"}}, header(429, "Retry-After", "soon"), 0},
		"work lost":  {sandbox.Action{Kind: "status", Status: 500, Work: true}, header(500, "Retry-After", ""), 1},
		"redirect":   {sandbox.Action{Kind: "redirect", Status: 307, Target: "http://x.example/"}, header(307, "Location", "http://x.example/"), 0},
		"truncate":   {sandbox.Action{Kind: "truncate"}, broken(half), 1},
		"cut":        {sandbox.Action{Kind: "cut"}, body(half), 1},
		"cut short":  {sandbox.Action{Kind: "cut", Keep: 3}, body(trueBody[:3]), 1},
		"reset":      {sandbox.Action{Kind: "reset"}, unanswered, 0},
		"reset work": {sandbox.Action{Kind: "reset", Work: true}, unanswered, 1},
		"utf8":       {sandbox.Action{Kind: "invalid-utf8"}, body("{\"name\":\"\xffhole answer\",\"n\":1}"), 1},
		"replace":    {sandbox.Action{Kind: "replace", Old: `"n":1`, New: `"n":1e400`}, body(`{"name":"whole answer","n":1e400}`), 1},
		"error-200":  {sandbox.Action{Kind: "error-200"}, body(`{"error":"rate_limit_exceeded"}`), 0},
		"giant":      {sandbox.Action{Kind: "giant", Size: 200_000}, size(200_000, 200_000), 0},
		"bomb":       {sandbox.Action{Kind: "bomb", Size: 10 << 20}, size(1, 100_000), 0},
		"drip":       {sandbox.Action{Kind: "drip", Chunk: 10, DelayMS: 1}, body(trueBody), 1},
		"slow":       {sandbox.Action{Kind: "slow-header", DelayMS: 1}, body(trueBody), 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, sandbox.BasicRaw)
			s.add(t, sandbox.Rule{Provider: "bank", Action: c.action, Times: 1})
			if err := c.want(s.get(t, "/debt/1")); err != nil {
				t.Error(err)
			}
			if got := int(s.worked.Load()); got != c.worked {
				t.Errorf("the provider did its work %d times, want %d", got, c.worked)
			}
			if e := s.Entries(t)[0]; !strings.HasSuffix(e.Fault, string(c.action.Kind)) || e.RequestID != "r-1" {
				t.Errorf("journal has fault %q of request %q", e.Fault, e.RequestID)
			}
			if err := body(trueBody)(s.get(t, "/debt/1")); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

func header(status int, name, want string) func(reply) error {
	return func(r reply) error {
		if r.err != nil || r.status != status || r.header.Get(name) != want {
			return fmt.Errorf("got %d %v with %s %q, want %d %q", r.status, r.err, name, r.header.Get(name), status, want)
		}
		return nil
	}
}

func body(want string) func(reply) error {
	return func(r reply) error {
		if r.err != nil || r.status != 200 || r.body != want {
			return fmt.Errorf("got %d %v %q, want 200 %q", r.status, r.err, r.body, want)
		}
		return nil
	}
}

func broken(want string) func(reply) error {
	return func(r reply) error {
		if !errors.Is(r.err, io.ErrUnexpectedEOF) || r.body != want {
			return fmt.Errorf("got %v %q, want an unexpected EOF after %q", r.err, r.body, want)
		}
		return nil
	}
}

func size(least, most int) func(reply) error {
	return func(r reply) error {
		if r.err != nil || len(r.body) < least || len(r.body) > most {
			return fmt.Errorf("got %v and %d bytes, want %d to %d", r.err, len(r.body), least, most)
		}
		return nil
	}
}

func unanswered(r reply) error {
	if r.err == nil {
		return fmt.Errorf("got %d %q, want no answer", r.status, r.body)
	}
	return nil
}

// A call that hangs is in the journal at once, its work done if so wanted, and
// ends when the server closes.
func TestHangEndsWithTheServer(t *testing.T) {
	worked := make(chan struct{})
	s := newStand(t, func(*http.Request) (string, string, bool) { close(worked); return "", "", false })
	s.add(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.Hang, Work: true}})
	done := make(chan reply)
	go func() { done <- call(t, "POST", s.Base+"/token", nil, "grant_type=x") }()
	<-worked
	if e := s.Kit.Journal.Entries(); len(e) != 1 || e[0].Done != 0 {
		t.Fatalf("the journal has %+v", e)
	}
	select {
	case r := <-done:
		t.Fatalf("answered %d %v", r.status, r.err)
	default:
	}
	if err := s.Server.Close(); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.err == nil {
		t.Fatalf("answered %d", r.status)
	}
}

func TestRulesPickCalls(t *testing.T) {
	fault := sandbox.Action{Kind: "status", Status: 503}
	cases := map[string]struct {
		rule sandbox.Rule
		want string // of eight calls to /debt/1 and /debt/2 in turn: x is a fault
	}{
		"all":        {sandbox.Rule{}, "xxxxxxxx"},
		"after":      {sandbox.Rule{After: 3}, "...xxxxx"},
		"times":      {sandbox.Rule{Times: 2}, "xx......"},
		"after,time": {sandbox.Rule{After: 1, Times: 2}, ".xx....."},
		"every":      {sandbox.Rule{Every: 3}, "..x..x.."},
		"subject":    {sandbox.Rule{Subject: "2"}, ".x.x.x.x"},
		"nth of one": {sandbox.Rule{Subject: "2", After: 2, Times: 1}, ".....x.."},
		"path":       {sandbox.Rule{PathPrefix: "/DEBT/1"}, "x.x.x.x."},
		"provider":   {sandbox.Rule{Provider: "other"}, "........"},
		"method":     {sandbox.Rule{Method: "POST"}, "........"},
		"bucket":     {sandbox.Rule{Bucket: "b", Template: "/debt/{id}", Only: "api"}, "xxxxxxxx"},
		"token only": {sandbox.Rule{Only: "token"}, "........"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, sandbox.BasicRaw)
			c.rule.Action = fault
			id := s.add(t, c.rule)
			var got strings.Builder
			for i := range 8 {
				mark := byte('.')
				if s.get(t, fmt.Sprintf("/debt/%d", 1+i%2)).status == 503 {
					mark = 'x'
				}
				got.WriteByte(mark)
			}
			if got.String() != c.want {
				t.Errorf("faults at %s, want %s", got.String(), c.want)
			}
			if fired := s.Kit.Faults.Fired(id); fired != strings.Count(c.want, "x") {
				t.Errorf("fired %d times", fired)
			}
		})
	}
}

// Chance follows the seed and the path, not the order in which workers came.
func TestChanceIsTheSameInAnyOrder(t *testing.T) {
	struck := func(seed uint64, backwards bool) map[string]bool {
		f := sandbox.NewFaults(seed)
		if _, err := f.Add(sandbox.Rule{Probability: 0.3, Action: sandbox.Action{Kind: sandbox.Hang}}); err != nil {
			t.Fatal(err)
		}
		out := make(map[string]bool)
		for i := range 200 {
			if backwards {
				i = 199 - i
			}
			path := fmt.Sprintf("/debt/%d", i)
			r := &http.Request{Method: "GET", URL: &url.URL{Path: path}}
			if f.Match(sandbox.Call{}, r) != nil {
				out[path] = true
			}
		}
		return out
	}
	one, same, other := struck(1, false), struck(1, true), struck(2, false)
	if fmt.Sprint(one) != fmt.Sprint(same) {
		t.Error("the order of calls changed who was struck")
	}
	if fmt.Sprint(one) == fmt.Sprint(other) {
		t.Error("another seed struck the same calls")
	}
	if len(one) < 40 || len(one) > 80 {
		t.Errorf("%d of 200 struck with a chance of 0.3", len(one))
	}
}

func TestBadRulesAreRefused(t *testing.T) {
	for name, r := range map[string]sandbox.Rule{
		"kind":   {Action: sandbox.Action{Kind: "explode"}},
		"status": {Action: sandbox.Action{Kind: "status", Status: 42}},
		"only":   {Only: "some", Action: sandbox.Action{Kind: "hang"}},
		"chance": {Probability: 2, Action: sandbox.Action{Kind: "hang"}},
	} {
		if _, err := sandbox.NewFaults(1).Add(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRetryAfterForms(t *testing.T) {
	s := newStand(t, sandbox.BasicRaw)
	s.Kit.Clock.Set(time.Date(2031, 3, 4, 5, 6, 7, 500_000_000, time.UTC))
	for form, layout := range map[string]string{
		"imf": http.TimeFormat, "rfc850": "Monday, 02-Jan-06 15:04:05 GMT", "asctime": time.ANSIC,
	} {
		id := s.add(t, sandbox.Rule{Action: sandbox.Action{Kind: "status", Status: 429,
			RetryAfter: sandbox.RetryAfter{Seconds: 90, Form: form}}})
		r := s.get(t, "/debt/1")
		at, err := http.ParseTime(r.header.Get("Retry-After"))
		date, errDate := http.ParseTime(r.header.Get("Date"))
		if err != nil || errDate != nil || at.Sub(date) != 90*time.Second || at.Format(layout) != r.header.Get("Retry-After") {
			t.Errorf("%s: Retry-After %q at %q", form, r.header.Get("Retry-After"), r.header.Get("Date"))
		}
		s.Kit.Faults.Remove(id)
	}
	for form, said := range map[string]string{
		"": `^90$`, "fraction": `^90\.000$`, "unix": `^[0-9]{10}$`, "unix-ms": `^[0-9]{13}$`, "iso": `^20.*T.*Z$`,
		"units": `^1m30s$`, "sentence": `^Please try again in 90 seconds\.$`,
	} {
		id := s.add(t, sandbox.Rule{Action: sandbox.Action{Kind: "status", Status: 429,
			RetryAfter: sandbox.RetryAfter{Seconds: 90, Form: form, Header: "X-RateLimit-Reset"}}})
		r := s.get(t, "/debt/1")
		if got := r.header.Get("X-RateLimit-Reset"); !regexp.MustCompile(said).MatchString(got) || r.header.Get("Retry-After") != "" {
			t.Errorf("%q: %q", form, got)
		}
		s.Kit.Faults.Remove(id)
	}
	for _, w := range s.journal(t).IdleTime() {
		if w.Demanded <= 89*time.Second || w.Demanded > 90*time.Second {
			t.Errorf("demanded %v, want what is left until a whole second", w.Demanded)
		}
	}
}
