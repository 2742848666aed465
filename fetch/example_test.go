package fetch_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
)

// A client asks for one call. Tokens, pace, pauses, retries and what is recorded of them are the client's; what an answer says is
// the caller's to read. The stores are in the database in the program, and in memory here.
func ExampleClient_Do() {
	bank := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Correlation-Id", "4bf92f3577b34da6")
		fmt.Fprint(w, `{"accounts": []}`)
	}))
	defer bank.Close()
	base, err := url.Parse(bank.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	store := fetchtest.NewCallStore()
	driver := fetch.Driver{
		Base: base,
		Rate: 10,
		// What only this provider means; the rules that all share come behind it.
		Classify: func(*fetch.Request, *fetch.Answer) fetch.Meaning { return fetch.Meaning{} },
		Connect:  func(*fetch.Client) fetch.Connector { return nil }, // this example reads no stream
	}
	client, err := fetch.NewClient(fetch.Options{
		Connection:   fetch.Connection{Name: "bank", Provider: "example"},
		Driver:       driver,
		AllowPrivate: true, // the bank is on this machine
		Calls:        store,
		Tokens:       store,
		Log:          zerolog.Nop(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdle()
	answer, err := client.Do(context.Background(), fetch.Request{Path: "accounts", Template: "GET /accounts"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(answer.Body), answer.Call.Correlation)
	// Output: {"accounts": []} 4bf92f3577b34da6
}
