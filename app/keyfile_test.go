package app

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"syncer/persist/seal"
)

// A change that is based on what was seen a while ago is refused: it would throw the key away that somebody else has
// added and sealed with meanwhile.
func TestAKeyFileIsNotChangedBehindSomebodysBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "syncer.keys")
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, keys, 0o640); err != nil {
		t.Fatal(err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	seen, err := ReadKeyFile(link)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ChangeKeyFile(link, seen, seal.Rotate)
	if err != nil || theirs.Primary == seen.Primary {
		t.Fatalf("%+v, %v", theirs, err)
	}
	if _, err := ChangeKeyFile(link, seen, seal.Rotate); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("got %v", err)
	}
	now, err := ReadKeyFile(path)
	if err != nil || now.Primary != theirs.Primary {
		t.Errorf("%+v, %v", now, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode: %v, %v", info, err)
	}
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("the half-made file is left behind")
	}
}

// A key file that others can read is used, with a warning that says what to do. One that only our own group can read is not theirs.
func TestAKeyFileThatOthersCanRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "syncer.keys")
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, warned := range map[os.FileMode]bool{
		0o600: false, 0o400: false, 0o640: false, 0o440: false,
		0o644: true, 0o604: true, 0o602: true, 0o660: true, 0o620: true,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		sealer, open, err := openKeys(path)
		if err != nil || sealer == nil {
			t.Fatalf("mode %04o: %v", mode, err)
		}
		told := strings.Contains(open, "chmod 0600 "+path)
		if told != warned {
			t.Errorf("mode %04o: %q", mode, open)
		}
	}
}

// A key file on a read-only mount can't be changed there, and the error says how it is done.
func TestAKeyFileThatIsMountedReadOnly(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.EBUSY} {
		said := elsewhere(&os.PathError{Op: "open", Path: "/run/secrets/syncer.keys.new", Err: err})
		if !strings.Contains(said, "SYNCER_KEYS_FILE") || !strings.Contains(said, "syncer keys rotate --prepare") {
			t.Errorf("%v: %q", err, said)
		}
	}
	if said := elsewhere(&os.PathError{Op: "open", Path: "x", Err: syscall.ENOSPC}); said != "" {
		t.Errorf("a full disk: %q", said)
	}
}
