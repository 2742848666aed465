package sbanken

import (
	"net/http"
	"strconv"
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

	mu       sync.Mutex
	accounts map[int]*accountState // of the accounts somebody asked for
}

// New returns a bank. o.Kit is required.
func New(o Options) *Simulator {
	o = o.withDefaults()
	s := &Simulator{
		o: o, world: newWorld(o), limiter: sandbox.NewLimiter(o.Kit.Clock, *o.Quota),
		clients: make(map[string]Client), pages: newPages(o.PageCache), accounts: make(map[int]*accountState),
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

func (s *Simulator) stateOf(account int) *accountState {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.accounts[account]
	if l == nil {
		l = newAccountState(s.world, account)
		s.accounts[account] = l
	}
	return l
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
