package oauthtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
)

// Ways for a client to prove itself at the token endpoint, in the words of OpenID Connect Discovery. fosite decodes
// both halves of Basic from application/x-www-form-urlencoded, as RFC 6749 section 2.3.1 says.
const (
	Basic = "client_secret_basic"
	Post  = "client_secret_post"
)

// Client is one registered client. It may use client credentials, authorization codes and refresh tokens.
type Client struct {
	ID, Secret string
	Method     string // Basic or Post; fosite refuses the other
	Scopes     []string
	Audiences  []string
	Redirects  []string
}

// Lifetimes of what the server issues.
const (
	TokenLife   = 10 * time.Minute
	RefreshLife = 30 * 24 * time.Hour
)

// Subject is the person who consents.
const Subject = "person-7"

// Arrival is one request as the server saw it.
type Arrival struct {
	Path   string
	Grant  string // grant_type; empty: none was sent
	Status int    // what the server answered
}

// Issue is what the token endpoint has given once.
type Issue struct{ Access, Refresh string }

// Server is the foreign server and an API behind it at /api. It is safe for concurrent use. The functions are set
// before the first request.
type Server struct {
	Issuer string
	// OnToken is called with each access token that arrives at the API, before it is looked at.
	OnToken func(access string)
	// Callback changes the parameters of the authorization response; nil: they are the standard's, with iss.
	Callback func(fosite.AuthorizeResponder)
	// Metadata changes the discovery document.
	Metadata func(map[string]any)
	// Refuse makes the person say no.
	Refuse bool
	// Lose says that the answer to a token request is lost after the server has done its work; nil: none is.
	Lose func(grant string) bool

	provider fosite.OAuth2Provider
	store    *storage.MemoryStore
	strategy *oauth2.HMACSHAStrategy
	mux      *http.ServeMux

	// serial lets fosite work on one request at a time: its store in memory writes refresh tokens under one lock and
	// reads them under another.
	serial   sync.Mutex
	mu       sync.Mutex
	arrivals []Arrival
	issued   []Issue
	secrets  []string // of the clients, and what clients have proven themselves with
}

// New makes a server that calls itself issuer.
func New(t testing.TB, issuer string, clients ...Client) *Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	config := &fosite.Config{
		GlobalSecret: []byte(rand.Text() + rand.Text()), HashCost: 4,
		AccessTokenLifespan: TokenLife, RefreshTokenLifespan: RefreshLife,
		IDTokenIssuer: issuer, AccessTokenIssuer: issuer, TokenURL: issuer + tokenPath,
		ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy,
		EnforcePKCE: true, // and S256 only, which is its default
		// The worst for a client that repeats what it is told.
		SendDebugMessagesToClients: true,
	}
	s := &Server{Issuer: issuer, store: storage.NewMemoryStore(), strategy: compose.NewOAuth2HMACStrategy(config)}
	s.provider = compose.ComposeAllEnabled(config, s.store, key)
	for _, c := range clients {
		s.register(t, config, c)
	}
	s.mux = s.routes()
	return s
}

func (s *Server) register(t testing.TB, config *fosite.Config, c Client) {
	t.Helper()
	hash, err := (&fosite.BCrypt{Config: config}).Hash(t.Context(), []byte(c.Secret))
	if err != nil {
		t.Fatalf("register %q: %v", c.ID, err)
	}
	s.secrets = append(s.secrets, c.Secret)
	s.store.Clients[c.ID] = &fosite.DefaultOpenIDConnectClient{
		DefaultClient: &fosite.DefaultClient{
			ID: c.ID, Secret: hash, RedirectURIs: c.Redirects, Scopes: c.Scopes, Audience: c.Audiences,
			GrantTypes: []string{"client_credentials", "authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		},
		TokenEndpointAuthMethod: c.Method,
	}
}

// Serve makes a server on loopback.
func Serve(t testing.TB, clients ...Client) *Server {
	t.Helper()
	h := httptest.NewUnstartedServer(nil)
	s := New(t, "http://"+h.Listener.Addr().String(), clients...)
	h.Config.Handler = s
	h.Start()
	t.Cleanup(h.Close)
	return s
}

// ServeTLS makes a server on loopback that speaks TLS, and gives who has signed its certificate.
func ServeTLS(t testing.TB, clients ...Client) (*Server, *x509.CertPool) {
	t.Helper()
	h := httptest.NewUnstartedServer(nil)
	s := New(t, "https://"+h.Listener.Addr().String(), clients...)
	h.Config.Handler = s
	h.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	h.StartTLS()
	t.Cleanup(h.Close)
	pool := x509.NewCertPool()
	pool.AddCert(h.Certificate())
	return s, pool
}

// ServeHTTP answers, and keeps what arrived.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	s.mux.ServeHTTP(answer, r)
	grant := r.PostForm.Get("grant_type")
	s.mu.Lock()
	s.arrivals = append(s.arrivals, Arrival{Path: r.URL.Path, Grant: grant, Status: answer.Code})
	s.secrets = append(s.secrets, proofs(r)...)
	s.mu.Unlock()
	if grant != "" && s.Lose != nil && s.Lose(grant) {
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = answer.Body.WriteTo(w)
}

// proofs are the parts of a request that must not be shown by whoever sent it.
func proofs(r *http.Request) (out []string) {
	_, basic, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	for _, p := range []string{basic, r.PostForm.Get("client_secret"), r.PostForm.Get("code"), r.PostForm.Get("code_verifier")} {
		if p != "" {
			out = append(out, p)
		}
	}
	return out
}

// Arrivals are the requests that were answered so far at a path, oldest first.
func (s *Server) Arrivals(path string) []Arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.arrivals), func(a Arrival) bool { return a.Path != path })
}

// Asked counts the token requests with a grant type.
func (s *Server) Asked(grant string) (n int) {
	for _, a := range s.Arrivals(tokenPath) {
		if a.Grant == grant {
			n++
		}
	}
	return n
}

// Secrets are the clients' secrets, every token that was issued, and every code and verifier that came.
func (s *Server) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.secrets)
	for _, i := range s.issued {
		all = append(all, i.Access)
		if i.Refresh != "" {
			all = append(all, i.Refresh)
		}
	}
	return all
}

// Issued is what the token endpoint has given so far, oldest first.
func (s *Server) Issued() []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.issued)
}

// EndTokens makes every access token that was issued so far unknown, as a server does that has lost its memory or
// whose operator has revoked them. Refresh tokens stay.
func (s *Server) EndTokens(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.issued {
		if err := s.store.DeleteAccessTokenSession(ctx, s.strategy.AccessTokenSignature(ctx, i.Access)); err != nil {
			return fmt.Errorf("end a token: %w", err)
		}
	}
	return nil
}
