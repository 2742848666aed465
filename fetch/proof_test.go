package fetch_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// leaf is a page of a list as the test's provider shows it.
type leaf struct {
	IDs     []string
	Kind    string // of all of them
	Next    string // empty: the end
	Partial string
	Moved   string
	Broken  int // records that can't be read
	Outside bool
	Status  int // of the answer; 0: 200
}

// book is a provider of such pages, by position. The list begins at page 1.
type book struct {
	pages    map[string]leaf
	asked    []string
	overlaps bool // every page begins with the last record of the one before
}

func (b *book) client(t *testing.T, change func(*fetch.Options)) *fetch.Client {
	p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
		at := strings.TrimPrefix(r.URL.Path, "/p/")
		b.asked = append(b.asked, at)
		if status := b.pages[at].Status; status != 0 {
			w.WriteHeader(status)
		}
		_ = json.NewEncoder(w).Encode(b.pages[at])
	}}
	o := options(t, served(t, p), fetchtest.NewCallStore())
	change(&o)
	return client(t, o)
}

// step reads a book's pages as those of a set; every pass begins with page 1.
func (b *book) step(at fetch.At) (fetch.Step, error) {
	position := at.Position
	if position == "" {
		position = "1"
	}
	st := fetch.Step{
		Request: fetch.Request{Path: "p/" + position, Template: "/p/{position}"},
		First:   position == "1", Afresh: true, Set: "all", Overlaps: b.overlaps,
		End: func(p *fetch.Page) error { p.Next, p.Done = "", true; return nil },
	}
	if !st.First {
		st.Anew = func() string { return "" }
	}
	st.Decode = func(a *fetch.Answer) (fetch.Page, error) {
		var l leaf
		if err := json.Unmarshal(a.Body, &l); err != nil {
			return fetch.Page{}, err
		}
		page := fetch.Page{Next: l.Next, Done: l.Next == "", Partial: l.Partial, Moved: l.Moved, Outside: l.Outside, More: l.Next != ""}
		for _, id := range l.IDs {
			page.Records.Debts = append(page.Records.Debts, finance.Debt{ID: id, Kind: l.Kind})
		}
		for range l.Broken {
			page.Rejects = append(page.Rejects, finance.Reject{Reason: "broken"})
		}
		if page.Done {
			page.Whole = &finance.Whole{}
		}
		return page, nil
	}
	return st, nil
}

func (b *book) read(t *testing.T, s fetch.Stream, from string) (pages []fetch.Page, err error) {
	return drain(t, b.client(t, func(*fetch.Options) {}), s, from, b.step)
}

func TestWhatASetProves(t *testing.T) {
	whole := &finance.Whole{Earlier: []string{"a", "b"}, Paged: true}
	for name, c := range map[string]struct {
		pages map[string]leaf
		from  string
		want  *finance.Whole
	}{
		"read in one go":             {map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"b"}, Next: "3"}, "3": {IDs: []string{"c"}}}, "", whole},
		"of one page":                {map[string]leaf{"1": {IDs: []string{"a", "b"}}}, "", &finance.Whole{}},
		"empty":                      {map[string]leaf{"1": {}}, "", &finance.Whole{}},
		"taken up in the middle":     {map[string]leaf{"2": {IDs: []string{"b"}, Next: "3"}, "3": {IDs: []string{"c"}}}, "2", nil},
		"a record on two pages":      {map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"a", "b"}}}, "", nil},
		"a record twice in one page": {map[string]leaf{"1": {IDs: []string{"a", "a"}, Next: "2"}, "2": {IDs: []string{"b"}}}, "", &finance.Whole{Earlier: []string{"a"}, Paged: true}},
		"a page that says it moved":  {map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"b"}, Moved: "three records, then four"}}, "", nil},
		"a broken record":            {map[string]leaf{"1": {IDs: []string{"a"}, Broken: 1, Next: "2"}, "2": {IDs: []string{"b"}}}, "", nil},
		"a partial page":             {map[string]leaf{"1": {IDs: []string{"a"}, Partial: "one is late", Next: "2"}, "2": {IDs: []string{"b"}}}, "", nil},
		"shown on one page of two":   {map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"b"}, Outside: true}}, "", &finance.Whole{Earlier: []string{"a"}}},
		"the last page once more":    {map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"a"}}}, "", &finance.Whole{Earlier: []string{"a"}, Paged: true}},
		"with another content":       {map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"a"}, Kind: "other"}}, "", nil},
		"the last page again":        {map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"a"}, Next: "3"}}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := &book{pages: c.pages}
			pages, err := b.read(t, fetch.Stream{}, c.from)
			if err != nil {
				t.Fatal(err)
			}
			last := pages[len(pages)-1]
			if diff := cmp.Diff(c.want, last.Whole); diff != "" || !last.Done {
				t.Errorf("done %t: %s", last.Done, diff)
			}
			if name == "the last page again" && last.Partial == "" {
				t.Error("it says that there is more and repeats itself, and nothing is said to be missing")
			}
		})
	}
}

