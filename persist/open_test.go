package persist_test

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"syncer/persist/persisttest"
	"syncer/persist/pg"
)

func TestOpenSetsTheSession(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	const show = `SELECT concat_ws(' ', current_setting('application_name'), current_setting('statement_timeout'),
		current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'), current_setting('timezone'), current_setting('jit'))`
	for _, tc := range []struct {
		name, extra, want string
		opt               pg.Options
	}{
		{"defaults", "", "syncer 1min 5s 10s UTC off", pg.Options{}},
		{"options", "", "demo 0 5s 10s UTC off", pg.Options{ApplicationName: "demo", StatementTimeout: -1}},
		{"the URL wins", "&statement_timeout=2000&application_name=mine", "mine 2s 5s 10s UTC off", pg.Options{ApplicationName: "demo"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			separator := "?"
			if strings.Contains(db.URL, "?") {
				separator = "&"
			}
			pool, err := pg.Open(t.Context(), db.URL+separator+strings.TrimPrefix(tc.extra, "&"), tc.opt)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			if diff := cmp.Diff(tc.want, queryAll(t, pool, show)[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOpenRefusesAReadOnlyServer(t *testing.T) {
	t.Parallel()
	db := persisttest.Empty(t)
	name := queryAll(t, db.Pool, "SELECT current_database()::text")[0]
	if _, err := db.Pool.Exec(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	if pool, err := pg.Open(t.Context(), db.URL, pg.Options{}); err == nil {
		pool.Close()
		t.Error("a standby was accepted: the first write would have failed in the middle of a run")
	} else if !strings.Contains(err.Error(), "read only") {
		t.Errorf("the error must say why: %v", err)
	}
}

func TestOpenErrorsSayWhatToDoAndHideThePassword(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3tpass"
	db := persisttest.Empty(t)
	u, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	for _, tc := range []struct{ name, url, want string }{
		{"wrong password", "postgres://" + u.User.Username() + ":" + secret + "@" + u.Host + "/postgres?sslmode=disable", "check the user, the password"},
		{"nobody listens", "postgres://u:" + secret + "@" + nobody + "/db?sslmode=disable", "check that the server runs there"},
		{"no TLS there", "postgres://u:" + secret + "@" + u.Host + "/db?sslmode=require", "TLS"},
		{"@ in the password", "postgres://u:" + secret + "@x:y@host:5432/db", "percent-encoded"},
		{"/ in the password", "postgres://u:" + secret + "/x@host/db", "percent-encoded"},
		{"% in the password", "postgres://u:" + secret + "%zz@host/db", "percent-encoded"},
		{"no URL", "password=" + secret + " host", "percent-encoded"},
		{"bad option", "postgres://u:" + secret + "@host/db?sslmode=bad", "percent-encoded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pool, err := pg.Open(t.Context(), tc.url, pg.Options{})
			if err == nil {
				pool.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q in: %v", tc.want, err)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the password shows: %v", err)
			}
		})
	}
}

func TestOpenKeepsThePoolOfTheURL(t *testing.T) {
	t.Parallel()
	url := persisttest.Empty(t).URL
	with := url + "?pool_max_conns=3"
	if strings.Contains(url, "?") {
		with = url + "&pool_max_conns=3"
	}
	for url, want := range map[string]int32{url: 16, with: 3} {
		pool, err := pg.Open(t.Context(), url, pg.Options{})
		must(t, err)
		if got := pool.Config().MaxConns; got != want {
			t.Errorf("a pool of %d, want %d", got, want)
		}
		pool.Close()
	}
}

// What a server, or a pool before it, says when a connection is made, with what to do about it.
func TestOpenExplainsARefusal(t *testing.T) {
	t.Parallel()
	for code, tc := range map[string]struct{ says, want string }{
		"53300": {"sorry, too many clients already", "pool_max_conns"},
		"08P01": {"unsupported startup parameter: statement_timeout", "PgBouncer"},
	} {
		server, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer server.Close()
		go func() {
			for {
				conn, err := server.Accept()
				if err != nil {
					return
				}
				backend := pgproto3.NewBackend(conn, conn)
				_, _ = backend.ReceiveStartupMessage()
				backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: tc.says})
				_ = backend.Flush()
				conn.Close()
			}
		}()
		_, err = pg.Open(t.Context(), "postgres://u:p@"+server.Addr().String()+"/db?sslmode=disable", pg.Options{})
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "database.max_conns") {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestOpenNamesAMissingDatabase(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(persisttest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/no_such_database"
	if _, err := pg.Open(t.Context(), u.String(), pg.Options{}); err == nil || !strings.Contains(err.Error(), "create the database") {
		t.Errorf("Open = %v", err)
	}
}
