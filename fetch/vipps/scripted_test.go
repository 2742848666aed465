package vipps

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// script is a provider that answers data calls from a list, in order, and remembers what it was asked.
type script struct {
	mu      sync.Mutex
	answers []answer
	asked   []*http.Request
	bodies  []string
	token   string // the token endpoint's answer; empty: a good one
	status  int    // of the token endpoint; 0: 200
}

type answer struct {
	status int // 0: 200
	header http.Header
	body   string
}

func page(body string) answer { return answer{body: body} }

// ServeHTTP answers.
func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	s.asked, s.bodies = append(s.asked, r), append(s.bodies, string(body))
	if r.Method == http.MethodPost {
		if s.status != 0 {
			w.WriteHeader(s.status)
		}
		if s.token == "" {
			s.token = `{"access_token":"tok","expires_in":"3599","token_type":"Bearer"}`
		}
		fmt.Fprint(w, s.token)
		return
	}
	if len(s.answers) == 0 {
		http.Error(w, "the script has ended", http.StatusTeapot)
		return
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	fmt.Fprint(w, a.body)
}

// data are the data calls so far: path and query.
func (s *script) data() (paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.asked {
		if r.Method == http.MethodGet {
			paths = append(paths, r.URL.RequestURI())
		}
	}
	return paths
}

// rig is a connector on top of a provider.
type rig struct {
	fetch.Connector
	ledger *fetchtest.CallStore
}

func connect(t *testing.T, conn fetch.Connection) rig {
	t.Helper()
	driver, err := Provider().Open(conn)
	if err != nil {
		t.Fatal(err)
	}
	ledger := fetchtest.NewCallStore()
	c, err := fetch.NewClient(fetch.Options{
		Connection: conn, Driver: driver, Rate: 10_000, AllowPrivate: true, Calls: ledger, Log: zerolog.Nop(),
		Retry: fetch.Retry{Attempts: 3, Base: time.Millisecond, Cap: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return rig{c.Connector(), ledger}
}

// play connects to a script.
func play(t *testing.T, s *script, set Settings) rig {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	keys := map[string]fetch.Secret{"client_id": fetch.NewSecret("the id"), "client_secret": fetch.NewSecret("s3cr+t/secret==")}
	if set.TokenFlow == standard {
		keys["subscription_key"] = fetch.NewSecret("subscription-0123")
	}
	return connect(t, fetch.Connection{Name: "vipps", Provider: "vipps", BaseURL: server.URL, Credentials: keys, Settings: &set})
}

var shop = finance.Consent{ID: 7, Connection: "vipps", ExternalID: "700001", Status: finance.ConsentActive}

// stream is a stream of the shop; without a ledger, its list of ledgers.
func stream(ledger string) fetch.Stream {
	s := fetch.Stream{Stream: finance.Stream{Consent: 7, Dataset: finance.Transactions, Account: ledger}, Today: today, Since: today}
	if ledger == "" {
		s.Dataset = finance.Accounts
	}
	s.Task = calls.Task{Dataset: s.Dataset, Consent: &shop}
	return s
}

func (r rig) read(t *testing.T, s fetch.Stream, from string) (pages []fetch.Page, err error) {
	t.Helper()
	for p, err := range r.Pages(t.Context(), s, from) {
		if err != nil {
			return pages, err
		}
		pages = append(pages, p)
	}
	return pages, nil
}

func (r rig) mustRead(t *testing.T, s fetch.Stream, from string) []fetch.Page {
	t.Helper()
	pages, err := r.read(t, s, from)
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) == 0 || !pages[len(pages)-1].Done {
		t.Fatal("the pass has no end")
	}
	return pages
}

// byKey are the transactions of pages, and what the provider said is missing.
func byKey(pages []fetch.Page) (rows map[string]finance.Transaction, partial string) {
	rows = map[string]finance.Transaction{}
	for i := range pages {
		for _, x := range pages[i].Records.Transactions {
			rows[x.ID] = x
		}
		partial += pages[i].Partial
	}
	return rows, partial
}

func query(t *testing.T, path string) url.Values {
	t.Helper()
	_, q, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(q)
	if err != nil {
		t.Fatal(err)
	}
	return values
}
