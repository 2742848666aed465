package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"

	"syncer/files"
	"syncer/persist/seal"
)

// ReadKeyFile tells what the key file holds.
func ReadKeyFile(path string) (seal.KeyFile, error) {
	data, err := files.Read(path, maxKeyFile)
	if err != nil {
		return seal.KeyFile{}, fmt.Errorf("read the key file: %w", err)
	}
	info, err := seal.ReadKeyFile(data)
	if err != nil {
		return info, fmt.Errorf("key file %s: %w", path, err)
	}
	return info, nil
}

// ChangeKeyFile replaces the key file by what change makes of it, if it is still as it was seen. Whoever reads it finds
// the old one or the new one, whole; of two who change it at once one is told to try again, since a key that seals and
// stands in no file is everything that it has sealed, lost.
func ChangeKeyFile(path string, seen seal.KeyFile, change func([]byte) ([]byte, error)) (seal.KeyFile, error) {
	real, err := filepath.EvalSymlinks(path) // a link stays a link
	if err != nil {
		return seen, fmt.Errorf("read the key file: %w", err)
	}
	next := real + ".new"
	// The new file is made before the old one is read: while it is there, nobody else changes the file.
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return seen, fmt.Errorf("%s exists: another change of keys is under way; if none is, one was killed, and the file can be removed", next)
	}
	if err != nil {
		return seen, fmt.Errorf("write the key file: %w%s", err, elsewhere(err))
	}
	after, err := writeKeyFile(f, real, seen, change)
	if err == nil {
		err = os.Rename(next, real)
	} else {
		err = errors.Join(err, os.Remove(next))
	}
	if err != nil {
		return seen, fmt.Errorf("change the key file: %w%s", err, elsewhere(err))
	}
	if dir, err := os.Open(filepath.Dir(real)); err == nil { // the new name must survive a power cut; not every system can
		_ = dir.Sync()
		_ = dir.Close()
	}
	return after, nil
}

// elsewhere says how keys are changed whose file lies where nothing can be written or replaced, such as a secret that is mounted
// into a container; empty: that is not what is wrong.
func elsewhere(err error) string {
	fixed := false
	for _, sign := range []error{fs.ErrPermission, syscall.EROFS, syscall.EBUSY, syscall.EXDEV} {
		fixed = fixed || errors.Is(err, sign)
	}
	if !fixed {
		return ""
	}
	return ". A key file that is mounted read-only is changed as a copy: copy it to a folder that can be written, on a machine that " +
		"reaches the database, and name the copy by SYNCER_KEYS_FILE. There `syncer keys rotate --prepare`; put the copy into the " +
		"secret, and wait until every process has it; then `syncer keys rotate` there, and put the copy into the secret again. " +
		"`syncer keys rotate --retire` goes the same way"
}

func writeKeyFile(f *os.File, path string, seen seal.KeyFile, change func([]byte) ([]byte, error)) (after seal.KeyFile, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	old, err := files.Read(path, maxKeyFile)
	if err != nil {
		return after, err
	}
	if now, err := seal.ReadKeyFile(old); err != nil || !reflect.DeepEqual(now, seen) {
		return after, errors.Join(err, errors.New("somebody else has just changed it: look at it with `syncer keys list` and begin again"))
	}
	info, err := os.Stat(path)
	if err != nil {
		return after, err
	}
	data, err := change(old)
	if err != nil {
		return after, err
	}
	if after, err = seal.ReadKeyFile(data); err != nil {
		return after, err
	}
	if err := f.Chmod(info.Mode().Perm()); err != nil {
		return after, err
	}
	if err := keepOwner(f, info); err != nil {
		return after, err
	}
	_, err = f.Write(data)
	return after, errors.Join(err, f.Sync())
}
