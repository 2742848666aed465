package persist_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/consents"
	"syncer/persist/pg"
	"syncer/persist/restore"
)

func looked(t *testing.T, s *persist.Store) restore.State {
	t.Helper()
	state, err := s.Restore.Look(t.Context())
	must(t, err)
	return state
}

// A database is noticed to be a copy by whatever of it is another than its processes know it. None of that is
// changed by work that goes on.
func TestARestoredDatabaseIsNoticed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, why string }{
		"another cluster":               {"UPDATE identity SET system_id = system_id + 1", "another cluster"},
		"another database":              {"UPDATE identity SET database_id = database_id + 1", "another database"},
		"tables of a dump":              {"UPDATE identity SET table_id = table_id + 1", "made anew"},
		"less than is remembered":       {"UPDATE identity SET last_xid = 1000000000", "fewer transactions"},
		"less than another has done":    {"UPDATE workers SET seen_xid = 1000000000", "fewer transactions"},
		"a heartbeat that is not there": {"UPDATE workers SET seen_xid = seen_xid - 1", "not there any more"},
		"nothing":                       {"UPDATE identity SET known_at = known_at - interval '2 hours'", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t)
			if state := looked(t, h.Store); state.Restored {
				t.Fatalf("a new database: %+v", state)
			}
			must(t, h.Workers.Heartbeat(t.Context(), time.Minute))
			if state := looked(t, h.Store); state.Restored {
				t.Fatalf("after a heartbeat: %+v", state)
			}
			h.exec(t, c.change)
			state := looked(t, h.Store)
			if state.Restored != (c.why != "") || !strings.Contains(state.Why, c.why) || state.News != state.Restored {
				t.Errorf("got %+v, want %q", state, c.why)
			}
			if !state.Restored {
				return
			}
			if again := looked(t, h.Store); !again.Restored || again.News || again.Why != state.Why {
				t.Errorf("looked again: %+v", again)
			}
			must(t, h.Restore.Accept(t.Context()))
			must(t, h.Workers.Heartbeat(t.Context(), time.Minute))
			for range 2 {
				if state := looked(t, h.Store); state.Restored {
					t.Errorf("accepted: %+v", state)
				}
			}
		})
	}
}

// Until it is accepted, a restored database lets no call through that a consent has one or a few of; and by its table
// alone, before any process has noticed. All else goes on.
func TestARestoredDatabaseAdmitsWhatIsNotCounted(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 3)
	h.exec(t, "UPDATE consents SET single_use = true WHERE id = $1", ids[0])
	h.exec(t, "UPDATE consents SET reads_per_day = 2 WHERE id = $1", ids[1])
	asks := map[string]calls.Ask{}
	for i, name := range []string{"single use", "budget", "plain"} {
		a := ask(0)
		a.Task.Consent = &finance.Consent{ID: ids[i]}
		a.Opening = true
		a.Call = finance.CallID(uuid.New())
		a.Once = i == 0
		asks[name] = a
	}
	passes := func(when string, want ...string) {
		t.Helper()
		for name, a := range asks {
			got := admission(t, h.Store, a)
			expected := finance.Spent
			if strings.Contains(strings.Join(want, ", "), name) {
				expected = ""
			}
			if got.Refusal != expected || expected != "" && !strings.Contains(got.Reason, "syncer db accept-restore") {
				t.Errorf("%s, %s: %+v", when, name, got)
			}
		}
	}
	looked(t, h.Store)
	passes("before", "single use", "budget", "plain")
	h.exec(t, "UPDATE identity SET table_id = table_id + 1")
	passes("restored and not noticed", "plain")
	looked(t, h.Store)
	h.exec(t, "UPDATE identity SET table_id = table_id - 1")
	passes("restored and noticed", "plain")
	look, err := h.Admit.Look(t.Context(), asks["single use"])
	must(t, err)
	if look.Refusal != finance.Spent {
		t.Errorf("a look right before the send: %+v", look)
	}

	spent, err := h.Consents.Spend(t.Context(), nil)
	must(t, err)
	if spent != (consents.Spent{SingleUse: 1, Days: 1}) {
		t.Errorf("spent %+v", spent)
	}
	must(t, h.Restore.Accept(t.Context()))
	if status := queryAll(t, h.pool, "SELECT status FROM consents ORDER BY id")[0]; status != "consumed_unknown" {
		t.Errorf("the single-use consent is %s", status)
	}
	a := asks["budget"]
	if got := admission(t, h.Store, a); got.Refusal != finance.Spent || !strings.Contains(got.Reason, "next at") {
		t.Errorf("the day's reads are spent: %+v", got)
	}
	if got := admission(t, h.Store, asks["plain"]); got.Refusal != "" {
		t.Errorf("accepted: %+v", got)
	}
}

