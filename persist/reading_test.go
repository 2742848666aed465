package persist_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/persist/persisttest"
	"syncer/persist/write"
)

// copyReader copies transactions and their versions into its maps by the statements of docs/reading.md, and by nothing else.
type copyReader struct {
	pool                                 *pgxpool.Pool
	begin, where, moves, rows, versions  string
	cluster, snapshot                    string
	live, history                        map[string]string
	freshStarts, changedRows, oldVersion int
}

func newCopyReader(t *testing.T, pool *pgxpool.Pool) *copyReader {
	t.Helper()
	page, err := os.ReadFile("../docs/reading.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 5 {
		t.Fatalf("docs/reading.md has %d statements; this test follows five", len(blocks))
	}
	return &copyReader{
		pool:  pool,
		begin: blocks[0][1], where: blocks[1][1], moves: blocks[2][1], rows: blocks[3][1], versions: blocks[4][1],
		live: map[string]string{}, history: map[string]string{},
	}
}

// look is one look of the page.
func (r *copyReader) look(t *testing.T) {
	t.Helper()
	conn, err := r.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), r.begin); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
			t.Error(err)
		}
	}()
	var cluster, snapshot string
	if err := conn.QueryRow(t.Context(), r.where).Scan(&cluster, &snapshot); err != nil {
		t.Fatal(err)
	}
	if cluster != r.cluster {
		r.freshStarts++
		clear(r.live)
		clear(r.history)
		r.copy(t, conn, "SELECT * FROM transactions", "SELECT * FROM transactions_history")
	} else {
		if moved := queryAll(t, conn, r.moves, r.snapshot); len(moved) > 0 {
			t.Errorf("accounts have moved: %v", moved)
		}
		r.copy(t, conn, r.rows, r.versions, r.snapshot)
	}
	r.cluster, r.snapshot = cluster, snapshot
}

func (r *copyReader) copy(t *testing.T, conn *pgxpool.Conn, rows, versions string, args ...any) {
	t.Helper()
	for _, row := range columns(t, conn, rows, args...) {
		r.live[recordKey(row)] = row["changed_xid"] + " " + row["text"]
		r.changedRows++
	}
	for _, row := range columns(t, conn, versions, args...) {
		r.history[recordKey(row)+" "+row["changed_xid"]] = row["text"]
		r.oldVersion++
	}
}

// check compares the copy with the tables.
func (r *copyReader) check(t *testing.T) {
	t.Helper()
	live, history := map[string]string{}, map[string]string{}
	conn, err := r.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, row := range columns(t, conn, "SELECT * FROM transactions") {
		live[recordKey(row)] = row["changed_xid"] + " " + row["text"]
	}
	for _, row := range columns(t, conn, "SELECT * FROM transactions_history") {
		history[recordKey(row)+" "+row["changed_xid"]] = row["text"]
	}
	if d := cmp.Diff(live, r.live); d != "" {
		t.Errorf("rows: the table (-) and its copy (+): %s", d)
	}
	if d := cmp.Diff(history, r.history); d != "" {
		t.Errorf("versions: the history (-) and its copy (+): %s", d)
	}
}

func recordKey(row map[string]string) string {
	return row["consent_id"] + " " + row["account_id"] + " " + row["transaction_id"]
}

