package vipps_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/sandbox"
	"syncer/sandbox/sandboxtest"
	"syncer/sandbox/vipps"
)

// now is a Friday morning in winter.
var now = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

type vendor struct {
	*vipps.Simulator
	*sandboxtest.Host
	client vipps.Client
	bearer string
}

func open(t *testing.T, o vipps.Options) *vendor {
	t.Helper()
	o.Kit = sandboxtest.NewKit(now)
	if o.Days == 0 {
		o.Days = 10
	}
	sim := vipps.New(o)
	return &vendor{Simulator: sim, Host: sandboxtest.Serve(t, o.Kit, vipps.Name, sim.Handler()), client: vipps.DefaultPartner()}
}

var grant = url.Values{"grant_type": {"client_credentials"}}

// specialized asks for a token as an accounting partner.
func (v *vendor) specialized(t *testing.T, id, secret string, form url.Values, headers ...string) sandboxtest.Reply {
	t.Helper()
	return v.Ask(t, vipps.SpecializedTokenPath, id, secret, form, headers...)
}

const subscriptionKey = "Ocp-Apim-Subscription-Key"

func (v *vendor) standard(t *testing.T, id, secret, key string) sandboxtest.Reply {
	t.Helper()
	return v.Do(t, "POST", "/accessToken/get", "", "client_id", id, "client_secret", secret, subscriptionKey, key)
}

// get asks as the accounting partner.
func (v *vendor) get(t *testing.T, path string) sandboxtest.Reply {
	t.Helper()
	if v.bearer == "" {
		v.bearer = "Bearer " + v.specialized(t, v.client.ID, v.client.Secret, grant).Token(t)
	}
	return v.Do(t, "GET", path, "", "Authorization", v.bearer)
}

func TestTokens(t *testing.T) {
	partner, shop := vipps.DefaultPartner(), vipps.DefaultMerchant()
	v := open(t, vipps.Options{})
	for name, c := range map[string]struct {
		got    sandboxtest.Reply
		status int
		holds  string
	}{
		"specialized":                      {v.specialized(t, partner.ID, partner.Secret, grant), 200, `"expires_in":900`},
		"specialized, with a key":          {v.specialized(t, partner.ID, partner.Secret, grant, subscriptionKey, shop.SubscriptionKey), 401, `{"error":"invalid_client"}`},
		"specialized, no grant type":       {v.specialized(t, partner.ID, partner.Secret, nil), 401, `{"error":"invalid_client"}`},
		"specialized, form-urlencoded":     {v.specialized(t, url.QueryEscape(partner.ID), url.QueryEscape(partner.Secret), grant), 401, `{"error":"invalid_client"}`},
		"specialized, a merchant's keys":   {v.specialized(t, shop.ID, shop.Secret, grant), 401, `{"error":"invalid_client"}`},
		"standard":                         {v.standard(t, shop.ID, shop.Secret, shop.SubscriptionKey), 200, `"expires_in":"3600"`},
		"standard, without a key":          {v.standard(t, shop.ID, shop.Secret, ""), 401, "missing subscription key"},
		"standard, with another key":       {v.standard(t, shop.ID, shop.Secret, "x"), 401, "invalid subscription key"},
		"standard, an unknown client":      {v.standard(t, "x", "y", shop.SubscriptionKey), 400, `"error":"unauthorized_client"`},
		"standard, a wrong secret":         {v.standard(t, shop.ID, "y", shop.SubscriptionKey), 401, "AADSTS7000215"},
		"another path":                     {v.Do(t, "POST", "/accesstoken", ""), 404, `"responseInfo"`},
		"numbers as numbers":               {open(t, vipps.Options{NumericTokens: true}).standard(t, shop.ID, shop.Secret, shop.SubscriptionKey), 200, `"expires_in":3600`},
		"an access token as in newer docs": {open(t, vipps.Options{ShortTokens: true, StandardTTL: time.Minute}).standard(t, shop.ID, shop.Secret, shop.SubscriptionKey), 200, `"expires_in":"60"`},
	} {
		if c.got.Status != c.status || !strings.Contains(c.got.Body, c.holds) {
			t.Errorf("%s: %d %s", name, c.got.Status, c.got.Body)
		}
	}
}

// TestAccess: who may read what, and how a refusal looks.
func TestAccess(t *testing.T) {
	v := open(t, vipps.Options{})
	shop := vipps.DefaultMerchant()
	token := v.standard(t, shop.ID, shop.Secret, shop.SubscriptionKey).Token(t)
	as := func(path, key string) sandboxtest.Reply {
		return v.Do(t, "GET", path, "", "Authorization", "Bearer "+token, subscriptionKey, key)
	}
	v.Grant(3, false)
	feed := func(n int) string { return vipps.ReportPath + v.Merchant(n).LedgerID + "/funds/feed" }
	for name, c := range map[string]struct {
		got    sandboxtest.Reply
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
		"no token":                     {v.Do(t, "GET", feed(1), ""), 401, `"responseInfo"`},
		"no Bearer":                    {v.Do(t, "GET", feed(1), "", "Authorization", token), 401, `"responseInfo"`},
	} {
		if c.got.Status != c.status || !strings.Contains(c.got.Body, c.holds) || c.got.Header.Get("Request-Id") == "" {
			t.Errorf("%s: %d %s", name, c.got.Status, c.got.Body)
		}
	}
	v.Kit.ExpireTokens(vipps.Name)
	if got := v.get(t, feed(1)); got.Status != 401 {
		t.Errorf("an expired token: %d", got.Status)
	}
}

// TestProblems: quotas and faults answer in the vendor's own words.
func TestProblems(t *testing.T) {
	v := open(t, vipps.Options{})
	v.get(t, vipps.LedgersPath)
	for status, holds := range map[int]string{429: "Try again in 1 seconds", 423: `"title":"Locked"`, 500: `"contextId"`, 401: `"responseInfo"`, 503: `"traceId"`} {
		undo := v.Rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: status}})
		if got := v.get(t, vipps.LedgersPath); got.Status != status || !strings.Contains(got.Body, holds) {
			t.Errorf("%d: %d %s", status, got.Status, got.Body)
		}
		undo()
	}
	v.Limiter().Set(sandbox.Quota{Calls: 1, Period: time.Minute})
	v.get(t, vipps.LedgersPath)
	if got := v.get(t, vipps.LedgersPath); got.Status != 429 || got.Header.Get("Retry-After") != "60" {
		t.Errorf("%d %v", got.Status, got.Header)
	}
	for _, e := range v.Kit.Journal.Entries() {
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
		v.get(t, vipps.LedgersPath+"?cursor="+url.QueryEscape(cursor)).Decode(t, &answer)
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
		got := v.Do(t, "POST", "/_sandbox/vipps/grant?"+c.query, "")
		if got.Status != c.control || v.get(t, path).Status != c.asked {
			t.Errorf("%s: %d", c.query, got.Status)
		}
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	read := func(seed uint64) (out string) {
		v := open(t, vipps.Options{Seed: seed, Disputes: true, Twins: true, Drift: true})
		for _, topic := range []string{"funds", "fees"} {
			for n := range 3 {
				out += v.get(t, fmt.Sprintf("%s%s/%s/feed", vipps.ReportPath, v.Merchant(n).LedgerID, topic)).Body
			}
		}
		return out + v.get(t, vipps.LedgersPath).Body
	}
	if one := read(1); one != read(1) || one == read(2) {
		t.Error("the seed does not decide")
	}
}
