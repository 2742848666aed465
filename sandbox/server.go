package sandbox

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server hosts simulators on loopback, each on a listener and so an origin of
// its own.
type Server struct {
	kit     *Kit
	mu      sync.Mutex
	servers []*http.Server
	serving sync.WaitGroup
	urls    map[string]string
}

// Start opens the trap and returns a server without simulators. The trap is an
// origin to which nothing should ever be sent: redirects lead there, and the
// journal has what arrives under the provider name "trap".
func Start(kit *Kit) (*Server, error) {
	s := &Server{kit: kit, urls: make(map[string]string)}
	url, err := s.Mount("trap", kit.Handler(Site{
		Name:     "trap",
		Describe: func(*http.Request) Call { return Call{Bucket: "trap", Template: "*"} },
		API: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			WriteJSON(w, http.StatusOK, map[string]any{"access_token": "trapped", "expires_in": 3600, "token_type": "Bearer"})
		}),
	}))
	if err != nil {
		return nil, err
	}
	kit.mu.Lock()
	kit.trap = url
	kit.mu.Unlock()
	return s, nil
}

// Mount serves a handler on a free port of 127.0.0.1 and returns its base URL,
// without a slash at the end.
func (s *Server) Mount(name string, h http.Handler) (string, error) {
	return s.MountAt(name, "127.0.0.1:0", h)
}

// MountAt is Mount on a chosen address.
func (s *Server) MountAt(name, address string, h http.Handler) (string, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("sandbox: listen on %s for %s: %w", address, name, err)
	}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		// Faults break connections on purpose; net/http would log each.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	url := "http://" + listener.Addr().String()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = append(s.servers, server)
	s.urls[name] = url
	s.serving.Go(func() { _ = server.Serve(listener) }) // returns when closed
	return url, nil
}

// URL is the base URL of a mounted simulator; "" if there is none.
func (s *Server) URL(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.urls[name]
}

// Close cuts all connections, hanging calls included, and waits until no
// listener is open.
func (s *Server) Close() error {
	s.mu.Lock()
	servers := s.servers
	s.servers = nil
	s.mu.Unlock()
	var errs []error
	for _, server := range servers {
		errs = append(errs, server.Close())
	}
	s.serving.Wait()
	return errors.Join(errs...)
}
