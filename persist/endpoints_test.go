package persist_test

import (
	"errors"
	"strings"
	"testing"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/pg"
)

// A connection remembers where it leads, and what is not known yet is added.
func TestAConnectionRemembersItsEndpoint(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const api = "https://api.example:443"
	for _, step := range []struct {
		name  string
		at    connections.Endpoint
		moved bool
	}{
		{"as it was known", connections.Endpoint{Provider: "sbanken"}, false},
		{"its environment is added", connections.Endpoint{Provider: "sbanken", Environment: "test"}, false},
		{"its origin is added", connections.Endpoint{Provider: "sbanken", Environment: "test", Origin: api}, false},
		{"all of it", connections.Endpoint{Provider: "sbanken", Environment: "test", Origin: api}, false},
		{"another provider", connections.Endpoint{Provider: "vipps", Environment: "test", Origin: api}, true},
		{"another environment", connections.Endpoint{Provider: "sbanken", Environment: "prod", Origin: api}, true},
		{"its environment is left out, and its address is that of another one, too", connections.Endpoint{Provider: "sbanken", Origin: api}, true},
		{"another origin", connections.Endpoint{Provider: "sbanken", Environment: "test", Origin: "https://other.example:443"}, true},
		{"its secrets can't be read, so its origin is not known", connections.Endpoint{Provider: "sbanken", Environment: "test"}, false},
	} {
		err := h.Connections.Use(t.Context(), "bank", step.at)
		moved, ok := errors.AsType[*connections.MovedError](err)
		if ok != step.moved || err != nil && !step.moved {
			t.Errorf("%s: %v", step.name, err)
		}
		if moved != nil && !strings.Contains(err.Error(), "syncer connections move bank") {
			t.Errorf("%s: the error does not say what to do: %v", step.name, err)
		}
	}
}

// A connection does not move to an environment that is not named: any other would pass for it the next time.
func TestAMoveNamesItsEnvironment(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	must(t, h.Connections.Use(t.Context(), "bank", connections.Endpoint{Provider: "sbanken", Environment: "test"}))
	_, err := h.Connections.Move(t.Context(), "bank", connections.Endpoint{Provider: "sbanken", Origin: "https://api.example:443"}, false, "r")
	if !errors.Is(err, connections.ErrNoEnvironment) {
		t.Errorf("it was moved: %v", err)
	}
	err = h.Connections.CheckEndpoint(t.Context(), "bank", connections.Endpoint{Provider: "sbanken"})
	if err == nil || !strings.Contains(err.Error(), "Write `environment: test` again") {
		t.Errorf("a configuration without it passes: %v", err)
	}
	_, err = h.Connections.Move(t.Context(), "bank", connections.Endpoint{Provider: "sbanken", Environment: "prod"}, false, "r")
	must(t, err)
}

// After a move nobody who works a batch of the connection makes a further call for it.
func TestAMoveHoldsAtOnce(t *testing.T) {
	t.Parallel()
	for _, end := range []bool{false, true} {
		h := newFixture(t)
		ids := h.consents(t, 3)
		_, batches := h.plan(t, 10)
		batch := claim(t, h.Store, batches[0])
		call := ask(0)
		call.Task = calls.Task{Batch: batch.ID, Fence: batch.Fence, Consent: &finance.Consent{ID: ids[0]}, Dataset: finance.Debts}
		if a := admission(t, h.Store, call); a.Refusal != "" {
			t.Fatalf("before the move: %+v", a)
		}
		m, err := h.Connections.Move(t.Context(), "bank", connections.Endpoint{Provider: "sbanken", Environment: "prod"}, end, "live now")
		must(t, err)
		want := connections.Moved{From: connections.Endpoint{Provider: "sbanken"}, Kept: 3, Batches: 1}
		if end {
			want.Kept, want.Ended = 0, 3
		}
		if m != want {
			t.Errorf("moved %+v, want %+v", m, want)
		}
		if a := admission(t, h.Store, call); a.Refusal != finance.Fenced {
			t.Errorf("after the move the worker's call is let through: %+v", a)
		}
		if got := queryInt(t, h.pool, `SELECT count(*) FROM consent_events WHERE source = 'operator' AND reason = 'live now'`); int(got) != want.Ended {
			t.Errorf("%d events, want %d", got, want.Ended)
		}
		err = h.Connections.CheckEndpoint(t.Context(), "bank", connections.Endpoint{Provider: "sbanken", Environment: "test"})
		if _, moved := errors.AsType[*connections.MovedError](err); !moved {
			t.Errorf("a process with the old configuration: %v", err)
		}
	}
}

