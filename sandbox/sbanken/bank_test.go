package sbanken_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/sbanken"
)

// today is a day in Norway that is still the day before in UTC.
var today = time.Date(2026, 11, 2, 23, 30, 0, 0, time.UTC)

type bank struct {
	*sbanken.Simulator
	kit  *sandbox.Kit
	base string
}

func open(t *testing.T, o sbanken.Options) *bank {
	t.Helper()
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 5})
	kit.Clock.Set(today)
	o.Kit, o.Today = kit, today
	if o.Quota == nil {
		o.Quota = &sandbox.Quota{}
	}
	sim := sbanken.New(o)
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := server.Mount(sbanken.Name, sim.Handler())
	if err != nil {
		t.Fatal(err)
	}
	return &bank{sim, kit, base}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		t.Fatalf("%v in %d %q", err, r.status, r.body)
	}
}

func send(t *testing.T, method, target string, header map[string]string, body string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

func (b *bank) ask(t *testing.T, id, secret, form string) reply {
	t.Helper()
	r := &http.Request{Header: make(http.Header)}
	if id != "" {
		r.SetBasicAuth(id, secret)
	}
	return send(t, "POST", b.base+sbanken.TokenPath, map[string]string{
		"Authorization": r.Header.Get("Authorization"), "Content-Type": "application/x-www-form-urlencoded",
	}, form)
}

func (b *bank) token(t *testing.T, id, secret string) string {
	t.Helper()
	var answer struct {
		Token string `json:"access_token"`
	}
	b.ask(t, url.QueryEscape(id), url.QueryEscape(secret), "grant_type=client_credentials").decode(t, &answer)
	return answer.Token
}

// get asks as the default client on behalf of customer number n.
func (b *bank) get(t *testing.T, n int, path string) reply {
	t.Helper()
	c := sbanken.DefaultClient()
	return send(t, "GET", b.base+path, map[string]string{
		"Authorization": "Bearer " + b.token(t, c.ID, c.Secret), "customerId": b.Customer(n).CustomerID,
	}, "")
}

func TestTokenEndpoint(t *testing.T) {
	c := sbanken.DefaultClient()
	id, secret := url.QueryEscape(c.ID), url.QueryEscape(c.Secret)
	fresh := sbanken.Client{ID: "x", Secret: "y", SecretSince: today}
	cases := map[string]struct {
		o                sbanken.Options
		id, secret, form string
		status           int
		error            string
	}{
		"good":         {sbanken.Options{}, id, secret, "grant_type=client_credentials", 200, ""},
		"not encoded":  {sbanken.Options{}, c.ID, c.Secret, "grant_type=client_credentials", 400, "invalid_client"},
		"no basic":     {sbanken.Options{}, "", "", "grant_type=client_credentials&client_id=" + id, 400, "invalid_client"},
		"no grant":     {sbanken.Options{}, id, secret, "", 400, "invalid_request"},
		"other grant":  {sbanken.Options{}, id, secret, "grant_type=password", 400, "unsupported_grant_type"},
		"scope off":    {sbanken.Options{ScopeOff: true}, id, secret, "grant_type=client_credentials", 400, "invalid_scope"},
		"fresh secret": {sbanken.Options{NewSecretDelay: time.Minute, Clients: []sbanken.Client{fresh}}, "x", "y", "grant_type=client_credentials", 400, "invalid_client"},
		"old secret":   {sbanken.Options{NewSecretDelay: time.Minute}, id, secret, "grant_type=client_credentials", 200, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := open(t, c.o)
			r := b.ask(t, c.id, c.secret, c.form)
			var answer struct {
				Error   string `json:"error"`
				Token   string `json:"access_token"`
				Type    string `json:"token_type"`
				Expires int    `json:"expires_in"`
			}
			r.decode(t, &answer)
			if r.status != c.status || answer.Error != c.error {
				t.Fatalf("%d %s", r.status, r.body)
			}
			if c.status == 200 && (strings.Count(answer.Token, ".") != 2 || answer.Type != "Bearer" || answer.Expires != 3600) {
				t.Errorf("answer %s", r.body)
			}
		})
	}
	b := open(t, sbanken.Options{})
	if r := send(t, "POST", b.base+"/IdentityServer/Connect/Token/", nil, ""); r.status != 400 {
		t.Errorf("the token path depends on case: %d", r.status)
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
			h := map[string]string{"Authorization": "Bearer " + b.token(t, c.client, "s")}
			if c.customer != "" {
				h["customerId"] = c.customer
			}
			if r := send(t, "GET", b.base+c.path, h, ""); r.status != c.status || !strings.Contains(r.body, c.want) {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	for name, token := range map[string]string{"none": "", "made up": "Bearer x"} {
		r := send(t, "GET", b.base+sbanken.V2+"/Accounts", map[string]string{"Authorization": token}, "")
		if r.status != 401 || r.body != "" || r.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("token %s: %d %q", name, r.status, r.body)
		}
	}
	if r := open(t, sbanken.Options{GrantOff: true}).get(t, 0, sbanken.V2+"/Accounts"); r.status != 401 {
		t.Errorf("without the grant: %d", r.status)
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
		r.decode(t, &list)
		if list.Available != len(c.Accounts) || len(list.Items) != len(c.Accounts) || strings.Contains(r.body, "isError") {
			t.Fatalf("%s", r.body)
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
			if !strings.HasPrefix(bare.body, `{"accountId"`) || !strings.HasPrefix(wrapped.body, `{"item":`+bare.body) {
				t.Errorf("one account: %s and %s", bare.body, wrapped.body)
			}
		}
	}
	if cards == 0 {
		t.Error("nobody has a credit card")
	}
	r := b.get(t, 0, sbanken.V1+"/Accounts")
	if !strings.HasSuffix(r.body, `,"errorType":null,"isError":false,"errorCode":null,"errorMessage":null,"traceId":null}`) {
		t.Errorf("v1 envelope %s", r.body)
	}
}

func TestQuotaLooksLikeTheBanks(t *testing.T) {
	b := open(t, sbanken.Options{Quota: &sandbox.Quota{Calls: 2, Period: time.Minute, Fixed: true}})
	var r reply
	for _, left := range []string{"1", "0", "0"} {
		r = b.get(t, 0, sbanken.V2+"/Accounts")
		_, err := time.Parse("2006-01-02T15:04:05.0000000Z", r.header.Get("x-rate-limit-reset"))
		if r.header.Get("x-rate-limit-limit") != "1m" || r.header.Get("x-rate-limit-remaining") != left || err != nil {
			t.Errorf("headers %v", r.header)
		}
	}
	if r.status != 429 || r.body != "API calls quota exceeded! maximum admitted 2 per 1m." || r.header.Get("Retry-After") == "" ||
		r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("%d %v %q", r.status, r.header, r.body)
	}
	b.kit.Clock.Advance(time.Minute)
	if r := b.get(t, 0, sbanken.V2+"/Accounts"); r.status != 200 {
		t.Errorf("a minute later: %d", r.status)
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
		if _, err := b.kit.Faults.Add(sandbox.Rule{Only: "api", Action: sandbox.Action{Kind: "status", Status: status}}); err != nil {
			t.Fatal(err)
		}
		if r := b.get(t, 0, sbanken.V2+"/Accounts"); r.status != status || !strings.HasPrefix(r.body, want) {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

func TestJournalAndControls(t *testing.T) {
	b := open(t, sbanken.Options{})
	c := b.Customer(0)
	path := sbanken.V2 + "/TRANSACTIONS/archive/" + c.Accounts[0].AccountID
	b.get(t, 0, path)
	if err := b.kit.Journal.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	j := b.kit.Journal.Entries()
	id := sbanken.DefaultClient().ID
	if len(j) != 2 || j[0].Bucket != id+"/token" || !j[0].Token || j[1].Bucket != id || j[1].Subject != c.CustomerID ||
		j[1].Template != sbanken.V2+"/Transactions/archive/{accountId}" {
		t.Errorf("journal %+v", j)
	}
	before := b.get(t, 0, path).body
	for verb, want := range map[string]int{"insert": 200, "reserve": 204, "book": 204, "release": 204} {
		if r := send(t, "POST", b.base+"/_sandbox/sbanken/"+verb+"?account="+c.Accounts[0].AccountID, nil, ""); r.status != want {
			t.Errorf("%s: %d %s", verb, r.status, r.body)
		}
		if r := send(t, "POST", b.base+"/_sandbox/sbanken/"+verb+"?account=none", nil, ""); r.status != 404 {
			t.Errorf("%s of no account: %d", verb, r.status)
		}
	}
	if b.get(t, 0, path).body == before {
		t.Error("the controls moved nothing")
	}
	lines := strings.Count(send(t, "GET", b.base+"/_sandbox/sbanken/customers", nil, "").body, "\n")
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
	own := b.get(t, 0, sbanken.V2+"/Transactions/archive/"+account).body
	if _, err := b.kit.Faults.Add(sandbox.Rule{Only: "api", Action: sandbox.Action{Kind: sandbox.WrongSubject}}); err != nil {
		t.Fatal(err)
	}
	if r := b.get(t, 0, sbanken.V2+"/Customers"); !strings.Contains(r.body, b.Customer(1).CustomerID) {
		t.Errorf("customer %s", r.body)
	}
	if r := b.get(t, 0, sbanken.V2+"/Transactions/archive/"+account); r.status != 200 || r.body == own {
		t.Errorf("transactions %d", r.status)
	}
}

// The same seed makes the same bytes in every process, also far into a world.
func TestAnswersFollowTheSeed(t *testing.T) {
	answer := func(seed uint64) string {
		b := open(t, sbanken.Options{Seed: seed, Customers: 100_000, Transactions: 50_000, Days: 300})
		account := b.Customer(99_999).Accounts[0].AccountID
		return b.get(t, 99_999, fmt.Sprintf("%s/Transactions/%s?startDate=2026-01-01&index=40000&length=50", sbanken.V2, account)).body
	}
	one := answer(1)
	if one != answer(1) || !strings.Contains(one, "accountingDate") {
		t.Errorf("the same seed made other bytes: %s", one)
	}
	if one == answer(2) {
		t.Error("another seed made the same bytes")
	}
}
