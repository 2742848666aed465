package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	"syncer/config"
	"syncer/files"
	"syncer/persist/seal"
)

// maxKeyFile bounds a key file; what is larger is certainly another file.
const maxKeyFile = 1 << 20

// openKeys reads the key file. open says by whom else it can be read; empty: by nobody.
func openKeys(path string) (sealer *seal.Sealer, open string, err error) {
	keys, info, err := files.ReadWithInfo(path, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("key file %s does not exist: restore yours, without which nothing that is sealed can be read; for a new "+
			"installation `syncer init FOLDER` makes one, in a folder of its own", path)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the key file: %w", err)
	}
	sealer, err = seal.OpenSealer(keys)
	if err != nil {
		return nil, "", fmt.Errorf("key file %s: %w", path, err)
	}
	sealer.Follow(func() ([]byte, error) { return files.Read(path, maxKeyFile) }) // `syncer keys rotate` stops nobody
	return sealer, openToOthers(path, info), nil
}

// openToOthers says why a key file is not safe from others; empty: it is. Whoever mounts it read-only, as a secret of a
// container, decides there who reads it.
func openToOthers(path string, info fs.FileInfo) string {
	perm := info.Mode().Perm()
	others := perm&0o007 != 0
	group := perm&0o020 != 0 || perm&0o040 != 0 && !files.OfOurGroup(info)
	if runtime.GOOS == "windows" || !others && !group || files.OnReadOnlyMount(path) {
		return ""
	}
	return fmt.Sprintf("key file %s has mode %04o, so that others may read or change it: run chmod 0600 %s%s. "+
		"The next release refuses such a file", path, perm, path, config.OnMount)
}

// KeysOpenTo says why the key file is not safe from others; empty: it is. ReadKeys has read it.
func (inst *Installation) KeysOpenTo() string { return inst.keysOpen }

// foreignKeys says what to do about a database that was written with other keys.
func foreignKeys(cfg *config.Config, err error) error {
	if errors.Is(err, seal.ErrUnprovenKeys) {
		return fmt.Errorf("%w: nothing is sealed in it, and it has names of subjects. If %s is the file that it was written with, "+
			"`syncer keys accept --reason TEXT` says so; if it is not, restore that file", err, cfg.Keys.File)
	}
	if !errors.Is(err, seal.ErrForeignKeys) {
		return err
	}
	return fmt.Errorf("%w than those in %s: restore the key file that belongs to this database, or give this installation "+
		"a database of its own (database.url, or SYNCER_STATE_DIR)", err, cfg.Keys.File)
}

// SealedByOthers counts what other keys than this one have sealed.
func (inst *Installation) SealedByOthers(ctx context.Context, key uint32) (left int, err error) {
	counts, err := inst.Store.Seal.CountSealed(ctx)
	for _, c := range counts {
		if c.Key != key {
			left += c.Count
		}
	}
	return left, err
}
