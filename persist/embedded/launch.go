//go:build linux || darwin || freebsd

package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errPortTaken says that somebody took the port between the kernel giving it to us and the server binding it.
var errPortTaken = errors.New("the port was taken by another program")

// errEnded says that the server ended (and was reaped) before it took connections.
var errEnded = errors.New("it ended at once")

// launchOnFreePort starts the server on the port that it had last, or on one of the kernel's choice where that is taken, and
// waits until it answers.
func launchOnFreePort(ctx context.Context, opt Options, who account, bin binaries, alive *os.File) (*os.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		port := 0
		if attempt == 1 {
			port = lastPort(opt.Dir)
		}
		if port == 0 {
			var err error
			if port, err = freePort(); err != nil {
				return nil, fmt.Errorf("get a free port on 127.0.0.1: %w", err)
			}
		}
		process, err := launch(ctx, opt, who, bin, alive, port)
		if !errors.Is(err, errPortTaken) || attempt == 5 {
			return process, err
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func launch(ctx context.Context, opt Options, who account, bin binaries, alive *os.File, port int) (*os.Process, error) {
	log, before, err := openLog(filepath.Join(opt.Dir, logName))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := command(opt, who, alive, filepath.Join(bin.dir, "postgres"), settings(opt, port)...)
	cmd.Stdout = log
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the Postgres server as %s: %w", who.name, err)
	}
	if err := waitReady(ctx, opt.Dir, cmd.Process.Pid); err != nil {
		if !errors.Is(err, errEnded) {
			_ = cmd.Process.Kill() // it hangs; crash recovery at the next start is safe
			_ = cmd.Wait()
		}
		return nil, fmt.Errorf("start the Postgres server: %w: its log %s ends with:\n%s", portTaken(log.Name(), before, err), log.Name(), tail(log.Name(), before))
	}
	return cmd.Process, nil
}

// authentication is how a password is checked. SCRAM takes some milliseconds of both sides for each connection, on purpose; a
// server of tests, to which nearly everything that happens is a new connection, does without.
func authentication(opt Options) string {
	if opt.FastAndLoose {
		return "md5"
	}
	return "scram-sha-256"
}

// settings suit a laptop. No statement, parameter or row value goes into the log: it would be personal data in a file
// nobody guards.
func settings(opt Options, port int) []string {
	args := []string{"-D", filepath.Join(opt.Dir, dataName)}
	set := func(kv ...string) {
		for _, s := range kv {
			args = append(args, "-c", s)
		}
	}
	set("listen_addresses=127.0.0.1", "port="+strconv.Itoa(port),
		// Debian's default socket folder is not ours to write, and a path of more than 107 bytes is refused: TCP only.
		"unix_socket_directories=",
		"password_encryption="+authentication(opt), "shared_buffers=128MB", "max_wal_size=1GB", "timezone=UTC",
		"logging_collector=off", "log_timezone=UTC", "log_checkpoints=off",
		"log_error_verbosity=terse", "log_min_error_statement=panic")
	if opt.FastAndLoose {
		set("max_connections=300", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"wal_level=minimal", "max_wal_senders=0")
	} else {
		set("max_connections=100")
	}
	return args
}

// waitReady waits until the server with this pid takes connections, and makes sure that our database is there.
func waitReady(ctx context.Context, dir string, pid int) error {
	for {
		// We hold running.lock ourselves, so here only the parent's question tells whether it still lives.
		if ended, _ := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); ended == pid {
			return errEnded
		}
		if pm, err := readPostmaster(dir); err == nil && pm.pid == pid && pm.ready {
			return ensureDatabase(ctx, dir, pm.port)
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// ensureDatabase creates our database in a new cluster.
func ensureDatabase(ctx context.Context, dir string, port int) error {
	c, err := loadConnection(dir)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, c.url(port, "postgres"))
	if err != nil {
		return fmt.Errorf("connect to the new server: %w", err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{c.Database}.Sanitize())
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "42P04" {
		return nil // duplicate_database: not a new cluster
	}
	return err
}

// postmaster is what a server writes into its postmaster.pid.
type postmaster struct {
	pid, port int
	ready     bool
}

func readPostmaster(dir string) (postmaster, error) {
	data, err := os.ReadFile(filepath.Join(dir, dataName, "postmaster.pid"))
	if err != nil {
		return postmaster{}, err
	}
	// Lines: pid, data directory, start time, port, socket directory, listen address, shared memory key, status.
	lines := strings.Split(string(data), "\n")
	if len(lines) < 8 {
		return postmaster{}, errors.New("postmaster.pid is not complete")
	}
	pid, pidErr := strconv.Atoi(strings.TrimSpace(lines[0]))
	port, portErr := strconv.Atoi(strings.TrimSpace(lines[3]))
	return postmaster{pid: pid, port: port, ready: strings.TrimSpace(lines[7]) == "ready"}, errors.Join(pidErr, portErr)
}

// openLog opens the server's log to append to and says how long it is. One that has grown large is put aside first.
func openLog(path string) (*os.File, int64, error) {
	const large = 16 << 20
	if info, err := os.Stat(path); err == nil && info.Size() > large {
		_ = os.Rename(path, path+".1") // a failure costs disk space only
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open the server's log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// tail is the end of what was logged since offset.
func tail(path string, offset int64) string {
	data, err := os.ReadFile(path)
	if err != nil || int64(len(data)) < offset {
		return "(unreadable)"
	}
	return lastLines(data[offset:], 8)
}

func portTaken(log string, offset int64, err error) error {
	if strings.Contains(tail(log, offset), "Address already in use") {
		return fmt.Errorf("%w: %w", errPortTaken, err)
	}
	return err
}
