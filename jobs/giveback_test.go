package jobs_test

import (
	"testing"

	"syncer/persist"
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
	if r := l.run(n, debt); r.Run.Verdict != persist.VerdictComplete {
		t.Errorf("verdict %q", r.Run.Verdict)
	}
	if n := l.number("SELECT last_value FROM refusals"); n != 3 {
		t.Errorf("the batch was given back at try %d", n)
	}
}
