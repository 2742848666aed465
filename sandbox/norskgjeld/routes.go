package norskgjeld

import (
	"net/http"
	"strings"
	"time"

	"syncer/sandbox"
)

const tokenPath = "/oauth2/token"

// describe recognises a request for the journal and for fault rules. Token
// calls have a bucket of their own: they go to another host.
func (s *Simulator) describe(r *http.Request) sandbox.Call {
	client := s.tokens.ClientOf(r)
	path := r.URL.Path
	switch {
	case path == tokenPath:
		return sandbox.Call{Bucket: client + "/token", Template: path, Token: true}
	case path == authorizePath:
		return sandbox.Call{Bucket: r.URL.Query().Get("client_id") + "/browser", Template: path}
	case strings.HasPrefix(path, debtService+"/"):
		id, rest, _ := strings.Cut(strings.TrimPrefix(path, debtService+"/"), "/")
		template := debtService + "/{consent}"
		if rest != "" {
			template += "/" + rest
		}
		return sandbox.Call{Bucket: client, Template: template, Subject: id}
	}
	return sandbox.Call{Bucket: client, Template: path}
}

func (s *Simulator) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == tokenPath:
		s.tokens.ServeHTTP(w, r)
	case path == authorizePath && r.Method == http.MethodGet:
		s.authorize.ServeHTTP(w, r)
	case path == "/.well-known/openid-configuration":
		s.serveDiscovery(w, r)
	case path == "/.well-known/jwks.json":
		sandbox.WriteJSON(w, http.StatusOK, map[string]any{"keys": []any{}})
	case path == agreementService:
		s.serveAgreement(w, r)
	case path == feedService, strings.HasPrefix(path, feedService+"/"):
		s.routeFeed(w, r, strings.TrimPrefix(path, feedService))
	case path == debtService, strings.HasPrefix(path, debtService+"/"):
		s.routeDebt(w, r, strings.TrimPrefix(strings.TrimPrefix(path, debtService), "/"))
	default:
		s.springError(w, r, http.StatusNotFound, "")
	}
}

func (s *Simulator) routeFeed(w http.ResponseWriter, r *http.Request, rest string) {
	grant, ok := s.bearer(w, r, feedService)
	if !ok {
		return
	}
	if !hasScope(grant.Scope, "client.access.consent.events") {
		s.fail(w, r, http.StatusForbidden, s.tokenError(), "scope client.access.consent.events is missing")
		return
	}
	switch {
	case r.Method != http.MethodGet:
		s.springError(w, r, http.StatusMethodNotAllowed, "")
	case rest == "":
		s.serveFeed(w, r, grant.ClientID)
	case rest == "/firstSequenceNr" || rest == "/lastSequenceNr":
		s.serveBound(w, rest[1:], grant.ClientID)
	default:
		s.springError(w, r, http.StatusNotFound, "")
	}
}

func (s *Simulator) routeDebt(w http.ResponseWriter, r *http.Request, rest string) {
	id, verb, _ := strings.Cut(rest, "/")
	service := debtService
	if verb == "status" {
		service = "" // any token of the client will do
	}
	grant, ok := s.bearer(w, r, service)
	if !ok {
		return
	}
	switch {
	case id == "" && r.Method == http.MethodGet && grant.Subject != "":
		s.serveDebt(w, r, grant.Subject, grant)
	case id == "" && r.Method == http.MethodGet:
		// Only the token of an authorization code has its consent with it.
		s.fail(w, r, http.StatusForbidden, "no valid consent", "")
	case !looksLikeUUID(id):
		s.fail(w, r, http.StatusBadRequest, "bad request", "consentId is not a UUID")
	case verb == "status" && r.Method == http.MethodGet:
		s.serveStatus(w, id, grant)
	case verb == "" && r.Method == http.MethodGet:
		s.serveDebt(w, r, id, grant)
	case verb == "" && r.Method == http.MethodDelete:
		s.serveRevoke(w, r, id, grant)
	default:
		s.springError(w, r, http.StatusMethodNotAllowed, "")
	}
}

// bearer checks the bearer token, and its audience unless service is empty.
// The debt API answers 403 for everything that is wrong with a token.
func (s *Simulator) bearer(w http.ResponseWriter, r *http.Request, service string) (sandbox.Grant, bool) {
	grant, known, live := s.tokens.Bearer(r)
	problem := ""
	switch {
	case !known:
		problem = "token is missing or unknown"
	case !live:
		problem = "token expired"
	case service != "" && !strings.HasSuffix(grant.Audience, service):
		problem = "token has another audience"
	default:
		return grant, true
	}
	status := http.StatusForbidden
	if s.o.UnauthorizedTokens {
		status = http.StatusUnauthorized
	}
	s.fail(w, r, status, s.tokenError(), problem)
	return grant, false
}

