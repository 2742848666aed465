package fetch_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

const linkBase = "https://api.example/gw/v1"

// asked is the request in whose answer a link stands.
var asked = fetch.Request{
	Path: "c1/accounts/a1/tx", Query: url.Values{"from": {"2026-11-01"}}, Template: "/{consent}/accounts/{account}/tx",
}

var links = []struct {
	link, path, query string
	refused           string // what the reason says; empty: the link is followed
}{
	// RFC 3986 section 5.1: relative to the address that was asked.
	{link: "?page=2", path: "c1/accounts/a1/tx", query: "page=2"},
	{link: "tx?page=2", path: "c1/accounts/a1/tx", query: "page=2"},
	{link: "../a1/tx?page=2", path: "c1/accounts/a1/tx", query: "page=2"},
	{link: "tx/page/2", path: "c1/accounts/a1/tx/page/2"},
	{link: "", path: "c1/accounts/a1/tx", query: "from=2026-11-01"},
	{link: "#top", path: "c1/accounts/a1/tx", query: "from=2026-11-01"},
	{link: "/gw/v1/next", path: "next"},
	{link: "//api.example/gw/v1/next", path: "next"},
	{link: "@evil.example/next", path: "c1/accounts/a1/@evil.example/next"},

	// Byte for byte.
	{link: "?limit=3&after=p;2", path: "c1/accounts/a1/tx", query: "limit=3&after=p;2"},
	{link: "?b=%7E&a=%3b&b=x%2Fy&c=%zz&d", path: "c1/accounts/a1/tx", query: "b=%7E&a=%3b&b=x%2Fy&c=%zz&d"},
	{link: linkBase + "/next/?page=2", path: "next/", query: "page=2"},
	{link: linkBase + "/a/b%2Fc", path: "a/b%2Fc"},
	{link: linkBase + "/a/b;c=%7e", path: "a/b;c=%7e"},
	{link: linkBase + "//twice/", path: "//twice/"},
	{link: linkBase, path: ""},
	{link: linkBase + "?a=b", path: "", query: "a=b"},
	{link: linkBase + "/?a=b", path: "/", query: "a=b"},
	{link: "https://API.example:443/gw/v1/next", path: "next"},

	// Not ours. What such a link says is not repeated.
	{link: "https://api.example@evil.example/gw/v1/next", refused: "it names a user"},
	{link: "https://user:pw@api.example/gw/v1/next", refused: "it names a user"},
	{link: "//evil.example/gw/v1/next", refused: "another host"},
	{link: "https://api.example.evil.example/gw/v1", refused: "another host"},
	{link: "https://evil.example/gw/v1/next", refused: "another host"},
	{link: "https://[::1]/gw/v1/x", refused: "another host"},
	{link: "https://api.example./gw/v1/x", refused: "another host"},
	{link: "https:/gw/v1/x", refused: "another host"},
	{link: "file:///gw/v1/x", refused: "another host"},
	{link: "https:gw/v1/x", refused: "not a URL"},
	{link: "javascript:alert(1)", refused: "not a URL"},
	{link: `https://api.example\@evil.example/gw/v1`, refused: "backslash"},
	{link: " https://api.example/gw/v1/x", refused: "blank"},
	{link: "https://api.example/gw/v1/\r\nHost: evil", refused: "blank"},
	{link: linkBase + "/" + strings.Repeat("x", 1<<20), refused: "too long"},

	// Ours, but by another way. The reason shows where to, with names in the place of ids and without the query.
	{link: "http://api.example/gw/v1/c1/accounts/a1/tx?after=s3cret",
		refused: "another scheme (http://api.example/gw/v1/{consent}/accounts/{account}/tx)"},
	{link: "https://api.example:8443/gw/v1/c1/accounts/a1/tx",
		refused: "another port (https://api.example:8443/gw/v1/{consent}/accounts/{account}/tx)"},
	{link: "/c1/accounts/a1/tx?after=s3cret", refused: "leaves the base path (https://api.example/{consent}/accounts/{account}/tx)"},
	{link: "/internal/c9/accounts/ole/tx", refused: "leaves the base path (https://api.example/internal/{consent}/accounts/{account}/tx)"},
	{link: "/v2/o1e9/14842249091/Per", refused: "leaves the base path (https://api.example/v2/{id}/{id}/{id})"},
	{link: "https://api.example/gw/v1evil", refused: "leaves the base path"},
	{link: "///evil.example/gw/v1", refused: "leaves the base path"},
	{link: "https://api.example/gw/v1/../v2", refused: "leaves the base path"},
	{link: "../../../../v2", refused: "leaves the base path"},
	{link: "/", refused: "leaves the base path"},
	{link: "https://api.example/gw/v1/%2e%2e/v2", refused: "climbs"},
	{link: "/gw/v1/x/%2e%2e%2f%2e%2e%2fv2", refused: "climbs"},
	{link: "https://api.example/gw/v1/..%5cv2", refused: "climbs"},
}

