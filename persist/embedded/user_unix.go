//go:build linux || darwin || freebsd

package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is the user the server runs as. Postgres refuses to run as root.
type account struct {
	name     string
	uid, gid uint32
	switched bool // true: we are root and become this user
}

// serverAccount is ourselves, or, for root, `postgres` and else `nobody`: Postgres looks its user up by name, so a bare
// number without an entry in the user database does not do.
func serverAccount() (account, error) {
	if uid := os.Geteuid(); uid != 0 {
		return account{name: "the current user", uid: uint32(uid), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr != nil || gidErr != nil {
			continue
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid), switched: true}, nil
	}
	return account{}, errors.New("as root Postgres does not run, and there is neither a user postgres nor a user nobody to run it as: " +
		"create one, start syncer as an ordinary user, or set database.url")
}

// attributes make a process of the account, in a session of its own: no terminal's hang-up and no signal to our process
// group reaches it.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a.switched {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// own gives a file to the account.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// canReach refuses a path that lies below a folder the account can't enter, such as /root: initdb's own
// "permission denied" names the wrong thing.
func (a account) canReach(path string) error {
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && !a.mayEnter(info) {
			return fmt.Errorf("the server runs as user %s, which can't enter %s (%s): "+
				"set SYNCER_STATE_DIR to a folder it can reach, such as /var/lib/syncer", a.name, dir, info.Mode())
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func (a account) mayEnter(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !a.switched {
		return true
	}
	switch {
	case st.Uid == a.uid:
		return info.Mode().Perm()&0o100 != 0
	case st.Gid == a.gid:
		return info.Mode().Perm()&0o010 != 0
	}
	return info.Mode().Perm()&0o001 != 0
}

// environment is all a server's process gets: our own environment may hold credentials, and a PGDATA or an LC_ALL of the
// user's would change what initdb makes.
func environment() []string {
	return append(slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return name != "PATH" && name != "LD_LIBRARY_PATH" && name != "DYLD_LIBRARY_PATH"
	}), "LC_ALL=C", "TZ=UTC")
}

// stateRoot is the folder for everything of ours that outlives a command.
func stateRoot() (string, error) {
	if dir := os.Getenv("SYNCER_STATE_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Geteuid() == 0 {
		return rootStateRoot(), nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "syncer"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the embedded Postgres: %w: set SYNCER_STATE_DIR", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "syncer"), nil
	}
	return filepath.Join(home, ".local", "state", "syncer"), nil
}

// rootStateRoot is /var/lib/syncer, or below /var/tmp where /var/lib can't be written (a read-only container image).
func rootStateRoot() string {
	const writable = 2 // W_OK of access(2)
	if syscall.Access("/var/lib", writable) == nil {
		return "/var/lib/syncer"
	}
	return "/var/tmp/syncer"
}
