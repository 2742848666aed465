package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Why an answer is not had, or not taken.
var (
	ErrPrivate  = errors.New("the address is private, and this connection may not call private addresses")
	ErrTooLarge = errors.New("the answer is larger than permitted")
	ErrEncoding = errors.New("the answer has an encoding that was not asked for")
)

// NewTransport makes a transport of our own: no cookies, no redirects (see NewClient), no HTTP/2, whose retries
// nobody sees, and no decompression that nobody bounds.
func NewTransport(o Options, keepAlive bool) *http.Transport {
	dial := newDialer(o.AllowPrivate, proxyAddress(o)).DialContext
	if o.Dial != nil {
		dial = o.Dial
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    10 * time.Second,
		DisableCompression:     true,
		DisableKeepAlives:      !keepAlive,
		MaxIdleConnsPerHost:    o.Concurrency,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              protocols,
	}
}

// newDialer dials public addresses, and of the others the proxy's alone, or all.
func newDialer(allowPrivate bool, proxy string) *net.Dialer {
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if !allowPrivate {
		d.Control = refusePrivate(proxy)
	}
	return d
}

// NewClient never follows a redirect: it would carry the token, the subscription key or, at a token endpoint, the
// client's secret to wherever the answer says. It has no Timeout, because that would count our own waiting.
func NewClient(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// refusePrivate looks at the address after it was resolved, at the moment of the dial, so that a name that is turned
// to 127.0.0.1 or 169.254.169.254 between a check and the call gains nothing.
func refusePrivate(except string) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("address %s can't be checked: %w", address, ErrPrivate)
		}
		if isPublic(ap.Addr()) {
			return nil
		}
		if except != "" && address == except {
			return nil
		}
		return ErrPrivate
	}
}

// Prefixes that net/netip has no word for (RFC 6890 and its registries): this network, carrier-grade NAT, IETF
// protocols, benchmarks, class E; IPv4 addresses dressed up as IPv4-compatible ones, NAT64, local NAT64 (RFC 8215),
// Teredo and 6to4; site-local addresses (RFC 3879).
var unroutable = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range unroutable {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// proxyAddress is the configured proxy, which usually does have a private address. Only a proxy given by address is
// exempt; with a proxy by name the connection needs AllowPrivate.
func proxyAddress(o Options) string {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: o.Base})
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.Host
}

// isBodiless says that an answer with the status has no body.
func isBodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// isGzip says that a body was put through gzip, and through nothing else.
func isGzip(codings []string) bool {
	if len(codings) != 1 {
		return false
	}
	return strings.TrimPrefix(codings[0], "x-") == "gzip"
}

// IsTLS says whether a failure before anything was sent is one of trust, which no retry heals. Timeouts of the
// handshake are not.
func IsTLS(err error) bool {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) {
		return false
	}
	text := err.Error()
	words := []string{"tls: ", "x509: ", "server gave HTTP response to HTTPS client"}
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}
