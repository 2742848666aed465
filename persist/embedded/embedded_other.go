//go:build !linux && !darwin && !freebsd

package embedded

import (
	"context"
	"net"
	"os"
	"path/filepath"
)

// Start answers [ErrUnsupported].
func Start(context.Context, Options) (*Server, error) { return nil, ErrUnsupported }

// DialFunc connects to an address.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dialer connects to nothing here.
type Dialer struct{}

// NewDialer answers [ErrUnsupported].
func NewDialer(Options, DialFunc) (*Dialer, error) { return nil, ErrUnsupported }

// Dial answers [ErrUnsupported].
func (*Dialer) Dial(context.Context, string, string) (net.Conn, error) { return nil, ErrUnsupported }

// Provide answers [ErrUnsupported].
func Provide(context.Context, Options, int) (string, error) { return "", ErrUnsupported }

// Find answers [ErrNotRunning].
func Find(context.Context, string) (*Server, error) { return nil, ErrNotRunning }

// Stop answers [ErrNotRunning].
func Stop(context.Context, string) error { return ErrNotRunning }

// Remove refuses what syncer did not make and has nothing else to remove.
func Remove(_ context.Context, dir string) error { return checkDir(dir) }

func stateRoot() (string, error) {
	if dir := os.Getenv("SYNCER_STATE_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "syncer"), err
}