func TestResolve(t *testing.T) {
	c := client(t, options(t, linkBase+"/", fetchtest.NewCallStore()))
	for _, tt := range links {
		got, err := c.Resolve(tt.link, fetch.Follow{From: &asked})
		if tt.refused != "" {
			e := wantClass(t, err, finance.Malformed) // this answer's own fault: the connection is not parked for it
			if !strings.Contains(e.Reason, tt.refused) {
				t.Errorf("%.60q: %s; want %s", tt.link, e.Reason, tt.refused)
			}
			for _, secret := range []string{"evil", "s3cret", "14842249091", "pw", "ole", "Per", "o1e9", "c9"} {
				if strings.Contains(e.Error(), secret) && !strings.Contains(tt.link, "v1evil") {
					t.Errorf("%.60q: the error repeats %s: %v", tt.link, secret, e)
				}
			}
			continue
		}
		if err != nil || got.Path != tt.path || got.RawQuery != tt.query {
			t.Errorf("%.60q: %+v, error %v", tt.link, got, err)
			continue
		}
		again, err := c.Resolve(got.Address, fetch.Follow{From: &asked})
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("%.60q is another link once it was stored as %s: %v %s", tt.link, got.Address, err, diff)
		}
	}
}

func TestAConnectorSaysWhereLinksMayLead(t *testing.T) {
	c := client(t, options(t, linkBase, fetchtest.NewCallStore()))
	only := fetch.Follow{From: &asked, To: func(path, query string) error {
		if path != "c1/accounts/a1/tx" || query != "page=2" {
			return errors.New("it leads to another list")
		}
		return nil
	}}
	if _, err := c.Resolve("?page=2", only); err != nil {
		t.Error(err)
	}
	_, err := c.Resolve("/gw/v1/c1/accounts/a2/tx?page=2", only)
	want := "it leads to another list (https://api.example/gw/v1/{consent}/accounts/{account}/tx)"
	if e := wantClass(t, err, finance.Malformed); !strings.HasSuffix(e.Reason, want) {
		t.Error(e)
	}
}

// A gateway hides its path, or a part of it, and its scheme from the server that writes the links.
func TestLinksAreRewrittenOntoTheBase(t *testing.T) {
	c := client(t, options(t, linkBase, fetchtest.NewCallStore()))
	to := func(path, _ string) error {
		if path != "c1/accounts/a1/tx" {
			return errors.New("it leads to another list")
		}
		return nil
	}
	for link, refused := range map[string]string{
		"https://api.example/gw/v1/c1/accounts/a1/tx?after=p;2":    "",
		"http://api.example/gw/v1/c1/accounts/a1/tx?after=p;2":     "",
		"http://API.example:8080/c1/accounts/a1/tx?after=p;2":      "",
		"/c1/accounts/a1/tx?after=p;2":                             "",
		"/v1/c1/accounts/a1/tx?after=p;2":                          "",
		"?after=p;2":                                               "",
		"http://evil.example/gw/v1/c1/accounts/a1/tx":              "another host",
		"http://api.example@evil.example/c1/accounts/a1/tx":        "a user",
		"ftp://evil.example/c1/accounts/a1/tx":                     "another host",
		"http://api.example/c1/accounts/a2/tx":                     "another list (http://api.example/{consent}/accounts/{account}/tx)",
		"http://api.example/other/v1/c1/accounts/a1/tx":            "another list",
		"http://api.example/gw/v1/%2e%2e/c1/accounts/a1/tx":        "climbs",
		"http://api.example/gw/v1/c1/accounts/a1/%2e%2e%2fa2/t%78": "climbs",
	} {
		got, err := c.Resolve(link, fetch.Follow{From: &asked, To: to, Rewrite: true, Advice: "ask for help"})
		if refused == "" {
			want := fetch.Link{Path: "c1/accounts/a1/tx", RawQuery: "after=p;2", Address: "/gw/v1/c1/accounts/a1/tx?after=p;2"}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", link, err, diff)
			}
			continue
		}
		if e := wantClass(t, err, finance.Malformed); !strings.Contains(e.Reason, refused) || strings.Contains(e.Reason, "help") {
			t.Errorf("%s: %v", link, e)
		}
	}
	for link, advised := range map[string]bool{
		"http://api.example/gw/v1/c1/accounts/a1/tx": true, "/c1/accounts/a1/tx": true, "https://api.example:8080/gw/v1/x": true,
		"https://evil.example/gw/v1/x": false, "/gw/v1/%2e%2e/x": false, "/gw/v1/c1/accounts/a2/tx": false,
	} {
		_, err := c.Resolve(link, fetch.Follow{From: &asked, To: to, Advice: "ask for help"})
		if e := wantClass(t, err, finance.Malformed); strings.HasSuffix(e.Reason, ": ask for help") != advised {
			t.Errorf("%s: %v", link, e)
		}
	}
}

