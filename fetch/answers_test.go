package fetch_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// byStatus is a connector without a word of its own.
func byStatus(_ *fetch.Request, a *fetch.Answer) fetch.Meaning {
	return fetch.Meaning{Class: fetch.ByStatus(a)}
}

// What surrounds an answer and does not belong to it.
func TestAnAnswerIsReadWhateverStandsAroundIt(t *testing.T) {
	const mark = "\ufeff"
	for name, c := range map[string]struct {
		body    string
		headers []string
	}{
		"a byte order mark":            {mark + `{"a":1}`, nil},
		"a mark and blanks":            {mark + "\n" + `{"a":1}`, []string{"Content-Type", "application/json; charset=utf-8"}},
		"a charset for a coding":       {`{"a":1}`, []string{"Content-Encoding", "UTF-8"}},
		"another charset":              {`{"a":1}`, []string{"Content-Encoding", "iso-8859-1"}},
		"none":                         {`{"a":1}`, []string{"Content-Encoding", "none"}},
		"identity":                     {`{"a":1}`, []string{"Content-Encoding", "identity"}},
		"identity, and again":          {`{"a":1}`, []string{"Content-Encoding", "identity, utf-8"}},
		"an empty coding":              {`{"a":1}`, []string{"Content-Encoding", " "}},
		"gzip, and a charset":          {string(zipped(`{"a":1}`)), []string{"Content-Encoding", "gzip, UTF-8"}},
		"gzip with a mark inside":      {string(zipped(mark + `{"a":1}`)), []string{"Content-Encoding", "GZIP"}},
		"whole by its Content-Range":   {`{"a":1}`, []string{"Content-Range", "bytes 0-6/7"}},
		"with brackets in its strings": {`{"a":"}}]{"}`, nil},
	} {
		status := 200
		if slices.Contains(c.headers, "Content-Range") {
			status = 206
		}
		p := &provider{handler: answers(answer(status, c.body, c.headers...))}
		o := options(t, served(t, p), fetchtest.NewCallStore())
		o.Driver.Classify = byStatus
		a, err := client(t, o).Do(t.Context(), get("x"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.TrimSpace(string(a.Body)); got[0] != '{' || len(p.journal()) != 1 {
			t.Errorf("%s: the body is %q after %d calls", name, got, len(p.journal()))
		}
	}
}

// What is no whole answer is tried again, and its reason says what it was.
func TestWhatIsNoWholeAnswer(t *testing.T) {
	for _, c := range []struct {
		status  int
		body    string
		headers []string
		once    bool
		want    finance.Class
		says    string
	}{
		{200, `{"rows":[{"id":1}`, nil, false, finance.Transient, "JSON that was cut off in an answer with status 200"},
		{200, `{"title":"a piece","rows":[`, nil, false, finance.Transient, "JSON that was cut off in an answer with status 200"},
		{200, "<html><body>Back soon</body></html>", nil, false, finance.Transient, "an HTML page in an answer with status 200"},
		{200, "id;amount\n1;2,50", nil, false, finance.Transient, "CSV in an answer with status 200"},
		{200, "", nil, false, finance.Transient, "an empty body in an answer with status 200"},
		{200, "\xff\xfe{\x00}\x00", nil, false, finance.Transient, "UTF-16 text in an answer with status 200"},
		{200, "[]", nil, false, finance.Transient, "a JSON list in an answer with status 200"},
		{203, "<html>", nil, false, finance.Transient, "an HTML page in an answer with status 203"},
		{202, `{"rows":[]}`, nil, false, finance.Transient, "the answer is not ready yet (status 202)"},
		{205, ``, nil, false, finance.Transient, "an answer without content (status 205)"},
		{206, `{"rows":[]}`, nil, false, finance.Transient, "the answer is a part of one (status 206)"},
		{206, `{"rows":[]}`, []string{"Content-Range", "items 0-24/100"}, false, finance.Transient, "the answer is a part of one (status 206)"},
		{206, `{"rows":[]}`, []string{"Content-Range", "bytes 5-10/11"}, false, finance.Transient, "the answer is a part of one (status 206)"},
		{207, `{"rows":[]}`, nil, false, finance.Transient, "an answer of parts with a status each (status 207)"},
		{208, `{"rows":[]}`, nil, false, finance.Transient, "it is not known what it shows (status 208)"},
		{214, `{"rows":[]}`, nil, false, finance.Transient, "it is not known what it shows (status 214)"},
		{299, `{"rows":[]}`, nil, false, finance.Transient, "it is not known what it shows (status 299)"},
		{304, ``, nil, false, finance.Transient, "an answer without content, as if we had asked on a condition (status 304)"},
		{304, ``, []string{"Content-Encoding", "gzip"}, false, finance.Transient, "status 304"},
		// The answer of a single use is stored, and would be read in the same way again.
		{200, "<html>", nil, true, finance.Malformed, "an HTML page in an answer with status 200"},
		{202, `{"rows":[]}`, nil, true, finance.Malformed, "the answer is not ready yet (status 202)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, l := &provider{handler: answers(answer(c.status, c.body, c.headers...))}, fetchtest.NewCallStore()
			o, stop := piped(t, p, l)
			defer stop()
			o.Retry = fetch.Retry{Attempts: 3, Base: time.Millisecond}
			o.Driver.Classify = func(r *fetch.Request, a *fetch.Answer) fetch.Meaning {
				v := byStatus(r, a)
				if strings.Contains(string(a.Body), "title") {
					v.Reason = "a piece" // as a connector reads the title of an error
				}
				return v
			}
			r := get("x")
			attempts := 3
			if c.once {
				r, attempts = single(), 1
			}
			_, err := client(t, o).Do(t.Context(), r)
			e := wantClass(t, err, c.want)
			if !strings.Contains(e.Reason, c.says) || strings.Contains(e.Reason, "piece") {
				t.Errorf("%d %.20q: %q, want %q", c.status, c.body, e.Reason, c.says)
			}
			if n := len(p.journal()); n != attempts {
				t.Errorf("%d %.20q: %d calls, want %d", c.status, c.body, n, attempts)
			}
		})
	}
}

// A 304 for a single use: whoever gave it has not taken the call up, so the consent is as good as before.
func TestANotModifiedSpendsNoConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: answers(answer(304, ``), answer(200, `{"a":1}`))}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		o.Driver.Classify = byStatus
		if _, err := client(t, o).Do(t.Context(), single()); err != nil || len(p.journal()) != 2 {
			t.Errorf("%v after %d calls", err, len(p.journal()))
		}
	})
}

