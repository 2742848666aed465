package streams_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"syncer/persist/persisttest"
	"syncer/persist/streams"
)

// With nothing to do the sweep reads a handful of pages, however many answers are kept and however many were dropped.
func TestLookingForEndedAnswersIsCheap(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	const fill = `INSERT INTO answers (call_id, body_hash, bytes, body, keep_until)
		SELECT gen_random_uuid(), '\x01', 10, '\x01', now() + $2::interval + n * interval '1 ms'
		FROM generate_series(1, $1::int) n`
	exec(fill, 30_000, "1 hour")
	exec(fill, 2_000, "-1 hour")
	exec(streams.DropEnded, 5_000)
	exec(streams.DropEnded, 5_000)
	exec("ANALYZE answers")
	rows, err := pool.Query(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF) "+streams.DropEnded, 1000)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines, "\n")
	read := regexp.MustCompile(`Buffers: shared hit=(\d+)`).FindStringSubmatch(text)
	if read == nil {
		t.Fatalf("no buffers in the plan:\n%s", text)
	}
	if n, _ := strconv.Atoi(read[1]); n > 50 || strings.Contains(text, "Seq Scan") {
		t.Errorf("%d pages read:\n%s", n, text)
	}
}
