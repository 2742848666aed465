package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
)

// ErrFull says that the database can't store: its disk is full or broken. Nothing is fetched until it can, because a
// call whose answer has no place is wasted, and on no record.
var ErrFull = errors.New("the database can't store: fetching is stopped")

// Full says of Postgres' word that there is no place for what was written. 53300 is another matter: too many connections.
func Full(code string) bool {
	switch code {
	case "58030", "XX001", "XX002":
		return true
	}
	return strings.HasPrefix(code, "53") && code != "53300"
}

// valve stops the sends of a process while its database can't store. Any statement's failure closes it. A page that
// could not be written opens it by being written; while there is none in hand, a probing write does.
type valve struct {
	mu      sync.Mutex
	closed  bool
	probing bool
	inHand  int       // groups of pages that wait for room
	tries   int       // probes that failed, a power of two in seconds
	next    time.Time // of the next probe
	opened  time.Time
}

// calm is how long a database must have stored for its next failure to be a new one.
const calm = 2 * time.Minute

// close is for a statement that failed.
func (v *valve) close(log zerolog.Logger, err *pgconn.PgError) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	v.closed = true
	if time.Since(v.opened) > calm {
		v.tries = 0
	}
	v.rest()
	log.Error().Str("code", err.Code).Str("reason", err.Message).Msg(ErrFull.Error())
}

// rest puts the next probe off: 1 s doubled for every one that failed, at most a minute.
func (v *valve) rest() {
	v.next = time.Now().Add(min(time.Second<<min(v.tries, 6), time.Minute))
	v.tries++
}

func (v *valve) open(log zerolog.Logger) {
	if v.closed {
		v.closed = false
		v.opened = time.Now()
		log.Info().Msg("the database stores again: fetching goes on")
	}
}

// hold says that a group of pages waits for room.
func (v *valve) hold() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.inHand++
}

// release says that a group has ended, written or not.
func (v *valve) release(log zerolog.Logger, written bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inHand--; v.inHand == 0 && written {
		v.open(log)
	}
}

// check fails with ErrFull as long as nothing may be sent.
func (v *valve) check(log zerolog.Logger, probe func() error) error {
	v.mu.Lock()
	if !v.closed {
		v.mu.Unlock()
		return nil
	}
	if v.probing || v.inHand > 0 || time.Now().Before(v.next) {
		v.mu.Unlock()
		return ErrFull
	}
	v.probing = true
	v.mu.Unlock()
	err := probe()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.probing = false
	if err != nil {
		v.rest()
		return fmt.Errorf("%w: %w", ErrFull, Describe(err))
	}
	v.open(log)
	return nil
}

// probeWrite writes a megabyte that can't be compressed and takes it back: less might find room in pages that are
// there already.
const probeWrite = `INSERT INTO calls (id, connection, bucket, purpose, method, path, attempt, sent_at, waited_us, duration_us, class, reason)
SELECT gen_random_uuid(), '', '', 'check', '', '', 1, now(), 0, 0, '', string_agg(md5(random()::text), '') FROM generate_series(1, 32768)`

// CanStore fails with ErrFull while the database can't store.
func (db *DB) CanStore(ctx context.Context) error {
	return db.Guard.valve.check(db.Guard.Log, func() error {
		tx, err := db.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		_, err = tx.Exec(ctx, probeWrite)
		return err
	})
}
