package oauthtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"
)

// Where the endpoints are; the first two as Hydra has them.
const (
	tokenPath     = "/oauth2/token"
	authorizePath = "/oauth2/auth"
	metadataPath  = "/.well-known/openid-configuration"
	apiPath       = "/api/me"
)

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc(tokenPath, s.oneAtATime(s.token))
	mux.HandleFunc("GET "+authorizePath, s.oneAtATime(s.authorize))
	mux.HandleFunc("GET "+metadataPath, s.metadata)
	mux.HandleFunc("GET "+apiPath, s.api)
	return mux
}

func (s *Server) oneAtATime(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.serial.Lock()
		defer s.serial.Unlock()
		h(w, r)
	}
}

// token is the token endpoint. With client credentials everything that is asked for and registered is granted; with a
// code or a refresh token fosite gives what was granted before.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	ask, err := s.provider.NewAccessRequest(ctx, r, openid.NewDefaultSession())
	if err != nil {
		s.provider.WriteAccessError(ctx, w, ask, err)
		return
	}
	if ask.GetGrantTypes().ExactOne("client_credentials") {
		grant(ask)
	}
	answer, err := s.provider.NewAccessResponse(ctx, ask)
	if err != nil {
		s.provider.WriteAccessError(ctx, w, ask, err)
		return
	}
	s.keep(answer)
	s.provider.WriteAccessResponse(ctx, w, ask, answer)
}

func (s *Server) keep(answer fosite.AccessResponder) {
	refresh, _ := answer.GetExtra("refresh_token").(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued = append(s.issued, Issue{Access: answer.GetAccessToken(), Refresh: refresh})
}

func grant(r fosite.Requester) {
	for _, scope := range r.GetRequestedScopes() {
		r.GrantScope(scope)
	}
	for _, audience := range r.GetRequestedAudience() {
		r.GrantAudience(audience)
	}
}

// authorize is where the browser goes: the person is known and says yes, unless Refuse is set.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	ask, err := s.provider.NewAuthorizeRequest(ctx, r)
	if err == nil && s.Refuse {
		err = fosite.ErrAccessDenied
	}
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, w, ask, err)
		return
	}
	grant(ask)
	answer, err := s.provider.NewAuthorizeResponse(ctx, ask, &openid.DefaultSession{
		Claims:  &jwt.IDTokenClaims{Subject: Subject, RequestedAt: time.Now(), AuthTime: time.Now()},
		Headers: &jwt.Headers{}, Subject: Subject,
	})
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, w, ask, err)
		return
	}
	answer.AddParameter("iss", s.Issuer)
	if s.Callback != nil {
		s.Callback(answer)
	}
	s.provider.WriteAuthorizeResponse(ctx, w, ask, answer)
}

// metadata is the discovery document (OpenID Connect Discovery 1.0 section 3, RFC 8414, RFC 9207).
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{
		"issuer":                                         s.Issuer,
		"authorization_endpoint":                         s.Issuer + authorizePath,
		"token_endpoint":                                 s.Issuer + tokenPath,
		"jwks_uri":                                       s.Issuer + "/.well-known/jwks.json",
		"response_types_supported":                       []string{"code"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"ES256"},
		"token_endpoint_auth_methods_supported":          []string{Basic, Post},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
	}
	if s.Metadata != nil {
		s.Metadata(m)
	}
	writeJSON(w, m)
}

// Me is what the API tells of the token that it was called with, as fosite knows it.
type Me struct {
	Client    string   `json:"client"`
	Subject   string   `json:"subject"`
	Scopes    []string `json:"scopes"`
	Audiences []string `json:"audiences"`
}

// api is the resource: it answers whoever has an access token that fosite calls good.
func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	token := fosite.AccessTokenFromRequest(r)
	if s.OnToken != nil {
		s.OnToken(token)
	}
	s.serial.Lock()
	defer s.serial.Unlock()
	use, found, err := s.provider.IntrospectToken(r.Context(), token, fosite.AccessToken, openid.NewDefaultSession())
	if err != nil || use != fosite.AccessToken {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_token"}`)
		return
	}
	writeJSON(w, Me{
		Client: found.GetClient().GetID(), Subject: found.GetSession().GetSubject(),
		Scopes: found.GetGrantedScopes(), Audiences: found.GetGrantedAudience(),
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
