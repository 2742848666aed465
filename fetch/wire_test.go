package fetch_test

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// A redirect, wherever it leads, is not followed: neither the token, nor a subscription key, nor the form with the
// client's secret reaches the place it names.
func TestRedirectsLeakNothing(t *testing.T) {
	evil := &provider{handler: answers(answer(200, `{"access_token":"t"}`))}
	stranger := served(t, evil)
	for _, path := range []string{"/data", "/token"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, to := range []string{stranger + "/x", "/elsewhere", strings.Replace(stranger, "127.0.0.1", "localhost", 1)} {
				p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path == path:
						w.Header().Set("Location", to)
						w.WriteHeader(status)
					case r.URL.Path == "/token":
						fmt.Fprint(w, `{"access_token":"t"}`)
					}
				}}
				o := options(t, served(t, p), fetchtest.NewCallStore())
				withToken(&o)
				r := get("data")
				r.Header = http.Header{"Ocp-Apim-Subscription-Key": {"sub"}}
				_, err := client(t, o).Do(t.Context(), r)
				wantClass(t, err, finance.Fatal)
				if n := p.count("/elsewhere"); n != 0 {
					t.Errorf("%s %d to %s was followed", path, status, to)
				}
			}
		}
	}
	if n := len(evil.journal()); n != 0 {
		t.Errorf("the stranger got %d requests", n)
	}
}

func TestAPathMayNotLeaveTheBase(t *testing.T) {
	p := &provider{handler: answers(answer(200, ""))}
	c := client(t, options(t, served(t, p)+"/v1", fetchtest.NewCallStore()))
	for _, path := range []string{"../x", "a/../../x", "a?b=c", "a b", "a/%2e%2e/%2e%2e/x"} {
		_, err := c.Do(t.Context(), get(path))
		wantClass(t, err, finance.Rejected)
	}
	if n := len(p.journal()); n != 0 {
		t.Errorf("%d calls arrived", n)
	}
}

func gzipped(n int) []byte { return zipped(string(make([]byte, n))) }

func zipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.Bytes()
}

func TestAnswersAreBounded(t *testing.T) {
	bomb := gzipped(64 << 20)
	tests := []struct {
		name    string
		body    []byte
		headers []string
		want    finance.Class
	}{
		{"a gzip bomb", bomb, []string{"Content-Encoding", "gzip"}, finance.Malformed},
		{"a giant", make([]byte, 2<<20), nil, finance.Malformed},
		{"just right", gzipped(1 << 20), []string{"Content-Encoding", "gzip"}, finance.OK},
		{"an encoding nobody asked for", []byte("x"), []string{"Content-Encoding", "br"}, finance.Malformed},
		{"broken gzip", bomb[:len(gzipped(1000))/2], []string{"Content-Encoding", "gzip"}, finance.Transient},
		{"huge headers", nil, []string{"X", strings.Repeat("x", 80<<10)}, finance.Transient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &provider{handler: answers(answer(200, string(tt.body), tt.headers...))}
			o := options(t, served(t, p), fetchtest.NewCallStore())
			o.MaxBody, o.Retry = 1<<20, fetch.Retry{Attempts: 2, Base: time.Millisecond}
			a, err := client(t, o).Do(t.Context(), get("x"))
			if tt.want == finance.OK {
				if err != nil || len(a.Body) != 1<<20 {
					t.Fatalf("%v", err)
				}
				return
			}
			wantClass(t, err, tt.want)
			if n := len(p.journal()); tt.want == finance.Malformed && n != 1 {
				t.Errorf("%d calls: what is too large now is too large again", n)
			}
		})
	}
}

func TestSlowAnswersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
			for { // a byte every now and then, for ever
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(200 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
		}}
		o, stop := piped(t, p, fetchtest.NewCallStore())
		defer stop()
		o.Timeout, o.Retry.Attempts = 5*time.Second, 2
		began := time.Now()
		_, err := client(t, o).Do(t.Context(), get("x"))
		if e := wantClass(t, err, finance.Transient); !strings.Contains(e.Reason, "no complete answer within 5s") {
			t.Error(e)
		}
		if d := time.Since(began); d > 11*time.Second {
			t.Errorf("two attempts of 5 s took %s", d)
		}
	})
}

