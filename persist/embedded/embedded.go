// Package embedded runs a Postgres server for those who have not set database.url: a first run, a demo, a test.
//
// The server is an ordinary Postgres, found on this machine or fetched once through npm. It is a process of its own
// session: it survives the command that started it, even a kill -9 of it, and the next command finds it again through
// its directory. It runs until [Stop] is called or the machine goes down; nothing stops it behind the user's back.
//
// A directory holds one server:
//
//	SYNCER_POSTGRES   the marker: we made this directory and may remove it
//	starting.lock     flock, held by whoever starts, stops or removes the server
//	running.lock      flock, held by every process of the server for as long as one of them lives
//	connection.json   user and password (0600)
//	postgres.log      what the server says
//	data/             the cluster (0700, owned by the user the server runs as)
//
// running.lock is why no process id has to be trusted: the server inherits the locked descriptor, so the kernel knows
// whether it is alive, also after a crash that left a postmaster.pid whose number now belongs to somebody else.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Names inside a server's directory.
const (
	markerName     = "SYNCER_POSTGRES"
	startingName   = "starting.lock"
	runningName    = "running.lock"
	connectionName = "connection.json"
	logName        = "postgres.log"
	dataName       = "data"
	newDataName    = "data.new"
	passwordName   = "password.new"
)

// ErrNotRunning is what [Find] and [Stop] answer when no server runs in the directory.
var ErrNotRunning = errors.New("no embedded Postgres is running")

// ErrNoCluster is what [Start] answers for a directory without a cluster, when it may not make one.
var ErrNoCluster = errors.New("there is no embedded database")

// ErrUnsupported is what [Start] answers on a platform it can't start Postgres on.
var ErrUnsupported = errors.New("the embedded Postgres runs on Linux, macOS and FreeBSD only: set database.url")

// Options say where and how [Start] runs a server.
type Options struct {
	// Dir is the server's directory. Empty means [DefaultDir].
	Dir string
	// Existing says that the cluster must be there already: nothing is made where there is none. A mistyped directory would
	// get a new, empty database otherwise, in which all goes well and nothing is found.
	Existing bool
	// Log receives one sentence per step that takes time. It may be nil. No password reaches it.
	Log func(string)
	// Binaries is a folder with initdb and postgres. Empty means: search, see findBinaries.
	Binaries string
	// FastAndLoose turns fsync off and allows more connections: for tests. A power cut may cost the whole cluster.
	FastAndLoose bool
}

// Server is a running embedded Postgres.
type Server struct {
	dir     string
	url     string
	pid     int
	started bool
	process *os.Process // nil if another process started it
}

// URL is the libpq URL of the server's database, with the password: never log it.
func (s *Server) URL() string { return s.url }

// Dir is the directory the server lives in.
func (s *Server) Dir() string { return s.dir }

// PID is the process id of the server's main process.
func (s *Server) PID() int { return s.pid }

// Started tells whether this call to [Start] started the server (true) or found it running (false).
func (s *Server) Started() bool { return s.started }

// Stop stops the server, whoever started it: see the function [Stop].
func (s *Server) Stop(ctx context.Context) error {
	if err := Stop(ctx, s.dir); err != nil {
		return err
	}
	if s.process != nil {
		// The server was our child: reap it. It has ended, and how it ended is in its log.
		_, _ = s.process.Wait()
	}
	return nil
}

// DefaultDir is where the embedded server lives if nobody says otherwise: below SYNCER_STATE_DIR if that is set; as root
// /var/lib/syncer/postgres; else the user's own state folder (XDG_STATE_HOME or ~/.local/state, on macOS
// ~/Library/Application Support).
func DefaultDir() (string, error) {
	root, err := stateRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "postgres"), nil
}

// checkDir refuses a directory that somebody else made: it may hold anything, and Remove deletes.
func checkDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the Postgres directory: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, markerName)); err == nil {
		return nil
	}
	for _, e := range entries {
		// A starter that died before it wrote the marker leaves its lock and nothing else.
		if e.Name() != startingName {
			return fmt.Errorf("%s is not empty and syncer did not make it (there is no %s in it): choose an empty or new folder", dir, markerName)
		}
	}
	return nil
}
