package sbanken_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/sandboxtest"
	"syncer/sandbox/sbanken"
)

// today is a day in Norway that is still the day before in UTC.
var today = time.Date(2026, 11, 2, 23, 30, 0, 0, time.UTC)

type bank struct {
	*sbanken.Simulator
	*sandboxtest.Host
}

func open(t *testing.T, o sbanken.Options) *bank {
	t.Helper()
	o.Kit, o.Today = sandboxtest.NewKit(today), today
	if o.Quota == nil {
		o.Quota = &sandbox.Quota{}
	}
	sim := sbanken.New(o)
	return &bank{sim, sandboxtest.Serve(t, o.Kit, sbanken.Name, sim.Handler())}
}

var grant = url.Values{"grant_type": {"client_credentials"}}

func (b *bank) token(t *testing.T, id, secret string) string {
	t.Helper()
	return b.Ask(t, sbanken.TokenPath, url.QueryEscape(id), url.QueryEscape(secret), grant).Token(t)
}

// get asks as the default client on behalf of customer number n.
func (b *bank) get(t *testing.T, n int, path string) sandboxtest.Reply {
	t.Helper()
	c := sbanken.DefaultClient()
	return b.Do(t, "GET", path, "", "Authorization", "Bearer "+b.token(t, c.ID, c.Secret), "customerId", b.Customer(n).CustomerID)
}

func TestTokenEndpoint(t *testing.T) {
	c := sbanken.DefaultClient()
	id, secret := url.QueryEscape(c.ID), url.QueryEscape(c.Secret)
	fresh := sbanken.Client{ID: "x", Secret: "y", SecretSince: today}
	cases := map[string]struct {
		o          sbanken.Options
		id, secret string
		form       url.Values
		status     int
		error      string
	}{
		"good":         {sbanken.Options{}, id, secret, grant, 200, ""},
		"not encoded":  {sbanken.Options{}, c.ID, c.Secret, grant, 400, "invalid_client"},
		"no basic":     {sbanken.Options{}, "", "", url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}}, 400, "invalid_client"},
		"no grant":     {sbanken.Options{}, id, secret, nil, 400, "invalid_request"},
		"other grant":  {sbanken.Options{}, id, secret, url.Values{"grant_type": {"password"}}, 400, "unsupported_grant_type"},
		"scope off":    {sbanken.Options{ScopeOff: true}, id, secret, grant, 400, "invalid_scope"},
		"fresh secret": {sbanken.Options{NewSecretDelay: time.Minute, Clients: []sbanken.Client{fresh}}, "x", "y", grant, 400, "invalid_client"},
		"old secret":   {sbanken.Options{NewSecretDelay: time.Minute}, id, secret, grant, 200, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := open(t, c.o)
			r := b.Ask(t, sbanken.TokenPath, c.id, c.secret, c.form)
			var answer struct {
				Error   string `json:"error"`
				Token   string `json:"access_token"`
				Type    string `json:"token_type"`
				Expires int    `json:"expires_in"`
			}
			r.Decode(t, &answer)
			if r.Status != c.status || answer.Error != c.error {
				t.Fatalf("%d %s", r.Status, r.Body)
			}
			if c.status == 200 && (strings.Count(answer.Token, ".") != 2 || answer.Type != "Bearer" || answer.Expires != 3600) {
				t.Errorf("answer %s", r.Body)
			}
		})
	}
	b := open(t, sbanken.Options{})
	if r := b.Do(t, "POST", "/IdentityServer/Connect/Token/", ""); r.Status != 400 {
		t.Errorf("the token path depends on case: %d", r.Status)
	}
}