func TestARecordAskedForOnceMoreIsNoSignOfMovement(t *testing.T) {
	b := &book{overlaps: true, pages: map[string]leaf{
		"1": {IDs: []string{"a", "b"}, Next: "2"}, "2": {IDs: []string{"b"}, Next: "3"}, "3": {IDs: []string{"b", "c"}},
	}}
	pages, err := b.read(t, fetch.Stream{}, "")
	if err != nil || len(pages) != 3 || pages[2].Whole == nil {
		t.Errorf("%d pages, %v: %+v", len(pages), err, pages)
	}
	b.pages["3"] = leaf{IDs: []string{"b", "a"}}
	pages, err = b.read(t, fetch.Stream{}, "")
	if err != nil || len(pages) != 3 || pages[2].Whole != nil {
		t.Errorf("another one on two pages: %d pages, %v: %+v", len(pages), err, pages)
	}
}

func TestEmptyPagesInARow(t *testing.T) {
	for n, good := range map[int]bool{20: true, 21: false} {
		b := &book{pages: map[string]leaf{}}
		for i := 1; i <= n; i++ {
			b.pages[strconv.Itoa(i)] = leaf{Next: strconv.Itoa(i + 1)}
		}
		b.pages[strconv.Itoa(n+1)] = leaf{IDs: []string{"a"}}
		pages, err := b.read(t, fetch.Stream{}, "")
		if good && (err != nil || len(pages) != n+1) || !good && (fetch.ClassOf(err) != finance.Malformed || len(pages) != 20) {
			t.Errorf("%d empty pages: %d pages were given, %v", n, len(pages), err)
		}
		if good {
			continue
		}
		rest, err := b.read(t, fetch.Stream{}, pages[len(pages)-1].Next)
		if err != nil || len(rest) != 2 {
			t.Errorf("the next pass goes on behind them: %d pages, %v", len(rest), err)
		}
	}
}

func TestAPassIsBounded(t *testing.T) {
	b := &book{pages: map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"b"}, Next: "3"}, "3": {IDs: []string{"c"}}}}
	for name, change := range map[string]func(*fetch.Options){
		"limits.pass_bytes": func(o *fetch.Options) { o.PassBytes = 100 },
		"limits.pass_hours": func(o *fetch.Options) { o.PassTime = 1 },
	} {
		c := b.client(t, change)
		pages, err := drain(t, c, fetch.Stream{}, "", b.step)
		if e := wantClass(t, err, finance.Transient); !strings.Contains(e.Reason, name) || len(pages) == 0 {
			t.Errorf("%d pages, %v", len(pages), err)
		}
		for n := 0; err != nil; n++ { // each night goes on where the last one stopped
			var more []fetch.Page
			more, err = drain(t, c, fetch.Stream{}, pages[len(pages)-1].Next, b.step)
			if len(more) == 0 || n > 3 {
				t.Fatal("the pass makes no progress:", err)
			}
			pages = append(pages, more...)
		}
	}
}

