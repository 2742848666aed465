package vipps_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/sandbox"
	"syncer/sandbox/vipps"
)

// now is a Friday morning in winter.
var now = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

type vendor struct {
	*vipps.Simulator
	kit    *sandbox.Kit
	base   string
	client vipps.Client
	bearer string
}

func open(t *testing.T, o vipps.Options) *vendor {
	t.Helper()
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 5})
	kit.Clock.Set(now)
	o.Kit = kit
	if o.Days == 0 {
		o.Days = 10
	}
	sim := vipps.New(o)
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := server.Mount(vipps.Name, sim.Handler())
	if err != nil {
		t.Fatal(err)
	}
	return &vendor{Simulator: sim, kit: kit, base: base, client: vipps.DefaultPartner()}
}

type reply struct {
	status int
	header http.Header
	body   string
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

func (r reply) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		t.Fatalf("%v in %d %q", err, r.status, r.body)
	}
}

func basic(id, secret string) string {
	r := &http.Request{Header: make(http.Header)}
	r.SetBasicAuth(id, secret)
	return r.Header.Get("Authorization")
}

// specialized asks for a token as an accounting partner.
func (v *vendor) specialized(t *testing.T, id, secret, form string, extra ...string) reply {
	t.Helper()
	h := map[string]string{"Authorization": basic(id, secret), "Content-Type": "application/x-www-form-urlencoded"}
	if len(extra) > 0 {
		h["Ocp-Apim-Subscription-Key"] = extra[0]
	}
	return send(t, "POST", v.base+vipps.SpecializedTokenPath, h, form)
}

func (v *vendor) standard(t *testing.T, id, secret, key string) reply {
	t.Helper()
	h := map[string]string{"client_id": id, "client_secret": secret}
	if key != "" {
		h["Ocp-Apim-Subscription-Key"] = key
	}
	return send(t, "POST", v.base+"/accessToken/get", h, "")
}

// get asks as the accounting partner.
func (v *vendor) get(t *testing.T, path string) reply {
	t.Helper()
	if v.bearer == "" {
		var answer struct {
			Token string `json:"access_token"`
		}
		v.specialized(t, v.client.ID, v.client.Secret, "grant_type=client_credentials").decode(t, &answer)
		v.bearer = "Bearer " + answer.Token
	}
	return send(t, "GET", v.base+path, map[string]string{"Authorization": v.bearer}, "")
}

func TestTokens(t *testing.T) {
	partner, shop := vipps.DefaultPartner(), vipps.DefaultMerchant()
	const form = "grant_type=client_credentials"
	v := open(t, vipps.Options{})
	for name, c := range map[string]struct {
		got    reply
		status int
		holds  string
	}{
		"specialized":                      {v.specialized(t, partner.ID, partner.Secret, form), 200, `"expires_in":900`},
		"specialized, with a key":          {v.specialized(t, partner.ID, partner.Secret, form, shop.SubscriptionKey), 401, `{"error":"invalid_client"}`},
		"specialized, no grant type":       {v.specialized(t, partner.ID, partner.Secret, ""), 401, `{"error":"invalid_client"}`},
		"specialized, form-urlencoded":     {v.specialized(t, url.QueryEscape(partner.ID), url.QueryEscape(partner.Secret), form), 401, `{"error":"invalid_client"}`},
		"specialized, a merchant's keys":   {v.specialized(t, shop.ID, shop.Secret, form), 401, `{"error":"invalid_client"}`},
		"standard":                         {v.standard(t, shop.ID, shop.Secret, shop.SubscriptionKey), 200, `"expires_in":"3600"`},
		"standard, without a key":          {v.standard(t, shop.ID, shop.Secret, ""), 401, "missing subscription key"},
		"standard, with another key":       {v.standard(t, shop.ID, shop.Secret, "x"), 401, "invalid subscription key"},
		"standard, an unknown client":      {v.standard(t, "x", "y", shop.SubscriptionKey), 400, `"error":"unauthorized_client"`},
		"standard, a wrong secret":         {v.standard(t, shop.ID, "y", shop.SubscriptionKey), 401, "AADSTS7000215"},
		"another path":                     {send(t, "POST", v.base+"/accesstoken", nil, ""), 404, `"responseInfo"`},
		"numbers as numbers":               {open(t, vipps.Options{NumericTokens: true}).standard(t, shop.ID, shop.Secret, shop.SubscriptionKey), 200, `"expires_in":3600`},
		"an access token as in newer docs": {open(t, vipps.Options{ShortTokens: true, StandardTTL: time.Minute}).standard(t, shop.ID, shop.Secret, shop.SubscriptionKey), 200, `"expires_in":"60"`},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.body, c.holds) {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.body)
		}
	}
}

