package rest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// linked is a description whose transactions are paged by links.
const linked = `title: Linked
base_url: https://api.example/gw/v1
token: { dialect: none }
check: { path: ping }
datasets:
  accounts:
    request: { path: "{consent}/accounts" }
    records: accounts
    fields: { id: id, currency: cur }
  transactions:
    request: { path: "PATH" }
    records: rows
    pagination: PAGES
    fields: { id: id, amount: a, currency: c, booked_on: d }
`

// linkServer leads from its first answer to wherever a test wants, and ends with its second.
type linkServer struct {
	link   string
	header bool
	host   string
	asked  []string
}

func (l *linkServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.asked, l.host = append(l.asked, r.RequestURI), r.Host
	if len(l.asked) > 1 {
		_, _ = io.WriteString(w, `{"rows":[]}`)
		return
	}
	link := strings.ReplaceAll(l.link, "HOST", r.Host)
	if l.header {
		w.Header().Set("Link", "<"+link+`>; rel="next"`)
		link = ""
	}
	fmt.Fprintf(w, `{"rows":[{"id":"1","a":"1.00","c":"NOK","d":"2026-11-20"}],"next":%q}`, link)
}

// ofAccount is the stream of one account of a consent.
func ofAccount(account string, subject finance.Subject) fetch.Stream {
	s := stream()
	consent := *s.Task.Consent
	consent.Subject = subject
	s.Task.Consent = &consent
	s.Dataset, s.Account = finance.Transactions, account
	return s
}

