package seal

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"syncer/persist/pg"
)

// sealedColumn is a column of sealed values. What a value is bound to is a word and something of its row.
type sealedColumn struct {
	table, key, column string
	word, bound        string // bound as SQL, a bytea
}

// sealedColumns are all there are. One that is missing here keeps its old key for ever, and is lost when that is retired:
// a test looks for bytea columns that are in neither this list nor its own.
func sealedColumns() []sealedColumn {
	return []sealedColumn{
		{"grants", "consent_id", "sealed", "grant:", "convert_to(consent_id::text, 'UTF8')"},
		{"tokens", "key", "sealed", "token:", "convert_to(key, 'UTF8')"},
		{"consents", "id", "subject_sealed", "subject:", "subject_hmac"},
		{"inbox", "consent_id", "body", "answer:", "uuid_send(call_id)"},
		{"answers", "call_id", "body", "answer:", "uuid_send(call_id)"},
	}
}

// SealedCount is how many values of a table a key has sealed.
type SealedCount struct {
	Table string
	Key   uint32
	Count int
}

// CountSealed counts what each key has sealed. It reads every row's key id and takes its time.
func (s *Store) CountSealed(ctx context.Context) ([]SealedCount, error) {
	var all []SealedCount
	err := s.db.InTx(ctx, "count what is sealed", func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil {
			return err
		}
		for _, c := range sealedColumns() {
			rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT '%[1]s', sealed_by(%[2]s)::bigint, count(*)::int FROM %[1]s
				WHERE %[2]s IS NOT NULL GROUP BY 2 ORDER BY 2`, c.table, c.column))
			if err != nil {
				return err
			}
			counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n SealedCount, err error) {
				var key int64
				err = row.Scan(&n.Table, &key, &n.Count)
				n.Key = uint32(key)
				return n, err
			})
			if err != nil {
				return err
			}
			all = append(all, counts...)
		}
		return nil
	})
	return all, err
}

// lookedAt is how many values of a table Sealers looks at.
const lookedAt = 500

// Sealers gives the keys that have sealed values, by the table, as a sample shows them: a few values of each, and of answers
// those that are kept longest. CountSealed misses none.
func (s *Store) Sealers(ctx context.Context) (map[string][]uint32, error) {
	keys := map[string][]uint32{}
	for _, c := range sealedColumns() {
		order := ""
		if c.table == "answers" { // most rows have no body any more
			order = "ORDER BY keep_until DESC"
		}
		rows, err := s.db.Query(ctx, fmt.Sprintf(`SELECT DISTINCT sealed_by(v)::bigint
			FROM (SELECT %[2]s AS v FROM %[1]s WHERE %[2]s IS NOT NULL %[3]s LIMIT %[4]d) AS some_of_it
			ORDER BY 1`, c.table, c.column, order, lookedAt))
		list, err := pg.AllRows(rows, err, pgx.RowTo[int64], "look which keys have sealed "+c.table)
		if err != nil {
			return nil, err
		}
		for _, key := range list {
			keys[c.table] = append(keys[c.table], uint32(key))
		}
	}
	return keys, nil
}

// Resealed is what a pass over one table has done.
type Resealed struct {
	Table  string
	Done   int
	Stuck  int    // values that can't be opened: changed, or sealed with a key that the key file has not
	Sample string // a row that is stuck
}

// resealStep is how many rows one transaction seals anew. They are locked for as long as that takes.
const resealStep = 200

// Reseal seals every value anew that was sealed with another key than this one, which must be the one that seals now. It
// goes in small steps, each a commit, beside everything else that runs; broken off and begun again, it goes on with what
// is left, because each value tells its key. A row that somebody else has locked is left for the next pass, and values
// that others seal meanwhile with an old key are, too: CountSealed tells what is left. tell hears of every step.
func (s *Store) Reseal(ctx context.Context, key uint32, tell func(Resealed)) error {
	for _, c := range sealedColumns() {
		r := Resealed{Table: c.table}
		var after any
		for {
			last, err := s.resealStep(ctx, c, key, after, &r)
			if err != nil {
				return fmt.Errorf("seal %s anew: %w", c.table, err)
			}
			tell(r)
			if last == nil {
				break
			}
			after = last
		}
	}
	return nil
}

// resealStep gives the key of the last row it has looked at, nil at the end.
func (s *Store) resealStep(ctx context.Context, c sealedColumn, key uint32, after any, r *Resealed) (last any, err error) {
	beyond := ""
	if after != nil {
		beyond = "AND " + c.key + " > @after"
	}
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if err := pg.LongStatement(ctx, tx); err != nil { // the few rows that are left may lie far apart
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+c.key+`, `+c.bound+`, `+c.column+`
			FROM `+c.table+`
			WHERE `+c.column+` IS NOT NULL
			AND sealed_by(`+c.column+`) <> @key
			`+beyond+`
			ORDER BY `+c.key+`
			LIMIT @step
			FOR NO KEY UPDATE SKIP LOCKED`, pgx.NamedArgs{
			"key":   int64(key),
			"step":  resealStep,
			"after": after,
		})
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		done := 0
		stuck := 0
		var id any
		var bound, sealed []byte
		_, err = pgx.ForEachRow(rows, []any{&id, &bound, &sealed}, func() error {
			last = id
			plain, err := s.keys.Unseal(sealed, append([]byte(c.word), bound...))
			if err != nil {
				stuck++
				if r.Sample == "" {
					r.Sample = sampleKey(c, id)
				}
				return nil
			}
			defer clear(plain)
			anew, err := s.keys.Seal(plain, append([]byte(c.word), bound...))
			if err != nil {
				return err
			}
			done++
			b.Queue(fmt.Sprintf("UPDATE %s SET %s = $2 WHERE %s = $1", c.table, c.column, c.key), id, anew)
			return nil
		})
		if err == nil && b.Len() > 0 {
			err = tx.SendBatch(ctx, b).Close()
		}
		if err == nil {
			r.Done, r.Stuck = r.Done+done, r.Stuck+stuck
		}
		return err
	})
	return last, err
}

// sampleKey names a row for people.
func sampleKey(c sealedColumn, id any) string {
	if call, ok := id.([16]byte); ok {
		return fmt.Sprintf("%s of call %x", c.table, call)
	}
	return fmt.Sprintf("%s %v", c.table, id)
}
