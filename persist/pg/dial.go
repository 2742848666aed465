package pg

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// DialFunc connects to an address.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// unheard is how long what was sent to a server may stay without the kernel's word that it has arrived, before the connection
// counts as broken. Without a bound Linux tries for a quarter of an hour.
const unheard = 30 * time.Second

// Dial connects as a pool of ours does.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: time.Minute}
	if strings.HasPrefix(network, "tcp") {
		d.Control = boundUnheard
	}
	return d.DialContext(ctx, network, address)
}

// Unencrypted are the hosts elsewhere that a database URL lets be reached without encryption: sockets and loopback are left
// out. sslmode prefer, which holds where the URL names none, is one that lets it.
func Unencrypted(url string) []string {
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil // Open says what is wrong with it
	}
	var hosts []string
	if cfg.TLSConfig == nil && !here(cfg.Host) {
		hosts = append(hosts, cfg.Host)
	}
	for _, other := range cfg.Fallbacks {
		if other.TLSConfig == nil && !here(other.Host) {
			hosts = append(hosts, other.Host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// here says that a host is a socket or loopback.
func here(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	at, err := netip.ParseAddr(host)
	return err == nil && at.IsLoopback()
}