func TestWhoIsAskedFor(t *testing.T) {
	all := open(t, sbanken.Options{})
	one, two := all.Customer(1).CustomerID, all.Customer(2).CustomerID
	b := open(t, sbanken.Options{Clients: []sbanken.Client{
		{ID: "own", Secret: "s", Customers: []string{one}}, {ID: "both", Secret: "s", Customers: []string{one, two}},
	}})
	cases := map[string]struct {
		client, customer, path string
		status                 int
		want                   string
	}{
		"own, unnamed":      {"own", "", sbanken.V2 + "/Customers", 200, `"customerId":"` + one},
		"named":             {"both", two, sbanken.V2 + "/Customers", 200, `"customerId":"` + two},
		"v1 is wrapped":     {"both", two, sbanken.V1 + "/customers/", 200, `{"item":{"customerId"`},
		"unnamed":           {"both", "", sbanken.V2 + "/Customers", 400, `"detail":"Required parameter 'customerId' not found."`},
		"unnamed in v1":     {"both", "", sbanken.V1 + "/Customers", 400, `"errorType":1,"isError":true`},
		"somebody else's":   {"both", all.Customer(3).CustomerID, sbanken.V2 + "/Customers", 404, `"status":404`},
		"nobody's, v1":      {"both", "14842249091", sbanken.V1 + "/Customers", 404, `"errorType":"NotFound"`},
		"another's account": {"own", "", sbanken.V2 + "/Accounts/" + all.Customer(2).Accounts[0].AccountID, 404, "Account not found"},
		"nowhere":           {"own", "", sbanken.V2 + "/Cards", 404, ""},
		"no generation":     {"own", "", "/exec.bank/api/v1/Accounts", 404, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			token := "Bearer " + b.token(t, c.client, "s")
			if r := b.Do(t, "GET", c.path, "", "Authorization", token, "customerId", c.customer); r.Status != c.status || !strings.Contains(r.Body, c.want) {
				t.Errorf("%d %s", r.Status, r.Body)
			}
		})
	}
	for name, token := range map[string]string{"none": "", "made up": "Bearer x"} {
		r := b.Do(t, "GET", sbanken.V2+"/Accounts", "", "Authorization", token)
		if r.Status != 401 || r.Body != "" || r.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("token %s: %d %q", name, r.Status, r.Body)
		}
	}
	if r := open(t, sbanken.Options{GrantOff: true}).get(t, 0, sbanken.V2+"/Accounts"); r.Status != 401 {
		t.Errorf("without the grant: %d", r.Status)
	}
}

func TestAccounts(t *testing.T) {
	b := open(t, sbanken.Options{Customers: 30})
	cards := 0
	for n, c := range b.Customers() {
		var list struct {
			Available int `json:"availableItems"`
			Items     []struct {
				AccountID, AccountNumber, OwnerCustomerID, Name, AccountType string
				Available, Balance, CreditLimit                              json.Number
			} `json:"items"`
		}
		r := b.get(t, n, sbanken.V2+"/accounts/")
		r.Decode(t, &list)
		if list.Available != len(c.Accounts) || len(list.Items) != len(c.Accounts) || strings.Contains(r.Body, "isError") {
			t.Fatalf("%s", r.Body)
		}
		for i, a := range list.Items {
			want := c.Accounts[i]
			if a.AccountID != want.AccountID || a.OwnerCustomerID != c.CustomerID || len(a.AccountID) != 32 ||
				a.AccountID != strings.ToUpper(a.AccountID) || len(a.AccountNumber) != 11 || !strings.HasSuffix(a.Balance.String(), "0") {
				t.Errorf("account %+v", a)
			}
			if want.CreditCard {
				cards++
				if !strings.HasPrefix(a.Balance.String(), "-") || a.CreditLimit == "0.000" {
					t.Errorf("credit card %+v", a)
				}
			}
			bare := b.get(t, n, sbanken.V2+"/Accounts/"+strings.ToLower(a.AccountID))
			wrapped := b.get(t, n, sbanken.V1+"/Accounts/"+a.AccountID)
			if !strings.HasPrefix(bare.Body, `{"accountId"`) || !strings.HasPrefix(wrapped.Body, `{"item":`+bare.Body) {
				t.Errorf("one account: %s and %s", bare.Body, wrapped.Body)
			}
		}
	}
	if cards == 0 {
		t.Error("nobody has a credit card")
	}
	r := b.get(t, 0, sbanken.V1+"/Accounts")
	if !strings.HasSuffix(r.Body, `,"errorType":null,"isError":false,"errorCode":null,"errorMessage":null,"traceId":null}`) {
		t.Errorf("v1 envelope %s", r.Body)
	}
}

func TestQuotaLooksLikeTheBanks(t *testing.T) {
	b := open(t, sbanken.Options{Quota: &sandbox.Quota{Calls: 2, Period: time.Minute, Fixed: true}})
	var r sandboxtest.Reply
	for _, left := range []string{"1", "0", "0"} {
		r = b.get(t, 0, sbanken.V2+"/Accounts")
		_, err := time.Parse("2006-01-02T15:04:05.0000000Z", r.Header.Get("x-rate-limit-reset"))
		if r.Header.Get("x-rate-limit-limit") != "1m" || r.Header.Get("x-rate-limit-remaining") != left || err != nil {
			t.Errorf("headers %v", r.Header)
		}
	}
	if r.Status != 429 || r.Body != "API calls quota exceeded! maximum admitted 2 per 1m." || r.Header.Get("Retry-After") == "" ||
		r.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("%d %v %q", r.Status, r.Header, r.Body)
	}
	b.Kit.Clock.Advance(time.Minute)
	if r := b.get(t, 0, sbanken.V2+"/Accounts"); r.Status != 200 {
		t.Errorf("a minute later: %d", r.Status)
	}
	usual := sbanken.New(sbanken.Options{Kit: sandbox.NewKit(sandbox.KitOptions{})})
	for range 30 {
		usual.Limiter().Take("c")
	}
	if d := usual.Limiter().Take("c"); d.Allowed {
		t.Error("the 31st call of a minute passed")
	}
}

