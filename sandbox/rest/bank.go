package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // the bank's today is Norwegian, also in an image without zones

	"syncer/sandbox"
)

// Bank is the bank's name in the journal, in fault rules and in the control paths.
const Bank = "fjordbank"

const (
	bankRoot  = "/psd2/v1"
	bankToken = "/oauth2/token"
	longest   = 90 // days of one question
)

// BankOptions describes Fjordbank. The zero value, plus a Kit, is a small world with one client.
type BankOptions struct {
	Kit  *sandbox.Kit
	Seed uint64 // 0: the kit's
	// Consents is the size of the world; 0 means 50.
	Consents int
	// History is how many days of transactions every account has; 0 means 400.
	History int
	// PageSize is how many booked transactions a page has; 0 means 100.
	PageSize int
	// TokenTTL is the lifetime of a token; 0 means 15 minutes.
	TokenTTL time.Duration
	// Quota limits each client; the zero value allows all.
	Quota sandbox.Quota
}

// BankClient is the one registered client. Its secret has characters that must be escaped in Basic.
func BankClient() sandbox.Client {
	return sandbox.Client{ID: "tpp-oslo", Secret: "fjord+bank/secret%7"}
}

// BankSimulator is Fjordbank.
type BankSimulator struct {
	o        BankOptions
	tokens   *sandbox.OAuth2
	consents *consents
	limiter  *sandbox.Limiter
	oslo     *time.Location
	endless  atomic.Bool

	mu   sync.Mutex
	late map[string][]movement // by account, what was booked since the world began
}

// NewBank returns a bank. o.Kit is required.
func NewBank(o BankOptions) *BankSimulator {
	orElse(&o.Seed, o.Kit.Seed)
	orElse(&o.Consents, 50)
	orElse(&o.History, 400)
	orElse(&o.PageSize, 100)
	orElse(&o.TokenTTL, 15*time.Minute)
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		panic("rest: embedded time zones are damaged: " + err.Error())
	}
	return &BankSimulator{
		o: o, oslo: oslo, late: map[string][]movement{},
		consents: newConsents(sandbox.Mix(o.Seed, 'f'), o.Consents, o.Kit.Clock.Now().AddDate(0, 0, 90).UTC().Truncate(time.Second)),
		limiter:  sandbox.NewLimiter(o.Kit.Clock, o.Quota),
		tokens: sandbox.NewOAuth2(sandbox.OAuth2Options{
			Kit: o.Kit, Provider: Bank, Seed: o.Seed, Clients: []sandbox.Client{BankClient()}, Identify: sandbox.BasicEncoded,
			Bad: sandbox.Refusal{Status: http.StatusUnauthorized, Code: "invalid_client"},
			TTL: o.TokenTTL, TokenType: "Bearer", Accept: accept("aisp", ""),
		}),
	}
}

