package dbnordics

import (
	"net/http"
	"sync"

	"syncer/sandbox"
)

// Name is the provider's name in the journal, in fault rules and in the control
// paths.
const Name = "dbnordics"

// Simulator is the vendor.
type Simulator struct {
	o          Options
	world      world
	sandbox    *sandbox.OAuth2
	production *sandbox.OAuth2
	limiter    *sandbox.Limiter

	mu        sync.Mutex
	touched   map[int]state     // of companies that something has happened to
	decisions map[string][]byte // by correlation id
	asked     map[string]uint64 // how often credit data of a subject was given out
	counter   uint64            // numbers correlation ids
}

// New returns a vendor. o.Kit is required.
func New(o Options) *Simulator {
	o = o.withDefaults()
	s := &Simulator{
		o: o, world: world{o}, limiter: sandbox.NewLimiter(o.Kit.Clock, o.Quota),
		touched: make(map[int]state), decisions: make(map[string][]byte), asked: make(map[string]uint64),
	}
	s.sandbox = s.endpoint(o.SandboxClients, 's')
	s.production = s.endpoint(o.ProductionClients, 'p')
	return s
}

// Handler serves the login host and the API host of both environments, with the
// kit's journal, faults and controls.
func (s *Simulator) Handler() http.Handler {
	return s.o.Kit.Handler(sandbox.Site{
		Name: Name, Describe: s.describe, API: http.HandlerFunc(s.serve), Control: s.control(),
		Limiter: s.limiter, Problem: s.problem,
	})
}

// Tokens is the token endpoint of the sandbox, for counting its calls and
// rotating secrets.
func (s *Simulator) Tokens() *sandbox.OAuth2 { return s.sandbox }

// ProductionTokens is the token endpoint of production.
func (s *Simulator) ProductionTokens() *sandbox.OAuth2 { return s.production }

// Len is the number of companies.
func (s *Simulator) Len() int { return s.o.Companies }

// Company is company number i, below Len, as it was when the world began.
func (s *Simulator) Company(i int) CompanyInfo { return s.world.company(i) }

// Companies lists all companies as they were when the world began.
func (s *Simulator) Companies() []CompanyInfo {
	out := make([]CompanyInfo, s.o.Companies)
	for i := range out {
		out[i] = s.Company(i)
	}
	return out
}

// Asked says how often credit data of a company was given out: each time is a
// charge, and for a sole trader a letter.
func (s *Simulator) Asked(i int) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[s.Company(i).Subject]
}
