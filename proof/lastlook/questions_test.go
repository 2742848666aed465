package lastlook

import (
	"testing"
	"time"

	"syncer/persist/persisttest"
	"syncer/proof/lab"
)

// TestACallAsksOnce: while nothing is taken back, a call asks the database one question before it is sent,
// with a rate, whose slots lie ahead, and without one. Questions that are put together count once, so there
// may be fewer than calls.
func TestACallAsksOnce(t *testing.T) {
	lab.Long(t)
	persisttest.Turn(t)
	p := newProof(t, "rated", "free")
	var name string
	p.must(p.db.Pool.QueryRow(t.Context(), "SELECT quote_ident(current_database())").Scan(&name))
	_, err := p.db.Pool.Exec(t.Context(), "ALTER DATABASE "+name+" SET track_functions = 'pl'")
	p.must(err)
	for connection, rate := range map[string]float64{"rated": 50, "free": 0} {
		p.asksOnce(connection, rate)
	}
}

func (p *proof) asksOnce(connection string, rate float64) {
	p.Helper()
	const each, callers, processes = 25, 4, 3
	const calls = each * callers * processes
	before := p.questions()
	c := caller{Database: p.db.URL, Base: p.base, Connections: map[string]line{
		connection: {Rate: rate, Callers: callers, Calls: each, Consents: p.consents[connection]}}}
	var ended []<-chan struct{}
	for range processes {
		ended = append(ended, c.start(p.T))
	}
	for _, one := range ended {
		<-one
	}
	// A connection of Postgres tells its counts when it ends.
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	late := time.After(time.Minute)
	for p.connected() > 0 || p.questions() == before {
		select {
		case <-look.C:
		case <-late:
			p.Fatal("the processes' connections do not end")
		}
	}
	asked := p.questions() - before
	p.Logf("%s: %d calls, %d questions", connection, calls, asked)
	if arrived := len(p.since(connection, time.Time{})); arrived != calls {
		p.Errorf("%s: %d calls have arrived, want %d", connection, arrived, calls)
	}
	// Before a process listens a call asks twice, and where a busy machine keeps a ping's answer from it.
	const most = calls * 5 / 4
	if asked > most {
		p.Errorf("%s: %d questions for %d calls, want one for each, and %d at most", connection, asked, calls, most)
	}
}

// questions is how often the database was asked whether calls may be sent.
func (p *proof) questions() (n int) {
	p.Helper()
	p.must(p.db.Pool.QueryRow(p.Context(), `SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions
		WHERE funcname LIKE 'admit_calls%'`).Scan(&n))
	return n
}

// connected is how many connections the processes have.
func (p *proof) connected() (n int) {
	p.Helper()
	p.must(p.db.Pool.QueryRow(p.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database()
		AND application_name = $1`, callerName).Scan(&n))
	return n
}
