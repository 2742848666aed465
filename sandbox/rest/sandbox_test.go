package rest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"syncer/sandbox"
	"syncer/sandbox/rest"
	"syncer/sandbox/sandboxtest"
)

var start = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// host is a simulator, reached as a client would.
type host struct{ *sandboxtest.Host }

func mount(t *testing.T, kit *sandbox.Kit, h http.Handler) host {
	t.Helper()
	return host{sandboxtest.Serve(t, kit, "it", h)}
}

type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func (r reply) code() string {
	if list, ok := r.body["tppMessages"].([]any); ok {
		return list[0].(map[string]any)["code"].(string)
	}
	if e, ok := r.body["error"].(map[string]any); ok {
		return e["code"].(string)
	}
	if text, ok := r.body["error"].(string); ok {
		return text
	}
	return ""
}

func (h host) do(t *testing.T, method, path, body string, header map[string]string) reply {
	t.Helper()
	var pairs []string
	for name, value := range header {
		pairs = append(pairs, name, value)
	}
	got := h.Do(t, method, path, body, pairs...)
	r := reply{status: got.Status, header: got.Header}
	if got.Body != "" {
		got.Decode(t, &r.body)
	}
	return r
}

func (h host) bankToken(t *testing.T) string {
	t.Helper()
	c := rest.BankClient()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"aisp"}}
	return "Bearer " + h.Ask(t, "/oauth2/token", url.QueryEscape(c.ID), url.QueryEscape(c.Secret), form).Token(t)
}

func (h host) collectorToken(t *testing.T) string {
	t.Helper()
	c := rest.CollectorClient()
	return "Bearer " + h.Ask(t, "/connect/token", "", "", url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret},
		"audience": {"claims-api"}, "scope": {"claims.read"}}).Token(t)
}

func TestTheBankRefuses(t *testing.T) {
	kit := sandboxtest.NewKit(start)
	bank := rest.NewBank(rest.BankOptions{Kit: kit})
	h := mount(t, kit, bank.Handler())
	token, consent := h.bankToken(t), bank.Consent(0).ID
	good := func(change map[string]string) map[string]string {
		m := map[string]string{"Authorization": token, "X-Request-ID": "r-1", "Consent-ID": consent}
		for k, v := range change {
			m[k] = v
		}
		return m
	}
	accounts := h.do(t, "GET", "/psd2/v1/accounts?withBalance=true", "", good(nil))
	if accounts.status != 200 || accounts.header.Get("X-Request-ID") != "r-1" {
		t.Fatalf("%d %v", accounts.status, accounts.body)
	}
	account := accounts.body["accounts"].([]any)[0].(map[string]any)["resourceId"].(string)
	list := "/psd2/v1/accounts/" + account + "/transactions?bookingStatus=both&dateFrom="
	bank.Revoke(bank.Consent(1).ID)
	for _, c := range []struct {
		path   string
		header map[string]string
		status int
		code   string
	}{
		{"/psd2/v1/ping", good(map[string]string{"Consent-ID": ""}), 200, ""},
		{"/psd2/v1/accounts", good(map[string]string{"Authorization": ""}), 401, "TOKEN_UNKNOWN"},
		{"/psd2/v1/accounts", good(map[string]string{"X-Request-ID": ""}), 400, "FORMAT_ERROR"},
		{"/psd2/v1/accounts", good(map[string]string{"Consent-ID": "x"}), 403, "CONSENT_UNKNOWN"},
		{"/psd2/v1/accounts", good(map[string]string{"Consent-ID": bank.Consent(1).ID}), 401, "CONSENT_INVALID"},
		{list + "2026-08-23&dateTo=2026-11-20", good(nil), 200, ""},
		{list + "2026-08-22&dateTo=2026-11-20", good(nil), 400, "PERIOD_INVALID"},
		{list + "2026-08-22", good(nil), 400, "FORMAT_ERROR"},
		{list + "2026-11-01&dateTo=2026-11-20", good(map[string]string{"Consent-ID": bank.Consent(2).ID}), 404, "RESOURCE_UNKNOWN"},
		{"/other", good(nil), 404, "RESOURCE_UNKNOWN"},
	} {
		if r := h.do(t, "GET", c.path, "", c.header); r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %v", c.path, r.status, r.body)
		}
	}
	kit.Clock.Advance(20 * time.Minute)
	if r := h.do(t, "GET", "/psd2/v1/accounts", "", good(nil)); r.code() != "TOKEN_EXPIRED" {
		t.Errorf("an old token: %d %v", r.status, r.body)
	}
	kit.Clock.Advance(100 * 24 * time.Hour)
	token = h.bankToken(t)
	if r := h.do(t, "GET", "/psd2/v1/accounts", "", good(nil)); r.code() != "CONSENT_EXPIRED" {
		t.Errorf("an old consent: %d %v", r.status, r.body)
	}
}

