package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"syncer/sandbox"
)

// Collector is the collector's name in the journal, in fault rules and in the control paths.
const Collector = "nordvik"

const (
	collectorRoot  = "/v2"
	collectorToken = "/connect/token"
	largestPage    = 50
)

// CollectorOptions describes Nordvik Inkasso. The zero value, plus a Kit, is a small world with one client.
type CollectorOptions struct {
	Kit  *sandbox.Kit
	Seed uint64 // 0: the kit's
	// Consents is the size of the world; 0 means 50.
	Consents int
	// MaxClaims is the largest number of claims a person has; 0 means 12.
	MaxClaims int
	// LargestPage is the most claims that an answer shows, whatever was asked for; 0 means 50.
	LargestPage int
	// Waiting is the share of people one of whose creditors has not reported yet.
	Waiting float64
	// Unknown is the share of people who are not known at all: 404.
	Unknown float64
	// Closed makes every so many-th data call answer 200 with the error register_closed; 0: none.
	Closed int
	// TokenTTL is the lifetime of a token; 0 means an hour.
	TokenTTL time.Duration
	// Quota limits each client; the zero value allows all.
	Quota sandbox.Quota
}

// CollectorClient is the one registered client.
func CollectorClient() sandbox.Client {
	return sandbox.Client{ID: "syncer-client", Secret: "nordvik-client-secret"}
}

// CollectorKey is the API key of the one subscription.
func CollectorKey() string { return "nvk_live_0123456789abcdef" }

// CollectorSimulator is Nordvik Inkasso.
type CollectorSimulator struct {
	o        CollectorOptions
	tokens   *sandbox.OAuth2
	consents *consents
	limiter  *sandbox.Limiter
	requests atomic.Uint64 // numbers request ids
	data     atomic.Uint64 // data calls
	endless  atomic.Bool

	mu      sync.Mutex
	settled map[string]int // by mandate, the oldest claims that are settled
	first   map[string]int // claims that were put in front of a mandate's list
}

// NewCollector returns a collector. o.Kit is required.
func NewCollector(o CollectorOptions) *CollectorSimulator {
	orElse(&o.Seed, o.Kit.Seed)
	orElse(&o.Consents, 50)
	orElse(&o.MaxClaims, 12)
	orElse(&o.TokenTTL, time.Hour)
	orElse(&o.LargestPage, largestPage)
	return &CollectorSimulator{
		o: o, settled: map[string]int{}, first: map[string]int{},
		consents: newConsents(sandbox.Mix(o.Seed, 'v'), o.Consents, o.Kit.Clock.Now().AddDate(0, 6, 0).UTC().Truncate(time.Second)),
		limiter:  sandbox.NewLimiter(o.Kit.Clock, o.Quota),
		tokens: sandbox.NewOAuth2(sandbox.OAuth2Options{
			Kit: o.Kit, Provider: Collector, Seed: o.Seed, Clients: []sandbox.Client{CollectorClient()}, Identify: inParams,
			Bad: sandbox.Refusal{Status: http.StatusBadRequest, Code: "invalid_client"},
			TTL: o.TokenTTL, TokenType: "bearer", Accept: accept("claims.read", "claims-api"),
		}),
	}
}

// Handler serves the collector's two hosts in one.
func (c *CollectorSimulator) Handler() http.Handler {
	return c.o.Kit.Handler(sandbox.Site{
		Name: Collector, Describe: c.describe, API: http.HandlerFunc(c.serve), Control: c.consents.control(), Limiter: c.limiter,
		Problem: func(_ *http.Request, status int) (string, string) {
			code := map[int]string{429: "rate_limited", 503: "maintenance"}[status]
			if code == "" {
				code = "internal"
			}
			body, _ := json.Marshal(c.problem(code, "the collector says no", 0)) // texts and numbers always have a JSON form
			return "application/json", string(body)
		},
	})
}

// Len is the number of mandates.
func (c *CollectorSimulator) Len() int { return c.consents.count }

// Consent is mandate number i, below Len.
func (c *CollectorSimulator) Consent(i int) ConsentInfo { return c.consents.at(i) }

// Consents lists them all.
func (c *CollectorSimulator) Consents() []ConsentInfo { return c.consents.all() }

// Revoke is the person withdrawing a mandate; false if there is none to withdraw.
func (c *CollectorSimulator) Revoke(id string) bool { return c.consents.withdraw(id) }

// Claim puts a new claim in front of a mandate's list, and Settle takes one away there.
func (c *CollectorSimulator) Claim(mandate string) { c.alter(c.first, mandate) }

// RemoveClaim takes the first claim of a mandate's list away.
func (c *CollectorSimulator) RemoveClaim(mandate string) { c.alter(c.settled, mandate) }

func (c *CollectorSimulator) alter(what map[string]int, mandate string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what[mandate]++
}

// Endless makes every list claim that it has one claim more, and its last page come for every place behind it.
func (c *CollectorSimulator) Endless() { c.endless.Store(true) }

