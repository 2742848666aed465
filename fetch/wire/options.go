package wire

import (
	"context"
	"crypto/x509"
	"net"
	"net/url"
)

// Options is what a transport is made of.
type Options struct {
	Base         *url.URL       // where the calls go; only the proxy for it is looked up
	AllowPrivate bool           // private, loopback and link-local addresses may be dialled
	RootCAs      *x509.CertPool // nil: the system's
	Concurrency  int            // how many idle connections are kept
	// Dial replaces the network. It gets no check of addresses.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}
