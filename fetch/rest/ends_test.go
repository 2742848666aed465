package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// pagesOf answers with page n of a list of five records, two a page, and what tell adds to it.
type pagesOf struct {
	tell  func(page int, answer map[string]any, h http.Header)
	again bool
	calls int
}

func (p *pagesOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.calls++
	number := func(name string) int { n, _ := strconv.Atoi(r.URL.Query().Get(name)); return n }
	n := max(number("page"), number("after"), (number("offset")+3)/2)
	rows := []map[string]any{}
	shown := n
	if p.again {
		shown = min(n, 3)
	}
	for i := shown*2 - 1; i <= min(5, shown*2); i++ {
		rows = append(rows, map[string]any{"id": strconv.Itoa(i)})
	}
	answer := map[string]any{"rows": rows}
	if p.tell != nil {
		p.tell(n, answer, w.Header())
	}
	if code, ok := answer["status"].(int); ok {
		w.WriteHeader(code)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func TestEveryEndIsAnEnd(t *testing.T) {
	// next is the member that leads on, last what stands there on page 3.
	next := func(member string, last any) func(int, map[string]any, http.Header) {
		return func(n int, a map[string]any, _ http.Header) {
			if n < 3 {
				a[member] = n + 1
			} else if last != "absent" {
				a[member] = last
			}
		}
	}
	more := func(yes, no any) func(int, map[string]any, http.Header) {
		return func(n int, a map[string]any, _ http.Header) {
			a["next"] = n + 1
			if n < 3 {
				a["more"] = yes
			} else if no != "absent" {
				a["more"] = no
			}
		}
	}
	set := func(member string, value any, pages int) func(int, map[string]any, http.Header) {
		return func(n int, a map[string]any, _ http.Header) {
			if n <= pages {
				a[member] = value
			}
		}
	}
	gone := func(n int, a map[string]any, _ http.Header) {
		if n > 3 {
			a["status"] = 404
		}
	}
	link := func(last string) func(int, map[string]any, http.Header) {
		return func(n int, a map[string]any, _ http.Header) {
			a["link"] = last
			if n < 3 {
				a["link"] = "/v1/claims/c-1?page=" + strconv.Itoa(n+1)
			}
		}
	}
	const cursor = "cursor: { path: next, parameter: after"
	for _, c := range []struct {
		name, pagination string
		server           pagesOf
		calls            int
	}{
		{"a cursor: null", cursor + " }", pagesOf{tell: next("next", nil)}, 3},
		{"a cursor: absent", cursor + " }", pagesOf{tell: next("next", "absent")}, 3},
		{"a cursor: empty", cursor + " }", pagesOf{tell: next("next", "")}, 3},
		{"a cursor: false", cursor + " }", pagesOf{tell: next("next", false)}, 3},
		{"a cursor: 0", cursor + " }", pagesOf{tell: next("next", 0)}, 3},
		{"a cursor: a word", cursor + ", ends: [none, end] }", pagesOf{tell: next("next", "end")}, 3},
		{"a cursor: the same", cursor + " }", pagesOf{tell: next("next", 3)}, 3},
		{"a cursor: the same on an empty last page", cursor + " }", pagesOf{tell: func(n int, a map[string]any, _ http.Header) { a["next"] = min(n+1, 4) }}, 4},
		{"has_more: false", cursor + ", has_more: more }", pagesOf{tell: more(true, false)}, 3},
		{"has_more: absent", cursor + ", has_more: more }", pagesOf{tell: more(true, "absent")}, 3},
		{"has_more: null", cursor + ", has_more: more }", pagesOf{tell: more(true, nil)}, 3},
		{"has_more: 1 and 0", cursor + ", has_more: more }", pagesOf{tell: more(1, 0)}, 3},
		{"has_more: Y and N", cursor + ", has_more: more }", pagesOf{tell: more("Y", "N")}, 3},
		{"has_more of pages: absent", "page: { parameter: page, has_more: more }", pagesOf{tell: more(true, "absent")}, 3},
		{"has_more of offsets: null", "offset: { parameter: offset, has_more: more }", pagesOf{tell: more("yes", nil)}, 3},
		{"a link: has_more beside one on every page", "next_link: { path: link, has_more: more }", pagesOf{tell: func(n int, a map[string]any, h http.Header) {
			link("/v1/claims/c-1?page=4")(n, a, h)
			a["more"] = n < 3
		}}, 3},
		{"a link: to its own page", "next_link: { path: link }", pagesOf{tell: link("/v1/claims/c-1?page=3")}, 3},
		{"a link: a word", "next_link: { path: link, ends: none }", pagesOf{tell: link("none")}, 3},
		{"a link: empty", "next_link: { path: link }", pagesOf{tell: link("")}, 3},
		{"total on every page", "page: { parameter: page, total: total }", pagesOf{tell: set("total", 5, 9)}, 3},
		{"total on the first page", "page: { parameter: page, total: total }", pagesOf{tell: set("total", 5, 1)}, 3},
		{"total as 5.0", "page: { parameter: page, total: total }", pagesOf{tell: set("total", json.RawMessage("5.0"), 9)}, 3},
		{"total as a text", "offset: { parameter: offset, total: total }", pagesOf{tell: set("total", "5", 1)}, 3},
		{"total never told", "offset: { parameter: offset, total: total }", pagesOf{}, 4},
		{"pages on the first page", "page: { parameter: page, pages: pages }", pagesOf{tell: set("pages", 3, 1)}, 3},
		{"the last page's number", "page: { parameter: page, last_page: last }", pagesOf{tell: set("last", 3, 9)}, 3},
		{"an empty page", "page: { parameter: page }", pagesOf{}, 4},
		{"404 behind the last page", "page: { parameter: page, beyond: 404 }", pagesOf{tell: gone}, 4},
		{"404 behind the last record", "offset: { parameter: offset, beyond: [404, 416] }", pagesOf{tell: gone}, 4},
		{"the last page again", "page: { parameter: page }", pagesOf{again: true}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := described(t, paged("{ "+c.pagination+" }"), &c.server).Read(t.Context(), stream(), "")
			if err != nil {
				t.Fatal(err)
			}
			last := got[len(got)-1]
			if diff := cmp.Diff([]string{"1", "2", "3", "4", "5"}, idsOf(got)[:5]); diff != "" || c.server.calls != c.calls {
				t.Errorf("%d calls, want %d: %s", c.server.calls, c.calls, diff)
			}
			if !last.Done || last.Partial != "" || last.Whole == nil || !last.Whole.Paged {
				t.Errorf("done %t, partial %q, whole %+v", last.Done, last.Partial, last.Whole)
			}
		})
	}
}

func TestPagesThatCountFromZero(t *testing.T) {
	zero := func(n int, a map[string]any, _ http.Header) { a["last"] = 2 }
	server := &pagesOf{tell: zero}
	shifted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		server.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("/?page=%d", n+1), nil))
	})
	text := paged("{ page: { parameter: page, first: 0, last_page: last } }")
	got, err := described(t, text, shifted).Read(t.Context(), stream(), "")
	if err != nil || len(idsOf(got)) != 5 || got[len(got)-1].Whole == nil {
		t.Errorf("%v, %v", idsOf(got), err)
	}
}

