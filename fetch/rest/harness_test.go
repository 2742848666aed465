package rest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// folderWith is a folder with a description in it.
func folderWith(t *testing.T, name string, text []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// accountOf is the id of a consent's first account.
func accountOf(t *testing.T, w *world, consent finance.Consent) string {
	t.Helper()
	return accountsOf(t, w, consent)[0].Account
}

// accountsOf are the streams of a consent's accounts.
func accountsOf(t *testing.T, w *world, consent finance.Consent) (streams []fetch.Stream) {
	t.Helper()
	s := fetchtest.StreamOf(consent, finance.Accounts)
	s.Today = today
	got := fetchtest.Dial(t, Provider(), w.conn, func(o *fetch.Options) { o.Dial = w.Dial }).MustRead(t, s, "")
	if len(got) != 1 || len(got[0].Records.Accounts) == 0 {
		t.Fatal(got)
	}
	for i := range got[0].Records.Accounts {
		streams = append(streams, fetch.Stream{
			Stream: finance.Stream{Dataset: finance.Transactions, Account: got[0].Records.Accounts[i].ID},
			Since:  today.AddDays(-100), Today: today, Lookback: 10,
		})
	}
	return streams
}

// described opens a description that stands in a test, served by a handler.
func described(t *testing.T, text string, h http.Handler) *fetchtest.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	credentials := fetchtest.Credentials("the id+", "the/secret%")
	credentials["api_key"] = fetch.NewSecret("the-api-key")
	return fetchtest.Dial(t, Provider(), fetch.Connection{
		Name: "test", Provider: "rest", BaseURL: server.URL, AuthURL: server.URL, Credentials: credentials,
		Dir: folderWith(t, "test.yaml", []byte(text)), Settings: &Settings{Description: "test.yaml"},
	})
}
