package fetchtest

import (
	"io"
	"log"
	"net/http"
	"testing"

	"syncer/sandbox"
	"syncer/sandbox/sandboxtest"
)

// Piped is the sandboxtest.Mount in memory, for testing/synctest: call it inside the test's bubble.
func Piped(t testing.TB, kit *sandbox.Kit, name string, h http.Handler) *sandboxtest.Host {
	t.Helper()
	pipe := NewPipe()
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)} // faults break connections on purpose
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(pipe) // returns when closed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return &sandboxtest.Host{Kit: kit, Name: name, Base: "http://" + name + ".example", Dial: pipe.Dial}
}

var _ sandboxtest.Mount = Piped