// stored is what is stored of a stream: these ids.
type stored []string

func (k stored) Stored(_ context.Context, r *finance.Records) (bool, error) {
	for i := range r.Debts {
		if !strings.Contains(strings.Join(k, " ")+" ", r.Debts[i].ID+" ") {
			return false, nil
		}
	}
	return true, nil
}

func (k stored) Quarantined(context.Context, []finance.Hash) (map[finance.Hash]finance.Met, error) {
	return nil, nil
}

func (k stored) Others(_ context.Context, _ finance.Extent, ids []string) (bool, error) {
	for _, id := range k {
		if !strings.Contains(strings.Join(ids, " ")+" ", id+" ") {
			return true, nil
		}
	}
	return false, nil
}

func TestAMemberThatMovedIsALack(t *testing.T) {
	const told = "does not say whether there is more"
	five := stored{"1", "2", "3", "4", "5"}
	for _, c := range []struct {
		name, pagination, from string
		rows                   fetch.Rows
		tell                   func(n int, a map[string]any, h http.Header)
		partial                string
	}{
		{"where the end was always null", "next_link: { path: next }", `{"v":1,"told":"null","full":2}`, nil, nil, told},
		{"where the end was absent before", "next_link: { path: next }", `{"v":1,"told":"absent","full":2}`, nil, nil, ""},
		{"a full page, and known records are missing", "cursor: { path: next, parameter: after }", "", five, nil, told},
		{"the same of has_more beside a cursor", "cursor: { path: next, parameter: after, has_more: more }", "", five, nil, told},
		{"the same of has_more beside a link", "next_link: { path: next, has_more: more }", "", five, nil, told},
		{"has_more absent from a page that is not full", "cursor: { path: next, parameter: after, has_more: more }", `{"v":1,"told":"absent","full":3}`, five, nil, ""},
		{"the same of has_more", "page: { parameter: page, has_more: more }", "", five, nil, told},
		{"a full page, and nothing is missing", "cursor: { path: next, parameter: after }", "", stored{"1", "2"}, nil, ""},
		{"a page that is not full", "cursor: { path: next, parameter: after }", `{"v":1,"told":"absent","full":3}`, five, nil, ""},
		{"an unreadable Link header", "link_header: {}", "", nil, func(_ int, _ map[string]any, h http.Header) { h.Set("Link", "next=2") }, told},
		{"no Link header", "link_header: {}", "", five, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stream()
			s.Rows = c.rows
			got, err := described(t, paged("{ "+c.pagination+" }"), &pagesOf{tell: c.tell}).Read(t.Context(), s, c.from)
			if err != nil {
				t.Fatal(err)
			}
			last := got[len(got)-1]
			if !strings.Contains(last.Partial, c.partial) || (last.Partial == "") != (c.partial == "") || (last.Whole == nil) != (c.partial != "") {
				t.Errorf("partial %q, whole %v", last.Partial, last.Whole)
			}
		})
	}
}

