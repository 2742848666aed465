package norskgjeld

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

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

// Revoke is the person withdrawing a consent; false if it isn't active.
func (s *Simulator) Revoke(id string) bool {
	return s.register.revoke(id, s.o.Kit.Clock.Now(), func(ConsentInfo) bool { return true })
}

// Touch changes a balance of the person behind a consent; false for an unknown
// consent. A person without loans stays without.
func (s *Simulator) Touch(id string) bool {
	return s.register.change(id, func(p *personState) { p.version++ })
}

// Repay takes the last loan of the person behind a consent away.
func (s *Simulator) Repay(id string) bool {
	return s.register.change(id, func(p *personState) { p.repaid++ })
}

// Silence makes one creditor of the person behind a consent answer no more, or
// answer again.
func (s *Simulator) Silence(id string, silent bool) bool {
	return s.register.change(id, func(p *personState) { p.missing = silent })
}

// Active reports whether a consent can be used now.
func (s *Simulator) Active(id string) bool {
	s.register.mu.Lock()
	defer s.register.mu.Unlock()
	c, index, ok := s.register.find(id)
	return ok && !s.register.standing(c, index, s.o.Kit.Clock.Now()).inactive
}

// accept has the token endpoint's rules: a code, or one audience and known
// scopes.
func (s *Simulator) accept(c sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
	bad := func(code, why string) (sandbox.Grant, *sandbox.Refusal) {
		return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: code, Description: why}
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "authorization_code":
		return s.authorize.Redeem(c, form)
	default: // there are no refresh tokens
		return bad("unsupported_grant_type", "The authorization grant type is not supported by the authorization server")
	}
	audience, scope := form.Get("audience"), form.Get("scope")
	if !s.allowedAudience(c, audience) {
		return bad("invalid_request", "Requested audience '"+audience+"' has not been whitelisted by the OAuth 2.0 Client.")
	}
	for one := range strings.FieldsSeq(scope) {
		known := slices.Contains(scopes, one)
		if !known || (len(c.Scopes) > 0 && !slices.Contains(c.Scopes, one)) {
			return bad("invalid_scope", "The OAuth 2.0 Client is not allowed to request scope '"+one+"'.")
		}
	}
	return sandbox.Grant{Audience: audience, Scope: scope}, nil
}

var scopes = []string{Presentation, Processing, "consent.create", "client.access.consent.events"}

// allowedAudience takes the three services below AudienceBase and below a
// loopback origin: where the simulator is reached is not known to it here, and
// no real environment is on loopback.
func (s *Simulator) allowedAudience(c sandbox.Client, audience string) bool {
	if len(c.Audiences) > 0 && !slices.Contains(c.Audiences, audience) {
		return false
	}
	base, ok := splitAudience(audience)
	return ok && (base == s.o.AudienceBase || isLoopback(base))
}

func splitAudience(audience string) (base string, ok bool) {
	for _, service := range []string{agreementService, feedService, debtService} {
		if base, ok := strings.CutSuffix(audience, service); ok {
			return base, true
		}
	}
	return "", false
}

func isLoopback(base string) bool {
	u, err := url.Parse(base)
	return err == nil && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
}

func hasScope(granted, scope string) bool {
	return slices.Contains(strings.Fields(granted), scope)
}

// trace is the id an error carries: the caller's own, or a made up one.
func (s *Simulator) trace(r *http.Request) string {
	if id := r.Header.Get("X-Trace-ID"); id != "" {
		return id
	}
	return sandbox.UUIDs{Seed: s.o.Seed}.At(int(s.errors.Add(1)))
}

// fail answers in the debt API's shape of errors.
func (s *Simulator) fail(w http.ResponseWriter, r *http.Request, status int, problem, description string) {
	body := struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
		TraceID     string `json:"trace_id"`
		Timestamp   string `json:"timestamp"`
	}{problem, description, s.trace(r), s.o.Kit.Clock.Now().UTC().Format("2006-01-02T15:04:05.000000Z")}
	sandbox.WriteJSON(w, status, body)
}

// springError answers in the shape of the agreement service.
func (s *Simulator) springError(w http.ResponseWriter, r *http.Request, status int, message string) {
	id := sandbox.UUIDs{Seed: s.o.Seed}.At(int(s.errors.Add(1)))
	body := struct {
		Timestamp string `json:"timestamp"`
		Path      string `json:"path"`
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Message   string `json:"message,omitempty"`
		RequestID string `json:"requestId"`
	}{s.o.Kit.Clock.Now().UTC().Format("2006-01-02T15:04:05.000+00:00"), r.URL.Path, status,
		http.StatusText(status), message, id[:8] + "-" + id[9:12]}
	sandbox.WriteJSON(w, status, body)
}

// problem is the error body that quotas and faults use. 429 is not documented.
func (s *Simulator) problem(r *http.Request, status int) (contentType, body string) {
	word := map[int]string{
		http.StatusTooManyRequests: "too many requests", http.StatusInternalServerError: "server error",
		http.StatusForbidden: "invalid access token", http.StatusUnauthorized: "invalid access token",
	}[status]
	if word == "" {
		word = strings.ToLower(http.StatusText(status))
	}
	b, err := json.Marshal(map[string]string{"error": word, "trace_id": s.trace(r),
		"timestamp": s.o.Kit.Clock.Now().UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return "text/plain", word
	}
	return "application/json", string(b)
}
