package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// listServer has a list of records, r0 to r(n-1), one a day from 2026-11-01 on, and any way of paging that is asked of it.
type listServer struct {
	mu    sync.Mutex
	n     int
	size  int // of a page, whatever was asked for
	asked []string
	odd   func(answer map[string]any, h http.Header, call int) // spoils an answer
}

func (l *listServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := r.URL.Query()
	l.asked = append(l.asked, r.URL.RawQuery)
	number := func(name string) int { n, _ := strconv.Atoi(q.Get(name)); return n }
	all := []map[string]any{}
	for i := range l.n {
		day := fmt.Sprintf("2026-11-%02d", i+1)
		if q.Get("from") <= day && (q.Get("to") == "" || day <= q.Get("to")) {
			all = append(all, map[string]any{"id": fmt.Sprintf("r%d", i)})
		}
	}
	at := number("offset") + number("cursor") + (max(number("page"), 1)-1)*l.size
	if q.Get("zero") != "" {
		at = number("page") * l.size
	}
	end := min(at+l.size, len(all))
	rows := all[min(at, end):end]
	answer := map[string]any{
		"rows": rows, "total": len(all), "pages": (len(all) + l.size - 1) / l.size, "more": end < len(all), "page": map[string]any{"next": nil, "link": ""},
	}
	h := w.Header()
	if end < len(all) {
		q.Set("cursor", strconv.Itoa(end))
		answer["page"] = map[string]any{"next": end, "link": "http://" + r.Host + r.URL.Path + "?" + q.Encode()}
		h.Set("Link", fmt.Sprintf(`<%s?%s>; rel="prev last", <%s?%s>; rel=next`, r.URL.Path, "cursor=0", r.URL.Path, q.Encode()))
	}
	if l.odd != nil {
		l.odd(answer, h, len(l.asked))
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func paged(pagination string) string {
	query := `request: { path: "claims/{consent}" }`
	if strings.Contains(pagination, "windows") {
		query = `request: { path: "claims/{consent}", query: { from: "{since}", to: "{until}" } }`
	}
	if strings.Contains(pagination, "first: 0") {
		query = `request: { path: "claims/{consent}", query: { zero: "1" } }`
	}
	whole := "\n    whole: true"
	if strings.Contains(pagination, "windows") {
		whole = ""
	}
	return strings.Replace(minimal, `request: { path: "claims/{consent}" }`, query+"\n    pagination: "+pagination+whole, 1)
}

func stream() fetch.Stream {
	consent := finance.Consent{ID: 1, ExternalID: "c-1", Subject: fetchtest.Subject("14842249091"), Status: finance.ConsentActive}
	return fetch.Stream{
		Stream: finance.Stream{Dataset: finance.Debts, Consent: 1}, Task: calls.Task{Consent: &consent},
		Since: finance.NewDate(2026, 11, 1), Today: today, Lookback: 3,
	}
}

func idsOf(pages []fetch.Page) (ids []string) {
	for i := range pages {
		for _, d := range pages[i].Records.Debts {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

var paginations = []struct {
	name, yaml string
	calls      int // for 10 records, 4 a page
}{
	{"next link", "{ next_link: { path: page.link } }", 3},
	{"link header", "{ link_header: {} }", 3},
	{"cursor", "{ cursor: { path: page.next, parameter: cursor } }", 3},
	{"cursor, has more", "{ cursor: { path: page.next, parameter: cursor, has_more: more } }", 3},
	{"page", "{ page: { parameter: page } }", 4}, // the empty page is the end
	{"page, total", "{ page: { parameter: page, total: total } }", 3},
	{"page, pages", "{ page: { parameter: page, pages: pages } }", 3},
	{"page, has more", "{ page: { parameter: page, has_more: more } }", 3},
	{"page from 0", "{ page: { parameter: page, first: 0, pages: pages } }", 3},
	{"offset", "{ offset: { parameter: offset } }", 4},
	{"offset, total", "{ offset: { parameter: offset, total: total } }", 3},
	{"offset, has more", "{ offset: { parameter: offset, has_more: more } }", 3},
	{"windows", "{ windows: { days: 4 } }", 5}, // 20 days
	{"windows, cursor", "{ windows: { days: 7 }, cursor: { path: page.next, parameter: cursor } }", 4},
	{"windows, link", "{ windows: { days: 7 }, next_link: { path: page.link } }", 4},
	{"windows, offset", "{ windows: { days: 7 }, offset: { parameter: offset, total: total } }", 4},
}

func TestEveryPagination(t *testing.T) {
	for _, c := range paginations {
		t.Run(c.name, func(t *testing.T) {
			server := &listServer{n: 10, size: 4}
			client := described(t, paged(c.yaml), server)
			whole, err := client.Read(t.Context(), stream(), "")
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"}
			if diff := cmp.Diff(want, idsOf(whole)); diff != "" || len(server.asked) != c.calls {
				t.Errorf("%d calls %q: %s", len(server.asked), server.asked, diff)
			}
			last := whole[len(whole)-1]
			if dated := strings.Contains(c.yaml, "windows"); dated == (last.Whole != nil) {
				t.Errorf("whole is %v", last.Whole)
			} else if !dated {
				if diff := cmp.Diff(idsOf(whole[:len(whole)-1]), last.Whole.Earlier); diff != "" {
					t.Errorf("earlier: %s", diff)
				}
			}
			for i := range whole[:len(whole)-1] {
				rest, err := client.Read(t.Context(), stream(), whole[i].Next)
				if err != nil {
					t.Fatal(err)
				}
				behind := idsOf(rest)
				if strings.Contains(c.yaml, "page:") { // the page before is looked at once more
					if len(rest) < 2 || cmp.Diff(idsOf(whole[i:i+1]), idsOf(rest[:1])) != "" {
						t.Fatalf("resumed behind page %d: %q does not begin with the page before", i, behind)
					}
					behind = idsOf(rest[1:])
				}
				if diff := cmp.Diff(want, append(idsOf(whole[:i+1]), behind...)); diff != "" {
					t.Errorf("resumed behind page %d: %s", i, diff)
				}
				if rest[len(rest)-1].Whole != nil {
					t.Errorf("resumed behind page %d: a set is declared whole of which another pass had read the beginning", i)
				}
			}
		})
	}
}

func TestACursorOfAnotherWayOfPagingIsRefused(t *testing.T) {
	for _, c := range paginations {
		if strings.Contains(c.yaml, "windows") {
			continue
		}
		client := described(t, paged(c.yaml), &listServer{n: 10, size: 4})
		got, err := client.Read(t.Context(), stream(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"{ windows: { days: 4 } }", "{ cursor: { path: c, parameter: x } }", "{ page: { parameter: x } }", "{ link_header: {} }"} {
			if family(other) == family(c.yaml) {
				continue
			}
			server := &listServer{n: 10, size: 4}
			if _, err := described(t, paged(other), server).Read(t.Context(), stream(), got[0].Next); fetch.ClassOf(err) != finance.Malformed || len(server.asked) > 0 {
				t.Errorf("a cursor of %s was read as one of %s: %v", c.name, other, err)
			}
		}
	}
}

func family(pagination string) string {
	switch word := strings.Fields(pagination)[1]; word {
	case "page:", "offset:":
		return "counted"
	case "next_link:", "link_header:":
		return "linked"
	default:
		return word
	}
}

func TestTheNextPassBeginsAtTheWatermark(t *testing.T) {
	server := &listServer{n: 10, size: 4}
	client := described(t, paged("{ windows: { days: 30, exclusive_end: true } }"), server)
	first, err := client.Read(t.Context(), stream(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(t.Context(), stream(), first[0].Next); err != nil {
		t.Fatal(err)
	}
	backfill := stream()
	backfill.Until = finance.NewDate(2026, 11, 5)
	if _, err := client.Read(t.Context(), backfill, ""); err != nil {
		t.Fatal(err)
	}
	want := []string{"from=2026-11-01&to=2026-11-21", "from=2026-11-17&to=2026-11-21", "from=2026-11-01&to=2026-11-06"}
	if diff := cmp.Diff(want, server.asked); diff != "" || first[0].Next != `{"v":1,"through":"2026-11-20"}` {
		t.Error(first[0].Next, diff)
	}
}

func TestPaginationThatCannotBeRight(t *testing.T) {
	link := func(to string) func(map[string]any, http.Header, int) {
		return func(a map[string]any, h http.Header, _ int) { a["page"] = map[string]any{"link": to} }
	}
	set := func(key string, v any) func(map[string]any, http.Header, int) {
		return func(a map[string]any, _ http.Header, _ int) { a[key] = v }
	}
	const byLink, byCursor = "{ next_link: { path: page.link } }", "{ cursor: { path: page.next, parameter: cursor, has_more: more } }"
	for name, c := range map[string]struct {
		yaml  string
		odd   func(map[string]any, http.Header, int)
		class finance.Class
	}{
		"another host":         {byLink, link("https://evil.example/v1/claims"), finance.Malformed},
		"a user":               {byLink, link("@evil.example/next"), finance.Malformed}, // below the base, and there it is no list
		"out of the base":      {byLink, link("/v2/claims"), finance.Malformed},
		"climbing":             {byLink, link("/v1/../admin"), finance.Malformed},
		"a number as link":     {byLink, set("page", map[string]any{"link": []int{1}}), finance.Malformed},
		"a person in the link": {byLink, link("/v1/claims/c-1?who=14842249091"), finance.Malformed},
		"a person, escaped":    {byLink, link("/v1/claims/c-1?who=%31484224%209091"), finance.Malformed},
		"no cursor":            {byCursor, set("page", nil), finance.Malformed},
		"more in words":        {byCursor, set("more", "perhaps"), finance.Malformed},
		"a person as cursor":   {byCursor, set("page", map[string]any{"next": "14842249091"}), finance.Malformed},
		"a total in words":     {"{ page: { parameter: page, total: total } }", set("total", "many"), finance.Malformed},
		"no pages":             {"{ page: { parameter: page, pages: pages } }", set("pages", -1), finance.Malformed},
		"more of nothing":      {"{ page: { parameter: page, has_more: more } }", func(a map[string]any, _ http.Header, _ int) { a["rows"], a["more"] = []int{}, true }, finance.Malformed},
		"no list":              {byLink, set("rows", nil), finance.Malformed},
		"the list is a text":   {byLink, set("rows", "none"), finance.Malformed},
	} {
		_, err := described(t, paged(c.yaml), &listServer{n: 10, size: 4, odd: c.odd}).Read(t.Context(), stream(), "")
		if fetch.ClassOf(err) != c.class {
			t.Errorf("%s: %v; want class %s", name, err, c.class)
		} else if strings.Contains(err.Error(), "evil") || strings.Contains(err.Error(), "14842249091") {
			t.Errorf("%s: the error repeats it: %v", name, err)
		}
	}
}

func TestAListThatMovesIsReadAgain(t *testing.T) {
	for name, c := range map[string]struct {
		moves   int // calls after which the total changes
		calls   int
		partial bool
	}{"at rest": {0, 3, false}, "once": {1, 5, false}, "always": {100, 9, true}} {
		server := &listServer{n: 10, size: 4}
		server.odd = func(a map[string]any, _ http.Header, call int) {
			if call > 1 && call <= c.moves+1 { // a record more than before, every time
				a["total"] = 10 + call
			}
		}
		got, err := described(t, paged("{ offset: { parameter: offset, total: total } }"), server).Read(t.Context(), stream(), "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		partial := ""
		for i := range got {
			partial += got[i].Partial
		}
		last := got[len(got)-1]
		if c.partial && !strings.Contains(last.Partial, "; the list kept changing while it was read: it has ") {
			t.Errorf("%s: %q", name, last.Partial)
		}
		if len(got) != len(server.asked) || (partial != "") != c.partial || (last.Whole != nil) == c.partial {
			t.Errorf("%s: %d calls %q, partial %q, whole %v", name, len(server.asked), server.asked, partial, last.Whole)
		}
		if c.moves == 1 && (len(got) != c.calls || len(last.Whole.Earlier) != 8) {
			t.Errorf("%s: %d pages, whole %v", name, len(got), last.Whole)
		}
	}
}

func TestAListThatEndsBeforeItsTotalIsPartial(t *testing.T) {
	server := &listServer{n: 10, size: 4, odd: func(a map[string]any, _ http.Header, _ int) { a["total"] = 12 }}
	got, err := described(t, paged("{ offset: { parameter: offset, total: total } }"), server).Read(t.Context(), stream(), "")
	if err != nil {
		t.Fatal(err)
	}
	last := got[len(got)-1]
	if last.Partial != "2 of 12 records are missing from the list" || last.Whole != nil || !last.Done {
		t.Errorf("partial %q, whole %v", last.Partial, last.Whole)
	}
}

func TestAListWithoutItsLastPagesIsPartial(t *testing.T) {
	server := &listServer{n: 10, size: 4, odd: func(a map[string]any, _ http.Header, _ int) { a["pages"] = 9 }}
	got, err := described(t, paged("{ page: { parameter: page, pages: pages } }"), server).Read(t.Context(), stream(), "")
	if err != nil {
		t.Fatal(err)
	}
	if last := got[len(got)-1]; last.Partial != "5 of 9 pages are missing from the list" || last.Whole != nil || len(server.asked) != 4 {
		t.Errorf("partial %q, whole %v, %d calls", last.Partial, last.Whole, len(server.asked))
	}
}

func TestLinkHeaders(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{nil, ""},
		{[]string{`<a>; rel="next"`}, "a"},
		{[]string{`<a>; rel=next`}, "a"},
		{[]string{`<a>; rel="prev", <b>; rel="NEXT last"`}, "b"},
		{[]string{`<a>; rel=prev`, `<b>;rel=next`}, "b"},
		{[]string{`<a,b;c>; title="x, y; rel=prev"; rel="next"`}, "a,b;c"},
		{[]string{`<a>; title="quote \" here, <b>; rel=next"; rel=prev`}, ""},
		{[]string{`<a>; rel=prev; rel=next`}, ""}, // the first rel counts
		{[]string{`a; rel=next`, `<a; rel=next`, `<>`, `;`}, ""},
	} {
		if got := linkTo(c.headers, ""); got != c.want {
			t.Errorf("%q: %q, want %q", c.headers, got, c.want)
		}
	}
}

func TestOneHiddenRecordSpoilsTheWholeSet(t *testing.T) {
	for name, odd := range map[string]func(a map[string]any, _ http.Header, call int){
		"a record without a key": func(a map[string]any, _ http.Header, call int) {
			if call == 1 {
				a["rows"].([]map[string]any)[1]["id"] = " "
			}
		},
		"a partial page": func(a map[string]any, _ http.Header, call int) { a["late"] = 2 - min(call, 2) },
	} {
		text := strings.Replace(paged("{ cursor: { path: page.next, parameter: cursor } }"), "    whole: true", "    whole: true\n    partial: [{ path: late, above: 0, says: late }]", 1)
		client := described(t, text, &listServer{n: 10, size: 4, odd: odd})
		got, err := client.Read(t.Context(), stream(), "")
		if err != nil || len(got) != 3 || got[2].Whole != nil || got[2].Partial != "" {
			t.Errorf("%s: %d pages, error %v", name, len(got), err)
		}
	}
}

func TestANumberThatOnlyLooksLikeAPersonsIsACursor(t *testing.T) {
	odd := func(a map[string]any, _ http.Header, call int) {
		if call == 1 {
			a["page"] = map[string]any{"next": "29868099311"} // valid, and nobody's here
		}
	}
	server := &listServer{n: 10, size: 4, odd: odd}
	if _, err := described(t, paged("{ cursor: { path: page.next, parameter: cursor } }"), server).Read(t.Context(), stream(), ""); err != nil || len(server.asked) != 2 {
		t.Errorf("%d calls, %v", len(server.asked), err)
	}
}

// Records without ids are numbered through a pass: a list that is read again must give them the ids they had, and one
// that goes in a circle must not be numbered without end.
func TestMadeIDsWhenAListIsReadAgain(t *testing.T) {
	anonymous := func(and func(a map[string]any, call int)) func(map[string]any, http.Header, int) {
		return func(a map[string]any, _ http.Header, call int) {
			for _, row := range a["rows"].([]map[string]any) {
				row["id"], row["name"] = nil, "twin"
			}
			and(a, call)
		}
	}
	ids := func(pagination string, and func(a map[string]any, call int)) ([]string, error) {
		text := strings.Replace(paged(pagination), "id: id", "id: { path: id, hash: creditor }", 1)
		got, err := described(t, text, &listServer{n: 10, size: 4, odd: anonymous(and)}).Read(t.Context(), stream(), "")
		return idsOf(got), err
	}
	const byOffset = "{ offset: { parameter: offset, total: total } }"
	still, err := ids(byOffset, func(map[string]any, int) {})
	if err != nil || len(still) != 10 {
		t.Fatal(still, err)
	}
	moved, err := ids(byOffset, func(a map[string]any, call int) {
		if call == 2 {
			a["total"] = 11
		}
	})
	if err != nil || len(moved) != 18 { // 4 and 4, then all 10 again
		t.Fatal(moved, err)
	}
	if diff := cmp.Diff(still, moved[8:]); diff != "" {
		t.Error(diff)
	}
	for pagination, circle := range map[string]any{
		"{ cursor: { path: page.next, parameter: cursor } }": map[string]any{"next": 4},
		"{ next_link: { path: page.link } }":                 map[string]any{"link": "?cursor=4"},
	} {
		if got, err := ids(pagination, func(a map[string]any, _ int) { a["page"] = circle }); err != nil || len(got) != 8 {
			t.Errorf("%s: %d records, %v", pagination, len(got), err)
		}
	}
}