// A member that an answer had tonight, be it another consent's, has not moved.
func TestAMemberThatWasSeenTonightHasNotMoved(t *testing.T) {
	c := described(t, paged("{ cursor: { path: next, parameter: after } }"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") == "2" {
			fmt.Fprint(w, `{"rows":[{"id":"3"}],"next":null}`)
		} else if strings.Contains(r.URL.Path, "c-1") {
			fmt.Fprint(w, `{"rows":[{"id":"1"},{"id":"2"}],"next":"2"}`)
		} else {
			fmt.Fprint(w, `{"rows":[{"id":"1"},{"id":"2"}]}`)
		}
	}))
	first, second := stream(), stream()
	other := *second.Task.Consent
	other.ExternalID = "c-2"
	second.Task.Consent = &other
	second.Rows = stored{"1", "2", "3"}
	if _, err := c.Read(t.Context(), first, ""); err != nil {
		t.Fatal(err)
	}
	got, err := c.Read(t.Context(), second, "")
	if err != nil || got[0].Partial != "" || got[0].Whole == nil || got[0].Whole.Paged {
		t.Errorf("%+v, %v", got, err)
	}
}

// A stored link that may not be followed any more, such as after a change of base_url, costs the list's first pages once
// more, and not the item every night.
func TestAStoredLinkThatIsRefusedBeginsTheListAnew(t *testing.T) {
	server := &pagesOf{tell: func(n int, a map[string]any, _ http.Header) {
		if n < 3 {
			a["link"] = "/v1/claims/c-1?page=" + strconv.Itoa(n+1)
		}
	}}
	for _, link := range []string{"/v0/claims/c-1?page=2", "/v1/others/c-1?page=2", "https://evil.example/v1/claims/c-1"} {
		c := described(t, paged("{ next_link: { path: link } }"), server)
		from := `{"v":1,"pass":{"link":"` + link + `"}}`
		got, err := c.Read(t.Context(), stream(), from)
		if err != nil {
			t.Errorf("%s: %v", link, err)
			continue
		}
		if diff := cmp.Diff([]string{"1", "2", "3", "4", "5"}, idsOf(got)); diff != "" || !got[len(got)-1].Done {
			t.Errorf("%s: %s", link, diff)
		}
		if n := strings.Count(c.Log.String(), "the list is read from its beginning once more"); n != 1 {
			t.Errorf("%s: said %d times", link, n)
		}
	}
}

