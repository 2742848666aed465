package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

var (
	errPrivate  = errors.New("the address is private, and this connection may not call private addresses")
	errTooLarge = errors.New("the answer is larger than permitted")
	errEncoding = errors.New("the answer has an encoding that was not asked for")
)

// newTransport makes a transport of our own: no cookies, no redirects (see newHTTPClient), no HTTP/2, whose retries
// nobody sees, and no decompression that nobody bounds.
func newTransport(o *Options, keepAlive bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if !o.AllowPrivate {
		dialer.Control = refusePrivate(proxyAddress(o))
	}
	dial := dialer.DialContext
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

// newHTTPClient never follows a redirect: it would carry the token, the subscription key or, at a token endpoint, the
// client's secret to wherever the answer says. It has no Timeout, because that would count our own waiting.
func newHTTPClient(t http.RoundTripper) *http.Client {
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
			return fmt.Errorf("address %s can't be checked: %w", address, errPrivate)
		}
		if isPublic(ap.Addr()) || except != "" && address == except {
			return nil
		}
		return errPrivate
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
func proxyAddress(o *Options) string {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: o.Driver.Base})
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.Host
}

// byteOrderMark may stand in front of a JSON text, and a reader may pass over it (RFC 8259 section 8.1).
const byteOrderMark = "\ufeff"

// receive reads a whole answer, undoes gzip and takes a byte order mark off. What is bounded is the
// decompressed size: a few kilobytes of gzip can hold gigabytes.
func receive(r *http.Response, limit int64) ([]byte, error) {
	var body io.Reader = r.Body
	codings := codingsOf(r.Header)
	bodiless := r.StatusCode == http.StatusNoContent || r.StatusCode == http.StatusNotModified
	switch {
	case len(codings) == 0 || bodiless || r.ContentLength == 0:
	case len(codings) == 1 && (codings[0] == "gzip" || codings[0] == "x-gzip"):
		// The input is bounded as well: an endless row of empty members yields no byte and would be read for ever.
		z, err := gzip.NewReader(io.LimitReader(r.Body, limit+64<<10))
		if err != nil {
			return nil, fmt.Errorf("the answer's gzip can't be read: %w", err)
		}
		body = z
	default:
		return nil, errEncoding
	}
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	// Room for what is announced, up to a point: io.ReadAll would copy a page of 60 kB fifteen times on its way up.
	var b bytes.Buffer
	b.Grow(int(min(max(r.ContentLength, 0), 1<<20)) + bytes.MinRead)
	_, err := b.ReadFrom(io.LimitReader(body, limit+1))
	if int64(b.Len()) > limit {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("the answer breaks off after %d bytes: %w", b.Len(), err)
	}
	return bytes.TrimPrefix(b.Bytes(), []byte(byteOrderMark)), nil
}

// isTLS says whether a failure before anything was sent is one of trust, which no retry heals. Timeouts of the
// handshake are not.
func isTLS(err error) bool {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "tls: ") || strings.Contains(text, "x509: ") ||
		strings.Contains(text, "server gave HTTP response to HTTPS client")
}
