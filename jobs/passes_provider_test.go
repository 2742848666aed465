package jobs_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"syncer/finance"
)

// The ways in which the model's provider pages, as descriptions name them. One answer shows all that noPaging has.
const (
	noPaging   = "none"
	nextLink   = "next_link"
	linkHeader = "link_header"
	byCursor   = "cursor"
	byPage     = "page"
	byOffset   = "offset"
)

// What a cursor, or a link, of the model's provider stands for.
const (
	atOffset   = "o" // a number of records: it moves when the list does
	atRank     = "r" // a record's rank: the next page is what ranks behind it, whatever came or went
	atSnapshot = "s" // an offset in the list as it was when its first page was asked for
)

// way is how a list is paged, and by what its records are known.
type way struct {
	kind    string
	end     string // how the end is told
	cursor  string // what a cursor stands for, of next_link, link_header and cursor
	forgets int    // the status by which a cursor of an earlier night is refused; 0: it is not
	size    int
	first   int  // number of the first page
	beyond  bool // behind the last page stands a 404
	made    bool // records have no ids: ours are made by hash
	dated   bool // transactions of the days that are asked for; else debts, of which a pass shows all
	windows int  // days of a window; 0: one for all
	ignores bool // from and to are ignored
}

// stable says that no record slips past the reader while others come and go.
func (w way) stable() bool {
	linked := w.kind == nextLink || w.kind == linkHeader || w.kind == byCursor
	return w.kind == noPaging || linked && w.cursor != atOffset
}

// description is what an operator would write of such an API.
func (w way) description() string {
	b := &strings.Builder{}
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	line("title: Model")
	line("base_url: http://api.example/v1")
	line("token: { dialect: none }")
	line("check: { path: ping }")
	line("datasets:")
	id := "id: id"
	if w.dated {
		line("  transactions:")
		line("    request: { path: \"{consent}/list\", query: { from: \"{since}\", to: \"{until}\" } }")
		if w.made {
			id = "id: { hash: [booked_on, text] }"
		}
		line("    fields: { %s, account: account, booked_on: day, text: name, amount: amount, currency: { const: NOK } }", id)
	} else {
		line("  debt:")
		line("    request: { path: \"{consent}/list\" }")
		line("    whole: true")
		if w.made {
			id = "id: { hash: [creditor] }"
		}
		line("    fields: { %s, creditor: name, balance: amount, currency: { const: NOK } }", id)
	}
	line("    records: rows")
	line("    drop: [note]")
	var paging []string
	if w.kind != noPaging {
		paging = append(paging, w.kind+": { "+strings.Join(w.keys(), ", ")+" }")
	}
	if w.windows > 0 {
		paging = append(paging, fmt.Sprintf("windows: { days: %d }", w.windows))
	}
	if len(paging) > 0 {
		line("    pagination: { %s }", strings.Join(paging, ", "))
	}
	return b.String()
}

// keys are those of the way of paging in the description.
func (w way) keys() (keys []string) {
	switch w.kind {
	case nextLink:
		keys = append(keys, "path: next")
	case byCursor:
		keys = append(keys, "path: next", "parameter: after")
	case byPage:
		keys = append(keys, "parameter: page", fmt.Sprintf("first: %d", w.first))
	case byOffset:
		keys = append(keys, "parameter: offset")
	}
	switch w.end {
	case "has_more", "total", "pages", "last_page":
		keys = append(keys, w.end+": "+w.end)
	}
	if w.beyond {
		keys = append(keys, "beyond: [404]")
	}
	return keys
}

// entry is a record as the provider has it. Times are the provider's own, see bookkeeper.now.
type entry struct {
	id       string
	name     string
	day      finance.Date
	amount   int
	rank     float64
	born     int
	changed  int // when its amount became what it is
	died     int // 0: it is there
	shuffled int // when it was last moved among the others
}

// alive says that the entry was there from one time to another.
func (e *entry) alive(from, to int) bool { return e.born <= from && (e.died == 0 || e.died > to) }

// group are the entries that a made id can't tell apart.
func (e *entry) group() string {
	if e.day.IsZero() {
		return e.name + " "
	}
	return e.name + " " + e.day.String()
}

// seen is a record as an answer showed it.
type seen struct {
	id, group string
	day       finance.Date
	amount    int
}

// shownPage is an answer that was sent whole, with what it showed.
type shownPage struct {
	at       int    // the provider's time
	call     string // our id of the call
	claim    int    // of the batch, counted over all runs
	night    int
	opens    bool // it is the first page of a list
	ends     bool // it is the last one
	from, to finance.Date
	total    int // records, or pages, that it told; -1: none
	records  []seen
	spoilt   bool // one of its records can't be read
	stored   bool // the call was committed
}

// The ways in which a call fails.
const (
	wellAnswered = iota
	status500
	status404
	status410
	status400
	cutShort
	timedOut
	brokenJSON
	spoiltRecord // one of the page's can't be read
	shortPause   // waited out by the process
	longPause    // waited out, and longer than what a list stands still for
	parkPause    // longer than a process waits
	faultKinds
)

var pauses = map[int]int{shortPause: 2, longPause: 7, parkPause: 60} // seconds

