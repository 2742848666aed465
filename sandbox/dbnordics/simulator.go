package dbnordics

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
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

// state is what has happened to a company since the world began.
type state struct {
	petitions int // that came
	settled   int // remarks or incidents that went
	advanced  int // states that the first incident has got
	fate      *string
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

func (s *Simulator) endpoint(clients []sandbox.Client, salt uint64) *sandbox.OAuth2 {
	kind := "Bearer"
	if s.o.LowerTokenType {
		kind = "bearer"
	}
	return sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: s.o.Kit, Provider: Name, Seed: sandbox.Mix(s.o.Seed, salt), Clients: clients,
		// Only Basic is taken: credentials in the body are refused with 401.
		Identify: sandbox.BasicRaw,
		Bad:      sandbox.Refusal{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "Bad credentials"},
		TTL:      s.o.TokenTTL, TokenType: kind, ExpiresIn: s.o.TokenExpiresIn,
		Accept: s.accept,
	})
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

// Petition adds a petition to a Swedish company; the balance follows.
func (s *Simulator) Petition(i int) { s.change(i, func(st *state) { st.petitions++ }) }

// Settle takes the last remark, in Norway the last incident, away.
func (s *Simulator) Settle(i int) { s.change(i, func(st *state) { st.settled++ }) }

// Advance puts a new state before those of a Norwegian company's first incident.
func (s *Simulator) Advance(i int) { s.change(i, func(st *state) { st.advanced++ }) }

// Decree changes what becomes of questions about a company: Known, Unknown or
// Withheld.
func (s *Simulator) Decree(i int, fate string) { s.change(i, func(st *state) { st.fate = &fate }) }

func (s *Simulator) change(i int, f func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.touched[i]
	f(&st)
	s.touched[i] = st
}

// accept has the token endpoints' rules: one grant, known scopes.
func (s *Simulator) accept(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
	bad := func(code, why string) (sandbox.Grant, *sandbox.Refusal) {
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: code, Description: why}
	}
	if form.Get("grant_type") != "client_credentials" {
		return bad("unsupported_grant_type", "grant_type must be client_credentials")
	}
	asked := strings.Fields(form.Get("scope"))
	for _, one := range asked {
		if !slices.Contains(scopes, one) || len(c.Scopes) > 0 && !slices.Contains(c.Scopes, one) {
			return bad("invalid_scope", "The requested scope is invalid, unknown, or malformed")
		}
	}
	g := sandbox.Grant{Scope: strings.Join(asked, " ")}
	if s.o.NoTokenScope { // the token has them, the answer does not say so
		g.Scope, g.Audience = "", g.Scope
	}
	return g, nil
}

var scopes = []string{
	"bci", "consumer", "credit_data_companies", "credit_data_persons", "credit_data_monitoring", "rgs-decision",
	"rgs-decision-test", "credit-scoring", "affordability", "affordability_prodtest", "credit-register",
	"credential:third-party:read:fi_credit_register", "credential:third-party:owner:no_gjeldsregisteret",
	"nordic_right_to_sign", "no_beneficialowner", "no_beneficialowner_finance", "b2b_aml_screen", "b2c_aml_screen",
	"b2c_aml_ident_screen", "b2b_aml_ident_screen", "psd2",
}