// raw serves bytes as they are, and closes.
func raw(t *testing.T, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			_, _ = conn.Read(buf)
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestTruncatedAnswersAreNoAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"short of its length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
		"cut in a chunk":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
		"closed at once":      "",
		"no HTTP":             "hello\r\n\r\n",
	} {
		l := fetchtest.NewCallStore()
		o := options(t, raw(t, answer), l)
		o.Retry = fetch.Retry{Attempts: 2, Base: time.Millisecond}
		_, err := client(t, o).Do(t.Context(), get("x"))
		wantClass(t, err, finance.Transient)
		if n := len(l.Calls()); n != 2 {
			t.Errorf("%s: %d calls recorded, want 2", name, n)
		}
	}
}

// Trust is not retried.
func TestTLSFailuresAreFatal(t *testing.T) {
	p := &provider{handler: answers(answer(200, ""))}
	good := httptest.NewUnstartedServer(p)
	good.Config.ErrorLog = log.New(io.Discard, "", 0) // it would complain of every failure that is wanted here
	good.StartTLS()
	defer good.Close()
	pool := x509.NewCertPool()
	pool.AddCert(good.Certificate())
	plain := served(t, p)
	tests := map[string]struct {
		base string
		pool *x509.CertPool
		want finance.Class
	}{
		"our own CA":  {good.URL, pool, finance.OK},
		"unknown CA":  {good.URL, nil, finance.Fatal},
		"wrong host":  {strings.Replace(good.URL, "127.0.0.1", "localhost", 1), pool, finance.Fatal},
		"no TLS":      {strings.Replace(plain, "http:", "https:", 1), pool, finance.Fatal},
		"closed port": {"https://127.0.0.1:1", pool, finance.Transient},
	}
	for name, tt := range tests {
		l := fetchtest.NewCallStore()
		o := options(t, tt.base, l)
		o.RootCAs, o.Retry = tt.pool, fetch.Retry{Attempts: 2, Base: time.Millisecond}
		_, err := client(t, o).Do(t.Context(), get("x"))
		if tt.want == finance.OK {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantClass(t, err, tt.want)
		if n := len(l.Calls()); tt.want == finance.Fatal && n != 1 {
			t.Errorf("%s: %d attempts", name, n)
		}
	}
}

func TestPrivateAddressesAreRefusedAtTheDial(t *testing.T) {
	p := &provider{handler: answers(answer(200, ""))}
	s := httptest.NewTLSServer(p)
	defer s.Close()
	for _, host := range []string{"127.0.0.1", "localhost"} {
		o := options(t, strings.Replace(s.URL, "127.0.0.1", host, 1), fetchtest.NewCallStore())
		o.AllowPrivate = false
		_, err := client(t, o).Do(t.Context(), get("x"))
		if e := wantClass(t, err, finance.Fatal); !strings.Contains(e.Reason, "private") {
			t.Error(e)
		}
	}
	o := options(t, "http://api.example", fetchtest.NewCallStore())
	o.AllowPrivate = false
	if _, err := fetch.NewClient(o); err == nil {
		t.Error("plain http is for the sandbox only")
	}
}

// A server that closes a kept connection without a word makes net/http send a GET again by itself. Nobody would have
// admitted or recorded that call.
func TestNoCallIsMadeBehindTheStore(t *testing.T) {
	p := &provider{handler: func(n int, w http.ResponseWriter, r *http.Request) {
		if n%2 == 0 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		}
	}}
	l := fetchtest.NewCallStore()
	o := options(t, served(t, p), l)
	o.Retry.Base = time.Millisecond
	c := client(t, o)
	for range 4 {
		if _, err := c.Do(t.Context(), get("x")); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	for _, a := range p.journal() {
		seen[a.head.Get("X-Request-Id")]++
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("call %s arrived %d times", id, n)
		}
	}
	if asks := len(l.Asks()); asks != len(p.journal()) {
		t.Errorf("%d calls arrived, %d were admitted", len(p.journal()), asks)
	}
	if n := len(l.Calls()); n != 3 {
		t.Errorf("%d failed attempts recorded, want 3", n)
	}
}
