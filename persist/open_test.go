package persist_test

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/persist"
	"syncer/persist/persisttest"
)

func TestOpenSetsTheSession(t *testing.T) {
	db := persisttest.Empty(t)
	const show = `SELECT concat_ws(' ', current_setting('application_name'), current_setting('statement_timeout'),
		current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'), current_setting('timezone'))`
	for _, tc := range []struct {
		name, extra, want string
		opt               persist.OpenOptions
	}{
		{"defaults", "", "syncer 1min 5s 1min UTC", persist.OpenOptions{}},
		{"options", "", "demo 0 5s 1min UTC", persist.OpenOptions{ApplicationName: "demo", StatementTimeout: -1}},
		{"the URL wins", "&statement_timeout=2000&application_name=mine", "mine 2s 5s 1min UTC", persist.OpenOptions{ApplicationName: "demo"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			separator := "?"
			if strings.Contains(db.URL, "?") {
				separator = "&"
			}
			pool, err := persist.Open(t.Context(), db.URL+separator+strings.TrimPrefix(tc.extra, "&"), tc.opt)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			if diff := cmp.Diff(tc.want, query[string](t, pool, show)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOpenRefusesAReadOnlyServer(t *testing.T) {
	db := persisttest.Empty(t)
	name := query[string](t, db.Pool, "SELECT current_database()::text")
	if _, err := db.Pool.Exec(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	if pool, err := persist.Open(t.Context(), db.URL, persist.OpenOptions{}); err == nil {
		pool.Close()
		t.Error("a standby was accepted: the first write would have failed in the middle of a run")
	} else if !strings.Contains(err.Error(), "read only") {
		t.Errorf("the error must say why: %v", err)
	}
}

func TestOpenErrorsSayWhatToDoAndHideThePassword(t *testing.T) {
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
			pool, err := persist.Open(t.Context(), tc.url, persist.OpenOptions{})
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

func TestOpenNamesAMissingDatabase(t *testing.T) {
	u, err := url.Parse(persisttest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/no_such_database"
	if _, err := persist.Open(t.Context(), u.String(), persist.OpenOptions{}); err == nil || !strings.Contains(err.Error(), "create the database") {
		t.Errorf("Open = %v", err)
	}
}
