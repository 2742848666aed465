package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrForeignKeys says that a database belongs to another installation, or that the key file is not the one it was
// written with.
var ErrForeignKeys = errors.New("the database was written with other keys")

// ErrUnprovenKeys says that a database has names of subjects and nothing that is sealed, so that nothing in it tells whether a
// key file is the one that it was written with.
var ErrUnprovenKeys = errors.New("the database does not tell which keys it was written with")

// CheckKeys makes sure that a migrated database is written with the keys of the sealer, and is [ErrForeignKeys] if it is not.
// The database learns its keys from the first who comes to an empty one. Where something was sealed, or a subject was named,
// before it learnt them, it learns them from what is sealed: see learnKeys.
func CheckKeys(ctx context.Context, pool *pgxpool.Pool, sealer *Sealer) error {
	known, err := keysOf(ctx, pool)
	if err == nil && known == "" {
		known, err = learnKeys(ctx, pool, sealer)
	}
	return sealer.compare(known, err)
}

// CompareKeys is CheckKeys for who only looks: a database that knows no keys yet learns none.
func CompareKeys(ctx context.Context, pool *pgxpool.Pool, sealer *Sealer) error {
	known, err := keysOf(ctx, pool)
	if err == nil && known == "" {
		return nil
	}
	return sealer.compare(known, err)
}

func (s *Sealer) compare(known string, err error) error {
	switch {
	case errors.Is(err, ErrForeignKeys), errors.Is(err, ErrUnprovenKeys):
		return err
	case err != nil:
		return fmt.Errorf("ask the database which keys it was written with: %w", err)
	case known != s.installation():
		return ErrForeignKeys
	}
	return nil
}

// installation names the key file, whatever keys it gains and loses.
func (s *Sealer) installation() string { return s.Fingerprint("installation") }

// keysOf is the name of the keys that the database knows; empty: it knows none yet.
func keysOf(ctx context.Context, pool *pgxpool.Pool) (string, error) {
	var keys string
	err := pool.QueryRow(ctx, "SELECT keys FROM installation").Scan(&keys)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return keys, err
}

// learnKeys notes the sealer's keys as the database's, and gives those that the database knows then: of several who come
// at once, the first one's.
func learnKeys(ctx context.Context, pool *pgxpool.Pool, sealer *Sealer) (string, error) {
	sealedWith, err := someSealingKeys(ctx, pool)
	if err != nil {
		return "", err
	}
	r := sealer.ring.Load()
	has := func(key uint32) bool { return r.ids[key] }
	if len(sealedWith) > 0 && !slices.ContainsFunc(sealedWith, has) {
		return "", ErrForeignKeys
	}
	if len(sealedWith) == 0 {
		var named bool
		err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM consents WHERE subject_hmac IS NOT NULL)").Scan(&named)
		if err == nil && named {
			err = ErrUnprovenKeys
		}
		if err != nil {
			return "", err
		}
	}
	return noteKeys(ctx, pool, sealer)
}

func noteKeys(ctx context.Context, pool *pgxpool.Pool, sealer *Sealer) (string, error) {
	_, err := pool.Exec(ctx, "INSERT INTO installation (keys) VALUES ($1) ON CONFLICT DO NOTHING", sealer.installation())
	if err != nil {
		return "", err
	}
	return keysOf(ctx, pool)
}

// AcceptKeys has a database that does not know its keys learn those of the sealer, by somebody's word. It is
// [ErrForeignKeys] if the database knows others, or something in it was sealed with others.
func AcceptKeys(ctx context.Context, pool *pgxpool.Pool, sealer *Sealer) error {
	err := CheckKeys(ctx, pool, sealer)
	if !errors.Is(err, ErrUnprovenKeys) {
		return err
	}
	known, err := noteKeys(ctx, pool, sealer)
	return sealer.compare(known, err)
}

// someSealingKeys are the keys of some sealed values of each kind: all values of a database have keys of one file.
func someSealingKeys(ctx context.Context, pool *pgxpool.Pool) ([]uint32, error) {
	var keys []uint32
	for _, c := range sealedColumns() {
		rows, err := pool.Query(ctx, fmt.Sprintf(`SELECT sealed_by(%[1]s)
			FROM %[2]s
			WHERE %[1]s IS NOT NULL
			LIMIT 100`, c.column, c.table))
		if err != nil {
			return nil, err
		}
		some, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, err
		}
		for _, key := range some {
			keys = append(keys, uint32(key))
		}
	}
	return keys, nil
}