func TestFaultsSpeakTheBanksWords(t *testing.T) {
	for status, want := range map[int]string{
		503: `{"errorType":0,"isError":true,"errorCode":null,"errorMessage":"Could not complete the request due to an expected or unexpected error.","traceId":"`,
		500: `{"Type":"","Title":"Could not complete the request.","Status":500,"Detail":"An error has occured.","Instance":null,"Extensions":{"traceId":"`,
		429: "API calls quota exceeded! maximum admitted 30 per 1m.",
	} {
		b := open(t, sbanken.Options{})
		b.Rule(t, sandbox.Rule{Action: sandbox.Action{Kind: "status", Status: status}})
		if r := b.get(t, 0, sbanken.V2+"/Accounts"); r.Status != status || !strings.HasPrefix(r.Body, want) {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
}

func TestJournalAndControls(t *testing.T) {
	b := open(t, sbanken.Options{})
	c := b.Customer(0)
	path := sbanken.V2 + "/TRANSACTIONS/archive/" + c.Accounts[0].AccountID
	b.get(t, 0, path)
	j := b.Entries(t)
	id := sbanken.DefaultClient().ID
	if len(j) != 2 || j[0].Bucket != id+"/token" || !j[0].Token || j[1].Bucket != id || j[1].Subject != c.CustomerID ||
		j[1].Template != sbanken.V2+"/Transactions/archive/{accountId}" {
		t.Errorf("journal %+v", j)
	}
	before := b.get(t, 0, path).Body
	for verb, want := range map[string]int{"insert": 200, "reserve": 204, "book": 204, "release": 204} {
		if r := b.Do(t, "POST", "/_sandbox/sbanken/"+verb+"?account="+c.Accounts[0].AccountID, ""); r.Status != want {
			t.Errorf("%s: %d %s", verb, r.Status, r.Body)
		}
		if r := b.Do(t, "POST", "/_sandbox/sbanken/"+verb+"?account=none", ""); r.Status != 404 {
			t.Errorf("%s of no account: %d", verb, r.Status)
		}
	}
	if b.get(t, 0, path).Body == before {
		t.Error("the controls moved nothing")
	}
	lines := strings.Count(b.Do(t, "GET", "/_sandbox/sbanken/customers", "").Body, "\n")
	accounts := 0
	for _, c := range b.Customers() {
		accounts += len(c.Accounts)
	}
	if lines != accounts+1 {
		t.Errorf("%d lines for %d accounts", lines, accounts)
	}
}

func TestWrongSubject(t *testing.T) {
	b := open(t, sbanken.Options{})
	account := b.Customer(0).Accounts[0].AccountID
	own := b.get(t, 0, sbanken.V2+"/Transactions/archive/"+account).Body
	b.Rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}})
	if r := b.get(t, 0, sbanken.V2+"/Customers"); !strings.Contains(r.Body, b.Customer(1).CustomerID) {
		t.Errorf("customer %s", r.Body)
	}
	if r := b.get(t, 0, sbanken.V2+"/Transactions/archive/"+account); r.Status != 200 || r.Body == own {
		t.Errorf("transactions %d", r.Status)
	}
}

// The same seed makes the same bytes in every process, also far into a world.
func TestAnswersFollowTheSeed(t *testing.T) {
	answer := func(seed uint64) string {
		b := open(t, sbanken.Options{Seed: seed, Customers: 100_000, Transactions: 50_000, Days: 300})
		account := b.Customer(99_999).Accounts[0].AccountID
		return b.get(t, 99_999, fmt.Sprintf("%s/Transactions/%s?startDate=2026-01-01&index=40000&length=50", sbanken.V2, account)).Body
	}
	one := answer(1)
	if one != answer(1) || !strings.Contains(one, "accountingDate") {
		t.Errorf("the same seed made other bytes: %s", one)
	}
	if one == answer(2) {
		t.Error("another seed made the same bytes")
	}
}
