package jobs_test

import (
	"testing"

	ngsim "syncer/sandbox/norskgjeld"
	banksim "syncer/sandbox/sbanken"
)

// refuse has inserts of such rows into a table fail with an error of Postgres until the function it gives is called.
func (l *lab) refuse(code, table, such string) (clear func()) {
	l.Helper()
	exec := func(sql string) {
		l.Helper()
		_, err := l.db.Pool.Exec(l.Context(), sql)
		l.must(err)
	}
	exec(`CREATE SEQUENCE refusals; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM nextval('refusals');
		RAISE EXCEPTION 'not now' USING ERRCODE = '` + code + `'; END $$`)
	exec("CREATE TRIGGER refuse BEFORE INSERT ON " + table + " FOR EACH ROW WHEN (" + such + ") EXECUTE FUNCTION refuse()")
	return func() { l.Helper(); exec("DROP TRIGGER refuse ON " + table) }
}

// D7 and D8: while a migration holds a table, or the disk is full, the pages in hand are kept and no further call is
// made for them; on a full disk none is made at all. Then everything goes on by itself, and no call was made twice: also
// where there was room for some pages, and what was begun after those has met the full disk.
func TestPagesInHandOutlastWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	const consents, wire = 20, 4
	for name, c := range map[string]struct{ code, such string }{
		"disk full":              {"53100", "true"},
		"disk full for one page": {"53100", "NEW.consent_id = 2"},
		"lock held for long":     {"55P03", "true"},
	} {
		if testing.Short() && name != "disk full for one page" { // each waits for some seconds
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, ngsim.Options{Consents: consents}, banksim.Options{})
			l.importNG(consents)
			n := l.start(nodeOptions{batchSize: consents, concurrency: wire})
			l.run(n, debt) // from here on there is a token
			before := l.dataCalls(consents)
			clear := l.refuse(c.code, "calls", c.such)
			run := l.fire(n, debt)
			l.eventually("eight attempts to write", func() bool {
				return l.number("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM refusals") >= 8
			})
			kept := func() int {
				return l.number("SELECT count(*) FROM calls WHERE purpose = 'data' AND run_id = $1", run.ID)
			}
			inHand := 2 * wire // on the wire, and waiting for their commit
			if stored := kept(); l.dataCalls(consents)-before-stored > inHand {
				t.Errorf("%d calls, %d on record: more than %d answers have no place", l.dataCalls(consents)-before, stored, inHand)
			}
			clear()
			l.eventually("the run is complete", func() bool {
				return l.number("SELECT count(*) FROM runs WHERE id = $1 AND verdict = 'complete'", run.ID) == 1
			})
			if made := l.dataCalls(consents) - before; made != consents || kept() != consents {
				t.Errorf("%d calls for %d consents, %d on record", made, consents, kept())
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