func TestTheBanksPages(t *testing.T) {
	kit := sandboxtest.NewKit(start)
	bank := rest.NewBank(rest.BankOptions{Kit: kit, PageSize: 10})
	h := mount(t, kit, bank.Handler())
	header := map[string]string{"Authorization": h.bankToken(t), "X-Request-ID": "r", "Consent-ID": bank.Consent(0).ID}
	account := h.do(t, "GET", "/psd2/v1/accounts", "", header).body["accounts"].([]any)[0].(map[string]any)["resourceId"].(string)
	var days []string
	pending, pages := 0, 0
	for next := "/psd2/v1/accounts/" + account + "/transactions?bookingStatus=both&dateFrom=2026-10-20&dateTo=2026-11-20"; next != ""; pages++ {
		r := h.do(t, "GET", next, "", header)
		in := r.body["transactions"].(map[string]any)
		for _, row := range in["booked"].([]any) {
			days = append(days, row.(map[string]any)["bookingDate"].(string))
		}
		if list, there := in["pending"].([]any); there != (pages == 0) {
			t.Errorf("page %d: pending is there: %t", pages, there)
		} else {
			pending += len(list)
		}
		next = ""
		if _, link, ok := strings.Cut(r.header.Get("Link"), `, <`); ok {
			next, _, _ = strings.Cut(link, ">")
		}
	}
	if pages < 3 || len(days) < 21 || !slices.IsSortedFunc(days, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("%d pages, %d rows, pending %d, days %v", pages, len(days), pending, days)
	}
}

func TestTheCollectorRefuses(t *testing.T) {
	kit := sandboxtest.NewKit(start)
	c := rest.NewCollector(rest.CollectorOptions{Kit: kit, Closed: 4})
	h := mount(t, kit, c.Handler())
	if r := h.do(t, "POST", "/connect/token", "grant_type=client_credentials&client_id=x&client_secret=y", nil); r.status != 400 || r.code() != "invalid_client" {
		t.Errorf("wrong credentials: %d %v", r.status, r.body)
	}
	token, person := h.collectorToken(t), c.Consent(0)
	good := func(change map[string]string) map[string]string {
		m := map[string]string{"Authorization": token, "X-Api-Key": rest.CollectorKey(), "X-Debtor": person.NationalID}
		for k, v := range change {
			m[k] = v
		}
		return m
	}
	claims := "/v2/mandates/" + person.ID + "/claims?limit=500&offset=0"
	c.Revoke(c.Consent(1).ID)
	for _, x := range []struct {
		path   string
		header map[string]string
		status int
		code   string
	}{
		{claims, good(nil), 200, ""},
		{claims, good(map[string]string{"X-Api-Key": ""}), 403, "api_key_invalid"},
		{claims, good(map[string]string{"Authorization": "Bearer x"}), 401, "token_expired"},
		{claims, good(map[string]string{"X-Debtor": c.Consent(3).NationalID}), 403, "debtor_mismatch"},
		{"/v2/mandates/" + person.ID + "/claims", good(nil), 400, "bad_request"},
		{claims, good(nil), 200, "register_closed"}, // the fourth data call
		{"/v2/mandates/" + person.ID, good(nil), 200, ""},
		{"/v2/mandates/x", good(nil), 404, "mandate_unknown"},
		{"/v2/mandates/" + c.Consent(1).ID, good(nil), 403, "mandate_withdrawn"},
		{"/v2/else", good(nil), 404, "not_found"},
	} {
		if r := h.do(t, "GET", x.path, "", x.header); r.status != x.status || r.code() != x.code || x.code != "api_key_invalid" && r.header.Get("X-Nordvik-Request") == "" {
			t.Errorf("%s: %d %v", x.path, r.status, r.body)
		}
	}
	kit.Clock.Advance(300 * 24 * time.Hour)
	token = h.collectorToken(t)
	if r := h.do(t, "GET", claims, "", good(nil)); r.code() != "mandate_expired" {
		t.Errorf("an old mandate: %d %v", r.status, r.body)
	}
}

func TestAnswersFollowTheSeed(t *testing.T) {
	answer := func(seed uint64) any {
		kit := sandboxtest.NewKit(start)
		c := rest.NewCollector(rest.CollectorOptions{Kit: kit, Seed: seed})
		h := mount(t, kit, c.Handler())
		one := c.Consent(0)
		r := h.do(t, "GET", "/v2/mandates/"+one.ID+"/claims?limit=50&offset=0", "", map[string]string{
			"Authorization": h.collectorToken(t), "X-Api-Key": rest.CollectorKey(), "X-Debtor": one.NationalID})
		text, err := json.Marshal(r.body["claims"])
		if err != nil || len(text) < 20 {
			t.Fatal(r.status, r.body, err)
		}
		return string(text)
	}
	if answer(1) != answer(1) || answer(1) == answer(2) {
		t.Error("the same seed is the same world, and another one is another")
	}
}

func TestControls(t *testing.T) {
	kit := sandboxtest.NewKit(start)
	c := rest.NewCollector(rest.CollectorOptions{Kit: kit, Consents: 3})
	h := mount(t, kit, c.Handler())
	if r := h.Do(t, "GET", "/_sandbox/nordvik/consents", ""); strings.Count(r.Body, "\n") != 4 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	for _, want := range []int{204, 404} {
		if r := h.Do(t, "POST", "/_sandbox/nordvik/revoke?consent="+c.Consent(2).ID, ""); r.Status != want {
			t.Errorf("revoke: %d, want %d", r.Status, want)
		}
	}
}
