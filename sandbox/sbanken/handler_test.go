package sbanken_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"syncer/sandbox"
	"syncer/sandbox/sbanken"
)

// BenchmarkHandler is a page of 100 rows through journal, quota, token check
// and page cache, without the network.
func BenchmarkHandler(b *testing.B) {
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 1, JournalKeep: 1000})
	kit.Clock.Set(today)
	sim := sbanken.New(sbanken.Options{Kit: kit, Today: today, Transactions: 100_000, Days: 365, Quota: &sandbox.Quota{}})
	h := sim.Handler()
	c := sbanken.DefaultClient()
	ask := httptest.NewRequestWithContext(b.Context(), "POST", sbanken.TokenPath, strings.NewReader("grant_type=client_credentials"))
	ask.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	var answer struct {
		Token string `json:"access_token"`
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, ask)
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		b.Fatal(err)
	}
	customer := sim.Customer(0)
	for i := 0; b.Loop(); i++ {
		r := httptest.NewRequestWithContext(b.Context(), "GET", fmt.Sprintf("%s%s?startDate=2025-11-04&index=%d", archive, customer.Accounts[0].AccountID, i%500*100), nil)
		r.Header.Set("Authorization", "Bearer "+answer.Token)
		r.Header.Set("customerId", customer.CustomerID)
		w := &discard{header: make(http.Header)}
		if h.ServeHTTP(w, r); w.size < 30_000 {
			b.Fatalf("%d bytes", w.size)
		}
	}
}

type discard struct {
	header http.Header
	size   int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(b []byte) (int, error) {
	d.size += len(b)
	return len(b), nil
}