func TestWhereNextLinksMayLead(t *testing.T) {
	const byLink, byHeader = "{ next_link: { path: next } }", "{ link_header: {} }"
	const perAccount = "{consent}/accounts/{account}/tx"
	const tx = "/gw/v1/c-1/accounts/a1/tx"
	person := fetchtest.Subject("14842249091")
	for name, c := range map[string]struct {
		pages, path, link string
		account           string // default a1
		unknown           bool   // the consent names no person
		asked             string // the second call; empty: it is refused
		refused           string
	}{
		"a query alone":             {pages: byLink, link: "?page=2", asked: tx + "?page=2"},
		"a query alone in a header": {pages: byHeader, link: "?page=2", asked: tx + "?page=2"},
		"relative to the list":      {pages: byLink, link: "tx?page=2", asked: tx + "?page=2"},
		"a semicolon":               {pages: byLink, link: tx + "?limit=3&after=p;2", asked: tx + "?limit=3&after=p;2"},
		"order, twins and escapes":  {pages: byHeader, link: tx + "?b=%7e&a=%3B&b=x%2Fy&d", asked: tx + "?b=%7e&a=%3B&b=x%2Fy&d"},
		"a slash at the end":        {pages: byLink, link: tx + "/?page=2", asked: tx + "/?page=2"},
		"asked with a slash":        {pages: byLink, path: perAccount + "/", link: "?page=2", asked: tx + "/?page=2"},
		"a page below":              {pages: byLink, link: tx + "/page/2", asked: tx + "/page/2"},
		"other escapes":             {pages: byLink, account: "a:1", link: "/gw/v1/c-1/accounts/a%3A1/tx?p=2", asked: "/gw/v1/c-1/accounts/a%3A1/tx?p=2"},
		"an account's number":       {pages: byLink, account: "29868099311", link: "/gw/v1/c-1/accounts/29868099311/tx?p=2", asked: "/gw/v1/c-1/accounts/29868099311/tx?p=2"},
		"an account's number, nobody known": {pages: byLink, account: "29868099311", unknown: true,
			link: "/gw/v1/c-1/accounts/29868099311/tx?p=2", asked: "/gw/v1/c-1/accounts/29868099311/tx?p=2"},
		"the person's number": {pages: byLink, link: tx + "?who=148422-49091", refused: "holds the person's national identity number"},

		"another account":             {pages: byLink, link: "/gw/v1/c-1/accounts/a2/tx?page=2", refused: "another account or consent than the one asked for (http://HOST/gw/v1/{consent}/accounts/{account}/tx)"},
		"another account, relative":   {pages: byLink, link: "../a2/tx?page=2", refused: "another account or consent"},
		"another account, elsewhere":  {pages: byLink, link: "/gw/v1/c-1/accounts/a2/pages/2", refused: "another account or consent"},
		"another consent":             {pages: byLink, link: "/gw/v1/c-2/accounts/a1/tx?page=2", refused: "another account or consent"},
		"another list":                {pages: byLink, link: "/gw/v1/c-1/accounts/a1/cards?page=2", refused: "another list than the one asked for (http://HOST/gw/v1/{consent}/accounts/{account}/cards)"},
		"the list above":              {pages: byLink, link: "/gw/v1/c-1/accounts?page=2", refused: "another list"},
		"another account, by a query": {pages: byLink, path: `tx", query: { acc: "{account}" }, method: "GET`, link: "/gw/v1/tx?p=2&acc=a2", refused: "another account or consent"},
		"its account, by a query":     {pages: byLink, path: `tx", query: { acc: "{account}" }, method: "GET`, link: "/gw/v1/tx?p=2&acc=%61%31", asked: "/gw/v1/tx?p=2&acc=%61%31"},

		"another place that is described":    {pages: `{ next_link: { path: next, leads_to: "pages/{consent}" } }`, link: "/gw/v1/pages/c-1/77", asked: "/gw/v1/pages/c-1/77"},
		"the base, described":                {pages: `{ link_header: { leads_to: / } }`, link: "/gw/v1?_getpages=77", asked: "/gw/v1?_getpages=77"},
		"anywhere, but of this account":      {pages: `{ link_header: { leads_to: / } }`, link: "/gw/v1/c-1/accounts/a2/more/77", refused: "another account or consent"},
		"anywhere, but of this consent":      {pages: `{ link_header: { leads_to: / } }`, link: "/gw/v1/c-2/accounts/a1/tx", refused: "another account or consent"},
		"a place for this consent":           {pages: `{ link_header: { leads_to: "pages/{consent}" } }`, link: "/gw/v1/pages/c-2/77", refused: "another list"},
		"a described word before an account": {pages: `{ link_header: { leads_to: "{consent}/accounts/pages" } }`, link: "/gw/v1/c-1/accounts/pages/77", asked: "/gw/v1/c-1/accounts/pages/77"},

		"another scheme": {pages: byLink, link: "https://HOST" + tx + "?page=2",
			refused: "another scheme (https://HOST/gw/v1/{consent}/accounts/{account}/tx): if the API's links are always so, say rewrite: true"},
		"without the gateway's path": {pages: byHeader, link: "/c-1/accounts/a1/tx?page=2",
			refused: "leaves the base path (http://HOST/{consent}/accounts/{account}/tx): if the API's links are always so, say rewrite: true"},
		"another host":                            {pages: byLink, link: "https://evil.example" + tx + "?page=2", refused: "another host"},
		"another scheme, rewritten":               {pages: `{ next_link: { path: next, rewrite: true } }`, link: "https://HOST" + tx + "?after=p;2", asked: tx + "?after=p;2"},
		"another port, rewritten":                 {pages: `{ next_link: { path: next, rewrite: true } }`, link: "http://127.0.0.1:1" + tx + "?page=2", asked: tx + "?page=2"},
		"without the gateway's path, rewritten":   {pages: `{ link_header: { rewrite: true } }`, link: "/c-1/accounts/a1/tx?page=2", asked: tx + "?page=2"},
		"with half of it, rewritten":              {pages: `{ link_header: { rewrite: true } }`, link: "http://HOST/v1/c-1/accounts/a1/tx?page=2", asked: tx + "?page=2"},
		"another host is never rewritten":         {pages: `{ link_header: { rewrite: true } }`, link: "http://evil.example" + tx, refused: "another host"},
		"rewritten, but of this account":          {pages: `{ link_header: { rewrite: true } }`, link: "/c-1/accounts/a2/tx", refused: "another account or consent"},
		"rewritten, with leads_to, of this place": {pages: `{ link_header: { rewrite: true, leads_to: "pages/{consent}" } }`, link: "/pages/c-1/77", asked: "/gw/v1/pages/c-1/77"},
	} {
		text := strings.Replace(strings.Replace(linked, "PAGES", c.pages, 1), "PATH", orDefault(c.path, perAccount), 1)
		server := &linkServer{link: c.link, header: strings.Contains(c.pages, "link_header")}
		subject := person
		if c.unknown {
			subject = finance.Subject{}
		}
		client := described(t, text, server)
		s := ofAccount(orDefault(c.account, "a1"), subject)
		pages, err := client.Read(t.Context(), s, "")
		if c.refused != "" {
			e, ok := err.(*fetch.Error)
			if !ok || e.Class != finance.Malformed || !strings.Contains(e.Reason, strings.ReplaceAll(c.refused, "HOST", server.host)) || len(server.asked) != 1 {
				t.Errorf("%s: %d calls, %v; want %q", name, len(server.asked), err, c.refused)
			}
			if ok && (e.Call.IsZero() || e.Status != 200) {
				t.Errorf("%s: the error names no call: %+v", name, e)
			}
			for _, secret := range []string{"evil", "c-2", "a2", "page=", "14842249091"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s: the error shows %s: %v", name, secret, err)
				}
			}
			continue
		}
		if err != nil || len(pages) != 2 || len(server.asked) != 2 || server.asked[1] != c.asked {
			t.Errorf("%s: asked %q, want %s; %v", name, server.asked, c.asked, err)
			continue
		}
		// The next process takes the link from the cursor.
		if _, err := client.Read(t.Context(), s, pages[0].Next); err != nil || server.asked[2] != c.asked {
			t.Errorf("%s, resumed: asked %q, want %s; %v", name, server.asked, c.asked, err)
		}
	}
}