func orElse[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Handler serves the bank's two hosts in one.
func (b *BankSimulator) Handler() http.Handler {
	return b.o.Kit.Handler(sandbox.Site{
		Name: Bank, Describe: b.describe, API: http.HandlerFunc(b.serve), Control: b.consents.control(), Limiter: b.limiter,
		Problem: func(_ *http.Request, status int) (string, string) {
			return "application/json", tppMessage(map[int]string{429: "ACCESS_EXCEEDED", 503: "SERVICE_UNAVAILABLE"}[status], "the bank says no")
		},
	})
}

// Len is the number of consents.
func (b *BankSimulator) Len() int { return b.consents.count }

// Consent is consent number i, below Len.
func (b *BankSimulator) Consent(i int) ConsentInfo { return b.consents.at(i) }

// Consents lists them all.
func (b *BankSimulator) Consents() []ConsentInfo { return b.consents.all() }

// Revoke is the person withdrawing a consent; false if there is none to withdraw.
func (b *BankSimulator) Revoke(id string) bool { return b.consents.withdraw(id) }

// Book books a transaction of today, which an account's lists then show first; false for an unknown account of a consent.
func (b *BankSimulator) Book(consent, account string) bool {
	person, _, ok := b.consents.find(consent)
	number, known := b.accountNumber(person, account)
	if !ok || !known {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.movement(person, number, b.today(), 2)
	m.TransactionID += fmt.Sprintf("N%d", len(b.late[account]))
	b.late[account] = append([]movement{m}, b.late[account]...)
	return true
}

// Endless makes the last page of every list lead on to itself, always by another link.
func (b *BankSimulator) Endless() { b.endless.Store(true) }

// today is the Norwegian day.
func (b *BankSimulator) today() int {
	year, month, day := b.o.Kit.Clock.Now().In(b.oslo).Date()
	return dayOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// Tokens is the token endpoint.
func (b *BankSimulator) Tokens() *sandbox.OAuth2 { return b.tokens }

func (b *BankSimulator) describe(r *http.Request) sandbox.Call {
	client := b.tokens.ClientOf(r)
	if r.URL.Path == bankToken {
		return sandbox.Call{Bucket: client + "/token", Template: bankToken, Token: true}
	}
	c := sandbox.Call{Bucket: client, Template: r.URL.Path, Subject: r.Header.Get("Consent-ID")}
	if strings.HasSuffix(r.URL.Path, "/transactions") {
		c.Template = bankRoot + "/accounts/{account}/transactions"
	}
	return c
}

func (b *BankSimulator) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == bankToken {
		b.tokens.ServeHTTP(w, r)
		return
	}
	w.Header().Set("X-Request-ID", r.Header.Get("X-Request-ID"))
	rest, below := strings.CutPrefix(r.URL.Path, bankRoot+"/")
	account, isList := strings.CutSuffix(strings.TrimPrefix(rest, "accounts/"), "/transactions")
	_, known, live := b.tokens.Bearer(r)
	switch {
	case !below:
		b.fail(w, 404, "RESOURCE_UNKNOWN", "no such path")
	case !known:
		b.fail(w, 401, "TOKEN_UNKNOWN", "the token is not known")
	case !live:
		b.fail(w, 401, "TOKEN_EXPIRED", "the token has expired")
	case r.Header.Get("X-Request-ID") == "":
		b.fail(w, 400, "FORMAT_ERROR", "X-Request-ID is missing")
	case r.Method != http.MethodGet:
		b.fail(w, 405, "SERVICE_INVALID", "this is for GET")
	case rest == "ping":
		sandbox.WriteJSON(w, 200, map[string]string{"status": "up"})
	case rest == "accounts":
		b.withConsent(w, r, b.accounts)
	case isList && account != "":
		b.withConsent(w, r, func(w http.ResponseWriter, r *http.Request, person int) { b.transactions(w, r, person, account) })
	default:
		b.fail(w, 404, "RESOURCE_UNKNOWN", "no such path")
	}
}

// withConsent answers on behalf of a consent that is good.
func (b *BankSimulator) withConsent(w http.ResponseWriter, r *http.Request, answer func(http.ResponseWriter, *http.Request, int)) {
	person, withdrawn, ok := b.consents.find(r.Header.Get("Consent-ID"))
	switch {
	case !ok:
		b.fail(w, 403, "CONSENT_UNKNOWN", "the consent is not known")
	case withdrawn:
		b.fail(w, 401, "CONSENT_INVALID", "the consent was withdrawn")
	case b.o.Kit.Clock.Now().After(b.consents.until):
		b.fail(w, 401, "CONSENT_EXPIRED", "the consent has expired")
	default:
		answer(w, r, person)
	}
}

func (b *BankSimulator) accounts(w http.ResponseWriter, r *http.Request, person int) {
	if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
		person = (person + 1) % b.consents.count
	}
	list := []any{}
	for i := range b.accountsOf(person) {
		list = append(list, b.account(person, i, r.URL.Query().Get("withBalance") == "true"))
	}
	sandbox.WriteJSON(w, 200, map[string]any{"accounts": list})
}

// transactions answers one page: pending ones on the first page of a question that reaches today, booked ones newest
// first.
func (b *BankSimulator) transactions(w http.ResponseWriter, r *http.Request, person int, id string) {
	number, ok := b.accountNumber(person, id)
	q := r.URL.Query()
	from, fromOK := parseDay(q.Get("dateFrom"))
	to, toOK := parseDay(q.Get("dateTo"))
	offset, err := strconv.Atoi("0" + q.Get("page"))
	switch {
	case !ok:
		b.fail(w, 404, "RESOURCE_UNKNOWN", "no such account under this consent")
		return
	case !fromOK, !toOK, from > to, q.Get("bookingStatus") != "both", err != nil:
		b.fail(w, 400, "FORMAT_ERROR", "dateFrom, dateTo and bookingStatus=both are needed")
		return
	case to-from >= longest:
		b.fail(w, 400, "PERIOD_INVALID", "at most 90 days at a time")
		return
	}
	if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
		person = (person + 1) % b.consents.count
		number = 0
	}
	today := b.today()
	booked, pending := b.movements(person, number, from, min(to, today), today)
	answer := map[string]any{"booked": page(booked, offset, b.o.PageSize), "_links": map[string]any{
		"account": map[string]string{"href": bankRoot + "/accounts/" + b.accountID(person, number)}}}
	if offset == 0 && to >= today {
		answer["pending"] = pending
	}
	if next := offset + b.o.PageSize; next < len(booked) {
		q.Set("page", strconv.Itoa(next))
		link := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: q.Encode()}
		w.Header().Add("Link", fmt.Sprintf(`<%s>; rel="self", <%s>; title="older, next"; rel="next"`, r.URL.Path, link.String()))
	}
	if b.endless.Load() && offset < len(booked) && offset+b.o.PageSize >= len(booked) {
		turn, _ := strconv.Atoi(q.Get("turn")) // absent: the first
		q.Set("turn", strconv.Itoa(turn+1))
		w.Header().Add("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.Path, q.Encode()))
	}
	sandbox.WriteJSON(w, 200, map[string]any{
		"account":      map[string]string{"resourceId": b.accountID(person, number), "iban": iban(person, number)},
		"transactions": answer,
	})
}

func page(all []movement, offset, size int) []movement {
	if offset >= len(all) {
		return []movement{}
	}
	return all[offset:min(offset+size, len(all))]
}

func (b *BankSimulator) fail(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(tppMessage(code, text))) // the caller may be gone
}

// tppMessage is the bank's error document.
func tppMessage(code, text string) string {
	if code == "" {
		code = "INTERNAL_SERVER_ERROR"
	}
	body, err := json.Marshal(map[string]any{"tppMessages": []any{map[string]string{"category": "ERROR", "code": code, "text": text}}})
	if err != nil {
		return "{}" // can't be: these are texts
	}
	return string(body)
}
