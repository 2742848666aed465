package fetch_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// follow reads pages whose body is the next position; "end" ends the pass.
func follow(tail bool, decode func(*fetch.Answer) (fetch.Page, error)) func(fetch.At) (fetch.Step, error) {
	if decode == nil {
		decode = func(a *fetch.Answer) (fetch.Page, error) {
			next := string(a.Body)
			return fetch.Page{Next: next, Done: next == "end", Seen: 1}, nil
		}
	}
	return func(at fetch.At) (fetch.Step, error) {
		return fetch.Step{
			Request: fetch.Request{Path: "p/" + at.Position, Template: "/p/{position}"}, Version: "1", Tail: tail, Decode: decode,
		}, nil
	}
}

// leads makes a provider whose pages lead from one position to the next.
func leads(t *testing.T, next func(from string) string) (*fetch.Client, *provider, *fetchtest.CallStore) {
	p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, next(strings.TrimPrefix(r.URL.Path, "/p/")))
	}}
	l := fetchtest.NewCallStore()
	o := options(t, served(t, p), l)
	o.MaxPages = 1200
	return client(t, o), p, l
}

func drain(t *testing.T, c *fetch.Client, s fetch.Stream, from string, step func(fetch.At) (fetch.Step, error)) (pages []fetch.Page, err error) {
	for p, e := range c.Walk(t.Context(), s, from, step) {
		if e != nil {
			return pages, e
		}
		pages = append(pages, p)
	}
	return pages, nil
}

func TestWalkEnds(t *testing.T) {
	tests := []struct {
		name  string
		next  func(string) string
		tail  bool
		pages int
		want  finance.Class
	}{
		{"three pages", func(s string) string { return map[string]string{"a": "b", "b": "c", "c": "end"}[s] }, false, 3, finance.OK},
		{"a to a", func(string) string { return "a" }, false, 0, finance.Malformed},
		{"a to a at a tail", func(string) string { return "a" }, true, 1, finance.OK},
		{"a to b to a", func(s string) string { return map[string]string{"a": "b", "b": "a"}[s] }, false, 1, finance.Malformed},
		{"a to b to a at a tail", func(s string) string { return map[string]string{"a": "b", "b": "a"}[s] }, true, 1, finance.Malformed},
		{"a circle of 1000", func(s string) string { n, _ := strconv.Atoi(s); return strconv.Itoa((n + 1) % 1000) }, false, 1000, finance.Malformed},
		{"no end", func(s string) string { return s[:min(1, len(s))] + strconv.Itoa(len(s)) + s }, false, 0, finance.Malformed},
	}
	tests[6].next = func(s string) string { n, _ := strconv.Atoi(s); return strconv.Itoa(n + 1) }
	tests[6].pages = 1200
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, p, l := leads(t, tt.next)
			pages, err := drain(t, c, fetch.Stream{}, "a", follow(tt.tail, nil))
			if tt.want == finance.OK {
				if err != nil || !pages[len(pages)-1].Done {
					t.Errorf("%v, or the last page is not the end", err)
				}
			} else {
				wantClass(t, err, tt.want)
			}
			if len(pages) != tt.pages {
				t.Errorf("%d pages, want %d", len(pages), tt.pages)
			}
			opening := 0
			for _, ask := range l.Asks() {
				if ask.Opening {
					opening++
				}
			}
			if opening != 1 {
				t.Errorf("%d openings in one pass", opening)
			}
			if n := len(p.journal()); n != len(pages)+len(l.Calls()) {
				t.Errorf("%d calls made, %d pages and %d records of calls", n, len(pages), len(l.Calls()))
			}
		})
	}
}

func TestADecoderThatFailsFailsItsPassOnly(t *testing.T) {
	for name, decode := range map[string]func(*fetch.Answer) (fetch.Page, error){
		"error": func(*fetch.Answer) (fetch.Page, error) { return fetch.Page{}, errors.New("record 14842249091 is odd") },
		"panic": func(*fetch.Answer) (fetch.Page, error) { panic("14842249091") },
		"runtime panic": func(a *fetch.Answer) (fetch.Page, error) {
			return fetch.Page{Next: string(a.Body[100])}, nil
		},
	} {
		c, _, l := leads(t, func(string) string { return "b" })
		_, err := drain(t, c, fetch.Stream{}, "a", follow(false, decode))
		e := wantClass(t, err, finance.Malformed)
		if !strings.Contains(e.Error(), "/p/{position}") || strings.Contains(e.Error(), "14842249091") {
			t.Errorf("%s: %v", name, e)
		}
		if calls := l.Calls(); len(calls) != 1 || calls[0].Class != finance.Malformed || calls[0].ID != e.Call {
			t.Errorf("%s: recorded %+v", name, calls)
		}
	}
}

func TestAPositionThatCantBeReadMakesNoCall(t *testing.T) {
	c, p, _ := leads(t, func(string) string { return "b" })
	_, err := drain(t, c, fetch.Stream{}, "2999", func(fetch.At) (fetch.Step, error) {
		return fetch.Step{}, errors.New("the cursor lies in the future")
	})
	if wantClass(t, err, finance.Malformed); len(p.journal()) != 0 {
		t.Error("a call was made")
	}
}

func TestKnownBytesAreNotDecoded(t *testing.T) {
	next := map[string]string{"a": "b", "b": "end"}
	c, _, _ := leads(t, func(s string) string { return next[s] })
	first, err := drain(t, c, fetch.Stream{}, "a", follow(false, nil))
	if err != nil {
		t.Fatal(err)
	}
	kept := map[finance.PageKey]finance.Kept{}
	for _, p := range first {
		sum := sha256.Sum256(p.Answer.Body)
		kept[p.Key] = finance.Kept{Body: finance.Hash(sum[:16]), Facts: finance.Facts{Next: p.Next, Done: p.Done, Records: 3}}
	}
	if len(kept) != 2 {
		t.Fatalf("%d keys for two pages", len(kept))
	}
	s := fetch.Stream{Kept: func(k finance.PageKey) (finance.Kept, bool) { v, ok := kept[k]; return v, ok }}
	walk := func(from string, change func(*fetch.Step)) (unchanged []bool) {
		pages, err := drain(t, c, s, from, func(at fetch.At) (fetch.Step, error) {
			st, err := follow(false, nil)(at)
			change(&st)
			return st, err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pages {
			unchanged = append(unchanged, p.Unchanged)
			if p.Unchanged && p.Kept.Facts.Records != 3 {
				t.Error("the kept page is missing")
			}
		}
		return unchanged
	}
	check := func(name string, got []bool, want ...bool) {
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	check("same bytes", walk("a", func(*fetch.Step) {}), true, true)
	check("another decoder", walk("a", func(st *fetch.Step) { st.Version = "2" }), false, false)
	check("pages of one set", walk("a", func(st *fetch.Step) { st.Set = "s" }), false, false)
	check("a set of one page", walk("b", func(st *fetch.Step) { st.Set = "s" }), true)
	for k, v := range kept { // facts that lead nowhere
		v.Facts.Next, v.Facts.Done = "", false
		kept[k] = v
	}
	check("unusable facts", walk("a", func(*fetch.Step) {}), false, false)
}