// Whoever may only read sees it and changes nothing.
func TestWhoeverMayOnlyReadLooksToo(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	looked(t, h.Store)
	h.exec(t, "UPDATE identity SET table_id = table_id + 1")
	config := h.pool.Config()
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SET default_transaction_read_only = on")
		return err
	}
	reader, err := pgxpool.NewWithConfig(t.Context(), config)
	must(t, err)
	defer reader.Close()
	if state := looked(t, persist.NewStore(reader, h.sealer, pg.Worker{})); !state.Restored {
		t.Error("a copy was not noticed")
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM identity WHERE restored_at IS NOT NULL"); n != 0 {
		t.Error("a reader has written")
	}
}

// What a process has seen of a lost heartbeat is not forgotten when it can't be written down: the next look finds it again.
func TestARestoreThatCouldNotBeNotedIsNoticedAgain(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	must(t, h.Workers.Heartbeat(t.Context(), time.Minute))
	looked(t, h.Store)
	h.exec(t, "UPDATE workers SET seen_xid = seen_xid - 1")
	h.exec(t, `CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE insufficient_privilege; END $$`)
	h.exec(t, "CREATE TRIGGER refused BEFORE UPDATE ON identity FOR EACH ROW EXECUTE FUNCTION refused()")
	for range 2 {
		if state, err := h.Restore.Look(t.Context()); err == nil {
			t.Fatalf("it could not be noted, and nobody is told: %+v", state)
		}
	}
	h.exec(t, "DROP TRIGGER refused ON identity")
	if state := looked(t, h.Store); !state.Restored || !state.News {
		t.Errorf("what was seen is forgotten: %+v", state)
	}
}

// After an accept by a role that may not ask for the cluster's identifier, that of the old cluster is not remembered.
func TestAnAcceptedClusterIsNotTheOldOne(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	looked(t, h.Store)
	h.exec(t, "UPDATE identity SET system_id = system_id + 1")
	if state := looked(t, h.Store); !state.Restored {
		t.Fatal("another cluster is not noticed")
	}
	must(t, h.Restore.Accept(t.Context()))
	if n := queryInt(t, h.pool, `SELECT count(*) FROM identity WHERE system_id IS NOT NULL
		AND system_id <> (SELECT system_identifier FROM pg_control_system())`); n != 0 {
		t.Error("the identifier of another cluster is remembered")
	}
}

// A call whose end could not be told of keeps no place: the next one of its process tells it first.
func TestACallThatCouldNotBeLandedKeepsNoPlace(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	first := calls.Ask{Connection: "bank", Call: finance.CallID(uuid.New())}
	second := calls.Ask{Connection: "bank", Call: finance.CallID(uuid.New())}
	boards := func(ask calls.Ask) bool {
		t.Helper()
		boarded, err := h.Admit.Board(t.Context(), ask, 1, time.Hour)
		must(t, err)
		return boarded
	}
	if !boards(first) || boards(second) {
		t.Fatal("there is one place")
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Admit.Land(cut, first.Call); err == nil {
		t.Fatal("it was told")
	}
	if !boards(second) {
		t.Error("a call that is over keeps its place")
	}
}
