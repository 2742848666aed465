package vipps

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
	"syncer/sandbox"
	vendor "syncer/sandbox/vipps"
)

const (
	caughtUp  = `{"cursor":"ZmVl","tryLater":true,"items":[]}`
	emptyFeed = `{"cursor":"Zg==","tryLater":true,"items":[]}`
	openDate  = `{"items":[],"tryLater":true}`
)

func feedPage(cursor string, tryLater bool, rows ...string) answer {
	later := "false"
	if tryLater {
		later = "true"
	}
	return page(`{"cursor":"` + cursor + `","tryLater":` + later + `,"items":[` + strings.Join(rows, ",") + `]}`)
}

func on(row string) string { return changed(row, "ledgerDate", `"`+today.String()+`"`) }

// TestFeed: what follows each kind of answer. Every script ends with fees that are caught up.
func TestFeed(t *testing.T) {
	const feed = "/report/v2/ledgers/410001/funds/feed"
	a, b := on(move("a", 0, 5, 5)), on(move("b", 5, 1, 6))
	cases := map[string]struct {
		answers []answer
		funds   []string // the cursors that the funds were asked for with
		rows    int
		partial string
		fails   finance.Class
	}{
		"caught up at once":                    {[]answer{page(emptyFeed)}, []string{""}, 0, "", ""},
		"rows that say try later":              {[]answer{feedPage("MQ==", true, a)}, []string{""}, 1, "", ""},
		"more, then an empty tail":             {[]answer{feedPage("MQ==", false, a), feedPage("MQ==", true)}, []string{"", "MQ=="}, 1, "", ""},
		"an empty page in the middle":          {[]answer{feedPage("MQ==", false), feedPage("Mg==", true, a)}, []string{"", "MQ=="}, 1, "", ""},
		"the same cursor for ever":             {[]answer{feedPage("MQ==", false, a), feedPage("MQ==", false)}, []string{"", "MQ=="}, 1, "", ""},
		"the same cursor with rows, for ever":  {[]answer{feedPage("MQ==", false, a), feedPage("MQ==", false, b)}, []string{"", "MQ=="}, 2, "the feed of funds stays where it is although it says there is more", ""},
		"the same cursor with rows, later":     {[]answer{feedPage("MQ==", false, a), feedPage("MQ==", true, b)}, []string{"", "MQ=="}, 2, "", ""},
		"rows without a cursor":                {[]answer{feedPage("", true, a)}, []string{""}, 0, "", finance.Malformed},
		"no cursor and no rows":                {[]answer{page(openDate)}, []string{""}, 0, "", ""},
		"hasMore means nothing here":           {[]answer{page(`{"cursor":"MQ==","hasMore":false,"items":[` + a + `]}`), feedPage("Mg==", true, b)}, []string{"", "MQ=="}, 2, "", ""},
		"locked, and then not":                 {[]answer{{status: 423, body: `{"title":"Locked"}`}, feedPage("MQ==", true, a)}, []string{"", ""}, 1, "", ""},
		"a break of the chain between pages":   {[]answer{feedPage("MQ==", false, a), feedPage("Mg==", true, on(move("b", 6, 1, 7)))}, []string{"", "MQ=="}, 2, "the running balance of funds breaks 1 times", ""},
		"a circle":                             {[]answer{feedPage("MQ==", false), feedPage("Mg==", false), feedPage("MQ==", false)}, []string{"", "MQ==", "Mg=="}, 0, "", finance.Malformed},
		"a circle with rows":                   {[]answer{feedPage("MQ==", false, a), feedPage("Mg==", false, b), feedPage("MQ==", false, a)}, []string{"", "MQ==", "Mg=="}, 2, "the feed of funds repeats itself although it says there is more", ""},
		"a ledger that is not ours":            {[]answer{{status: 404, body: `{"title":"Not Found","detail":"No such ledgerId"}`}}, []string{""}, 0, "", finance.Withheld},
		"a path that the gateway doesn't know": {[]answer{{status: 404, body: `{"responseInfo":{"responseCode":404,"responseMessage":"x"}}`}}, []string{""}, 0, "", finance.Rejected},
		"an API that is gone":                  {[]answer{{status: 410, body: `{"title":"Gone"}`}}, []string{""}, 0, "", finance.Rejected},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: append(c.answers, page(caughtUp))}
			pages, err := play(t, s, settings(nil)).read(t, stream("410001"), "")
			if c.fails != "" || err != nil {
				if fetch.ClassOf(err) != c.fails || err == nil {
					t.Fatalf("want %q: %v", c.fails, err)
				}
			} else if !pages[len(pages)-1].Done || len(s.answers) > 0 {
				t.Errorf("done %t, %d answers are left", pages[len(pages)-1].Done, len(s.answers))
			}
			rows, partial := byKey(pages)
			if len(rows) != c.rows || !strings.HasPrefix(partial, c.partial) || c.partial == "" && partial != "" {
				t.Errorf("%d rows, partial %q", len(rows), partial)
			}
			var asked []string
			for _, path := range s.data() {
				if strings.HasPrefix(path, feed) {
					asked = append(asked, query(t, path).Get("cursor"))
				}
			}
			if diff := cmp.Diff(c.funds, asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTheFeedsCursorIsThePosition: the next run asks from where the last one ended, for both topics, and the chain of
// balances goes on.
func TestTheFeedsCursorIsThePosition(t *testing.T) {
	s := &script{answers: []answer{
		feedPage("MQ==", true, on(move("a", 0, 5, 5))), feedPage("Zg==", true, on(move("f", 0, -1, -1))),
		feedPage("MQ==", true), feedPage("Zw==", true, on(move("g", -2, -1, -3))), feedPage("Mg==", true, on(move("b", 5, 1, 6))), feedPage("Zw==", true),
	}}
	r := play(t, s, settings(nil))
	at, partials := "", []string{}
	for range 3 {
		pages := r.mustRead(t, stream("410001"), at)
		at = pages[len(pages)-1].Next
		_, partial := byKey(pages)
		partials = append(partials, partial)
	}
	const root = "/report/v2/ledgers/410001/"
	want := []string{root + "funds/feed", root + "fees/feed", root + "funds/feed?cursor=MQ%3D%3D", root + "fees/feed?cursor=Zg%3D%3D",
		root + "funds/feed?cursor=MQ%3D%3D", root + "fees/feed?cursor=Zg%3D%3D"} // the fees once more, see TestABreakIsReadAgain
	if diff := cmp.Diff(want, s.data()); diff != "" {
		t.Error(diff)
	}
	if partials[0] != "" || !strings.HasPrefix(partials[1], "the running balance of fees breaks 1 times") || partials[2] != "" {
		t.Errorf("%q", partials)
	}
}

func datePage(hasMore, cursor string, rows ...string) answer {
	return page(`{"hasMore":` + hasMore + `,"tryLater":false,"cursor":` + cursor + `,"items":[` + strings.Join(rows, ",") + `]}`)
}

// TestDates: what follows each kind of answer for a day. Two days are wanted; every script ends with open fees.
func TestDates(t *testing.T) {
	first, second := "/funds/dates/"+today.AddDays(-1).String(), "/funds/dates/"+today.String()
	a, b := move("a", 0, 5, 5), move("b", 5, 1, 6)
	closed := datePage("false", "null", a)
	cases := map[string]struct {
		answers []answer
		asked   []string
		through finance.Date // of the funds
		rows    int
		fails   finance.Class
	}{
		"both closed":               {[]answer{closed, datePage("false", "null", b)}, []string{first, second}, today, 2, ""},
		"open at once":              {[]answer{page(openDate)}, []string{first}, 0, 0, ""},
		"closed, then open":         {[]answer{closed, page(openDate)}, []string{first, second}, today - 1, 1, ""},
		"open with rows":            {[]answer{page(`{"hasMore":false,"tryLater":true,"items":[` + a + `]}`)}, []string{first}, 0, 1, ""},
		"open on its first page":    {[]answer{page(`{"hasMore":true,"cursor":"MQ==","tryLater":true,"items":[` + a + `]}`), datePage("false", "null", b)}, []string{first, first + "?cursor=MQ%3D%3D"}, 0, 2, ""},
		"two pages, the last empty": {[]answer{datePage("true", `"MQ=="`, a), datePage("false", "null"), datePage("false", "null", b)}, []string{first, first + "?cursor=MQ%3D%3D", second}, today, 2, ""},
		"404 for an open date":      {[]answer{closed, {status: 404, body: `{"title":"Not Found","detail":"date not available yet"}`}}, []string{first, second}, today - 1, 1, ""},
		"404 without a word":        {[]answer{closed, {status: 404}}, []string{first, second}, today - 1, 1, ""},
		"404 of the gateway":        {[]answer{{status: 404, body: `{"statusCode":404,"message":"Resource not found"}`}}, []string{first}, 0, 0, finance.Rejected},
		"a ledger that is not ours": {[]answer{{status: 404, body: `{"title":"No such ledgerId"}`}}, []string{first}, 0, 0, finance.Withheld},
		"more without a cursor":     {[]answer{datePage("true", "null", a)}, []string{first}, 0, 0, finance.Malformed},
		"more with the same cursor": {[]answer{datePage("true", `"MQ=="`, a), datePage("true", `"MQ=="`, b)}, []string{first, first + "?cursor=MQ%3D%3D"}, 0, 1, finance.Malformed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: append(c.answers, page(openDate))}
			in := stream("410001")
			in.Since = today.AddDays(-1)
			pages, err := play(t, s, settings(func(s *Settings) { s.ReadBy = byDates })).read(t, in, "")
			if c.fails != "" || err != nil {
				if fetch.ClassOf(err) != c.fails || err == nil {
					t.Fatalf("want %q: %v", c.fails, err)
				}
			} else {
				cur, err := readCursor(pages[len(pages)-1].Next, byDates, 0, today)
				if err != nil || cur.Funds.Through != c.through || cur.Funds.Day != nil || cur.Fees.Day != nil {
					t.Errorf("cursor %+v, error %v", cur, err)
				}
			}
			if rows, partial := byKey(pages); len(rows) != c.rows || partial != "" {
				t.Errorf("%d rows, partial %q", len(rows), partial)
			}
			var asked []string
			for _, path := range s.data() {
				if i := strings.Index(path, "/funds/"); i >= 0 {
					asked = append(asked, path[i:])
				}
			}
			if diff := cmp.Diff(c.asked, asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnOldDateThatIsMissingIsAnError(t *testing.T) {
	s := &script{answers: []answer{{status: 404, header: http.Header{"Request-Id": {"r-1"}}, body: `{"title":"Not Found","traceId":"00-1"}`}}}
	in := stream("410001")
	in.Since = today.AddDays(-100)
	in.Until = in.Since // there is no later day that could be given
	_, err := play(t, s, settings(func(s *Settings) { s.ReadBy = byDates })).read(t, in, "")
	want := "GET /report/v2/ledgers/{ledger}/funds/dates/{date} on vipps: rejected: there is no report of 2026-08-12, which must be closed by now: Not Found (provider's id 00-1)"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

// pull reads passes against the simulator and keeps what comes.
func pull(t *testing.T, r rig, s fetch.Stream, consent finance.Consent, rows map[string]finance.Transaction, from string) (next string, pages []fetch.Page) {
	t.Helper()
	s.Task = calls.Task{Dataset: s.Dataset, Consent: &consent}
	pages = r.mustRead(t, s, from)
	got, partial := byKey(pages)
	if partial != "" {
		t.Errorf("partial: %s", partial)
	}
	maps.Copy(rows, got)
	return pages[len(pages)-1].Next, pages
}

var quirks = vendor.Options{
	Days: 30, PageSize: 7, Disputes: true, Twins: true, LateFees: true, Drift: true, NegativeDays: 3, RollingReserve: 10,
}

// TestFeedAndDatesAgree: both ways of reading give the same rows under the same keys, whatever forms the answers have.
func TestFeedAndDatesAgree(t *testing.T) {
	w := start(t, quirks, settings(nil))
	other := quirks
	other.OldTypes, other.OffsetTimes, other.PageSize, other.OpenRows = true, true, 3, true
	d := start(t, other, settings(func(s *Settings) { s.ReadBy = byDates }))
	feed, dates := map[string]finance.Transaction{}, map[string]finance.Transaction{}
	s := w.rows(1)
	s.Since = today.AddDays(-40)
	pull(t, connect(t, w.conn), s, w.consent(1), feed, "")
	pull(t, connect(t, d.conn), s, d.consent(1), dates, "")
	if len(feed) != w.sim.Rows(1) || len(feed) < 200 {
		t.Errorf("%d rows of %d", len(feed), w.sim.Rows(1))
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(feed)), slices.Sorted(maps.Keys(dates))); diff != "" {
		t.Error(diff)
	}
	sum := map[string]finance.Amount{}
	for _, x := range feed {
		if sum[x.Code].Valid {
			total, err := sum[x.Code].Decimal.Add(x.Amount.Decimal)
			if err != nil {
				t.Fatal(err)
			}
			x.Amount.Decimal = total
		}
		sum[x.Code] = x.Amount
	}
	if len(sum) != 2 {
		t.Errorf("topics %v", sum)
	}
}

// TestDayByDay: a month of nightly runs ends with the rows of one long one, and a closed day is never asked for twice.
func TestDayByDay(t *testing.T) {
	for by, o := range map[string]vendor.Options{
		byFeed:              {Days: 10, PageSize: 5, Disputes: true, EmptyTail: true, FeedLag: time.Hour},
		byDates:             {Days: 10, PageSize: 5, Disputes: true},
		byDates + " weekly": {Days: 10, PageSize: 5, Settlement: "weekly", Open404: true},
	} {
		t.Run(by, func(t *testing.T) {
			w := start(t, o, settings(func(s *Settings) { s.ReadBy = strings.Fields(by)[0] }))
			r, rows, at := connect(t, w.conn), map[string]finance.Transaction{}, ""
			s := w.rows(1)
			for night := range 12 {
				s.Today = today.AddDays(night)
				at, _ = pull(t, r, s, w.consent(1), rows, at)
				w.Kit.Clock.Advance(24 * time.Hour)
			}
			s.Today = today.AddDays(12)
			pull(t, r, s, w.consent(1), rows, at)
			long := map[string]finance.Transaction{}
			pull(t, connect(t, w.conn), s, w.consent(1), long, "")
			if diff := cmp.Diff(slices.Sorted(maps.Keys(long)), slices.Sorted(maps.Keys(rows))); diff != "" || len(rows) < 150 {
				t.Errorf("%d rows: %s", len(rows), diff)
			}
		})
	}
}

func TestABackfillIsReadByDates(t *testing.T) {
	w := start(t, quirks, settings(nil))
	s := w.rows(1)
	s.Since, s.Until = today.AddDays(-9), today.AddDays(-5)
	rows := map[string]finance.Transaction{}
	pull(t, connect(t, w.conn), s, w.consent(1), rows, "")
	for _, e := range w.Kit.Journal.Entries() {
		if strings.Contains(e.Path, "feed") {
			t.Errorf("a call to %s", e.Path)
		}
	}
	days := map[finance.Date]bool{}
	for _, x := range rows {
		days[x.BookedOn] = true
	}
	if len(days) != 5 || !days[s.Since] || !days[s.Until] {
		t.Errorf("days %v", days)
	}
}

func TestTheFeedKeepsNoOlderDayThanWanted(t *testing.T) {
	w := start(t, quirks, settings(nil))
	s, rows := w.rows(1), map[string]finance.Transaction{}
	s.Since = today.AddDays(-3)
	r := connect(t, w.conn)
	at, _ := pull(t, r, s, w.consent(1), rows, "")
	first := len(rows)
	for _, x := range rows {
		if x.BookedOn < s.Since {
			t.Fatalf("a row of %s", x.BookedOn)
		}
	}
	// A later run wants no less than the first one did, even if nobody came by for a year.
	w.Kit.Clock.Advance(20 * 24 * time.Hour)
	s.Today, s.Since = today.AddDays(20), today.AddDays(17)
	pull(t, r, s, w.consent(1), rows, at)
	if first == 0 || len(rows) < first+100 {
		t.Errorf("%d rows, then %d", first, len(rows))
	}
}

func TestChangingTheWayOfReadingBeginsAnew(t *testing.T) {
	w := start(t, quirks, settings(nil))
	s, rows := w.rows(1), map[string]finance.Transaction{}
	s.Since = today.AddDays(-40)
	at, _ := pull(t, connect(t, w.conn), s, w.consent(1), rows, "")
	n := len(rows)
	w.conn.Settings.(*Settings).ReadBy = byDates
	if _, pages := pull(t, connect(t, w.conn), s, w.consent(1), rows, at); len(rows) != n || len(pages) < 40 {
		t.Errorf("%d rows became %d in %d pages", n, len(rows), len(pages))
	}
}

// TestALostRowIsReported: the provider loses a row, and everything else is kept.
func TestALostRowIsReported(t *testing.T) {
	w := start(t, quirks, settings(nil))
	s := w.rows(1)
	consent := w.consent(1)
	s.Task = calls.Task{Dataset: s.Dataset, Consent: &consent}
	defer w.Rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: sandbox.Replace, Old: `"balanceBefore":`, New: `"balanceBefore":7`}})()
	_, partial := byKey(connect(t, w.conn).mustRead(t, s, ""))
	if !strings.HasPrefix(partial, "the running balance of funds breaks 1 times, first at row 0 of its answer") {
		t.Errorf("partial: %q", partial)
	}
}

func TestPersonalDataIsAskedForOnEveryPage(t *testing.T) {
	for asked := range map[bool]bool{true: true, false: false} {
		s := &script{answers: []answer{feedPage("MQ==", false, capture), feedPage("Mg==", true), page(caughtUp)}}
		play(t, s, settings(func(s *Settings) { s.IncludeGDPR = asked })).mustRead(t, stream("410001"), "")
		for _, path := range s.data() {
			if got := query(t, path).Get("includeGDPRSensitiveData") == "true"; got != asked {
				t.Errorf("%s: asked for %t", path, got)
			}
		}
	}
}

// TestTheChainGoesOnOverDates: from day to day within a pass, and from one run to the next.
func TestTheChainGoesOnOverDates(t *testing.T) {
	day := func(before, amount int) answer {
		return datePage("false", "null", move("a", before, amount, before+amount))
	}
	s := &script{answers: []answer{
		day(0, 5), page(openDate), page(openDate), // yesterday's funds, today's, the fees
		day(5, 1), page(openDate), page(openDate), // the next run finds them whole
		day(7, 1), day(9, 1), page(openDate), // and another has lost a row before either day
	}}
	r, in, at := play(t, s, settings(func(s *Settings) { s.ReadBy = byDates })), stream("410001"), ""
	in.Since = today.AddDays(-1)
	var partials []string
	for run := range 3 {
		in.Today = today.AddDays([]int{0, 1, 2}[run])
		pages := r.mustRead(t, in, at)
		at = pages[len(pages)-1].Next
		for i := range pages {
			if pages[i].Partial != "" {
				partials = append(partials, pages[i].Partial[:len("the running balance of funds breaks 1 times")])
			}
		}
	}
	const broken = "the running balance of funds breaks 1 times"
	if diff := cmp.Diff([]string{broken, broken}, partials); diff != "" {
		t.Error(diff)
	}
}