// Whatever a connector says of such an answer, Walk takes no set of it for whole.
func TestAnUnfinishedAnswerProvesNothing(t *testing.T) {
	const byRange = "the answer is a part of one (by its Content-Range)"
	const notAll = "the parts that were read are not the whole list (by their Content-Range)"
	const tooFew = "the answer holds fewer records than its Content-Range tells"
	for _, c := range []struct {
		name    string
		status  int
		headers []string
		set     string
		parts   bool
		none    bool // the connector declares nothing whole
		whole   bool
		partial string
		fails   finance.Class
	}{
		{name: "200", status: 200, whole: true},
		{name: "203", status: 203, whole: true},
		{name: "202", status: 202, partial: "the answer is not ready yet (status 202)"},
		{name: "202 without a set", status: 202, none: true, partial: "the answer is not ready yet (status 202)"},
		{name: "202 of a set", status: 202, set: "all", partial: "the answer is not ready yet (status 202)"},
		{name: "202 of a list in parts", status: 202, set: "all", parts: true, partial: "the answer is not ready yet (status 202)"},
		{name: "206", status: 206, partial: "the answer is a part of one (status 206)"},
		{name: "206 that is all", status: 206, headers: []string{"Content-Range", "items 0-0/1"}, whole: true},
		{name: "206 of a list in parts", status: 206, set: "all", parts: true, partial: "the answer is a part of one (status 206)"},
		{name: "the end of a list in parts", status: 206, set: "all", parts: true, headers: []string{"Content-Range", "9-9/10"}, partial: notAll},
		{name: "all of a list in parts", status: 206, set: "all", parts: true, headers: []string{"Content-Range", "0-0/1"}, whole: true},
		{name: "not the last", status: 206, set: "all", parts: true, headers: []string{"Content-Range", "items 0-0/10"}, partial: "the answer is a part of one (status 206)"},
		{name: "a Content-Range of all", status: 200, headers: []string{"Content-Range", "items 0-0/1"}, whole: true},
		{name: "all, counted from 1", status: 200, headers: []string{"Content-Range", "items 1-1/1"}, whole: true},
		{name: "a Content-Range without a total", status: 200, headers: []string{"Content-Range", "items 0-0/*"}, whole: true},
		{name: "a Content-Range of nothing", status: 200, headers: []string{"Content-Range", "items */0"}, whole: true},
		{name: "a Content-Range of a part", status: 200, headers: []string{"Content-Range", "items 0-0/25"}, partial: byRange},
		{name: "of the end", status: 200, headers: []string{"Content-Range", "items 24-24/25"}, partial: byRange},
		{name: "of a part of a set in parts", status: 200, set: "all", parts: true, headers: []string{"Content-Range", "items 0-0/25"}, partial: byRange},
		{name: "of the end of a set in parts", status: 200, set: "all", parts: true, headers: []string{"Content-Range", "items 24-24/25"}, partial: notAll},
		{name: "208", status: 208, partial: "a success of which it is not known what it shows (status 208)"},
		{name: "208 of a list in parts", status: 208, set: "all", parts: true, partial: "a success of which it is not known what it shows (status 208)"},
		{name: "fewer than it tells", status: 200, headers: []string{"Content-Range", "items 0-7/8"}, partial: tooFew},
		{name: "the range that was asked for", status: 200, headers: []string{"Content-Range", "items 0-24/1"}, whole: true},
		{name: "bytes are no records", status: 200, headers: []string{"Content-Range", "bytes 0-10/11"}, whole: true},
		{name: "204", status: 204, fails: finance.Transient},
	} {
		p := &provider{handler: answers(answer(c.status, `{"rows":[]}`, c.headers...))}
		o := options(t, served(t, p), fetchtest.NewCallStore())
		o.Driver.Classify = func(*fetch.Request, *fetch.Answer) fetch.Meaning { return fetch.Meaning{Class: finance.OK} }
		step := func(fetch.At) (fetch.Step, error) {
			return fetch.Step{
				Request: get("list"), First: true, Afresh: true, Set: c.set, Parts: c.parts,
				Decode: func(*fetch.Answer) (fetch.Page, error) {
					page := fetch.Page{Records: finance.Records{Debts: []finance.Debt{{ID: "1"}}}, Done: true}
					if !c.none {
						page.Whole = &finance.Whole{}
					}
					return page, nil
				},
			}, nil
		}
		pages, err := drain(t, client(t, o), fetch.Stream{}, "", step)
		if c.fails != "" {
			if e := wantClass(t, err, c.fails); len(pages) > 0 || e.Reason != "an answer without content (status 204)" {
				t.Errorf("%s: %d pages, %v", c.name, len(pages), e)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := pages[0]
		if diff := gocmp.Diff([]any{c.whole, c.partial, 1}, []any{got.Whole != nil, got.Partial, got.Records.Len()}); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// An error beside an empty list shows nothing, but for the members that some APIs always send.
func TestAnErrorBesideNoRecords(t *testing.T) {
	const why = "an error beside no records in an answer with status 200"
	for _, c := range []struct {
		body   string
		status int
		rows   int
		judged bool // by the connector
		whole  bool
	}{
		{body: `{"rows":[]}`, whole: true},
		{body: `{"error":"overloaded","rows":[]}`},
		{body: `{"rows":[],"error":{"code":"x","message":"overloaded"}}`},
		{body: `{"error":true,"rows":[]}`},
		{body: `{"error":17,"rows":[]}`},
		{body: `{"error":["overloaded"],"rows":[]}`},
		{body: `{"error":{"code":0,"message":"overloaded"},"rows":[]}`},
		{body: `{"error":{"success":false},"rows":[]}`},
		{body: `{"error":"overloaded","rows":[]}`, judged: true, whole: true},
		{body: `{"error":"overloaded","rows":[1]}`, rows: 1, whole: true},
		{body: `{"error":"not_found"}`, status: 404, whole: true},
		{body: `{"error":null,"rows":[]}`, whole: true},
		{body: `{"error":"","rows":[]}`, whole: true},
		{body: `{"error":" ","rows":[]}`, whole: true},
		{body: `{"error":"OK","rows":[]}`, whole: true},
		{body: `{"error":"No error.","rows":[]}`, whole: true},
		{body: `{"error":"000","rows":[]}`, whole: true},
		{body: `{"error":false,"rows":[]}`, whole: true},
		{body: `{"error":0,"rows":[]}`, whole: true},
		{body: `{"error":{},"rows":[]}`, whole: true},
		{body: `{"error":[],"rows":[]}`, whole: true},
		{body: `{"error":{"code":"0","message":"","details":[]},"rows":[]}`, whole: true},
		{body: `{"error":{"success":true,"code":200,"message":"Success"},"rows":[]}`, whole: true},
		{body: `{"rows":[],"of":{"error":"overloaded"}}`, whole: true},
	} {
		p := &provider{handler: answers(answer(cmp.Or(c.status, 200), c.body))}
		o := options(t, served(t, p), fetchtest.NewCallStore())
		o.Driver.Classify = func(*fetch.Request, *fetch.Answer) fetch.Meaning { return fetch.Meaning{Class: finance.OK} }
		step := func(fetch.At) (fetch.Step, error) {
			judged := func(*fetch.Answer) bool { return c.judged }
			return fetch.Step{Request: get("list"), Judged: judged, Decode: func(*fetch.Answer) (fetch.Page, error) {
				page := fetch.Page{Done: true, Whole: &finance.Whole{}}
				if c.rows > 0 {
					page.Records.Debts = []finance.Debt{{ID: "1"}}
				}
				return page, nil
			}}, nil
		}
		pages, err := drain(t, client(t, o), fetch.Stream{}, "", step)
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		want := why
		if c.whole {
			want = ""
		}
		if got := pages[0]; (got.Whole != nil) != c.whole || got.Partial != want {
			t.Errorf("%s: whole %t, partial %q", c.body, got.Whole != nil, got.Partial)
		}
	}
}

// A page that was passed over as unchanged speaks for itself; an answer that says it is not whole does not,
// with the same bytes.
func TestAnUnfinishedAnswerIsNoKnownPage(t *testing.T) {
	status := http.StatusOK
	p := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) { answer(status, `{"rows":[]}`)(w) }}
	o := options(t, served(t, p), fetchtest.NewCallStore())
	o.Driver.Classify = func(*fetch.Request, *fetch.Answer) fetch.Meaning { return fetch.Meaning{Class: finance.OK} }
	step := func(fetch.At) (fetch.Step, error) {
		return fetch.Step{Request: get("list"), Decode: func(*fetch.Answer) (fetch.Page, error) {
			return fetch.Page{Done: true, Whole: &finance.Whole{}}, nil
		}}, nil
	}
	c := client(t, o)
	first, err := drain(t, c, fetch.Stream{}, "", step)
	if err != nil {
		t.Fatal(err)
	}
	s := fetch.Stream{Kept: func(finance.PageKey) (finance.Kept, bool) {
		return finance.Kept{Body: first[0].Answer.Hash, Facts: finance.Facts{Done: true}}, true
	}}
	for _, want := range []struct {
		status    int
		unchanged bool
	}{{200, true}, {202, false}} {
		status = want.status
		again, err := drain(t, c, s, "", step)
		if err != nil || again[0].Unchanged != want.unchanged {
			t.Errorf("%d: unchanged is %t, %v", want.status, again[0].Unchanged, err)
		}
	}
}

// An answer that was cut within a string may look whole from outside. It passes all the same; other defects stay.
func TestAnAnswerCutWithinAStringPasses(t *testing.T) {
	for body, want := range map[string]finance.Class{
		`{"a":"}`:        finance.Transient,
		`{"a":"b\`:       finance.Transient,
		`{"a":1} {`:      finance.Malformed,
		`{"a":1,"a":2}`:  finance.Malformed,
		`{"a":nul}`:      finance.Malformed,
		`{"a":"\ud800"}`: finance.Malformed,
	} {
		p := &provider{handler: answers(answer(200, body))}
		o := options(t, served(t, p), fetchtest.NewCallStore())
		step := func(fetch.At) (fetch.Step, error) {
			return fetch.Step{Request: get("list"), Decode: func(a *fetch.Answer) (fetch.Page, error) {
				s := jsonread.Scan(a.Body)
				for o := s.Object(); o.Next(); {
					s.Raw()
				}
				return fetch.Page{Done: true}, s.End()
			}}, nil
		}
		pages, err := drain(t, client(t, o), fetch.Stream{}, "", step)
		if e := wantClass(t, err, want); len(pages) > 0 || !strings.Contains(e.Reason, "byte") {
			t.Errorf("%s: %v", body, e)
		}
	}
}
