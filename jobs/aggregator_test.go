package jobs_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/rest"
	"syncer/finance"
	"syncer/jobs"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// aggregator is an API over real HTTP of which a test says, for each path, what it answers. It is read by a description.
type aggregator struct {
	*lab
	name     string
	url      string
	datasets []finance.Dataset
	zone     *time.Location
	most     int      // accounts of a consent that a run reads
	rules    string   // further ones of the description
	columns  string   // further ones of transactions
	dated    bool     // transactions are asked for by days
	edits    []string // of the description: what is replaced, and by what
	history  int      // days, of the job; 0: 400
	lookback int      // of the job
	accounts string   // more of the accounts' description

	mu     sync.Mutex
	answer map[string]http.HandlerFunc // by path; a path that is not there is answered well
	asked  []string                    // the paths, in order
	listed map[string][]string         // the accounts of a consent
}

const aggregatorDescription = `title: Aggregator
base_url: http://127.0.0.1/v1
token: { dialect: none }
errors: { code: code, rules: [ { status: 404, code: RESOURCE_UNKNOWN, class: withheld }MORE ] }
check: { path: ping }
datasets:
  accounts:
    request: { path: "{consent}/accounts" }
    records: accounts
    whole: true
    pagination: { link_header: {} }
    fields: { id: id, name: name, currency: currency }ACCOUNTS
  transactions:
    request:
      path: "{consent}/accounts/{account}/tx"QUERY
    records: rows
    pagination: { link_header: {} }
    fields:
      id: id
      booked_on: day
      amount: amount
      currency: currency
      text: textCOLUMNS
  debt:
    request: { path: "{consent}/debt" }
    records: debts
    whole: true
    fields: { id: id, creditor: creditor, balance: balance, currency: { const: NOK }, reported_at: made }
`

// newAggregator is a lab with an aggregator and its consents c0, c1 ..., of which each has the accounts named.
func newAggregator(t testing.TB, n int, accounts ...string) *aggregator {
	t.Helper()
	a := &aggregator{
		lab: newLab(t, ngsim.Options{}, banksim.Options{}), name: "aggregator",
		datasets: []finance.Dataset{finance.Accounts, finance.Transactions},
		answer:   map[string]http.HandlerFunc{}, listed: map[string][]string{},
	}
	server := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(server.Close)
	a.url = server.URL
	a.must(a.store.Connections.Use(t.Context(), a.name, connections.Endpoint{Provider: "rest"}))
	var list []consents.Import
	for i := range n {
		id := fmt.Sprintf("c%d", i)
		a.listed[id] = accounts
		list = append(list, consents.Import{ExternalID: id})
	}
	_, err := a.store.Consents.Import(t.Context(), a.name, list)
	a.must(err)
	return a
}

func (a *aggregator) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	a.mu.Lock()
	a.asked = append(a.asked, path)
	answer := a.answer[path]
	parts := strings.Split(path, "/")
	accounts := a.listed[parts[0]]
	a.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if path == "ping" {
		fmt.Fprint(w, `{"status": "up"}`)
		return
	}
	if len(parts) == 2 {
		var list []string
		for _, id := range accounts {
			list = append(list, fmt.Sprintf(`{"id": %q, "name": %q, "currency": "NOK"}`, id, id))
		}
		fmt.Fprintf(w, `{"accounts": [%s]}`, strings.Join(list, ", "))
		return
	}
	fmt.Fprint(w, rowsOf(parts[0]+parts[2]))
}

// rowsOf is an answer with two transactions.
func rowsOf(key string) string {
	const row = `{"id": "%s-%d", "day": "2026-11-10", "amount": "-10.00", "currency": "NOK", "text": "purchase"}`
	return fmt.Sprintf(`{"rows": [`+row+`, `+row+`]}`, key, 1, key, 2)
}

// answers has a path answered in some way; nil: well.
func (a *aggregator) answers(path string, how http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer[path] = how
}

// took gives the paths that were asked for since the last time, and forgets them.
func (a *aggregator) took() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}

// distinct are the paths, each once, sorted.
func distinct(paths []string) []string {
	paths = slices.Clone(paths)
	slices.Sort(paths)
	return slices.Compact(paths)
}

func txPath(consent, account string) string { return consent + "/accounts/" + account + "/tx" }

// withStatus answers with a status and a small object.
func withStatus(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, `{"code": "REFUSED"}`)
	}
}

// reset breaks the connection before an answer.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// cut breaks the connection in the middle of an answer.
func cut(w http.ResponseWriter, _ *http.Request) {
	body := rowsOf("cut")
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	fmt.Fprint(w, body[:len(body)/2])
	panic(http.ErrAbortHandler)
}

func (a *aggregator) job(o nodeOptions) jobs.Job {
	return jobs.Job{Name: a.name, Connection: a.name, Datasets: a.datasets, Zone: time.UTC, BatchSize: o.batchSize,
		History: cmp.Or(a.history, 400), Lookback: a.lookback}
}

func (a *aggregator) connection(store *persist.Store, o nodeOptions) *jobs.Connection {
	a.Helper()
	dir := a.TempDir()
	query := ""
	if a.dated {
		query = "\n      query: { from: '{since}', to: '{until}' }"
	}
	text := strings.NewReplacer("MORE", a.rules, "QUERY", query, "COLUMNS", a.columns,
		"ACCOUNTS", a.accounts).Replace(aggregatorDescription)
	text = strings.NewReplacer(a.edits...).Replace(text)
	a.must(os.WriteFile(filepath.Join(dir, "aggregator.yaml"), []byte(text), 0o600))
	provider := rest.Provider()
	c := fetch.Connection{Name: a.name, Provider: provider.Name, BaseURL: a.url + "/v1", Dir: dir,
		Settings: &rest.Settings{Description: "aggregator.yaml"}}
	driver, err := provider.Open(c)
	a.must(err)
	client, err := fetch.NewClient(fetch.Options{
		Connection: c, Driver: driver, Concurrency: o.concurrency, Timeout: o.timeout, MaxWait: o.maxWait, AllowPrivate: true,
		Retry: fetch.Retry{Attempts: 3, Base: time.Millisecond, Cap: 5 * time.Millisecond, Budget: 10 * time.Second},
		Calls: store.Admit, Once: store.Admit, Tokens: store.Tokens, Log: zerolog.Nop(),
	})
	a.must(err)
	a.Cleanup(client.CloseIdle)
	return &jobs.Connection{Name: a.name, Endpoint: connections.Endpoint{Provider: provider.Name}, Connector: o.wrap(client.Connector()), Zone: a.zone, Accounts: a.most,
		Concurrency: o.concurrency, Keep: time.Hour}
}

// seen gives the paths that were asked for, and forgets none.
func (a *aggregator) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}