// columns are the rows of a query, each by the names of its columns.
func columns(t *testing.T, q querier, sql string, args ...any) []map[string]string {
	t.Helper()
	rows, err := q.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (map[string]string, error) {
		values, err := r.Values()
		row := map[string]string{}
		for i, f := range r.FieldDescriptions() {
			row[f.Name] = fmt.Sprint(values[i])
		}
		return row, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Four writers replace the same few records over and over while a reader copies what has changed; one transaction that began
// before all of them commits in the middle, and one that stays open the whole time holds nothing up.
func TestReadingWhatChanged(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	for consent := range int64(4) {
		commitAll(t, w, transactionsPage(transactionsStream(consent+1, "A"), "1", "t0", "first"))
	}
	bystander := beginOnce(t, pool, "INSERT INTO acts (who, act, kind) VALUES ('somebody', 'something', 'run')")
	slow := beginOnce(t, pool, `INSERT INTO transactions (consent_id, account_id, transaction_id, status, booked_on, amount, currency,
			content_hash, call_id, place)
		SELECT consent_id, account_id, 'slow', status, booked_on, amount, currency, content_hash, call_id, place
		FROM transactions
		WHERE consent_id = 1 AND transaction_id = 't0'`)
	reader := newCopyReader(t, pool)
	reader.look(t)

	half := make(chan struct{}, 4)
	done := make(chan struct{})
	var writers sync.WaitGroup
	for consent := range int64(4) {
		writers.Go(func() {
			replaceAtRandom(t, w, consent+1, 20)
			half <- struct{}{}
			replaceAtRandom(t, w, consent+1, 20)
		})
	}
	go func() {
		writers.Wait()
		close(done)
	}()
	for range 4 {
		<-half
		reader.look(t)
	}
	if _, seen := reader.live["1 A slow"]; seen {
		t.Error("a row was seen before its transaction committed")
	}
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for looking := true; looking; {
		select {
		case <-done:
			looking = false
		default:
		}
		reader.look(t)
	}
	reader.check(t)
	if err := bystander.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if reader.freshStarts != 1 {
		t.Errorf("the reader began anew %d times, once expected", reader.freshStarts)
	}
	rows, versions := reader.changedRows, reader.oldVersion
	reader.look(t)
	if reader.changedRows != rows || reader.oldVersion != versions {
		t.Errorf("a look at which nothing had changed brought %d rows and %d versions",
			reader.changedRows-rows, reader.oldVersion-versions)
	}
}

// A dump that is restored brings rows along whose transactions have numbers of another cluster. Whoever goes by the page begins
// anew, and is not told of them night after night.
func TestReadingWhatChangedAfterARestore(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	w := newWriter(pool)
	commitAll(t, w, transactionsPage(transactionsStream(1, "A"), "1", "a", "old", "b", "old"))
	reader := newCopyReader(t, pool)
	reader.look(t)
	// As after pg_restore into another cluster: rows from far ahead, and a reader who remembers another place.
	if _, err := pool.Exec(t.Context(), "UPDATE transactions SET changed_xid = '9000000000000'"); err != nil {
		t.Fatal(err)
	}
	reader.cluster, reader.snapshot = "1/1/1", "9000000000001:9000000000001:"
	reader.look(t)
	if reader.freshStarts != 2 {
		t.Fatalf("the reader began anew %d times; it should the first time and after the restore", reader.freshStarts)
	}
	commitAll(t, w, transactionsPage(transactionsStream(1, "A"), "2", "a", "new"))
	before := reader.changedRows
	reader.look(t)
	reader.check(t)
	if n := reader.changedRows - before; n != 1 {
		t.Errorf("one row has changed since, %d were read", n)
	}
}

// beginOnce begins a transaction with one statement and leaves it open.
func beginOnce(t *testing.T, pool *pgxpool.Pool, sql string) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(t.Context()) })
	if _, err := tx.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	return tx
}

// replaceAtRandom writes pages in which a few records have new texts.
func replaceAtRandom(t *testing.T, w *write.Writer, consent int64, times int) {
	for range times {
		var idText []string
		for id := range 5 {
			if rand.IntN(2) == 0 {
				idText = append(idText, fmt.Sprint("t", id), strings.Repeat("x", rand.IntN(50)))
			}
		}
		page := transactionsPage(transactionsStream(consent, "A"), fmt.Sprint(rand.Int()), idText...)
		for _, r := range w.Commit(t.Context(), []write.PageWrite{page}) {
			if r.Err != nil {
				t.Error(r.Err)
			}
		}
	}
}

// What people and readers look for lies in indexes that their statements can use: one of another collation, or over another
// expression, would not be used at all.
func TestWhatIsLookedForIsIndexed(t *testing.T) {
	t.Parallel()
	pool := persisttest.New(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := conn.Exec(t.Context(), "RESET enable_seqscan"); err != nil {
			t.Error(err)
		}
	}()
	reader := newCopyReader(t, pool)
	const call = "'019a0000-0000-7000-8000-000000000000'::uuid"
	wanted := map[string]string{
		"SELECT FROM calls WHERE correlation_id = 'an id'":                  "calls_correlation",
		"SELECT FROM acts WHERE kind = 'run' AND object = '7'":              "acts_object",
		"SELECT FROM acts WHERE at > now() - interval '1 day'":              "acts_at",
		strings.ReplaceAll(reader.rows, "$1", "'5:9:'"):                     "transactions_changed",
		strings.ReplaceAll(reader.versions, "$1", "'5:9:'"):                 "transactions_history_replaced",
		"SELECT FROM transactions_history WHERE call_id = " + call:          "transactions_history_call",
		"SELECT FROM balances_history WHERE replaced_xid::text::bigint > 7": "balances_history_replaced",
	}
	for _, table := range []string{"accounts", "balances", "transactions", "debts"} {
		wanted["SELECT FROM "+table+" WHERE call_id = "+call] = table + "_call"
		wanted["SELECT FROM "+table+" WHERE changed_xid::text::bigint > 7"] = table + "_changed"
	}
	for sql, index := range wanted {
		plan := strings.Join(queryAll(t, conn, "EXPLAIN "+sql), "\n")
		if !strings.Contains(plan, index) {
			t.Errorf("%s\nis not answered by %s:\n%s", sql, index, plan)
		}
	}
}