// Changes of the provider's list.
const (
	insertOne = iota
	removeOne
	changeOne
	moveOne
	changeKinds
)

// change is one change of the list: which, and where in it.
type change struct{ kind, at, to, group, amount, age int }

// turn is what happens with one call.
type callTurn struct {
	before []change
	fault  int
}

// bookkeeper is the provider: a list that changes, and all that is to be known of what it has shown.
type bookkeeper struct {
	way

	mu      sync.Mutex
	now     int // counts changes and answers
	today   finance.Date
	night   int
	claim   int
	entries []*entry
	moves   []int // when records came, went or were moved
	moved   []int // when the order of records that stayed was changed
	script  []callTurn
	faults  int // that were met in this run
	shown   []shownPage
	photos  map[int][]ranked // the lists of cursors that stand for a snapshot
}

// change changes the list.
func (b *bookkeeper) change(c change) {
	b.now++
	live := b.live()
	if len(live) == 0 && c.kind != insertOne {
		return
	}
	switch c.kind {
	case insertOne:
		e := &entry{
			id: fmt.Sprintf("x%d", len(b.entries)+1), name: string(rune('A' + c.group)), amount: c.amount,
			born: b.now, changed: b.now,
		}
		if b.dated {
			e.day = b.today.AddDays(-c.age)
		}
		e.rank = rankAt(live, c.at%(len(live)+1))
		b.entries = append(b.entries, e)
		b.moves = append(b.moves, b.now)
	case removeOne:
		live[c.at%len(live)].died = b.now
		b.moves = append(b.moves, b.now)
	case changeOne:
		e := live[c.at%len(live)]
		if b.dated && e.day < b.today.AddDays(-lateDays) {
			return // it would not be asked for again
		}
		e.amount = c.amount
		e.changed = b.now
	case moveOne:
		e := live[c.at%len(live)]
		others := slices.DeleteFunc(live, func(o *entry) bool { return o == e })
		e.rank = rankAt(others, c.to%(len(others)+1))
		e.shuffled = b.now
		b.moves = append(b.moves, b.now)
		b.moved = append(b.moved, b.now)
	}
}

// lateDays is how late records of the past come, or change. Job.Lookback is more.
const lateDays = 2

// live are the entries that are there, in the list's order.
func (b *bookkeeper) live() []*entry {
	var live []*entry
	for _, e := range b.entries {
		if e.died == 0 {
			live = append(live, e)
		}
	}
	slices.SortFunc(live, func(x, y *entry) int { return cmp.Compare(x.rank, y.rank) })
	return live
}

// rankAt is a rank between the entries before and at a place.
func rankAt(live []*entry, at int) float64 {
	switch {
	case len(live) == 0:
		return 0
	case at == 0:
		return live[0].rank - 1
	case at == len(live):
		return live[at-1].rank + 1
	}
	return (live[at-1].rank + live[at].rank) / 2
}

// between says whether one of the times lies within.
func between(times []int, from, to int) bool {
	return slices.ContainsFunc(times, func(at int) bool { return at > from && at <= to })
}

// ServeHTTP answers a call as the script has it.
func (b *bookkeeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var t callTurn
	if len(b.script) > 0 {
		t = b.script[0]
		b.script = b.script[1:]
	}
	for _, c := range t.before {
		b.change(c)
	}
	b.now++
	if t.fault == status400 && b.dated && b.opens(r) {
		t.fault = status500 // such a refusal means that the days lie too long ago, see fetch/rest/window.go
	}
	if t.fault == status404 && b.beyond && !b.opens(r) {
		t.fault = status500 // such an answer is an end
	}
	if t.fault != wellAnswered {
		b.faults++
	}
	switch t.fault {
	case status500, status404, status410, status400:
		w.WriteHeader(map[int]int{status500: 500, status404: 404, status410: 410, status400: 400}[t.fault])
		return
	case shortPause, longPause, parkPause:
		w.Header().Set("Retry-After", strconv.Itoa(pauses[t.fault]))
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case timedOut:
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
		panic(http.ErrAbortHandler)
	}
	page, body := b.page(w, r, t.fault == spoiltRecord)
	if body == nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch t.fault {
	case cutShort:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	case brokenJSON:
		_, _ = w.Write(append(body[:len(body)-1:len(body)-1], ",,}"...))
		return
	}
	b.shown = append(b.shown, page)
	_, _ = w.Write(body)
}

// opens says whether a call asks for the first page of a list.
func (b *bookkeeper) opens(r *http.Request) bool {
	q := r.URL.Query()
	switch b.kind {
	case byPage:
		return q.Get("page") == strconv.Itoa(b.first)
	case byOffset:
		return q.Get("offset") == "0"
	}
	return q.Get("after") == ""
}

