package sbanken

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"syncer/sandbox"
)

const v1Tail = `,"errorType":null,"isError":false,"errorCode":null,"errorMessage":null,"traceId":null}`

func sendBody(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the caller may be gone
}

// openList, closeList and wrapOne put the generation's envelope around items.
// A list is written into one buffer: at full speed, copying was the dear part.
func openList(b []byte, available int) []byte {
	b = append(b, `{"availableItems":`...)
	b = strconv.AppendInt(b, int64(available), 10)
	return append(b, `,"items":[`...)
}

func closeList(b []byte, v1 bool) []byte {
	if v1 {
		return append(b, "]"+v1Tail...)
	}
	return append(b, "]}"...)
}

func wrapOne(v1 bool, item []byte) []byte {
	if !v1 {
		return item
	}
	return append(append([]byte(`{"item":`), item...), v1Tail...)
}

func (s *Simulator) serveAccounts(w http.ResponseWriter, rt route, customer int) {
	c := s.world.customer(customer)
	if rt.account == "" {
		items := openList(nil, len(c.Accounts))
		for i := range c.Accounts {
			if i > 0 {
				items = append(items, ',')
			}
			items = s.appendAccount(items, c, customer*maxAccounts+i)
		}
		sendBody(w, closeList(items, rt.v1))
		return
	}
	n, ok := s.world.findAccount(rt.account)
	if !ok || n/maxAccounts != customer {
		s.fail(w, rt.v1, http.StatusNotFound, "Account not found.")
		return
	}
	sendBody(w, wrapOne(rt.v1, s.appendAccount(nil, c, n)))
}

// appendAccount writes an account as it stands now. A credit card's balance is
// negative when money is owed, and its limit counts as available.
func (s *Simulator) appendAccount(b []byte, c CustomerInfo, n int) []byte {
	l := s.stateOf(n)
	l.mu.Lock()
	l.bookDue(s.world.today())
	bookedOre, reservedOre := l.sums()
	l.mu.Unlock()
	a := s.world.account(n)
	h := sandbox.Mix(s.o.Seed, 'm', uint64(n))
	balance := int64(h%5_000_000) + bookedOre
	limit := int64(0)
	if a.CreditCard {
		balance = -int64(h%1_500_000) + bookedOre
		limit = 5_000_000
	}
	p := pen{o: &s.o}
	text := func(name, value string) {
		quoted, _ := json.Marshal(value) // a string can always be marshalled
		b = append(append(append(b, name...), quoted...), ',')
	}
	b = append(b, '{')
	text(`"accountId":`, a.AccountID)
	text(`"accountNumber":`, a.AccountNumber)
	text(`"ownerCustomerId":`, c.CustomerID)
	text(`"name":`, a.Name)
	text(`"accountType":`, a.Type)
	b = p.amount(append(b, `"available":`...), balance+limit+reservedOre)
	b = p.amount(append(b, `,"balance":`...), balance)
	b = p.amount(append(b, `,"creditLimit":`...), limit)
	return append(b, '}')
}

