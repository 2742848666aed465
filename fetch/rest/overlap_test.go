package rest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Where a pass goes on behind a break, the last record is asked for once more. A page that holds nothing else leads on,
// and what the record has become meanwhile is read. As long as it is what it was it is not read twice.
func TestTheLastRecordOnceMore(t *testing.T) {
	changed := func(answer map[string]any, _ http.Header, _ int) {
		for _, row := range answer["rows"].([]map[string]any) {
			row["creditor"] = "changed"
		}
	}
	for _, c := range []struct {
		size    int
		changes func(map[string]any, http.Header, int)
		asked   string
		ids     string
	}{
		{1, nil, "offset=0 offset=1 offset=2 offset=3", "r1 r2 r3"},
		{1, changed, "offset=0 offset=1 offset=2 offset=3", "r0 r1 r2 r3"},
		{2, nil, "offset=0 offset=2", "r1 r2 r3"},
		{2, changed, "offset=0 offset=2", "r0 r1 r2 r3"},
	} {
		for _, end := range []string{"total: total", "has_more: more"} {
			l := &listServer{n: 4, size: 1}
			client := described(t, paged("{ offset: { parameter: offset, "+end+" } }"), l)
			from := client.MustRead(t, stream(), "")[0].Next // one record is behind us
			l.asked, l.size, l.odd = nil, c.size, c.changes
			got, err := client.Read(t.Context(), stream(), from)
			if err != nil {
				t.Fatal(end, err)
			}
			last := got[len(got)-1]
			ids := strings.Join(idsOf(got), " ")
			asked := strings.Join(l.asked, " ")
			if ids != c.ids || asked != c.asked || !last.Done || last.Partial != "" || last.Whole != nil {
				t.Errorf("%d a page, %s: asked %s, read %s, partial %q, whole %v",
					c.size, end, asked, ids, last.Partial, last.Whole)
			}
		}
	}
}

// Where the place does not fit any more, the list is begun anew, and what the page has shown all the same is stored.
func TestAPageThatDoesNotFitIsStored(t *testing.T) {
	for _, pagination := range []string{"offset: { parameter: offset }", "page: { parameter: page }"} {
		l := &listServer{n: 4, size: 2}
		client := described(t, paged("{ "+pagination+" }"), l)
		from := client.MustRead(t, stream(), "")[0].Next
		l.asked = nil
		l.odd = func(answer map[string]any, _ http.Header, call int) {
			if call == 1 {
				answer["rows"] = []map[string]any{{"id": "other"}, {"id": "another"}}
			}
		}
		got := client.MustRead(t, stream(), from)
		ids := strings.Join(idsOf(got), " ")
		if ids != "other another r0 r1 r2 r3" || got[0].Moved == "" || got[0].Whole != nil {
			t.Errorf("%s: read %s, moved %q", pagination, ids, got[0].Moved)
		}
	}
}

// What the record before a seam has become may be something that can't be read. Then that is told.
func TestTheLastRecordCannotBeReadAnyMore(t *testing.T) {
	l := &listServer{n: 4, size: 2}
	client := described(t, paged("{ offset: { parameter: offset } }"), l)
	from := client.MustRead(t, stream(), "")[0].Next
	l.asked = nil
	l.odd = func(answer map[string]any, _ http.Header, call int) {
		if call == 1 {
			answer["rows"].([]map[string]any)[0]["owed"] = "much"
		}
	}
	got := client.MustRead(t, stream(), from)
	if len(got[0].Rejects) != 1 || got[0].Moved != "" {
		t.Errorf("refused %+v, moved %q", got[0].Rejects, got[0].Moved)
	}
}

// A list whose end is a 404, or an answer without the list, took two answers: what has moved from the second page to
// the first is in neither.
func TestTheEndOfAListIsAPageOfIt(t *testing.T) {
	for name, spoil := range map[string]func(http.ResponseWriter, map[string]any){
		"404":     func(w http.ResponseWriter, _ map[string]any) { w.WriteHeader(http.StatusNotFound) },
		"no list": func(_ http.ResponseWriter, answer map[string]any) { delete(answer, "rows") },
	} {
		text := paged("{ offset: { parameter: offset, beyond: [404] } }")
		text = strings.Replace(text, "records: rows", "records: [{ path: rows, optional: true }]", 1)
		calls := 0
		client := described(t, text, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			answer := map[string]any{"rows": []map[string]any{{"id": "a"}, {"id": "b"}}}
			if calls > 1 {
				spoil(w, answer)
			}
			_ = json.NewEncoder(w).Encode(answer)
		}))
		got := client.MustRead(t, stream(), "")
		if last := got[len(got)-1]; len(got) != 2 || last.Whole == nil || !last.Whole.Paged {
			t.Errorf("%s: %d pages, whole %+v", name, len(got), last.Whole)
		}
	}
}