func TestHowAListEndsIsRemembered(t *testing.T) {
	for last, want := range map[any]string{
		nil:      `{"v":1,"told":"null","full":2}`,
		"absent": `{"v":1,"told":"absent","full":2}`,
	} {
		server := &pagesOf{tell: func(n int, a map[string]any, _ http.Header) {
			if n < 3 {
				a["next"] = n + 1
			} else if last != "absent" {
				a["next"] = last
			}
		}}
		c := described(t, paged("{ cursor: { path: next, parameter: after } }"), server)
		got, err := c.Read(t.Context(), stream(), "")
		if err != nil || got[len(got)-1].Next != want {
			t.Fatal(got[len(got)-1].Next, err)
		}
		again, err := c.Read(t.Context(), stream(), want)
		if err != nil || again[0].Key != got[0].Key {
			t.Errorf("with it a page is another one: %v", err)
		}
	}
}

func TestAListThatIsNotShown(t *testing.T) {
	const lists = "records: [ { path: loans }, { path: cards, OPTION } ]"
	description := func(option, more string) string {
		text := strings.Replace(minimal, "records: rows", strings.Replace(lists, "OPTION", option, 1)+more+"\n    whole: true", 1)
		if text == minimal {
			t.Fatal("the description has no records: rows")
		}
		return text
	}
	for _, c := range []struct {
		name, text, body string
		rows             stored
		whole            bool
		partial          bool
	}{
		{"optional, absent, nothing known", description("optional: true", ""), `{"loans":[{"id":"1"}]}`, stored{"1"}, false, false},
		{"optional, absent, others known", description("optional: true", ""), `{"loans":[{"id":"1"}]}`, stored{"1", "2"}, false, true},
		{"optional, null, others known", description("optional: true", ""), `{"loans":[{"id":"1"}],"cards":null}`, stored{"1", "2"}, false, true},
		{"optional and there", description("optional: true", ""), `{"loans":[{"id":"1"}],"cards":[]}`, stored{"1", "2"}, true, false},
		{"empty: absent, in an answer that echoes", description("empty: absent", "\n    echoes: { of: \"{consent}\" }"), `{"of":"c-1","loans":[{"id":"1"}]}`, stored{"1", "2"}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stream()
			s.Rows = c.rows
			got, err := described(t, c.text, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.body) })).Read(t.Context(), s, "")
			if err != nil {
				t.Fatal(err)
			}
			if p := got[0]; (p.Whole != nil) != c.whole || (p.Partial != "") != c.partial {
				t.Errorf("whole %v, partial %q", p.Whole, p.Partial)
			}
		})
	}
	if _, err := Parse([]byte(description("empty: absent", "")), "x.yaml"); err == nil || !strings.Contains(err.Error(), "subject, its echoes or its total") {
		t.Errorf("empty: absent without a proof: %v", err)
	}
}

// A page that is passed over as unchanged has shown its records all the same: the page behind it does not miss them.
func TestAPagePassedOverIsNotMissing(t *testing.T) {
	second := []map[string]any{{"id": "3"}, {"id": "4"}}
	text := strings.Replace(paged("{ cursor: { path: next, parameter: after } }"), "\n    whole: true", "", 1)
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]any{"rows": []map[string]any{{"id": "1"}, {"id": "2"}}, "next": "2"}
		if r.URL.Query().Get("after") != "" {
			answer = map[string]any{"rows": second}
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	s := stream()
	first, err := described(t, text, api).Read(t.Context(), s, "")
	if err != nil || len(first) != 2 {
		t.Fatal(len(first), err)
	}
	s.Kept = func(key finance.PageKey) (finance.Kept, bool) {
		facts := finance.Facts{Next: first[0].Next, Records: 2}
		return finance.Kept{Body: first[0].Answer.Hash, Facts: facts}, key == first[0].Key
	}
	s.Rows = stored{"1", "2", "3", "4"}
	second = []map[string]any{{"id": "3"}, {"id": "4", "owed": 7}}
	again, err := described(t, text, api).Read(t.Context(), s, first[1].Next) // another process: it has seen no cursor tonight
	if err != nil || !again[0].Unchanged || again[1].Partial != "" {
		t.Fatalf("%+v, %v", again, err)
	}
	if want := `{"v":1,"told":"absent","full":2}`; again[1].Next != want {
		t.Errorf("what was known of the list's ends is %s, want %s", again[1].Next, want)
	}
}

