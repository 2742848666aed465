package norskgjeld

import (
	"net/http"
	"sync/atomic"

	"syncer/sandbox"
)

// Name is the provider's name in the journal, in fault rules and in the control
// paths.
const Name = "norskgjeld"

// The services, each an audience of its own below the API's origin.
const (
	agreementService = "/v1/consent/agreement"
	feedService      = "/feed/v1/consent"
	debtService      = "/v1/debt"
)

// Simulator is the registry.
type Simulator struct {
	o         Options
	tokens    *sandbox.OAuth2
	authorize *sandbox.Authorize
	limiter   *sandbox.Limiter
	register  *register
	errors    atomic.Uint64 // numbers trace ids
}

// New returns a registry. o.Kit is required.
func New(o Options) *Simulator {
	o = o.withDefaults()
	s := &Simulator{o: o, register: newRegister(newWorld(o)), limiter: sandbox.NewLimiter(o.Kit.Clock, o.Quota)}
	s.tokens = sandbox.NewOAuth2(sandbox.OAuth2Options{
		Kit: o.Kit, Provider: Name, Seed: o.Seed, Clients: o.Clients,
		Identify: sandbox.BasicRaw,
		Bad: sandbox.Refusal{Status: http.StatusUnauthorized, Code: "invalid_client",
			Description: "Client authentication failed (e.g., unknown client, no client authentication included, or unsupported authentication method)"},
		TTL: o.TokenTTL, TokenType: "bearer", ExpiresIn: o.TokenExpiresIn,
		Accept: s.accept,
	})
	s.authorize = s.newAuthorize()
	return s
}

// Handler serves both hosts of the registry, the authorization server and the
// API, with the kit's journal, faults and controls.
func (s *Simulator) Handler() http.Handler {
	return s.o.Kit.Handler(sandbox.Site{
		Name: Name, Describe: s.describe, API: http.HandlerFunc(s.serve), Control: s.control(),
		Limiter: s.limiter, Problem: s.problem,
	})
}

// Tokens is the token endpoint, for counting its calls and rotating secrets.
func (s *Simulator) Tokens() *sandbox.OAuth2 { return s.tokens }

// Len is the number of seeded consents.
func (s *Simulator) Len() int { return s.o.Consents }

// Consent is seeded consent number i, below Len.
func (s *Simulator) Consent(i int) ConsentInfo { return s.register.consent(i) }

// Consents lists the seeded consents as they were given: what has happened to
// them since is not in it.
func (s *Simulator) Consents() []ConsentInfo {
	out := make([]ConsentInfo, s.o.Consents)
	for i := range out {
		out[i] = s.Consent(i)
	}
	return out
}

// Active reports whether a consent can be used now.
func (s *Simulator) Active(id string) bool {
	s.register.mu.Lock()
	defer s.register.mu.Unlock()
	c, index, ok := s.register.find(id)
	return ok && !s.register.validityOf(c, index, s.o.Kit.Clock.Now()).inactive
}