func TestAPlaceThatTheProviderHasForgotten(t *testing.T) {
	for status, again := range map[int]bool{400: true, 404: true, 410: true, 422: true, 403: false, 409: false} {
		b := &book{pages: map[string]leaf{
			"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"b"}}, "old": {Status: status},
		}}
		pages, err := b.read(t, fetch.Stream{}, "old")
		if (err == nil) != again || again && (len(pages) != 2 || pages[1].Whole == nil) {
			t.Errorf("%d: asked for %q, %d pages, %v", status, b.asked, len(pages), err)
		}
	}
	b := &book{pages: map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {Status: 404}}}
	if pages, err := b.read(t, fetch.Stream{}, ""); err == nil || len(pages) != 1 || len(b.asked) != 2 {
		t.Errorf("a place of this very pass: asked for %q, %v", b.asked, err)
	}
	b.asked = nil
	if _, err := b.read(t, fetch.Stream{}, "2"); err == nil || len(b.asked) != 3 {
		t.Errorf("one that is always forgotten: asked for %q, %v", b.asked, err)
	}
}

// has is what is stored: these ids.
type has string

func (h has) Stored(_ context.Context, r *finance.Records) (bool, error) {
	for i := range r.Debts {
		if !strings.Contains(string(h), r.Debts[i].ID) {
			return false, nil
		}
	}
	return true, nil
}

func (h has) Quarantined(context.Context, []finance.Hash) (map[finance.Hash]finance.Met, error) {
	return nil, nil
}

func (h has) Others(context.Context, finance.Extent, []string) (bool, error) { return false, nil }

func TestAPassThatAnEarlierRunBegan(t *testing.T) {
	b := &book{pages: map[string]leaf{
		"1": {IDs: []string{"new", "a"}, Next: "2"}, "2": {IDs: []string{"b", "c"}, Next: "3"}, "3": {IDs: []string{"d", "e"}},
	}}
	for name, c := range map[string]struct {
		stream fetch.Stream
		from   string
		asked  string
		whole  bool
	}{
		"its first pages, up to what is known": {fetch.Stream{Stale: true, Rows: has("abcde")}, "3", "3 1 2", false},
		"all of them, where nothing is known":  {fetch.Stream{Stale: true}, "3", "3 1 2 3", true},
		"of this run: no second look":          {fetch.Stream{Rows: has("abcde")}, "3", "3", false},
		"at its beginning":                     {fetch.Stream{Stale: true, Rows: has("abcde")}, "", "1 2 3", true},
	} {
		b.asked = nil
		pages, err := b.read(t, c.stream, c.from)
		if err != nil {
			t.Fatal(name, err)
		}
		last := pages[len(pages)-1]
		if asked := strings.Join(b.asked, " "); asked != c.asked || (last.Whole != nil) != c.whole || !last.Done || last.Next != "" {
			t.Errorf("%s: asked for %s, want %s; whole %v, done %t at %q", name, asked, c.asked, last.Whole, last.Done, last.Next)
		}
		for _, p := range pages[:len(pages)-1] {
			if p.Done {
				t.Errorf("%s: a page before the last ends the pass", name)
			}
		}
	}
}

// Where a pass ends because of what it has shown before, the same bytes do not say so by themselves: remembered as an end,
// a first page would be passed over as the only one, night after night.
func TestAnEndThatTheBytesDoNotTellIsNotRemembered(t *testing.T) {
	b := &book{pages: map[string]leaf{
		"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"b"}, Next: "3"}, "3": {IDs: []string{"c"}},
	}}
	circle := &book{pages: map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"b"}, Next: "1"}}}
	moved := &book{pages: map[string]leaf{"1": {IDs: []string{"c"}, Next: "2"}, "3": {IDs: []string{"c"}}}}
	again := &book{pages: map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"a"}, Next: "3"}}}
	for name, c := range map[string]struct {
		book   *book
		stream fetch.Stream
		from   string
		plain  string // for each page
	}{
		"an end of the list's own":      {b, fetch.Stream{}, "", "yes yes yes"},
		"first pages that are known":    {b, fetch.Stream{Stale: true, Rows: has("abc")}, "3", "no no"},
		"first pages read a moment ago": {moved, fetch.Stream{Stale: true, Rows: has("")}, "3", "no no"},
		"a circle":                      {circle, fetch.Stream{}, "", "yes yes no"},
		"a page with nothing but known": {again, fetch.Stream{}, "", "yes no"},
	} {
		pages, err := c.book.read(t, c.stream, c.from)
		if err != nil {
			t.Fatal(name, err)
		}
		var plain []string
		for _, p := range pages {
			p.Partial, p.Whole = "", nil
			plain = append(plain, map[bool]string{true: "yes", false: "no"}[p.Plain()])
		}
		if got := strings.Join(plain, " "); got != c.plain {
			t.Errorf("%s: plain %s, want %s", name, got, c.plain)
		}
	}
}