func (s *Simulator) tokenError() string {
	if s.o.UpperCaseTokenError {
		return "Invalid access token"
	}
	return "invalid access token"
}

func (s *Simulator) serveDebt(w http.ResponseWriter, r *http.Request, id string, grant sandbox.Grant) {
	l, ok := s.register.collect(id, s.o.Kit.Clock.Now(), func(c ConsentInfo) bool {
		// The token of an authorization code is bound to its consent.
		bound := grant.Subject == "" || grant.Subject == c.ID
		return bound && c.ClientID == grant.ClientID && hasScope(grant.Scope, c.Scope)
	})
	switch {
	case ok && l.expired:
		s.fail(w, r, http.StatusForbidden, "invalid consent",
			"Consent expired at "+l.consent.ValidUntil.UTC().Format(time.RFC3339Nano))
	case !ok || l.inactive:
		s.fail(w, r, http.StatusForbidden, "no valid consent", "")
	default:
		sandbox.WriteJSON(w, http.StatusOK, s.answer(r, l))
	}
}

func (s *Simulator) serveStatus(w http.ResponseWriter, id string, grant sandbox.Grant) {
	now := s.o.Kit.Clock.Now()
	s.register.mu.Lock()
	c, index, ok := s.register.find(id)
	active := ok && c.ClientID == grant.ClientID && !s.register.standing(c, index, now).inactive
	s.register.mu.Unlock()
	body := map[string]any{"active": active}
	if ok {
		body["expires_at"] = c.ValidUntil.Unix()
	}
	if s.o.StatusAsText {
		body["active"] = map[bool]string{true: "true", false: "false"}[active]
		if ok {
			body["expires_at"] = c.ValidUntil.UTC().Format(time.RFC3339)
		}
	}
	sandbox.WriteJSON(w, http.StatusOK, body)
}

func (s *Simulator) serveRevoke(w http.ResponseWriter, r *http.Request, id string, grant sandbox.Grant) {
	mine := func(c ConsentInfo) bool { return c.ClientID == grant.ClientID }
	if !s.register.revoke(id, s.o.Kit.Clock.Now(), mine) {
		s.fail(w, r, http.StatusForbidden, "no valid consent", "")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func looksLikeUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range []byte(id) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		if dash != (c == '-') || (!dash && !hex) {
			return false
		}
	}
	return true
}

func (s *Simulator) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	base := "http://" + r.Host
	sandbox.WriteJSON(w, http.StatusOK, map[string]any{
		"issuer":                                base + "/",
		"authorization_endpoint":                base + authorizePath,
		"token_endpoint":                        base + tokenPath,
		"jwks_uri":                              base + "/.well-known/jwks.json",
		"userinfo_endpoint":                     base + "/userinfo",
		"revocation_endpoint":                   base + "/oauth2/revoke",
		"end_session_endpoint":                  base + "/oauth2/sessions/logout",
		"grant_types_supported":                 []string{"authorization_code", "client_credentials"},
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"pairwise"},
		"scopes_supported":                      []string{"openid"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

// control is steered from outside under /_sandbox/norskgjeld/:
//
//	GET  consents                       id,national_id,scope,valid_until,single_use,client_ref as CSV
//	POST revoke|touch|repay?consent=ID
//	POST silence?consent=ID&silent=true|false
//	POST person?mood=consents|denies|cancels&national_id=...
func (s *Simulator) control() http.Handler {
	mux := http.NewServeMux()
	verb := func(name string, do func(r *http.Request, id string) bool) {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			if !do(r, r.URL.Query().Get("consent")) {
				http.Error(w, name+": no such active consent", http.StatusNotFound)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	verb("revoke", func(_ *http.Request, id string) bool { return s.Revoke(id) })
	verb("touch", func(_ *http.Request, id string) bool { return s.Touch(id) })
	verb("repay", func(_ *http.Request, id string) bool { return s.Repay(id) })
	verb("silence", func(r *http.Request, id string) bool {
		return s.Silence(id, r.URL.Query().Get("silent") != "false")
	})
	mux.HandleFunc("POST /person", s.sit)
	mux.HandleFunc("GET /consents", s.listConsents)
	return mux
}