// TestAccess: who may read what, and how a refusal looks.
func TestAccess(t *testing.T) {
	v := open(t, vipps.Options{})
	shop := vipps.DefaultMerchant()
	var answer struct {
		Token string `json:"access_token"`
	}
	v.standard(t, shop.ID, shop.Secret, shop.SubscriptionKey).decode(t, &answer)
	as := func(path, key string) reply {
		h := map[string]string{"Authorization": "Bearer " + answer.Token}
		if key != "" {
			h["Ocp-Apim-Subscription-Key"] = key
		}
		return send(t, "GET", v.base+path, h, "")
	}
	v.Grant(3, false)
	feed := func(n int) string { return vipps.ReportPath + v.Merchant(n).LedgerID + "/funds/feed" }
	for name, c := range map[string]struct {
		got    reply
		status int
		holds  string
	}{
		"the merchant's own":           {as(feed(0), shop.SubscriptionKey), 200, `"capture"`},
		"without the key":              {as(feed(0), ""), 401, "missing subscription key"},
		"with another key":             {as(feed(0), "x"), 401, "invalid subscription key"},
		"another merchant's":           {as(feed(1), shop.SubscriptionKey), 404, "No such ledgerId"},
		"the merchant's only ledger":   {as(vipps.LedgersPath, shop.SubscriptionKey), 200, `"ledgerId":"410001"`},
		"a partner":                    {v.get(t, feed(1)), 200, `"capture"`},
		"a partner, not granted":       {v.get(t, feed(3)), 404, "No such ledgerId"},
		"a partner, none listed":       {v.get(t, vipps.LedgersPath+"?settlesForRecipientHandles="+v.Merchant(3).Handle), 200, `"items":[]`},
		"a ledger that nobody has":     {v.get(t, vipps.ReportPath+"999/funds/feed"), 404, "No such ledgerId"},
		"another topic":                {v.get(t, vipps.ReportPath+v.Merchant(1).LedgerID+"/payouts/feed"), 400, "10002"},
		"a day that is none":           {v.get(t, vipps.ReportPath+v.Merchant(1).LedgerID+"/funds/dates/2023-31-12"), 400, "10002"},
		"somebody else's cursor":       {v.get(t, feed(1)+"?cursor=eA%3D%3D"), 400, `"name":"cursor"`},
		"the first version of the API": {v.get(t, "/report/v1/ledgertransactions"), 410, `"traceId":"00-`},
		"no token":                     {send(t, "GET", v.base+feed(1), nil, ""), 401, `"responseInfo"`},
		"no Bearer":                    {send(t, "GET", v.base+feed(1), map[string]string{"Authorization": answer.Token}, ""), 401, `"responseInfo"`},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.body, c.holds) || c.got.header.Get("Request-Id") == "" {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.body)
		}
	}
	v.kit.ExpireTokens(vipps.Name)
	if got := v.get(t, feed(1)); got.status != 401 {
		t.Errorf("an expired token: %d", got.status)
	}
}

// TestProblems: quotas and faults answer in the vendor's own words.
func TestProblems(t *testing.T) {
	v := open(t, vipps.Options{})
	v.get(t, vipps.LedgersPath)
	for status, holds := range map[int]string{429: "Try again in 1 seconds", 423: `"title":"Locked"`, 500: `"contextId"`, 401: `"responseInfo"`, 503: `"traceId"`} {
		id, err := v.kit.Faults.Add(sandbox.Rule{Provider: vipps.Name, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: status}})
		if err != nil {
			t.Fatal(err)
		}
		if got := v.get(t, vipps.LedgersPath); got.status != status || !strings.Contains(got.body, holds) {
			t.Errorf("%d: %d %s", status, got.status, got.body)
		}
		v.kit.Faults.Remove(id)
	}
	v.Limiter().Set(sandbox.Quota{Calls: 1, Period: time.Minute})
	v.get(t, vipps.LedgersPath)
	if got := v.get(t, vipps.LedgersPath); got.status != 429 || got.header.Get("Retry-After") != "60" {
		t.Errorf("%d %v", got.status, got.header)
	}
	for _, e := range v.kit.Journal.Entries() {
		if e.Template == "*" || e.Provider != vipps.Name {
			t.Errorf("the journal does not recognise %s", e.Path)
		}
	}
}

func TestLedgerPages(t *testing.T) {
	v := open(t, vipps.Options{LedgerPage: 3, MultiShops: true, Market: "FI"})
	var ids []string
	for cursor := ""; ; {
		var answer struct {
			Cursor string
			Items  []struct {
				LedgerID, Currency         string
				SettlesForRecipientHandles []string
				Owner, PayoutBankAccount   struct{ Scheme, ID string }
				SalesUnits                 []struct{ Name string }
			}
		}
		v.get(t, vipps.LedgersPath+"?cursor="+url.QueryEscape(cursor)).decode(t, &answer)
		for _, l := range answer.Items {
			ids = append(ids, l.LedgerID)
			if l.Currency != "EUR" || l.Owner.Scheme != "business:FI:Y-tunnus" || l.PayoutBankAccount.Scheme != "BBAN:FI" || len(l.SettlesForRecipientHandles) != 2 || l.SalesUnits[0].Name == "" {
				t.Errorf("%+v", l)
			}
		}
		if cursor = answer.Cursor; cursor == "" {
			break
		}
	}
	var want []string
	for _, m := range v.Merchants() {
		want = append(want, m.LedgerID)
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
}

func TestControl(t *testing.T) {
	v := open(t, vipps.Options{})
	path := vipps.ReportPath + v.Merchant(1).LedgerID + "/fees/feed"
	for _, c := range []struct {
		query          string
		control, asked int
	}{{"merchant=1&granted=false", 204, 404}, {"merchant=1", 204, 200}, {"merchant=99", 404, 200}, {"merchant=x", 404, 200}} {
		got := send(t, "POST", v.base+"/_sandbox/vipps/grant?"+c.query, nil, "")
		if got.status != c.control || v.get(t, path).status != c.asked {
			t.Errorf("%s: %d", c.query, got.status)
		}
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	read := func(seed uint64) (out string) {
		v := open(t, vipps.Options{Seed: seed, Disputes: true, Twins: true, Drift: true})
		for _, topic := range []string{"funds", "fees"} {
			for n := range 3 {
				out += v.get(t, fmt.Sprintf("%s%s/%s/feed", vipps.ReportPath, v.Merchant(n).LedgerID, topic)).body
			}
		}
		return out + v.get(t, vipps.LedgersPath).body
	}
	if one := read(1); one != read(1) || one == read(2) {
		t.Error("the seed does not decide")
	}
}