func orDefault(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func TestTargetsOfLinksAreChecked(t *testing.T) {
	for targets, want := range map[string]string{
		"https://api.example/x": "a path is below base_url",
		`"pages?x={consent}"`:   "parameters go to query",
		`"x/{subject}"`:         "leads_to has {consent} and {account} only, not {subject}",
		`"x/{account}"`:         "leads_to names {account}, and the request does not",
		`"x/{consent"`:          "a { without a }",
		"../x":                  "a path does not climb",
	} {
		text := changed(t, `    records: rows`, "    pagination: { next_link: { path: next, leads_to: ["+targets+"] } }\n    records: rows")
		if _, err := Parse([]byte(text), "x.yaml"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", targets, err, want)
		}
	}
}

// A slash at the end is part of an address: of a token endpoint, of the check and of a request.
func TestSlashesAtTheEndAreSent(t *testing.T) {
	var asked []string
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.RequestURI)
		if strings.HasPrefix(r.RequestURI, "/oauth") {
			_, _ = io.WriteString(w, `{"access_token":"t"}`)
			return
		}
		_, _ = io.WriteString(w, `{"rows":[]}`)
	})
	text := strings.NewReplacer("{ dialect: none }", "{ dialect: in_params, url: 'https://a.example/oauth/token/' }",
		"{ path: ping }", "{ path: /ping/ }", `claims/{consent}`, `claims/{consent}/`).Replace(minimal)
	client := described(t, text, server)
	if _, err := client.Read(t.Context(), stream(), ""); err != nil {
		t.Fatal(err)
	}
	if err := client.Connector().Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/oauth/token/", "/v1/claims/c-1/", "/v1/ping/"}, asked); diff != "" {
		t.Error(diff)
	}
	for auth, want := range map[string]string{
		"": "https://a.example/oauth/token/", "http://127.0.0.1:1/": "http://127.0.0.1:1/oauth/token/", "http://127.0.0.1:1/t/": "http://127.0.0.1:1/t/",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "api.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Provider().Open(fetch.Connection{
			Name: "c", Dir: dir, AuthURL: auth, Credentials: fetchtest.Credentials("id", "secret"), Settings: &Settings{Description: "api.yaml"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if token, err := d.Token(fetch.TokenKey{}); err != nil || token.URL != want {
			t.Errorf("%s: %s, %v", auth, token.URL, err)
		}
	}
}

// A record that is added behind a full page changes nothing of that page but its Link header.
func TestALinkHeaderIsPartOfThePage(t *testing.T) {
	l := &listServer{n: 2, size: 2}
	l.odd = func(answer map[string]any, _ http.Header, _ int) {
		for _, told := range []string{"total", "pages", "more", "page"} {
			delete(answer, told)
		}
	}
	client := described(t, paged("{ link_header: {} }"), l)
	s := stream()
	first := client.MustRead(t, s, "")
	s.Kept = func(key finance.PageKey) (finance.Kept, bool) {
		for _, p := range first {
			if p.Key == key {
				return finance.Kept{Body: p.Answer.Hash, Facts: finance.Facts{Next: p.Next, Done: p.Done, Records: 2}}, true
			}
		}
		return finance.Kept{}, false
	}
	if again := client.MustRead(t, s, ""); len(again) != 1 || !again[0].Unchanged {
		t.Errorf("the same page again: %+v", again)
	}
	l.n = 3
	if more := client.MustRead(t, s, ""); len(more) != 2 || len(idsOf(more)) != 3 {
		t.Errorf("a third record: %d pages with %v", len(more), idsOf(more))
	}
}
