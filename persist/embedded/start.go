//go:build linux || darwin || freebsd

package embedded

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Start returns the server of opt.Dir, starting it if it does not run, and making its cluster unless opt.Existing forbids
// that ([ErrNoCluster]). Any number of processes may call it at once: one starts, the others wait and find. It refuses a
// directory that syncer did not make. ctx bounds the start, not the server's life.
func Start(ctx context.Context, opt Options) (*Server, error) {
	dir, err := absolute(opt.Dir)
	if err != nil {
		return nil, err
	}
	opt.Dir = dir
	if s, err := Find(ctx, dir); err == nil || !errors.Is(err, ErrNotRunning) {
		return s, err
	}
	if opt.Existing && !there(filepath.Join(dir, dataName)) {
		return nil, fmt.Errorf("%w in %s", ErrNoCluster, dir)
	}
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	lock, err := prepare(ctx, dir, who)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	return startLocked(ctx, opt, who)
}

// mayMake refuses to make a cluster where there should be one: a data folder with nothing of Postgres in it is a disk that is
// not mounted, and the way into the cluster on it (connection.json) would be overwritten.
func mayMake(opt Options) error {
	data := filepath.Join(opt.Dir, dataName)
	switch {
	case there(data):
		return fmt.Errorf("%w in %s, though the folder is there: if it is on a disk of its own, mount that; if it is not needed, remove it",
			ErrNoCluster, data)
	case opt.Existing:
		return fmt.Errorf("%w in %s", ErrNoCluster, opt.Dir)
	}
	return nil
}

// startLocked starts the server, or finds the one that somebody started while we waited; the caller holds starting.lock.
func startLocked(ctx context.Context, opt Options, who account) (*Server, error) {
	alive, s, err := findOrRest(ctx, opt.Dir)
	if s != nil || err != nil {
		return s, err
	}
	defer alive.Close() // the server inherits a copy, and the lock with it
	major, err := clusterMajor(opt.Dir)
	if err != nil {
		return nil, err
	}
	if major == 0 {
		if err := mayMake(opt); err != nil {
			return nil, err
		}
	}
	bin, err := findBinaries(ctx, opt, who, major)
	if err != nil && major != 0 {
		return nil, fmt.Errorf("the existing database was made by PostgreSQL %d, and no other version can read its files: %w", major, err)
	}
	if err != nil {
		return nil, err
	}
	if major == 0 {
		say(opt, "Making a new database with PostgreSQL %d in %s", bin.major, opt.Dir)
		if err := initdb(ctx, opt, who, bin, alive); err != nil {
			return nil, err
		}
	}
	if _, err := loadConnection(opt.Dir); err != nil { // a server that nobody can ask is not started
		return nil, err
	}
	if err := removeStale(ctx, opt.Dir); err != nil {
		return nil, err
	}
	process, err := launchOnFreePort(ctx, opt, who, bin, alive)
	if err != nil {
		return nil, err
	}
	if s, err = Find(ctx, opt.Dir); err != nil {
		return nil, err
	}
	s.started = true
	s.process = process
	say(opt, "Started PostgreSQL %d in %s; it runs until it is stopped", bin.major, opt.Dir)
	return s, nil
}

// findOrRest waits until a server answers, or until the directory is at rest, and then holds running.lock. A crashed
// postmaster leaves children that still end, and a killed starter may leave an initdb that still works: they hold the
// lock. So does a server that recovers from the crash of one of its processes, and it will answer.
func findOrRest(ctx context.Context, dir string) (*os.File, *Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		s, findErr := Find(ctx, dir)
		if findErr == nil || !errors.Is(findErr, ErrNotRunning) {
			return nil, s, findErr
		}
		alive, err := tryLock(filepath.Join(dir, runningName), syscall.LOCK_EX)
		if alive != nil || err != nil {
			return alive, nil, err
		}
		if err := pause(ctx); err != nil {
			return nil, nil, fmt.Errorf("wait for an earlier server to end or to answer: %w: %w", err, findErr)
		}
	}
}

