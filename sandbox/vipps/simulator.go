package vipps

import (
	"net/http"
	"sync"
	"sync/atomic"

	"syncer/sandbox"
)

// Name is the provider's name in the journal, in fault rules and in the control paths.
const Name = "vipps"

// Simulator is the vendor: the token endpoints and the Report API.
type Simulator struct {
	o           Options
	world       *world
	standard    *sandbox.OAuth2
	specialized *sandbox.OAuth2
	limiter     *sandbox.Limiter
	traces      atomic.Uint64

	mu      sync.Mutex
	books   map[int]*book // of the ledgers somebody asked for
	refused map[int]bool  // merchants who have not granted access
	endless bool
}

// New returns a simulator. o.Kit is required.
func New(o Options) *Simulator {
	o = o.withDefaults()
	s := &Simulator{
		o: o, world: newWorld(o), limiter: sandbox.NewLimiter(o.Kit.Clock, o.Quota),
		books: make(map[int]*book), refused: make(map[int]bool),
	}
	s.standard, s.specialized = s.standardTokens(), s.specializedTokens()
	return s
}

// Handler serves both APIs with the kit's journal, faults and controls.
func (s *Simulator) Handler() http.Handler {
	return s.o.Kit.Handler(sandbox.Site{
		Name: Name, Describe: s.describe, API: http.HandlerFunc(s.serve), Control: s.control(),
		Limiter: s.limiter, Problem: s.problem,
	})
}

// Merchant is merchant number i, below Len.
func (s *Simulator) Merchant(i int) MerchantInfo { return s.world.merchant(i) }

// Merchants lists all merchants.
func (s *Simulator) Merchants() []MerchantInfo {
	out := make([]MerchantInfo, s.o.Merchants)
	for i := range out {
		out[i] = s.Merchant(i)
	}
	return out
}

// Limiter is the quota, for changing it while a test runs.
func (s *Simulator) Limiter() *sandbox.Limiter { return s.limiter }

// granted says whether a client may read a merchant's ledger.
func (s *Simulator) granted(c Client, merchant int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.refused[merchant] && (c.MSN == "" || c.MSN == s.world.merchant(merchant).MSN)
}

func (s *Simulator) book(merchant int) *book {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.books[merchant]
	if b == nil {
		b = newBook(s.world, merchant)
		s.books[merchant] = b
	}
	return b
}

// Rows is how many rows a merchant's ledger has by now, in both topics.
func (s *Simulator) Rows(merchant int) (n int) {
	for topic := range topics {
		n += len(s.book(merchant).visible(topic, s.o.Kit.Clock.Now()))
	}
	return n
}
