// Package sandboxtest is what tests before a simulator share: a host for it on a loopback port, and a client that hides
// nothing of an answer. It is imported by tests only.
package sandboxtest

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"syncer/sandbox"
)

// Host is one simulator on a loopback port.
type Host struct {
	Kit    *sandbox.Kit
	Server *sandbox.Server
	Name   string // the simulator's in the journal and in rules
	Base   string // its address, without a slash at the end
	// Dial reaches a simulator that is on no loopback port but in memory; nil: it is on one.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Mount serves a simulator under its name until the test ends.
type Mount func(t testing.TB, kit *sandbox.Kit, name string, h http.Handler) *Host

// NewKit is a kit whose clock begins at now.
func NewKit(now time.Time) *sandbox.Kit {
	kit := sandbox.NewKit(sandbox.KitOptions{Seed: 11})
	kit.Clock.Set(now)
	return kit
}

// Serve is the Mount on a loopback port.
func Serve(t testing.TB, kit *sandbox.Kit, name string, h http.Handler) *Host {
	t.Helper()
	server, err := sandbox.Start(kit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	base, err := server.Mount(name, h)
	if err != nil {
		t.Fatal(err)
	}
	return &Host{Kit: kit, Server: server, Name: name, Base: base}
}

// Rule makes faults of the host's calls until undo is called. They are data calls where r.Only says nothing else.
func (h *Host) Rule(t testing.TB, r sandbox.Rule) (undo func()) {
	t.Helper()
	r.Provider, r.Only = h.Name, cmp.Or(r.Only, "api")
	id, err := h.Kit.Faults.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	return func() { h.Kit.Faults.Remove(id) }
}

// Entries is the journal when every answer has ended in it.
func (h *Host) Entries(t testing.TB) []sandbox.Entry {
	t.Helper()
	if err := h.Kit.Journal.WaitForAnswers(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h.Kit.Journal.Entries()
}