// prepare makes the directory, takes starting.lock and writes the marker.
func prepare(ctx context.Context, dir string, who account) (*os.File, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	if err := who.canReach(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for the embedded Postgres: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make the folder for the embedded Postgres: %w", err)
	}
	if err := secure(dir, who); err != nil {
		return nil, err
	}
	lock, err := lockFile(ctx, filepath.Join(dir, startingName))
	if err != nil {
		return nil, err
	}
	err = checkDir(dir)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, markerName), []byte("This folder belongs to syncer's embedded Postgres. `syncer db remove` deletes it.\n"), 0o600)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// secure refuses a directory of another user, who could put his own server there, and closes it to everybody else; the
// server's user must pass through it to its data.
func secure(dir string, who account) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a folder of the user who runs syncer: choose another, or run syncer as its owner", dir)
	}
	mode := os.FileMode(0o700)
	if who.switched {
		mode = 0o711
	}
	return os.Chmod(dir, mode)
}

// initdb makes the cluster under another name and puts it in place when it is whole.
func initdb(ctx context.Context, opt Options, who account, bin binaries, alive *os.File) error {
	fresh := filepath.Join(opt.Dir, newDataName)
	pwfile := filepath.Join(opt.Dir, passwordName)
	if err := os.RemoveAll(fresh); err != nil { // of a starter that died here
		return fmt.Errorf("remove a half-made cluster: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	c := connection{User: "syncer", Password: rand.Text() + rand.Text(), Database: "syncer"}
	defer os.Remove(pwfile)
	_ = os.Remove(pwfile)
	err := errors.Join(os.WriteFile(pwfile, []byte(c.Password+"\n"), 0o600), who.own(pwfile), who.own(fresh))
	if err != nil {
		return fmt.Errorf("prepare the data folder: %w", err)
	}
	args := []string{"-D", fresh, "-U", c.User, "-A", authentication(opt), "--pwfile", pwfile, "-E", "UTF8", "--locale=C", "--no-instructions"}
	if opt.FastAndLoose {
		args = append(args, "--no-sync")
	}
	cmd := command(opt, who, alive, filepath.Join(bin.dir, "initdb"), args...)
	out, err := runUntil(ctx, cmd)
	if err != nil {
		return fmt.Errorf("make the database cluster: initdb as %s: %w: %s", who.name, err, lastLines(out, 6))
	}
	if err := c.save(opt.Dir); err != nil {
		return err
	}
	if err := os.Rename(fresh, filepath.Join(opt.Dir, dataName)); err != nil {
		return fmt.Errorf("put the new cluster in place: %w", err)
	}
	return nil
}

// command is a program of Postgres' that runs as the server's user, detached, and keeps running.lock while it lives.
func command(opt Options, who account, alive *os.File, path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = opt.Dir
	cmd.Env = environment()
	cmd.SysProcAttr = who.attributes()
	cmd.ExtraFiles = []*os.File{alive}
	return cmd
}

// runUntil runs a command to its end, or kills its whole session when ctx ends.
func runUntil(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var out strings.Builder
	cmd.Stdout = &out
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	err := cmd.Wait()
	return []byte(out.String()), errors.Join(err, context.Cause(ctx))
}

// clusterMajor is the version that made the cluster in dir, or 0 if there is none.
func clusterMajor(dir string) (int, error) {
	data, err := os.ReadFile(filepath.Join(dir, dataName, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the cluster's version: %w", err)
	}
	major := numberIn(string(data))
	if major < oldestMajor || major > newestMajor {
		return 0, fmt.Errorf("the database in %s was made by PostgreSQL %s, and syncer works with %d to %d",
			dir, strings.TrimSpace(string(data)), oldestMajor, newestMajor)
	}
	return major, nil
}

// connection is what connection.json holds. The port is not in it: the server's own postmaster.pid knows it.
type connection struct {
	User, Password, Database string
}

// save writes connection.json so that a reader sees all of it or nothing.
func (c connection) save(dir string) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, connectionName)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write the connection file: %w", err)
	}
	return os.Rename(path+".new", path)
}

func absolute(dir string) (string, error) {
	if dir == "" {
		return DefaultDir()
	}
	return filepath.Abs(dir)
}

func say(opt Options, format string, args ...any) {
	if opt.Log != nil {
		opt.Log(fmt.Sprintf(format, args...))
	}
}

// startTimeout bounds one launch: crash recovery of a large cluster takes its time, a hang must not take for ever.
const startTimeout = 2 * time.Minute
