//go:build linux || darwin || freebsd

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// poll is how often a wait looks again. Nothing on this path has an event to wait for: a lock of another process, a
// server that is coming up.
const poll = 20 * time.Millisecond

// lockFile opens path and takes its flock, waiting until ctx ends. A child that inherits the file keeps the lock.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := tryLock(path, syscall.LOCK_EX)
		if f != nil || err != nil {
			return f, err
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("wait for the lock %s: %w", path, err)
		}
	}
}

// tryLock takes the flock of path if it is free, and returns nil if it is not.
func tryLock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if err == nil && stillThere(f, path) {
		return f, nil
	}
	f.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// stillThere guards against a Remove that deleted the file between our open and our lock: a lock on a deleted file
// excludes nobody.
func stillThere(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(ours, there)
}

// running tells whether any process of the server in dir lives.
func running(dir string) (bool, error) {
	path := filepath.Join(dir, runningName)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	f, err := tryLock(path, syscall.LOCK_SH)
	if err != nil {
		return false, err
	}
	if f == nil {
		return true, nil
	}
	return false, f.Close()
}

// pause waits one poll interval, or says why not to.
func pause(ctx context.Context) error {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
