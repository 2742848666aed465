//go:build linux || darwin || freebsd

package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Find returns the server that runs in dir, whoever started it, after it has answered. It is [ErrNotRunning] if none
// does. A server that is on its way up or down counts as not running: [Start] waits for it.
func Find(ctx context.Context, dir string) (*Server, error) {
	dir, err := absolute(dir)
	if err != nil {
		return nil, err
	}
	alive, err := running(dir)
	if err != nil {
		return nil, fmt.Errorf("look for the embedded Postgres in %s: %w", dir, err)
	}
	pm, err := readPostmaster(dir)
	if !alive || err != nil || !pm.ready {
		return nil, fmt.Errorf("%w in %s", ErrNotRunning, dir)
	}
	c, err := loadConnection(dir)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, url: c.url(pm.port, c.Database), pid: pm.pid}
	if err := s.answers(ctx); err != nil {
		if inBetween(err) {
			return nil, fmt.Errorf("%w in %s: it starts, recovers or ends at this moment: %w", ErrNotRunning, dir, err)
		}
		return nil, fmt.Errorf("the embedded Postgres in %s (process %d) runs but does not answer: %w", dir, pm.pid, err)
	}
	return s, nil
}

// answers connects once. SCRAM proves both sides: a stranger on our port does not know the password.
func (s *Server) answers(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// inBetween recognises a server that is on its way up or down. One that was killed leaves its postmaster.pid, and for a
// moment its children.
func inBetween(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pg.Code, "57P0") // operator intervention: shutting down, starting up, recovering
	}
	for _, gone := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

// removeStale deletes the postmaster.pid of a server that is gone; the caller holds running.lock. Postgres would do so by
// itself, unless the number in it belongs to a living process: a stranger, or the dead server whose parent, a long
// running command of ours, has not buried it yet. Where something listens on the port it names, the file stays and
// Postgres judges: somebody may have started this cluster by hand.
func removeStale(ctx context.Context, dir string) error {
	pm, err := readPostmaster(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		conn, dialErr := new(net.Dialer).DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(pm.port)))
		if dialErr == nil {
			return conn.Close()
		}
	}
	if err := os.Remove(filepath.Join(dir, dataName, "postmaster.pid")); err != nil {
		return fmt.Errorf("remove the postmaster.pid of a server that is gone: %w", err)
	}
	return nil
}

// Stop ends the server in dir in good order (Postgres' "fast" shutdown) and waits until all of it is gone. It is
// [ErrNotRunning] if none runs.
func Stop(ctx context.Context, dir string) error {
	dir, err := absolute(dir)
	if err != nil {
		return err
	}
	lock, err := lockExisting(ctx, dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	return stopLocked(ctx, dir)
}

// lockExisting takes starting.lock of a directory of ours and makes nothing where there is none.
func lockExisting(ctx context.Context, dir string) (*os.File, error) {
	if _, err := os.Lstat(filepath.Join(dir, markerName)); err != nil {
		return nil, errors.Join(fmt.Errorf("%w in %s", ErrNotRunning, dir), checkDir(dir))
	}
	return lockFile(ctx, filepath.Join(dir, startingName))
}

func stopLocked(ctx context.Context, dir string) error {
	alive, err := running(dir)
	if err != nil {
		return err
	}
	if !alive {
		return fmt.Errorf("%w in %s", ErrNotRunning, dir)
	}
	// The lock is held, so the process in postmaster.pid is the server and not a stranger with its number.
	pm, err := readPostmaster(dir)
	if err == nil {
		if err := syscall.Kill(pm.pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the embedded Postgres (process %d): %w", pm.pid, err)
		}
	}
	for alive {
		if err := pause(ctx); err != nil {
			return fmt.Errorf("wait for the embedded Postgres in %s to stop: %w", dir, err)
		}
		if alive, err = running(dir); err != nil {
			return err
		}
	}
	return nil
}

// Remove stops the server in dir and deletes it with all its data. It deletes nothing that syncer did not make.
func Remove(ctx context.Context, dir string) error {
	dir, err := absolute(dir)
	if err != nil {
		return err
	}
	if err := checkDir(dir); err != nil {
		return err
	}
	lock, err := lockExisting(ctx, dir)
	if errors.Is(err, ErrNotRunning) {
		return nil // there is nothing
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := stopLocked(ctx, dir); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	// The marker goes last but for the lock: an interrupted removal can be repeated.
	for _, name := range []string{dataName, newDataName, passwordName, connectionName, connectionName + ".new", logName, logName + ".1", runningName, markerName, startingName} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove the embedded Postgres: %w", err)
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("remove the embedded Postgres: %w", err)
	}
	return nil
}

func (c connection) url(port int, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(c.User, c.Password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}
