package vipps

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/finance"
)

func headers(r *http.Request, names ...string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		if v := r.Header.Get(name); v != "" {
			out[name] = v
		}
	}
	return out
}

var ours = []string{"Client_id", "Client_secret", subscriptionHeader, msnHeader, "Vipps-System-Name", "Vipps-System-Version",
	"Vipps-System-Plugin-Name", "Vipps-System-Plugin-Version", "Content-Type"}

// TestStandardFlow: the keys stand in headers, the body is empty, and all calls say whose they are.
func TestStandardFlow(t *testing.T) {
	s := &script{answers: []answer{page(caughtUp), page(caughtUp)}}
	play(t, s, settings(func(s *Settings) {
		s.TokenFlow, s.MerchantSerialNumber, s.SystemVersion = standard, "700009", "1.2"
		s.PluginName, s.PluginVersion = "nightly", "7"
	})).mustRead(t, stream("410001"), "")
	system := map[string]string{"Vipps-System-Name": "syncer", "Vipps-System-Version": "1.2", "Vipps-System-Plugin-Name": "nightly", "Vipps-System-Plugin-Version": "7"}
	want := map[string]string{"Client_id": "the id", "Client_secret": "s3cr+t/secret==", subscriptionHeader: "subscription-0123", msnHeader: "700009"}
	for k, v := range system {
		want[k] = v
	}
	token := s.asked[0]
	if diff := cmp.Diff(want, headers(token, ours...)); diff != "" || token.Method != http.MethodPost || token.URL.Path != "/accesstoken/get" || s.bodies[0] != "" {
		t.Errorf("%s %s, body %q: %s", token.Method, token.URL.Path, s.bodies[0], diff)
	}
	delete(want, "Client_id")
	delete(want, "Client_secret")
	want[msnHeader] = "700001" // the consent's own
	want["Authorization"] = "Bearer tok"
	for _, r := range s.asked[1:] {
		if diff := cmp.Diff(want, headers(r, append(ours, "Authorization")...)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestSpecializedFlow: Basic with the raw id and secret, a form, and no key of a sales unit anywhere.
func TestSpecializedFlow(t *testing.T) {
	s := &script{answers: []answer{page(caughtUp), page(caughtUp)}, token: `{"access_token":"tok","token_type":"Bearer","expires_in":900}`}
	play(t, s, settings(func(s *Settings) { s.MerchantSerialNumber = "700009" })).mustRead(t, stream("410001"), "")
	token := s.asked[0]
	id, secret, _ := token.BasicAuth()
	if id != "the id" || secret != "s3cr+t/secret==" || token.URL.Path != "/miami/v1/token" || s.bodies[0] != "grant_type=client_credentials" {
		t.Errorf("%s: %q %q, body %q", token.URL.Path, id, secret, s.bodies[0])
	}
	want := map[string]string{"Vipps-System-Name": "syncer", "Content-Type": "application/x-www-form-urlencoded"}
	if diff := cmp.Diff(want, headers(token, ours...)); diff != "" {
		t.Error(diff)
	}
	delete(want, "Content-Type")
	for _, r := range s.asked[1:] {
		if diff := cmp.Diff(want, headers(r, ours...)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTokenAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		class  finance.Class
		id     string
	}{
		"numbers as strings":  {200, `{"token_type":"Bearer","expires_in":"3599","ext_expires_in":"3599","expires_on":"1767261600","access_token":"t"}`, "", ""},
		"numbers":             {200, `{"token_type":"Bearer","expires_in":3599,"expires_on":1767261600,"access_token":"t"}`, "", ""},
		"a token and no more": {200, `{"access_token":"t"}`, "", ""},
		"no subscription key": {401, `{"statusCode":401,"message":"Access denied due to missing subscription key."}`, finance.Fatal, ""},
		"an unknown client":   {400, `{"error":"unauthorized_client","trace_id":"t-1","correlation_id":"c-1"}`, finance.Fatal, "c-1"},
		"a wrong secret":      {401, `{"error":"invalid_client","trace_id":"t-1"}`, finance.Fatal, "t-1"},
	} {
		s := &script{status: c.status, token: c.body, answers: []answer{page(caughtUp), page(caughtUp)}}
		_, err := play(t, s, settings(func(s *Settings) { s.TokenFlow = standard })).read(t, stream("410001"), "")
		failure, _ := errors.AsType[*fetch.Error](err)
		switch {
		case c.class == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.class != "" && (failure == nil || failure.Class != c.class || failure.Correlation != c.id):
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr+t") {
			t.Errorf("%s: the secret stands in %v", name, err)
		}
	}
}

func TestConnectionsThatCantWork(t *testing.T) {
	key := fetch.NewSecret("secret")
	for want, c := range map[string]struct {
		change func(*Settings)
		env    string
		keys   map[string]fetch.Secret
	}{
		"":                                {nil, "test", map[string]fetch.Secret{"client_id": key, "client_secret": key}},
		`token_flow "basic" is not known`: {func(s *Settings) { s.TokenFlow = "basic" }, "", nil},
		`read_by "" is not known`:         {func(s *Settings) { s.ReadBy = "" }, "", nil},
		"is not a number":                 {func(s *Settings) { s.MerchantSerialNumber = "api:1" }, "", nil},
		"at most 30 plain characters":     {func(s *Settings) { s.SystemName = strings.Repeat("x", 31) }, "", nil},
		"want at most 30":                 {func(s *Settings) { s.PluginName = "a\nb" }, "", nil},
		`environment "demo" is not known`: {nil, "demo", nil},
		"client_id and client_secret":     {nil, "", map[string]fetch.Secret{"client_id": key}},
		"refuses a subscription_key":      {nil, "", map[string]fetch.Secret{"client_id": key, "client_secret": key, "subscription_key": key}},
		"needs a subscription_key":        {func(s *Settings) { s.TokenFlow = standard }, "", map[string]fetch.Secret{"client_id": key, "client_secret": key}},
	} {
		set := settings(c.change)
		_, err := Provider().Open(fetch.Connection{Name: "v", Environment: c.env, Credentials: c.keys, Settings: &set})
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "connection v")) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	if _, err := Provider().Open(fetch.Connection{Name: "v", Settings: &struct{}{}}); err == nil {
		t.Error("another provider's settings were taken")
	}
}

func TestAddresses(t *testing.T) {
	keys := map[string]fetch.Secret{"client_id": fetch.NewSecret("i"), "client_secret": fetch.NewSecret("s")}
	for _, c := range []struct{ env, base, auth, path, api, token string }{
		{"", "", "", "", "https://api.vipps.no", "https://api.vipps.no/miami/v1/token"},
		{"test", "", "", "", "https://apitest.vipps.no", "https://apitest.vipps.no/miami/v1/token"},
		{"prod", "http://127.0.0.1:1/x/", "", "", "http://127.0.0.1:1/x", "http://127.0.0.1:1/x/miami/v1/token"},
		{"prod", "", "http://127.0.0.1:2/", "/authentication/v1/token", "https://api.vipps.no", "http://127.0.0.1:2/authentication/v1/token"},
	} {
		set := settings(func(s *Settings) { s.TokenPath = c.path })
		driver, err := Provider().Open(fetch.Connection{Name: "v", Environment: c.env, BaseURL: c.base, AuthURL: c.auth, Credentials: keys, Settings: &set})
		if err != nil {
			t.Fatal(err)
		}
		token, err := driver.Token(fetch.TokenKey{})
		if err != nil || driver.Base.String() != c.api || token.URL != c.token {
			t.Errorf("%+v: %s, %s, %v", c, driver.Base, token.URL, err)
		}
	}
}

func TestRecipients(t *testing.T) {
	for id, want := range map[string]string{
		"700001": "api:700001", "api:700001": "api:700001", "NO:57860": "NO:57860", "DK:90000": "DK:90000", "2070010": "api:2070010",
		"": "", "api:": "", ":1": "", "api:x": "", "13896698662": "", "api:13896698662": "", "a b:1": "", "1:2": "",
	} {
		got, err := recipient(&finance.Consent{ExternalID: id})
		if got != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "13896698662") {
			t.Errorf("%q: %q, %v", id, got, err)
		}
	}
}

func TestOtherDatasetsAreRefused(t *testing.T) {
	s := stream("")
	s.Dataset = finance.Debts
	if pages, err := play(t, &script{}, settings(nil)).read(t, s, ""); len(pages) > 0 || fetch.ClassOf(err) != finance.Rejected {
		t.Error(err)
	}
}