// What is known of how a list ends is not forgotten where the page was written down before it was known.
func TestAnOldPageForgetsNoEnd(t *testing.T) {
	known := ends{Told: endsNull, Full: 50}
	known.learn(ends{Full: 2})
	if want := (ends{Told: endsNull, Full: 50}); known != want {
		t.Errorf("%+v", known)
	}
}

// A list that is optional in a set that is declared whole is told by syncer check: whoever writes that may think that its
// absence removes something.
func TestAnOptionalListOfAWholeSetIsNoted(t *testing.T) {
	for _, c := range []struct{ name, records, want string }{
		{"optional, whole", "records: [ { path: rows, optional: true } ]\n    whole: true", "test.yaml: debt: the list rows is optional"},
		{"optional", "records: [ { path: rows, optional: true } ]", ""},
		{"whole", "records: rows\n    whole: true", ""},
		{"empty: absent", "records: [ { path: rows, empty: absent } ]\n    whole: true\n    echoes: { of: \"{consent}\" }", ""},
	} {
		notes := notesOf(t, []byte(strings.Replace(minimal, "records: rows", c.records, 1)))
		if len(notes) > 1 || (len(notes) == 1) != (c.want != "") || len(notes) == 1 && !strings.HasPrefix(notes[0], c.want) {
			t.Errorf("%s: %q", c.name, notes)
		}
	}
}

// The examples are right: only the bank has such a list, which later pages are without, while the first page always shows it.
func TestTheExamplesAreNoted(t *testing.T) {
	for name, want := range map[string]int{"fjordbank.yaml": 1, "nordvik.yaml": 0} {
		text, err := fs.ReadFile(Examples(), name)
		if err != nil {
			t.Fatal(err)
		}
		notes := notesOf(t, text)
		if len(notes) != want || want == 1 && !strings.Contains(notes[0], "transactions: the list transactions.pending is optional") {
			t.Errorf("%s: %q", name, notes)
		}
	}
}

// notesOf are the notes of a description.
func notesOf(t *testing.T, text []byte) []string {
	t.Helper()
	credentials := fetchtest.Credentials("id", "secret")
	credentials["api_key"] = fetch.NewSecret("the-api-key")
	driver, err := Provider().Open(fetch.Connection{
		Name: "test", Provider: "rest", Credentials: credentials,
		Dir: folderWith(t, "test.yaml", text), Settings: &Settings{Description: "test.yaml"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return driver.Notes
}

func TestReadableLinkHeaders(t *testing.T) {
	for header, want := range map[string]bool{
		"": true, `<a>; rel="next"`: true, `<a>; rel=next, <b>; rel=prev`: true, `<a>`: true, `<a>; rel="prev",`: true,
		"next=2": false, "a; rel=next": false, "<a; rel=next": false, `<a>; rel='next'`: false, `<b>; rel="prev", <a>; rel='next'`: false,
	} {
		if got := readable([]string{header}); got != want {
			t.Errorf("%q: %t, want %t", header, got, want)
		}
	}
}

// A status that says that there is no such page is one more answer about the set: what is missing from it needs a second look.
func TestAPageThatIsNotThereIsNoProofByItself(t *testing.T) {
	gone := &pagesOf{tell: func(n int, a map[string]any, _ http.Header) {
		if n > 1 {
			a["status"] = 404
		}
	}}
	got, err := described(t, paged("{ page: { parameter: page, beyond: 404 } }"), gone).Read(t.Context(), stream(), "")
	if err != nil || len(got) != 2 || got[1].Whole == nil || !got[1].Whole.Paged {
		t.Errorf("%+v, %v", got, err)
	}
}