func (s *Simulator) serveCustomer(w http.ResponseWriter, rt route, customer int) {
	c := s.world.customer(customer)
	body, err := json.Marshal(map[string]any{
		"customerId": c.CustomerID, "firstName": c.FirstName, "lastName": c.LastName,
		"emailAddress": nil, "dateOfBirth": birthOf(c.CustomerID), "postalAddress": nil,
		"streetAddress": map[string]any{"addressLine1": "Prøveveien 1", "addressLine2": nil, "addressLine3": nil,
			"addressLine4": nil, "country": "Norge", "zipCode": "9999", "city": "SANDKASSEN"},
		"phoneNumbers": []any{},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	sendBody(w, wrapOne(rt.v1, body))
}

// birthOf reads the birthday out of a synthetic national id.
func birthOf(id string) string {
	month := strconv.Itoa(int(id[2]-'0')*10 + int(id[3]-'0') - 80)
	return "19" + id[4:6] + "-" + strings.Repeat("0", 2-len(month)) + month + "-" + id[:2] + "T00:00:00"
}

func (s *Simulator) serveTransactions(w http.ResponseWriter, r *http.Request, rt route, customer int) {
	n, ok := s.world.findAccount(rt.account)
	_, wrong := sandbox.FaultOf(r, sandbox.WrongSubject)
	if wrong && ok {
		n = customer * maxAccounts // the first account of somebody else
	}
	if !ok || n/maxAccounts != customer {
		s.fail(w, rt.v1, http.StatusNotFound, "Account not found.")
		return
	}
	today := s.world.today()
	q, err := s.query(r.URL.Query(), rt, today)
	if err != nil {
		s.fail(w, rt.v1, http.StatusBadRequest, err.Error())
		return
	}
	if s.o.EndDateToday500 && rt.v1 && namesToday(r.URL.Query(), today) {
		contentType, body := s.problem(r, http.StatusInternalServerError)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(body))
		return
	}
	sendBody(w, s.page(n, rt.v1, q, today))
}

// page is one page of a list, from the cache or written anew.
func (s *Simulator) page(n int, v1 bool, q query, today int) []byte {
	l := s.stateOf(n)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bookDue(today)
	defer l.drift(today)
	key := pageKey{account: n, revision: l.revision, today: today, v1: v1, query: q}
	if body, ok := s.pages.get(key); ok && !s.over.Load() {
		return body
	}
	found := l.read(q)
	if s.over.Load() {
		found.available++
	}
	p := pen{o: &s.o, account: n, creditCard: isCreditCard(n), archive: q.archive, today: today}
	body := p.list(v1, found)
	s.pages.put(key, body)
	if s.o.FlakyTransactionID {
		p.withID = true // leaks from the first answer, never from the cache
		return p.list(v1, found)
	}
	return body
}

func (p pen) list(v1 bool, found listing) []byte {
	items := openList(make([]byte, 0, 256+700*len(found.rows)), found.available)
	for i, r := range found.rows {
		if i > 0 {
			items = append(items, ',')
		}
		items = p.row(items, r)
	}
	return closeList(items, v1)
}

// drift moves the list under a caller who is paging through it.
func (l *accountState) drift(today int) {
	l.pages++
	if every := l.world.o.Drift; every > 0 && l.pages%every == 0 {
		l.insertNew(today)
	}
}

// query reads and checks the parameters of a list.
func (s *Simulator) query(v url.Values, rt route, today int) (query, error) {
	q := query{archive: rt.what == "archive", last: today, length: 100}
	endDate := param(v, "endDate")
	var err error
	if endDate != "" {
		if q.last, err = parseDay(endDate); err != nil {
			return q, errors.New("endDate is not a date")
		}
	}
	q.first = q.last - 30
	if start := param(v, "startDate"); start != "" {
		if q.first, err = parseDay(start); err != nil {
			return q, errors.New("startDate is not a date")
		}
	}
	q.reservations = !q.archive && (endDate == "" || s.o.EndDateKeepsReservations)
	if err := q.paging(v); err != nil {
		return q, err
	}
	if err := q.check(today); err != nil {
		return q, err
	}
	if s.o.Reach > 0 && q.first < today-s.o.Reach {
		return q, errors.New("startDate lies too far back")
	}
	if s.o.YearBoundaryCut {
		q.first = max(q.first, dayNumber(dayTime(q.last).Year(), time.January, 1))
	}
	if q.archive {
		q.last = min(q.last, today-s.o.ArchiveLag)
	}
	return q, nil
}

func (q *query) paging(v url.Values) error {
	var err error
	if text := param(v, "index"); text != "" {
		if q.index, err = strconv.Atoi(text); err != nil || q.index < 0 {
			return errors.New("index must be 0 or more")
		}
	}
	if text := param(v, "length"); text != "" {
		if q.length, err = strconv.Atoi(text); err != nil || q.length < 1 || q.length > 1000 {
			return errors.New("length must be between 1 and 1000")
		}
	}
	return nil
}

func (q *query) check(today int) error {
	switch {
	case q.last > today+1:
		return errors.New("endDate must be no later than tomorrow")
	case q.first > q.last:
		return errors.New("startDate must not be after endDate")
	case q.first < dayNumber(2000, time.January, 1):
		return errors.New("startDate must be 2000-01-01 or later")
	case q.last-q.first > 366:
		return errors.New("the span must not exceed 366 days")
	}
	return nil
}

// param reads a query parameter in any case, as ASP.NET does.
func param(v url.Values, name string) string {
	for k, values := range v {
		if strings.EqualFold(k, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// parseDay takes a plain date or anything that begins with one: only the date
// counts.
func parseDay(text string) (int, error) {
	t, err := time.Parse(time.DateOnly, text[:min(len(text), len(time.DateOnly))])
	if err != nil {
		return 0, err
	}
	y, m, d := t.Date()
	return dayNumber(y, m, d), nil
}

func namesToday(v url.Values, today int) bool {
	day, err := parseDay(param(v, "endDate"))
	return err == nil && day == today
}
