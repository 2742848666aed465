package persisttest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/persist/pg"
)

// Freezable is a pool as [persist.Open] makes it, behind a Freezer.
func Freezable(t testing.TB, url string, opt pg.Options) (*pgxpool.Pool, *Freezer) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	plain, err := pg.Open(t.Context(), url, opt)
	must(err)
	defer plain.Close()
	f := NewFreezer(t)
	config := plain.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != f.Addr() { // which a cancel request dials
			f.Aim(network, addr)
		}
		return dial(ctx, "tcp", f.Addr())
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	must(err)
	t.Cleanup(pool.Close)
	return pool, f
}

// Freezer is a proxy in front of Postgres, such as a firewall that forgets connections: those that are frozen pass
// nothing on, and nobody is told. New ones work. Its address stays when the server comes back at another.
type Freezer struct {
	listener net.Listener

	mu              sync.Mutex
	network, target string
	frozen          []chan struct{}
	lose            string // see LoseCommit
}

// NewFreezer listens until the test ends. It leads nowhere before it is aimed.
func NewFreezer(t testing.TB) *Freezer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	f := &Freezer{listener: listener}
	go f.serve()
	return f
}

// Addr is where it listens.
func (f *Freezer) Addr() string { return f.listener.Addr().String() }

// Aim leads new connections to a server.
func (f *Freezer) Aim(network, target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.network = network
	f.target = target
}

// Freeze has the connections that there are pass nothing more.
func (f *Freezer) Freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.frozen {
		close(c)
	}
	f.frozen = nil
}

// LoseCommit has the line cut at the next COMMIT behind a statement with this text: the server commits, and
// its answer does not arrive.
func (f *Freezer) LoseCommit(behind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lose = behind
}

// commitMessage is COMMIT as pgx sends it.
var commitMessage = []byte("Q\x00\x00\x00\x0bcommit\x00")

// losing looks at what a client sends, and says whether the answer to it is to be lost. behind: the statement
// was sent before.
func (f *Freezer) losing(sent []byte, behind *bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lose == "" {
		return false
	}
	if bytes.Contains(sent, []byte(f.lose)) {
		*behind = true
	}
	if !*behind || !bytes.Contains(sent, commitMessage) {
		return false
	}
	f.lose = ""
	return true
}

func (f *Freezer) serve() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		ice := make(chan struct{})
		network := f.network
		target := f.target
		f.frozen = append(f.frozen, ice)
		f.mu.Unlock()
		server, err := net.Dial(network, target)
		if err != nil {
			client.Close()
			continue
		}
		lost := make(chan struct{})
		behind := false
		go relay(client, server, ice, func(sent []byte) bool {
			if f.losing(sent, &behind) {
				close(lost)
			}
			return true
		})
		go relay(server, client, ice, func([]byte) bool {
			select {
			case <-lost:
				return false
			default:
				return true
			}
		})
	}
}

// relay passes bytes on until there is ice. Then it swallows them. What does not pass cuts the line.
func relay(from, to net.Conn, ice <-chan struct{}, passes func([]byte) bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err == nil && !passes(buf[:n]) {
			from.Close()
			to.Close()
			return
		}
		select {
		case <-ice:
			if err != nil {
				return
			}
			continue
		default:
		}
		if err != nil {
			to.Close()
			return
		}
		_, _ = to.Write(buf[:n])
	}
}
