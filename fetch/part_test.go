package fetch_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// A Content-Range that tells of more than is shown, or that can't be understood, makes an answer a part.
func TestWhatAContentRangeTells(t *testing.T) {
	for values, whole := range map[string]bool{
		"":                               true,
		"bytes 0-9/10":                   true,
		"bytes=0-9/10":                   true,
		"bytes 1-9/9":                    false,
		"items 0-7/8":                    true,
		"items 1-8/8":                    true,
		"items 1-7/8":                    false,
		"items 2-8/8":                    false,
		"items 0-6/8":                    false,
		"0-7/8":                          true,
		"1-7/8":                          false,
		"items 0-24/3":                   true,
		"items 0-7/*":                    true,
		"items 5-7/*":                    false,
		"items */8":                      false,
		"*/8":                            false,
		"items */0":                      true,
		"bytes */0":                      true,
		"*/*":                            true,
		"items=0-0/3":                    false,
		"items 0-0 / 3":                  false,
		"items  0-0/3":                   false,
		"items  0 - 2 / 3":               true,
		"items 0-3/8, items":             false,
		"items 0-7/8, items":             false,
		"items 0-7/8, ":                  true,
		"bytes 0-9/10|items 0-0/3":       false,
		"items 0-0/3|bytes 0-9/10":       false,
		"bytes 0-9/10|items 0-2/3":       true,
		"items 0-2/3, items 0-3/4":       false,
		"items 0-2/3|Items 0-2/3":        true,
		"items":                          false,
		"items 0-7":                      false,
		"items 7-0/8":                    false,
		"items 0-7/eight":                false,
		"items 0-99999999999999999999/3": false,
	} {
		a := fetch.Answer{Status: http.StatusOK, Header: http.Header{}}
		for value := range strings.SplitSeq(values, "|") {
			a.Header.Add("Content-Range", value)
		}
		if got := a.Unfinished() == ""; got != whole {
			t.Errorf("%q: whole %t, want %t", values, got, whole)
		}
	}
}

// The parts of a list prove it only where together they show all of it, from the first record to the last.
func TestPartsThatProveAList(t *testing.T) {
	for _, c := range []struct {
		ranges string // of the pages; none: without a Content-Range
		whole  bool
	}{
		{"none none", true},
		{"0-3/8 4-7/8", true},
		{"1-4/8 5-8/8", true},
		{"0-3/8 3-7/8", true},
		{"0-3/* 4-7/*", true},
		{"0-3/* 4-7/8", true},
		{"1-4/8 5-7/8", false},
		{"0-3/8 5-7/8", false},
		{"none 5-7/8", false},
		{"none 4-7/8", false},
		{"0-3/8 none", false},
		{"4-7/8 none", false},
		{"*/8 none", false},
		{"*/8 0-3/4", false},
		{"4-7/8 0-3/8", false},
		{"0-3/9 4-7/8", false},
		{"0-3/8 4-7/9", false},
		{"odd 4-7/8", false},
		{"0-3/8 odd", false},
	} {
		ranges := strings.Fields(c.ranges)
		p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
			n := strings.Index("ab", strings.TrimPrefix(r.URL.Path, "/p/"))
			if ranges[n] != "none" {
				w.Header().Set("Content-Range", "items "+ranges[n])
			}
			fmt.Fprint(w, []string{"b", "end"}[n])
		}}
		decode := func(a *fetch.Answer) (fetch.Page, error) {
			next := string(a.Body)
			page := fetch.Page{Next: next, Done: next == "end"}
			for i := range 5 {
				page.Records.Debts = append(page.Records.Debts, finance.Debt{ID: fmt.Sprint(next, i)})
			}
			if page.Done {
				page.Whole = &finance.Whole{}
			}
			return page, nil
		}
		step := func(at fetch.At) (fetch.Step, error) {
			st, err := follow(false, decode)(at)
			st.First, st.Set, st.Parts = at.Position == "a", "all", true
			return st, err
		}
		o := options(t, served(t, p), fetchtest.NewCallStore())
		pages, err := drain(t, client(t, o), fetch.Stream{}, "a", step)
		if err != nil || len(pages) != 2 {
			t.Errorf("%s: %d pages, %v", c.ranges, len(pages), err)
			continue
		}
		if got := pages[1]; (got.Whole != nil) != c.whole || (got.Partial == "") != c.whole {
			t.Errorf("%s: whole %t, partial %q", c.ranges, got.Whole != nil, got.Partial)
		}
	}
}
