package rest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// client is a client of a connection whose calls are kept in memory.
func client(t *testing.T, c fetch.Connection) (*fetch.Client, *fetchtest.Ledger) {
	t.Helper()
	driver, err := Provider().Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return clientOf(t, c, driver)
}

func clientOf(t *testing.T, c fetch.Connection, driver fetch.Driver) (*fetch.Client, *fetchtest.Ledger) {
	t.Helper()
	ledger := fetchtest.NewLedger()
	client, err := fetch.NewClient(fetch.Options{
		Connection: c, Driver: driver, Rate: 10_000, AllowPrivate: true,
		Retry:  fetch.Retry{Attempts: 3, Base: time.Millisecond, Cap: time.Millisecond, Budget: 30 * time.Second},
		Ledger: ledger, Once: ledger, Tokens: ledger, Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	return client, ledger
}

func pages(ctx context.Context, client *fetch.Client, s fetch.Stream, from string) (pages []fetch.Page, err error) {
	for page, err := range client.Connector().Pages(ctx, s, from) {
		if err != nil {
			return pages, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// accountOf is the id of a consent's first account.
func accountOf(t *testing.T, w *world, consent finance.Consent) string {
	t.Helper()
	c, _ := client(t, w.conn)
	got, err := pages(t.Context(), c, fetch.Stream{
		Stream: finance.Stream{Dataset: finance.Accounts, Consent: consent.ID}, Scope: finance.Scope{Consent: &consent}, Today: today}, "")
	if err != nil || len(got) != 1 || len(got[0].Records.Accounts) == 0 {
		t.Fatal(got, err)
	}
	return got[0].Records.Accounts[0].ID
}

// described opens a description that stands in a test, served by a handler.
func described(t *testing.T, text string, h http.Handler) *fetch.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	d, err := Parse([]byte(text), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := fetch.Connection{Name: "test", Provider: "rest", BaseURL: server.URL, AuthURL: server.URL, Credentials: map[string]fetch.Secret{
		"client_id": fetch.NewSecret("the id+"), "client_secret": fetch.NewSecret("the/secret%"), "api_key": fetch.NewSecret("the-api-key"),
	}}
	driver, err := d.driver(c, []byte(text), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	client, _ := clientOf(t, c, driver)
	return client
}
