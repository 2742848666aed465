package oauthtest

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/finance"
)

// hard are the texts that are sent differently by whoever forgets an encoding, or encodes once too often.
var hard = []string{
	"plain-_.~09azAZ", "a+b", "a/b=", "100%", "%2B", "a:b", "x&y=z", "what?", "two words", " edges ", "blåbær", "日本", "🔑", `"\<>`,
	"+/=%:&? å日🔑",
}

// styles are ours against the server's word for it.
var styles = map[string]struct {
	style  fetch.TokenStyle
	method string
}{
	"escaped Basic": {fetch.BasicEscaped, Basic},
	"form":          {fetch.InParams, Post},
}

func TestHardCredentialsArriveAsTheyAre(t *testing.T) {
	for name, with := range styles {
		for i, text := range hard {
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				c := Client{
					ID: "id " + text, Secret: text + " secret " + text, Method: with.method,
					Scopes: []string{"debt.read", "accounts.read", "unasked"}, Audiences: []string{"https://api.example/debt?v=1&x=å", "other"},
				}
				s := Serve(t, c)
				o, b := options(t, s, ask(s, c, with.style))
				open(t, o, b)
				me, err := b.me(t.Context(), fetch.TokenKey{Audience: c.Audiences[0], Scope: "debt.read accounts.read"})
				if err != nil {
					t.Fatal(err)
				}
				want := Me{Client: c.ID, Scopes: []string{"debt.read", "accounts.read"}, Audiences: c.Audiences[:1]}
				if diff := cmp.Diff(want, me); diff != "" {
					t.Errorf("the token is not the one that was asked for (-want +got):\n%s", diff)
				}
				wantSilence(t, s, b, nil)
			})
		}
	}
}

// A server that decodes Basic takes raw credentials only where decoding changes nothing. fosite, and so Hydra, decodes.
func TestRawBasicIsForPlainCredentialsOnly(t *testing.T) {
	for text, taken := range map[string]bool{
		"plain-_.~09azAZ": true, "a/b=": true, "a:b": true, // the id ends at the first colon, the secret may have more
		"a+b": false, "%2B": false, "100%": false,
	} {
		t.Run(text, func(t *testing.T) {
			c := Client{ID: "id", Secret: "secret " + text, Method: Basic}
			s := Serve(t, c)
			o, b := options(t, s, ask(s, c, fetch.BasicRaw))
			err := open(t, o, b).Probe(t.Context())
			if taken {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantClass(t, err, finance.Fatal)
			wantSilence(t, s, b, err)
		})
	}
}

func TestWrongCredentialsEndAtOnce(t *testing.T) {
	right := Client{ID: "me", Secret: "right+secret/1%", Method: Basic, Scopes: []string{"debt.read"}, Audiences: []string{"here"}}
	with := func(change func(*Client)) Client { c := right; change(&c); return c }
	for name, row := range map[string]struct {
		client Client
		style  fetch.TokenStyle
		key    fetch.TokenKey
		status int
	}{
		"secret":           {client: with(func(c *Client) { c.Secret = "wrong+secret/2%" }), status: 401},
		"id":               {client: with(func(c *Client) { c.ID = "nobody" }), status: 401},
		"style":            {client: right, style: fetch.InParams, status: 401},
		"scope not ours":   {client: right, key: fetch.TokenKey{Scope: "debt.read admin"}, status: 400},
		"audience foreign": {client: right, key: fetch.TokenKey{Audience: "elsewhere"}, status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			s := Serve(t, right)
			o, b := options(t, s, ask(s, row.client, row.style))
			open(t, o, b)
			for range 3 { // the failure is remembered for a moment
				_, err := b.me(t.Context(), row.key)
				wantClass(t, err, finance.Fatal)
				wantSilence(t, s, b, err, row.client.Secret)
			}
			if diff := cmp.Diff([]Arrival{{Path: tokenPath, Grant: "client_credentials", Status: row.status}}, s.Arrivals(tokenPath)); diff != "" {
				t.Errorf("token requests (-want +got):\n%s", diff)
			}
			if n := len(s.Arrivals(apiPath)); n != 0 {
				t.Errorf("%d calls without a token", n)
			}
		})
	}
}

func TestSeveralAudiencesArrive(t *testing.T) {
	c := Client{ID: "me", Secret: "right+secret/1%", Method: Basic, Audiences: []string{"https://a.example/x y", "b+c", "elsewhere"}}
	s := Serve(t, c)
	o, b := options(t, s, func(k fetch.TokenKey) (fetch.TokenRequest, error) {
		r, err := ask(s, c, fetch.BasicEscaped)(k)
		r.Params = url.Values{"audience": c.Audiences[:2]}
		return r, err
	})
	me, err := open(t, o, b).me(t.Context(), fetch.TokenKey{})
	if diff := cmp.Diff(c.Audiences[:2], me.Audiences); diff != "" || err != nil {
		t.Errorf("%v; audiences (-want +got):\n%s", err, diff)
	}
}
