package jobs_test

import (
	"testing"
	"time"

	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// refuse has inserts into a table fail with an error of Postgres until the function it gives is called.
func (l *lab) refuse(code, table string) (clear func()) {
	l.Helper()
	exec := func(sql string) {
		l.Helper()
		_, err := l.db.Pool.Exec(l.Context(), sql)
		l.must(err)
	}
	exec(`CREATE SEQUENCE refusals; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM nextval('refusals');
		RAISE EXCEPTION 'not now' USING ERRCODE = '` + code + `'; END $$`)
	exec("CREATE TRIGGER refuse BEFORE INSERT ON " + table + " FOR EACH ROW EXECUTE FUNCTION refuse()")
	return func() { l.Helper(); exec("DROP TRIGGER refuse ON " + table) }
}

// D7 and D8: while a migration holds a table, or the disk is full, the pages in hand are kept and no further call is
// made for them; on a full disk none is made at all. Then everything goes on by itself, and no call was made twice.
func TestPagesInHandOutlastWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	const consents, wire = 20, 4
	for name, code := range map[string]string{"disk full": "53100", "lock held for long": "55P03"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, ngsim.Options{Consents: consents}, banksim.Options{})
			l.importNG(consents)
			// A process that a busy machine keeps from its heartbeat would lose the batch, and with it the pages in hand.
			n := l.start(nodeOptions{batchSize: consents, concurrency: wire, lease: time.Minute})
			l.run(n, debt) // from here on there is a token
			before := l.dataCalls(consents)
			clear := l.refuse(code, "calls")
			run := l.fire(n, debt)
			l.eventuallyWithin(time.Minute, "eight attempts to write", func() bool {
				return l.number("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM refusals") >= 8
			})
			if got := l.dataCalls(consents) - before; got > wire {
				t.Errorf("%d calls whose answers have no place", got)
			}
			clear()
			l.eventuallyWithin(time.Minute, "the run is complete", func() bool {
				return l.number("SELECT count(*) FROM runs WHERE id = $1 AND verdict = 'complete'", run.ID) == 1
			})
			made, kept := l.dataCalls(consents)-before, l.number("SELECT count(*) FROM calls WHERE purpose = 'data' AND run_id = $1", run.ID)
			if made != consents || kept != consents {
				t.Errorf("%d calls for %d consents, %d on record", made, consents, kept)
			}
		})
	}
}

// dataCalls is how many data calls for the first n consents of the registry have arrived.
func (l *lab) dataCalls(n int) int {
	sum := 0
	for i := range n {
		sum += l.calls(i)
	}
	return sum
}