// What is asked for goes out as it stands: a query's bytes, and a slash at the end of a path.
func TestARequestIsSentAsItStands(t *testing.T) {
	var got []string
	p := &provider{handler: func(_ int, _ http.ResponseWriter, r *http.Request) { got = append(got, r.RequestURI) }}
	c := client(t, options(t, served(t, p)+"/v1/", fetchtest.NewCallStore()))
	for _, r := range []fetch.Request{
		{Path: "a/"}, {Path: "/a"}, {Path: ""}, {Path: "/"}, {Path: "a%2Fb;c"},
		{Path: "a", Query: url.Values{"z": {"1"}, "b": {"2;3"}}},
		{Path: "a", RawQuery: "z=1&b=2;3&b=%zz&a=%7e&d"},
		{RawQuery: "a=b"}, {Path: "/", RawQuery: "a=b"},
	} {
		if _, err := c.Do(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"/v1/a/", "/v1/a", "/v1", "/v1/", "/v1/a%2Fb;c", "/v1/a?b=2%3B3&z=1", "/v1/a?z=1&b=2;3&b=%zz&a=%7e&d", "/v1?a=b", "/v1/?a=b",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Whatever Resolve lets through leads to our host and below our path, also by the reading of net/url.
func FuzzResolve(f *testing.F) {
	for _, tt := range links {
		if len(tt.link) < 1000 {
			f.Add(tt.link)
		}
	}
	o := fetch.Options{Connection: fetch.Connection{Name: "x"}, Calls: fetchtest.NewCallStore()}
	o.Driver.Base, _ = url.Parse(linkBase)
	o.Driver.Classify = func(*fetch.Request, *fetch.Answer) fetch.Meaning { return fetch.Meaning{} }
	o.Driver.Connect = func(*fetch.Client) fetch.Connector { return nil }
	c, err := fetch.NewClient(o)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, link string) {
		for _, rewrite := range []bool{false, true} {
			got, err := c.Resolve(link, fetch.Follow{From: &asked, Rewrite: rewrite})
			if err != nil {
				continue
			}
			sent := linkBase
			if got.Path != "" {
				sent += "/" + strings.TrimPrefix(got.Path, "/")
			}
			if got.RawQuery != "" {
				sent += "?" + got.RawQuery
			}
			u, err := url.Parse(sent)
			inside := err == nil && u.Host == "api.example" && u.User == nil && strings.HasPrefix(u.JoinPath().Path, "/gw/v1")
			if stored := "https://api.example" + got.Address; !inside || stored != sent {
				t.Errorf("%q became %+v: %s is sent, %v", link, got, sent, err)
			}
		}
	})
}

// A page's key is made of the bytes that were sent: the same parameters in another order may be another page.
func TestThePageKeyIsMadeOfTheBytesSent(t *testing.T) {
	c, _, _ := leads(t, func(string) string { return "end" })
	keys := map[finance.PageKey]string{}
	for _, query := range []string{"a=1&b=2", "b=2&a=1", "a=1&b=2&c;3", "a=1&b=%32"} {
		pages, err := drain(t, c, fetch.Stream{}, query, func(at fetch.At) (fetch.Step, error) {
			return fetch.Step{Request: fetch.Request{Path: "p", RawQuery: at.Position}, Decode: func(*fetch.Answer) (fetch.Page, error) {
				return fetch.Page{Done: true}, nil
			}}, nil
		})
		if err != nil || len(pages) != 1 {
			t.Fatal(err)
		}
		if twin, ok := keys[pages[0].Key]; ok {
			t.Errorf("%s has the key of %s", query, twin)
		}
		keys[pages[0].Key] = query
	}
}
