//go:build linux || darwin || freebsd

package embedded

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// DialFunc connects to an address.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dialer connects to the server of a directory wherever it listens at that moment: it may have been stopped and started
// since, and have another port. A server that is gone is started, as the first command of all would do.
type Dialer struct {
	opt  Options
	dial DialFunc

	mu  sync.Mutex
	now *rise // under way; nil: none is
}

// rise is one start of the server, which all wait for who have found it gone.
type rise struct {
	ended chan struct{}
	err   error // once it has ended
}

// NewDialer makes a dialer for the server of opt.Dir, which connects by dial. It makes no cluster where there is none.
func NewDialer(opt Options, dial DialFunc) (*Dialer, error) {
	dir, err := absolute(opt.Dir)
	if err != nil {
		return nil, err
	}
	opt.Dir = dir
	opt.Existing = true
	return &Dialer{opt: opt, dial: dial}, nil
}

// Dial connects to the server, whatever address is asked for.
func (d *Dialer) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if conn, err := d.connect(ctx); err == nil {
		return conn, nil
	}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	return d.connect(ctx)
}

// connect connects to the server that lives. A port that is known from a dead one may be somebody else's by now.
func (d *Dialer) connect(ctx context.Context) (net.Conn, error) {
	alive, err := running(d.opt.Dir)
	if err != nil {
		return nil, err
	}
	pm, err := readPostmaster(d.opt.Dir)
	if err != nil || !alive {
		return nil, fmt.Errorf("%w in %s", ErrNotRunning, d.opt.Dir)
	}
	return d.dial(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(pm.port)))
}

// start starts the server, or waits for who is at it. A start outlasts its caller, whose time to connect is shorter than a
// recovery may take.
func (d *Dialer) start(ctx context.Context) error {
	r := d.rise(context.WithoutCancel(ctx))
	select {
	case <-r.ended:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("wait for the embedded Postgres in %s to start: %w", d.opt.Dir, context.Cause(ctx))
	}
}

func (d *Dialer) rise(life context.Context) *rise {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now != nil {
		return d.now
	}
	r := &rise{ended: make(chan struct{})}
	d.now = r
	go func() {
		var s *Server
		s, r.err = Start(life, d.opt)
		if r.err == nil && s.process != nil {
			go func() { _, _ = s.process.Wait() }() // it is our child: when it ends, it is buried
		}
		d.mu.Lock()
		d.now = nil
		d.mu.Unlock()
		close(r.ended)
	}()
	return r
}

// lastPort is the port that the server of a directory had last; 0: not known. It stands in the options that Postgres keeps of
// its last start.
func lastPort(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, dataName, "postmaster.opts"))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), `"port=`)
	digits, _, _ := strings.Cut(after, `"`)
	port, _ := strconv.Atoi(digits)
	return port
}
