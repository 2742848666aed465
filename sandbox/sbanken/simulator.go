package sbanken

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"syncer/sandbox"
)

// Name is the provider's name in the journal, in fault rules and in the control
// paths.
const Name = "sbanken"

// Simulator is the bank.
type Simulator struct {
	o       Options
	world   *world
	tokens  *sandbox.OAuth2
	limiter *sandbox.Limiter
	clients map[string]Client
	pages   *pages
	traces  atomic.Uint64

	over atomic.Bool // see Overcount

	mu      sync.Mutex
	ledgers map[int]*ledger // of the accounts somebody asked for
}

// New returns a bank. o.Kit is required.
func New(o Options) *Simulator {
	o = o.withDefaults()
	s := &Simulator{
		o: o, world: newWorld(o), limiter: sandbox.NewLimiter(o.Kit.Clock, *o.Quota),
		clients: make(map[string]Client), pages: newPages(o.PageCache), ledgers: make(map[int]*ledger),
	}
	var registered []sandbox.Client
	for _, c := range o.Clients {
		s.clients[c.ID] = c
		registered = append(registered, sandbox.Client{ID: c.ID, Secret: c.Secret, Since: c.SecretSince})
	}
	s.tokens = sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: o.Kit, Provider: Name, Seed: o.Seed, Clients: registered,
		Identify: sandbox.BasicEncoded,
		Bad:      invalidClient(),
		TTL:      o.TokenTTL, TokenType: "Bearer",
		Accept: s.accept, Token: s.token,
	})
	return s
}

// Handler serves both hosts of the bank, the identity server and the API, with
// the kit's journal, faults and controls.
func (s *Simulator) Handler() http.Handler {
	return s.o.Kit.Handler(sandbox.Site{
		Name: Name, Describe: s.describe, API: http.HandlerFunc(s.serve), Control: s.control(),
		Limiter: s.limiter, Announce: s.announce, Problem: s.problem,
	})
}

// Limiter is the bank's quota.
func (s *Simulator) Limiter() *sandbox.Limiter { return s.limiter }

// Len is the number of customers.
func (s *Simulator) Len() int { return s.o.Customers }

// Customer is customer number i, below Len.
func (s *Simulator) Customer(i int) CustomerInfo { return s.world.customer(i) }

// Customers lists all customers with their accounts.
func (s *Simulator) Customers() []CustomerInfo {
	out := make([]CustomerInfo, s.o.Customers)
	for i := range out {
		out[i] = s.Customer(i)
	}
	return out
}

// Insert books a new transaction, back days before today, and returns its
// transactionId; "" for an unknown account.
func (s *Simulator) Insert(accountID string, back int) string {
	n, ok := s.world.findAccount(accountID)
	if !ok {
		return ""
	}
	l := s.ledger(n)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.insertNew(s.world.today() - back)
	return strconv.FormatInt(r.id(n, s.o.Seed), 10)
}

// Overcount makes every list count one row more than it has, so that its end never comes.
func (s *Simulator) Overcount() { s.over.Store(true) }

// Reserve makes a card reservation today; false for an unknown account.
func (s *Simulator) Reserve(accountID string) bool {
	return s.onLedger(accountID, func(l *ledger, today int) { l.reserve(today, today) })
}

// Book books all reservations of an account today, whenever they are due.
func (s *Simulator) Book(accountID string) bool {
	return s.onLedger(accountID, func(l *ledger, today int) {
		for _, r := range l.reservations {
			l.book(r, today)
		}
		l.reservations = nil
	})
}

// Release lets all reservations of an account lapse without a booking.
func (s *Simulator) Release(accountID string) bool {
	return s.onLedger(accountID, func(l *ledger, _ int) {
		l.reservations = nil
		l.revision++
	})
}

func (s *Simulator) onLedger(accountID string, f func(l *ledger, today int)) bool {
	n, ok := s.world.findAccount(accountID)
	if !ok {
		return false
	}
	l := s.ledger(n)
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l, s.world.today())
	return true
}

func (s *Simulator) ledger(account int) *ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.ledgers[account]
	if l == nil {
		l = newLedger(s.world, account)
		s.ledgers[account] = l
	}
	return l
}

func (l *ledger) insertNew(day int) row {
	return l.insert(row{content: sandbox.Mix(l.world.o.Seed, 'n', uint64(l.account), uint64(l.added)), day: day})
}

func invalidClient() sandbox.Refusal {
	return sandbox.Refusal{Status: http.StatusBadRequest, Code: "invalid_client"}
}

func (s *Simulator) accept(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
	switch {
	case s.o.NewSecretDelay > 0 && s.o.Kit.Clock.Now().Sub(c.Since) < s.o.NewSecretDelay:
		bad := invalidClient()
		return sandbox.Grant{}, &bad
	case form.Get("grant_type") == "":
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: "invalid_request"}
	case form.Get("grant_type") != "client_credentials":
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: "unsupported_grant_type"}
	case s.o.ScopeOff:
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: "invalid_scope"}
	}
	// The real scope's name was never published.
	return sandbox.Grant{Scope: "mock.apibeta"}, nil
}

// token has the shape of the bank's JWT. Its signature is made up: no client
// has the key to check it, and none should look inside.
func (s *Simulator) token(g sandbox.Grant, issued time.Time, n uint64) string {
	claims, err := json.Marshal(map[string]any{
		"nbf": issued.Unix(), "exp": g.Expires.Unix(), "iss": "https://auth.sbanken.no/identityserver",
		"aud": []string{"mock.apibeta"}, "client_id": g.ClientID, "scope": []string{g.Scope}, "jti": n,
	})
	if err != nil {
		panic("sbanken: claims: " + err.Error()) // texts and numbers only
	}
	part := base64.RawURLEncoding.EncodeToString
	signature := strings.ReplaceAll(sandbox.OpaqueToken(s.o.Seed, n), ".", "")
	return part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part(claims) + "." + signature
}

// announce writes the quota the way AspNetCoreRateLimit does: "limit" is the
// period, not a number of calls.
func (s *Simulator) announce(h http.Header, d sandbox.Decision) {
	if !d.Limited || s.o.Quota.Period == 0 {
		return
	}
	h.Set("X-Rate-Limit-Limit", periodText(s.o.Quota.Period))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(d.Remaining))
	h.Set("X-Rate-Limit-Reset", s.o.Kit.Clock.Wall(d.Reset).UTC().Format("2006-01-02T15:04:05.0000000Z"))
}

func periodText(d time.Duration) string {
	if d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}
