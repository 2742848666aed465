package persist_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"syncer/calls"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/write"
)

// refuse has the next inserts into a table fail with an error of Postgres, as often as told. It counts them all.
func refuse(t *testing.T, pool *pgxpool.Pool, table, code string, times int) {
	t.Helper()
	_, err := pool.Exec(t.Context(), fmt.Sprintf(`CREATE SEQUENCE refusals;
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('refusals') <= %d THEN RAISE EXCEPTION 'not now' USING ERRCODE = '%s'; END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER refuse BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION refuse()`, times, code, table))
	must(t, err)
}

// What an error of Postgres means for the page in hand. The page is in memory: to give it up is to fetch it again.
func TestCommitTriesAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, code string
		times      int
		want       string // a code, or nothing: the page is written
	}{
		{"serialization failures", "40001", 4, ""},
		{"too many of them", "40001", 5, "40001"},
		{"deadlocks", "40P01", 4, ""},
		{"a lock held for long", "55P03", 8, ""},
		{"idle in transaction", "25P03", 2, ""},
		{"read-only after a failover", "25006", 2, ""},
		{"disk full", "53100", 6, ""},
		{"out of memory", "53200", 2, ""},
		{"disk broken", "58030", 2, ""},
		{"refused once", "42501", 1, ""},
		{"not to be mended", "42501", 100, "42501"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t)
			refuse(t, h.pool, "transactions", tc.code, tc.times)
			w := newWriter(h.pool)
			got := w.Commit(t.Context(), []write.PageWrite{transactionsPage(transactionsStream(7, "acc"), "1", "a", "one")})
			pg, told := errors.AsType[*pgconn.PgError](got[0].Err)
			switch {
			case tc.want == "" && got[0].Err != nil:
				t.Errorf("not written: %v", got[0].Err)
			case tc.want != "" && (!told || pg.Code != tc.want):
				t.Errorf("got %v, want %s", got[0].Err, tc.want)
			}
		})
	}
}

// D8: while the disk is full no call is admitted. A write that succeeds opens the way again, and the log tells both once.
func TestFullDiskStopsTheSends(t *testing.T) {
	t.Parallel()
	var log lines
	db := persisttest.NewDatabase(t)
	pool, err := pg.Open(t.Context(), db.URL, pg.Options{Log: zerolog.New(&log)})
	must(t, err)
	t.Cleanup(pool.Close)
	s := persist.NewStore(pool, nil, pg.Worker{ID: [16]byte{1}})
	must(t, s.Connections.Use(t.Context(), "bank", connections.Endpoint{Provider: "sbanken"}))
	ask := calls.Ask{Connection: "bank", Bucket: "bank"}
	if _, err := s.Admit.Admit(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	refuse(t, db.Pool, "calls", "53100", 2)
	if err := s.Admit.Record(t.Context(), newCall(transactionsStream(1, ""))); err == nil {
		t.Fatal("recorded on a full disk")
	}
	if _, err := s.Admit.Admit(t.Context(), ask); !errors.Is(err, pg.ErrFull) {
		t.Errorf("Admit: %v", err)
	}
	if _, err := s.Admit.Look(t.Context(), ask); !errors.Is(err, pg.ErrFull) {
		t.Errorf("Look: %v", err)
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); ; <-ticker.C {
		if _, err = s.Admit.Admit(t.Context(), ask); err == nil {
			break
		}
		if !errors.Is(err, pg.ErrFull) || time.Since(began) > 30*time.Second {
			t.Fatal(err)
		}
	}
	if n := queryInt(t, db.Pool, "SELECT last_value FROM refusals"); n != 3 {
		t.Errorf("%d writes, want the call's and two probes", n)
	}
	if log.count("fetching is stopped") != 1 || log.count("fetching goes on") != 1 {
		t.Errorf("log: %s", &log.buf)
	}
	if n := queryInt(t, db.Pool, "SELECT count(*) FROM calls"); n != 0 {
		t.Errorf("%d probes are still there", n)
	}
}
