package norskgjeld

import (
	"net/http"
	"regexp"
	"strings"

	"syncer/sandbox"
)

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
	case rest == "/firstSequenceNr", rest == "/lastSequenceNr":
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
	if id == "" && r.Method == http.MethodGet {
		s.serveOwnDebt(w, r, grant)
		return
	}
	if !looksLikeUUID(id) {
		s.fail(w, r, http.StatusBadRequest, "bad request", "consentId is not a UUID")
		return
	}
	switch r.Method + " " + verb {
	case "GET status":
		s.serveStatus(w, id, grant)
	case "GET ":
		s.serveDebt(w, r, id, grant)
	case "DELETE ":
		s.serveRevoke(w, r, id, grant)
	default:
		s.springError(w, r, http.StatusMethodNotAllowed, "")
	}
}

// serveOwnDebt answers a request without a consent: only the token of an authorization code has its consent with it.
func (s *Simulator) serveOwnDebt(w http.ResponseWriter, r *http.Request, grant sandbox.Grant) {
	if grant.Subject == "" {
		s.fail(w, r, http.StatusForbidden, "no valid consent", "")
		return
	}
	s.serveDebt(w, r, grant.Subject, grant)
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

func looksLikeUUID(id string) bool { return aUUID.MatchString(id) }

var aUUID = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

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
