package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"syncer/config"
	"syncer/persist/seal"
)

// openKeys reads the key file.
func openKeys(path string) (*seal.Sealer, error) {
	keys, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key file %s does not exist: make one with `syncer init`, or restore yours", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	sealer, err := seal.OpenSealer(keys)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	sealer.Follow(func() ([]byte, error) { return os.ReadFile(path) }) // `syncer keys rotate` stops nobody
	return sealer, nil
}

// foreignKeys says what to do about a database that was written with other keys.
func foreignKeys(cfg *config.Config, err error) error {
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