// Everything goes on under the new name, also what later columns and tables name by the connection.
func TestAConnectionIsRenamed(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2)
	h.plan(t, 10)
	must(t, h.Admit.Record(t.Context(), newCall(debtStream(ids[0]))))
	h.exec(t, `INSERT INTO gates (bucket, connection) VALUES ('bank@https://a', 'bank'), ('bank/token@https://a', 'bank'), ('banker@https://a', 'banker');
		INSERT INTO lone_gates (key, connection, not_before, reason) VALUES ('bank@https://a#consent 1', 'bank', now(), 'r');
		INSERT INTO credential_parks (connection, credentials, class, reason) VALUES ('bank', 'x', 'token', 'r');
		UPDATE batches SET park_bucket = 'bank@https://a';
		UPDATE connections SET feed_position = 'p'`)
	must(t, h.Connections.Use(t.Context(), "new", connections.Endpoint{Provider: "sbanken"})) // as syncer check does
	_, err := h.Connections.Rename(t.Context(), "bank", "new")
	must(t, err)
	for sql, want := range map[string]string{
		`SELECT name || ' ' || provider || ' ' || feed_position FROM connections`: "new sbanken p",
		`SELECT DISTINCT connection FROM consents`:                                "new",
		`SELECT DISTINCT connection FROM runs`:                                    "new",
		`SELECT connection FROM credential_parks`:                                 "new",
		`SELECT bucket FROM gates ORDER BY 1`:                                     "banker@https://a,new/token@https://a,new@https://a",
		`SELECT key FROM lone_gates`:                                              "new@https://a#consent 1",
		`SELECT DISTINCT park_bucket FROM batches`:                                "new@https://a",
	} {
		if got := strings.Join(queryAll(t, h.pool, sql), ","); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	if broken, err := h.Read.Verify(t.Context()); err != nil || len(broken) > 0 {
		t.Errorf("verify: %v, %v", broken, err)
	}
	must(t, h.Connections.Use(t.Context(), "other", connections.Endpoint{Provider: "sbanken"}))
	for _, c := range []struct {
		name, from, to string
		want           error
	}{
		{"no such connection", "bank", "newer", pg.ErrNotFound},
		{"a name in use", "other", "new", connections.ErrNameTaken},
		{"a name without consents", "new", "other", nil},
	} {
		if _, err := h.Connections.Rename(t.Context(), c.from, c.to); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// A list that was imported again under the new name, before the rename, is no list of other consents, as long as nobody has
// read them.
func TestARenameJoinsWhatWasOnlyImported(t *testing.T) {
	t.Parallel()
	for _, read := range []bool{false, true} {
		h := newFixture(t)
		ids := h.consents(t, 2)
		h.plan(t, 10)
		must(t, h.Admit.Record(t.Context(), newCall(debtStream(ids[0]))))
		must(t, h.Connections.Use(t.Context(), "new", connections.Endpoint{Provider: "sbanken"}))
		_, err := h.Consents.Import(t.Context(), "new", []consents.Import{
			{ExternalID: "consent-0"}, {ExternalID: "consent-1"}, {ExternalID: "consent-2"}})
		must(t, err)
		if read {
			h.exec(t, `INSERT INTO cursors (consent_id, dataset, position, mid_pass, call_id)
				SELECT c.id, 'debt', 'p', false, k.id FROM consents c, calls k WHERE c.connection = 'new' AND c.external_id = 'consent-2'`)
		}
		got, err := h.Connections.Rename(t.Context(), "bank", "new")
		if read {
			if !errors.Is(err, connections.ErrNameTaken) {
				t.Errorf("consents that were read are joined: %+v, %v", got, err)
			}
			continue
		}
		must(t, err)
		if want := (connections.Renamed{Doubles: 2, Joined: 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		all := queryAll(t, h.pool, "SELECT connection || ' ' || external_id || ' ' || (id = ANY ($1))::text FROM consents ORDER BY id", ids)
		if want := "new consent-0 true,new consent-1 true,new consent-2 false"; strings.Join(all, ",") != want {
			t.Errorf("%v, want %s", all, want)
		}
		if broken, err := h.Read.Verify(t.Context()); err != nil || len(broken) > 0 {
			t.Errorf("verify: %v, %v", broken, err)
		}
	}
}

// A list that was imported again under the new name may name a consent by any id: one that it had, and one that waits. It is no
// second consent, and what is renewed in the list is no reading of it.
func TestARenameKnowsAConsentByAnyID(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.imports(t, []consents.Import{{ExternalID: "a"}, {ExternalID: "m"}, {ExternalID: "s"}})
	h.imports(t, []consents.Import{{ExternalID: "b", Renews: "a"}, {ExternalID: "n", Renews: "m"}})
	a := h.byID(t, "a")
	if taken, err := h.Consents.TakeUpRenewal(t.Context(), a.ID); !taken || err != nil {
		t.Fatal(taken, err)
	}
	must(t, h.Consents.RenewalAnswered(t.Context(), a.ID, "b", finance.CallID{}))
	must(t, h.Connections.Use(t.Context(), "new", connections.Endpoint{Provider: "sbanken"}))
	_, err := h.Consents.Import(t.Context(), "new", []consents.Import{
		{ExternalID: "a"},                 // that it had
		{ExternalID: "n"},                 // that waits
		{ExternalID: "s"},                 // one that was never renewed
		{ExternalID: "t", Renews: "s"},    // nor is it now
		{ExternalID: "x"},                 // new
		{ExternalID: "y", Renews: "x"},    // and renewed
		{ExternalID: "late", Renews: "n"}, // a third id of m
	})
	must(t, err)
	got, err := h.Connections.Rename(t.Context(), "bank", "new")
	must(t, err)
	if want := (connections.Renamed{Doubles: 3, Joined: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	all := queryAll(t, h.pool, "SELECT connection || ' ' || external_id FROM consents ORDER BY id")
	if want := "new b,new m,new s,new x"; strings.Join(all, ",") != want {
		t.Errorf("%v, want %s", all, want)
	}
	ids := queryAll(t, h.pool, "SELECT connection || ' ' || external_id FROM consent_ids ORDER BY external_id")
	if want := "new a,new b,new m,new n,new x,new y"; strings.Join(ids, ",") != want {
		t.Errorf("%v, want %s", ids, want)
	}
	h.verified(t)
}

// A table that gains a column for a connection or a bucket must be renamed with it.
func TestARenameKnowsEveryColumn(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	const want = "calls.bucket calls.connection " + // of their time
		"consent_ids.connection consents.connection credential_parks.connection " +
		"flights.connection gates.bucket gates.connection lone_gates.connection pauses.bucket record_keys.connection " +
		"run_members.connection runs.connection " +
		"worker_quotas.connection worker_rates.connection" // of a process' configuration
	got := strings.Join(queryAll(t, h.pool, `SELECT table_name || '.' || column_name
		FROM information_schema.columns
		WHERE table_schema = 'public'
			AND column_name IN ('connection', 'bucket')
			AND table_name IN (SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE')
		ORDER BY 1`), " ")
	if got != want {
		t.Errorf("columns that name a connection or a bucket:\n%s\nknown to persist/connections/rename.go or left as they were:\n%s", got, want)
	}
}