// page is the answer to a call. Without a body it was written already.
func (b *bookkeeper) page(w http.ResponseWriter, r *http.Request, spoilt bool) (shownPage, []byte) {
	q := r.URL.Query()
	p := shownPage{
		at: b.now, call: r.Header.Get("X-Request-Id"), claim: b.claim, night: b.night, opens: b.opens(r), total: -1,
	}
	p.from, _ = finance.ParseDate(q.Get("from"))
	p.to, _ = finance.ParseDate(q.Get("to"))
	after, status := b.parse(q.Get("after"))
	if status != 0 {
		w.WriteHeader(status)
		return p, nil
	}
	list := b.listOf(p, &after)
	begin := after.offset
	switch {
	case b.kind == byPage:
		n, _ := strconv.Atoi(q.Get("page"))
		begin = (n - b.first) * b.size
	case b.kind == byOffset:
		begin, _ = strconv.Atoi(q.Get("offset"))
	case b.cursor == atRank && !p.opens:
		begin, _ = slices.BinarySearchFunc(list, after.rank, func(s ranked, rank float64) int {
			if s.rank <= rank {
				return -1
			}
			return 1
		})
	}
	if begin >= len(list) && begin > 0 && b.beyond {
		w.WriteHeader(http.StatusNotFound)
		p.ends = true
		b.shown = append(b.shown, p)
		return p, nil
	}
	end := len(list)
	if b.kind != noPaging {
		end = min(end, begin+b.size)
	}
	begin = min(begin, end)
	p.ends = end == len(list)
	answer := map[string]any{}
	rows := []map[string]any{}
	for _, s := range list[begin:end] {
		row := map[string]any{"name": s.name, "amount": fmt.Sprintf("%d.00", s.amount), "account": "a"}
		if b.made {
			row["note"] = s.id // two pages of the same bytes would be taken for the last page again
		} else {
			row["id"] = s.id
		}
		if b.dated {
			row["day"] = s.day.String()
		}
		rows = append(rows, row)
		p.records = append(p.records, s.seen) // of the window or not: a record is stored wherever it is shown
	}
	if spoilt && len(rows) > 0 {
		rows[0]["amount"] = "unreadable"
		p.records = p.records[1:]
		p.spoilt = true
	}
	answer["rows"] = rows
	b.tellEnd(w, r, answer, &p, list, end, after)
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return p, body
}

// ranked is a record with its place.
type ranked struct {
	seen
	name string
	rank float64
}

// place is what a cursor stands for.
type place struct {
	offset, photo, night int
	rank                 float64
}

// listOf is the list that a call asks for, as it stands or as it stood.
func (b *bookkeeper) listOf(p shownPage, after *place) []ranked {
	if b.cursor == atSnapshot && after.photo > 0 {
		return b.photos[after.photo]
	}
	var list []ranked
	for _, e := range b.live() {
		if !b.dated || b.ignores || e.day >= p.from && e.day <= p.to {
			list = append(list, ranked{seen{e.id, e.group(), e.day, e.amount}, e.name, e.rank})
		}
	}
	if b.cursor == atSnapshot {
		after.photo = b.now
		b.photos[after.photo] = list
	}
	return list
}

// token is a cursor for the place behind the records up to end.
func (b *bookkeeper) token(list []ranked, end int, after place) string {
	n := end
	rank := 0.0
	if end > 0 {
		rank = list[end-1].rank
	}
	return fmt.Sprintf("%s_%d_%d_%g_%d", b.cursor, b.night, n, rank, after.photo)
}

// parse reads a cursor, or gives the status by which it is refused.
func (b *bookkeeper) parse(token string) (p place, status int) {
	if token == "" {
		return p, 0
	}
	parts := strings.Split(token, "_")
	p.night, _ = strconv.Atoi(parts[1])
	p.offset, _ = strconv.Atoi(parts[2])
	p.rank, _ = strconv.ParseFloat(parts[3], 64)
	p.photo, _ = strconv.Atoi(parts[4])
	if b.forgets != 0 && p.night != b.night {
		return p, b.forgets
	}
	return p, 0
}

// tellEnd writes what leads on, or tells the end.
func (b *bookkeeper) tellEnd(w http.ResponseWriter, r *http.Request, answer map[string]any, p *shownPage,
	list []ranked, end int, after place) {
	pages := (len(list) + b.size - 1) / b.size
	switch b.end {
	case "has_more":
		answer["has_more"] = !p.ends
	case "total":
		p.total = len(list)
		answer["total"] = p.total
	case "pages":
		p.total = pages
		answer["pages"] = p.total
	case "last_page":
		p.total = max(pages, 1) + b.first - 1
		answer["last_page"] = p.total
	}
	if b.kind != nextLink && b.kind != linkHeader && b.kind != byCursor {
		return
	}
	if p.ends {
		switch b.end {
		case "null":
			answer["next"] = nil
		case "empty":
			answer["next"] = ""
		case "same":
			if b.kind == byCursor {
				answer["next"] = r.URL.Query().Get("after")
			}
			if b.kind == nextLink {
				answer["next"] = r.URL.RequestURI()
			}
		}
		return
	}
	token := b.token(list, end, after)
	q := r.URL.Query()
	q.Set("after", token)
	link := r.URL.Path + "?" + q.Encode()
	switch b.kind {
	case byCursor:
		answer["next"] = token
	case nextLink:
		answer["next"] = link
	case linkHeader:
		w.Header().Set("Link", "<"+link+`>; rel="next"`)
	}
}