// listOf is a mandate's list as it stands.
func (c *CollectorSimulator) listOf(mandate string, person int) []claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.claimsOf(person)
	for n := range c.first[mandate] {
		id := fmt.Sprintf("NV-%04d-N%d", person, n)
		one := all[0]
		one.ID = &id
		all = append([]claim{one}, all...)
	}
	return all[min(c.settled[mandate], len(all)):]
}

// Tokens is the token endpoint.
func (c *CollectorSimulator) Tokens() *sandbox.OAuth2 { return c.tokens }

func (c *CollectorSimulator) describe(r *http.Request) sandbox.Call {
	if r.URL.Path == collectorToken {
		return sandbox.Call{Bucket: c.tokens.ClientOf(r) + "/token", Template: collectorToken, Token: true}
	}
	call := sandbox.Call{Bucket: c.tokens.ClientOf(r), Template: r.URL.Path}
	if mandate, rest, ok := mandateOf(r.URL.Path); ok {
		call.Subject = mandate
		call.Template = collectorRoot + "/mandates/{mandate}" + rest
	}
	return call
}

func mandateOf(path string) (mandate, rest string, ok bool) {
	path, ok = strings.CutPrefix(path, collectorRoot+"/mandates/")
	mandate, rest, more := strings.Cut(path, "/")
	if more {
		rest = "/" + rest
	}
	return mandate, rest, ok && mandate != ""
}

func (c *CollectorSimulator) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == collectorToken {
		c.tokens.ServeHTTP(w, r)
		return
	}
	w.Header().Set("X-Nordvik-Request", c.requestID())
	mandate, rest, ok := mandateOf(r.URL.Path)
	person, withdrawn, found := c.consents.find(mandate)
	_, _, live := c.tokens.Bearer(r)
	switch {
	case r.Header.Get("X-Api-Key") != CollectorKey():
		c.fail(w, 403, "api_key_invalid", "no such key")
	case !live:
		c.fail(w, 401, "token_expired", "the token is not good")
	case !ok, r.Method != http.MethodGet, rest != "/claims" && rest != "":
		c.fail(w, 404, "not_found", "no such path")
	case !found:
		c.fail(w, 404, "mandate_unknown", "no such mandate")
	case withdrawn:
		c.fail(w, 403, "mandate_withdrawn", "the debtor has withdrawn the mandate")
	case c.o.Kit.Clock.Now().After(c.consents.until):
		c.fail(w, 403, "mandate_expired", "the mandate has run out")
	case rest == "":
		sandbox.WriteJSON(w, 200, map[string]any{"mandate_id": mandate, "status": "active"})
	default:
		c.claims(w, r, mandate, person)
	}
}

func (c *CollectorSimulator) claims(w http.ResponseWriter, r *http.Request, mandate string, person int) {
	number := c.consents.at(person).NationalID
	q := r.URL.Query()
	limit, limitErr := strconv.Atoi(q.Get("limit"))
	offset, offsetErr := strconv.Atoi(q.Get("offset"))
	nth := c.data.Add(1)
	switch {
	case r.Header.Get("X-Debtor") != number:
		c.fail(w, 403, "debtor_mismatch", "the mandate is another debtor's")
		return
	case limitErr != nil, offsetErr != nil, limit < 1, offset < 0:
		c.fail(w, 400, "bad_request", "limit and offset are needed")
		return
	case c.happens(person, 'u', c.o.Unknown):
		c.fail(w, 404, "debtor_unknown", "nothing is registered on this person")
		return
	case c.o.Closed > 0 && nth%uint64(c.o.Closed) == 0:
		sandbox.WriteJSON(w, 200, c.problem("register_closed", "the register is closed for a moment", 0)) // yes, with 200
		return
	}
	if _, wrong := sandbox.FaultOf(r, sandbox.WrongSubject); wrong {
		person = (person + 1) % c.consents.count
		number = c.consents.at(person).NationalID
	}
	all := c.listOf(mandate, person)
	limit = min(limit, c.o.LargestPage)
	total := len(all)
	if c.endless.Load() {
		total = max(total, offset) + 1
		offset = min(offset, max(0, len(all)-limit))
	}
	end := min(offset+limit, len(all))
	waiting := 0
	if c.happens(person, 'w', c.o.Waiting) {
		waiting = 1
	}
	sandbox.WriteJSON(w, 200, map[string]any{
		"mandate_id": mandate, "debtor": map[string]string{"national_id": number},
		"claims": all[min(offset, end):end], "creditors_pending": waiting,
		"paging": map[string]int{"offset": offset, "limit": limit, "total": total},
	})
}

func (c *CollectorSimulator) requestID() string {
	return "nvk-" + strconv.FormatUint(sandbox.Mix(c.o.Seed, c.requests.Add(1)), 36)
}

func (c *CollectorSimulator) fail(w http.ResponseWriter, status int, code, message string) {
	sandbox.WriteJSON(w, status, c.problem(code, message, 0))
}

// problem is the collector's error document. A pause is told in it, and in no header.
func (c *CollectorSimulator) problem(code, message string, pause int) map[string]any {
	body := map[string]any{"code": code, "message": message, "request_id": c.requestID()}
	if pause > 0 {
		body["retry_after_seconds"] = pause
	}
	return map[string]any{"error": body}
}
