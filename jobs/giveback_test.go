package jobs_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"syncer/persist/queue"
	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// The lease is the process's, not the batch's. A batch that could not be given back because Postgres refused it once
// would be held for as long as the process lives, and its run never end.
func TestABatchThatCannotBeGivenBackIsGivenBackLater(t *testing.T) {
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 3}, banksim.Options{Customers: 1})
	l.importNG(3)
	_, err := l.db.Pool.Exec(t.Context(), `CREATE SEQUENCE refusals;
		CREATE FUNCTION refuse_twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('refusals') <= 2 THEN RAISE EXCEPTION 'the database is not well'; END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER refuse_twice BEFORE UPDATE ON batches FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION refuse_twice()`)
	l.must(err)
	n := l.start(nodeOptions{})
	if r := l.run(n, debt); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("verdict %q", r.Run.Verdict)
	}
	if n := l.number("SELECT last_value FROM refusals"); n != 3 {
		t.Errorf("the batch was given back at try %d", n)
	}
}

// While the database is away giving back fails again and again. That is one interruption, after which the batch rests
// for the shortest time and not for the longest.
func TestGivingBackAgainIsNoFurtherInterruption(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the shortest rest of a batch, five seconds")
	}
	t.Parallel()
	l := newLab(t, ngsim.Options{Consents: 3}, banksim.Options{Customers: 1})
	l.importNG(3)
	_, err := l.db.Pool.Exec(t.Context(), `CREATE SEQUENCE interruptions; CREATE SEQUENCE refusals;
		CREATE FUNCTION interrupt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('interruptions') <= 2 THEN -- in company, and alone
				RAISE EXCEPTION 'the database goes away'; END IF;
			RETURN NEW;
		END $$;
		CREATE FUNCTION refuse_often() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('refusals') <= 3 THEN RAISE EXCEPTION 'the database is away'; END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER interrupt BEFORE UPDATE ON items FOR EACH ROW WHEN (NEW.outcome IS NOT NULL AND NEW.consent_id = 2) EXECUTE FUNCTION interrupt();
		CREATE TRIGGER refuse_often BEFORE UPDATE ON batches FOR EACH ROW WHEN (NEW.state = 'parked') EXECUTE FUNCTION refuse_often()`)
	l.must(err)
	var log bytes.Buffer
	n := l.start(nodeOptions{log: zerolog.New(zerolog.SyncWriter(&log)), batchSize: 3})
	if r := l.run(n, debt); r.Run.Verdict != queue.VerdictComplete {
		t.Errorf("verdict %q", r.Run.Verdict)
	}
	n.stop()
	if got := strings.Count(log.String(), "batch interrupted"); got != 1 || !strings.Contains(log.String(), `"wait":"5s"`) {
		t.Errorf("%d interruptions:\n%s", got, log.String())
	}
	if n := l.number("SELECT last_value FROM refusals"); n != 4 {
		t.Errorf("the batch was given back at try %d", n)
	}
}
