package sbanken

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

const twoAccounts = `{"availableItems":2,"items":[
{"accountId":"A1","accountNumber":"97100000011","ownerCustomerId":"01017000027","name":"Brukskonto","accountType":"Standard account","available":8450.25,"balance":8950.75,"creditLimit":0.0,"defaultAccount":true},
{"accountId":"B2","accountNumber":"97100000022","ownerCustomerId":"02027000031","name":"Felles","accountType":"Standard account","available":1,"balance":1,"creditLimit":null}]}`

func TestOwnAndSharedAccounts(t *testing.T) {
	for _, c := range []struct {
		name    string
		subject finance.Subject
		shared  bool
		want    []string
		figures int
		fails   bool
	}{
		{"the subject's own", fetchtest.Subject("01017000027"), false, []string{"A1"}, 3, false},
		{"with shared ones", fetchtest.Subject("01017000027"), true, []string{"A1", "B2"}, 5, false},
		{"subject unknown", finance.Subject{}, false, []string{"A1", "B2"}, 5, false},
		{"somebody else's", fetchtest.Subject("03037000045"), false, nil, 0, true},
		{"somebody else's, shared or not", fetchtest.Subject("03037000045"), true, nil, 0, true},
	} {
		page, err := decodeAccounts([]byte(twoAccounts), c.subject, c.shared)
		var got []string
		for _, a := range page.Records.Accounts {
			got = append(got, a.ID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != c.fails || len(page.Records.Balances) != c.figures {
			t.Errorf("%s: %v, %d balances, error %v", c.name, got, len(page.Records.Balances), err)
		}
	}
}

func TestAnAccountIsReadWhole(t *testing.T) {
	page, err := decodeAccounts([]byte(twoAccounts), fetchtest.Subject("01017000027"), false)
	if err != nil || page.Whole == nil || !page.Done {
		t.Fatal(err, page.Whole)
	}
	account := finance.Account{ID: "A1", Number: "97100000011", Name: "Brukskonto", Kind: "Standard account", Currency: "NOK", Extra: []byte(`{"defaultAccount":true}`)}
	balances := []finance.Balance{
		{AccountID: "A1", Kind: "booked", Amount: amount("8950.75"), Currency: "NOK"},
		{AccountID: "A1", Kind: "available", Amount: amount("8450.25"), Currency: "NOK"},
		{AccountID: "A1", Kind: "credit_limit", Amount: amount("0"), Currency: "NOK"},
	}
	want := finance.Records{Accounts: []finance.Account{account}, Balances: balances}
	if diff := cmp.Diff(want, page.Records, cmp.Comparer(finance.Amount.Equal)); diff != "" {
		t.Error(diff)
	}
	short, err := decodeAccounts([]byte(`{"availableItems":3,"items":[{"accountId":"A1"}]}`), finance.Subject{}, false)
	if err != nil || short.Partial == "" || short.Whole != nil {
		t.Errorf("a list with one of three accounts: partial %q, whole %v, error %v", short.Partial, short.Whole, err)
	}
}

func TestClassify(t *testing.T) {
	const traced = `"traceId":"6f1d"`
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   fetch.Meaning
	}{
		{"ok", 200, `{"availableItems":0,"items":[]}`, fetch.Meaning{Class: finance.OK}},
		{"ok in generation 1", 200, `{"items":[],"isError":false,` + traced + `}`, fetch.Meaning{Class: finance.OK}},
		{"proxy page", 200, `<html>`, fetch.Meaning{Class: finance.Transient, Reason: ""}},
		{"cut", 200, `{"items":[`, fetch.Meaning{Class: finance.Transient}},
		{"error in a 200", 200, `{"items":null,"errorType":"Input","isError":true,"errorMessage":"no",` + traced + `}`,
			fetch.Meaning{Class: finance.Rejected, Reason: "Input: no", Correlation: "6f1d"}},
		{"outage in a 200", 200, `{"errorType":0,"isError":true,` + traced + `}`, fetch.Meaning{Class: finance.Transient, Reason: "0", Correlation: "6f1d"}},
		{"capital letters", 500, `{"Type":"","Title":"Could not complete the request.","Status":500,"Detail":"An error has occured.","Instance":null,"Extensions":{"traceId":"6f1d"}}`,
			fetch.Meaning{Class: finance.Transient, Reason: "Could not complete the request.: An error has occured.", Correlation: "6f1d"}},
		{"small letters", 400, `{"title":"Bad","detail":"span",` + traced + `}`, fetch.Meaning{Class: finance.Rejected, Reason: "Bad: span", Correlation: "6f1d"}},
		{"quota", 429, `API calls quota exceeded! maximum admitted 30 per 1m.`,
			fetch.Meaning{Class: finance.Throttled, Reason: "API calls quota exceeded! maximum admitted 30 per 1m.", RetryAfter: 20 * time.Second}},
		{"outage", 503, `{"errorType":0,"isError":true,"errorMessage":"x",` + traced + `}`, fetch.Meaning{Class: finance.Throttled, Reason: "0: x", Correlation: "6f1d"}},
		{"token", 401, ``, fetch.Meaning{Class: finance.TokenDenied}},
		{"gone", 404, ``, fetch.Meaning{Class: finance.Rejected}},
	} {
		got := classify(nil, &fetch.Answer{Status: c.status, Header: http.Header{}, Body: []byte(c.body)})
		if c.status == 200 && got.Class == finance.Transient {
			got.Reason, c.want.Reason = "", ""
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	date := time.Now().UTC().Truncate(time.Second)
	quota := &fetch.Answer{Status: 429, Header: http.Header{
		"Date":               {date.Format(http.TimeFormat)},
		"X-Rate-Limit-Reset": {date.Add(42 * time.Second).Format("2006-01-02T15:04:05.0000000Z")},
	}}
	if got := classify(nil, quota); got.RetryAfter != 0 || quota.Announced().Pause != 42*time.Second {
		t.Errorf("the quota's own headers: %+v, %s", got, quota.Announced().Pause)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	creds := fetchtest.Credentials("i", "s")
	for _, s := range []Settings{{3, "auto", false, 100}, {2, "always", false, 100}, {2, "auto", false, 1}, {2, "auto", false, 1001}} {
		if _, err := Provider().Open(fetch.Connection{Name: "b", Settings: &s, Credentials: creds}); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
	if _, err := Provider().Open(fetch.Connection{Name: "b", Settings: Provider().Settings()}); err == nil {
		t.Error("a connection without credentials was accepted")
	}
	d, err := Provider().Open(fetch.Connection{Name: "b", Settings: Provider().Settings(), Credentials: creds})
	want, _ := url.Parse("https://publicapi.sbanken.no/apibeta/api/v2")
	if err != nil || *d.Base != *want || d.Rate != 25.0/60 {
		t.Errorf("got %v, rate %v, error %v", d.Base, d.Rate, err)
	}
	if token, err := d.Token(fetch.TokenKey{}); err != nil || token.URL != "https://auth.sbanken.no/identityserver/connect/token" || token.Style != fetch.BasicEscaped {
		t.Errorf("token at %s, %v", token.URL, err)
	}
}