// Some passes begin with a look for the person, or with a page that happens to be empty. It brings nothing new, and says
// nothing of the pages behind it.
func TestTheFirstPagesBehindAnEmptyOne(t *testing.T) {
	b := &book{pages: map[string]leaf{
		"1": {Next: "2"}, "2": {IDs: []string{"new", "a"}, Next: "3"}, "3": {IDs: []string{"b"}, Next: "4"}, "4": {IDs: []string{"c"}},
	}}
	pages, err := b.read(t, fetch.Stream{Stale: true, Rows: has("abc")}, "4")
	if asked := strings.Join(b.asked, " "); err != nil || asked != "4 1 2 3" || !pages[len(pages)-1].Done {
		t.Errorf("asked for %s, %v", asked, err)
	}
}

// A page that is passed over leads to the place it led to last time, which the provider may have forgotten.
func TestAPlaceThatAnOldPageLeadsTo(t *testing.T) {
	b := &book{pages: map[string]leaf{"1": {IDs: []string{"a"}, Next: "old"}, "old": {IDs: []string{"b"}}}}
	plain := func(at fetch.At) (fetch.Step, error) {
		st, err := b.step(at)
		st.Set = ""
		return st, err
	}
	c := b.client(t, func(*fetch.Options) {})
	first, err := drain(t, c, fetch.Stream{}, "", plain)
	if err != nil {
		t.Fatal(err)
	}
	s := fetch.Stream{Kept: func(key finance.PageKey) (finance.Kept, bool) {
		facts := finance.Facts{Next: "old", Records: 1}
		return finance.Kept{Body: first[0].Answer.Hash, Facts: facts}, key == first[0].Key
	}}
	b.pages["old"] = leaf{Status: 410}
	b.asked = nil
	if _, err := drain(t, c, s, "", plain); err == nil || strings.Join(b.asked, " ") != "1 old 1 old" {
		t.Errorf("asked for %q, %v", b.asked, err)
	}
}

// A pause inside of a call lets a list that is paged by number move as well: its set is not proven.
func TestAPauseWithinACallCostsTheProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for shifts, proven := range map[bool]bool{true: false, false: true} {
			pipe := fetchtest.NewPipe()
			paused := false
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				at := strings.TrimPrefix(r.URL.Path, "/p/")
				if at == "2" && !paused {
					paused = true
					w.Header().Set("Retry-After", "6")
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]leaf{"1": {IDs: []string{"a"}, Next: "2"}, "2": {IDs: []string{"b"}}}[at])
			})}
			go func() { _ = server.Serve(pipe) }()
			o := options(t, "http://bank.example", fetchtest.NewCallStore())
			o.Dial = pipe.Dial
			pages, err := drain(t, client(t, o), fetch.Stream{}, "", func(at fetch.At) (fetch.Step, error) {
				st, err := new(book).step(at)
				st.Shifts = shifts
				return st, err
			})
			if err != nil || len(pages) != 2 || (pages[1].Whole != nil) != proven {
				t.Errorf("paged by number %t: %d pages, %v", shifts, len(pages), err)
			}
			_ = server.Close()
			synctest.Wait()
		}
	})
}
