// Package lastlook proves that what one process takes back holds in all others at once.
package lastlook

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/connections"
	"syncer/persist/consents"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
)

var announcements = flag.Int("announcements", 100, "how many changes are announced; -short makes 12 of them")

const (
	bound   = 100 * time.Millisecond // no call begins later than that after the commit, but for one in a hundred
	atMost  = time.Second            // and those not later than that
	consent = 2                      // consents of a connection
)

// kind is a kind of change that takes back, over a connection of its own. The rates are such that the
// processes send 50 calls a second in all, since their calls are held up half of the time.
type kind struct {
	name string
	rate float64               // calls a second over its connection
	take func(*proof, *change) // commits it
	give func(*proof, *change) // undoes it
}

// change is one announcement.
type change struct {
	consent int64     // the one that it is about, by turns
	from    time.Time // when its commit had returned
	until   time.Time // to when no call may begin
}

const (
	holds   = 400 * time.Millisecond // for so long calls are held up
	lowered = 5                      // calls a second, by the lowered rate
)

var kinds = []kind{
	{"paused", 25, (*proof).pause, func(*proof, *change) {}},
	{"parked", 25, (*proof).park, (*proof).open},
	{"ended", 25, (*proof).end, (*proof).renew},
	{"slowed", 25, (*proof).lower, (*proof).raise},
}

// TestWhatOneProcessCommitsHoldsInAllAtOnce: three processes send 50 calls a second in all, over four
// connections, each with many calls that wait for their slots. A fourth process commits pauses, parks the
// connection or its credentials, ends consents, and names a lower rate. Now and then the connection on
// which a process hears of it is cut just before. The provider notes the first byte of each call, by the
// clock that the commits are noted by.
//
// A thousand announcements take five minutes: -announcements 1000.
func TestWhatOneProcessCommitsHoldsInAllAtOnce(t *testing.T) {
	n := *announcements
	if testing.Short() {
		n = 12
	}
	persisttest.Turn(t)
	p := newProof(t, "paused", "parked", "ended", "slowed")
	for range 3 {
		p.caller().start(t)
	}
	late := map[string][]time.Duration{}
	var mu sync.Mutex
	var streams sync.WaitGroup
	for _, k := range kinds {
		streams.Go(func() {
			for i := range n / len(kinds) {
				d := p.announce(k, i)
				mu.Lock()
				late[k.name] = append(late[k.name], d)
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	streams.Wait()
	if t.Failed() {
		return
	}
	judge(t, late)
	p.sent(time.Since(began))
}

// judge prints how late calls were, and holds them to the bounds.
func judge(t *testing.T, late map[string][]time.Duration) {
	t.Helper()
	all, above := 0, 0
	var latest time.Duration
	for _, k := range kinds {
		d := late[k.name]
		slices.Sort(d)
		most := d[len(d)-1]
		with := len(d) - slices.IndexFunc(d, func(d time.Duration) bool { return d > 0 })
		if d[len(d)-1] == 0 {
			with = 0
		}
		t.Logf("%s: %d announcements, a call began after %d of them, the latest after %s; the five latest: %v",
			k.name, len(d), with, most, d[max(0, len(d)-5):])
		for _, one := range d {
			all++
			if one > bound {
				above++
			}
		}
		latest = max(latest, most)
	}
	t.Logf("%d announcements: %d with a call later than %s, the latest after %s", all, above, bound, latest)
	if latest > atMost {
		t.Errorf("a call began %s after what forbids it was committed, want %s at most", latest, atMost)
	}
	if !testing.Short() && above*100 > all {
		t.Errorf("after %d of %d announcements a call began later than %s, want one in a hundred", above, all, bound)
	}
}

// proof is the provider, the database, and the process that announces.
type proof struct {
	*testing.T
	db       persisttest.Database
	store    *persist.Store
	slow     *persist.Store // a process that names a lower rate, or none
	base     string
	consents map[string][]int64

	mu       sync.Mutex
	arrivals map[string][]arrival // by connection
}

type arrival struct {
	at      time.Time
	consent string
}

func newProof(t *testing.T, names ...string) *proof {
	p := &proof{
		T: t, db: persisttest.NewDatabase(t), consents: map[string][]int64{}, arrivals: map[string][]arrival{},
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.base = server.URL
	p.store = persist.NewStore(p.db.Pool, nil, pg.Worker{ID: uuid.New()})
	p.slow = persist.NewStore(p.db.Pool, nil, pg.Worker{ID: uuid.New()})
	for _, connection := range names {
		p.must(p.store.Connections.Use(t.Context(), connection, connections.Endpoint{Provider: "test"}))
		var list []consents.Import
		for i := range consent {
			one := consents.Import{ExternalID: fmt.Sprint(i), ValidFrom: time.Now().Add(-time.Hour)}
			list = append(list, one)
		}
		_, err := p.store.Consents.Import(t.Context(), connection, list)
		p.must(err)
		const ids = "SELECT id FROM consents WHERE connection = $1 ORDER BY id"
		rows, err := p.db.Pool.Query(t.Context(), ids, connection)
		p.must(err)
		p.consents[connection], err = pgx.CollectRows(rows, pgx.RowTo[int64])
		p.must(err)
	}
	return p
}

func (p *proof) must(err error) {
	p.Helper()
	if err != nil && p.Context().Err() == nil {
		p.Error(err)
	}
}

// caller is one of the three processes.
func (p *proof) caller() caller {
	c := caller{Database: p.db.URL, Base: p.base, Connections: map[string]line{}}
	for _, k := range kinds {
		c.Connections[k.name] = line{Rate: k.rate, Callers: 4, Consents: p.consents[k.name]}
	}
	return c
}

// ServeHTTP notes when a call begins, and answers.
func (p *proof) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	connection, id, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	p.mu.Lock()
	p.arrivals[connection] = append(p.arrivals[connection], arrival{at, id})
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, "{}")
}

// since are the arrivals of a connection after a moment.
func (p *proof) since(connection string, from time.Time) []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.arrivals[connection]
	i, _ := slices.BinarySearchFunc(all, from, func(a arrival, t time.Time) int { return a.at.Compare(t) })
	return slices.Clone(all[i:])
}

// flows waits until calls go over a connection again, so that there is something to hold up.
func (p *proof) flows(connection string) {
	from := time.Now()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	late := time.After(time.Minute)
	for len(p.since(connection, from)) < 2 {
		select {
		case <-look.C:
		case <-late:
			p.Fatalf("no calls go over %s", connection)
		}
	}
}

// rest waits.
func (p *proof) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.Context().Done():
	}
}

// announce makes one change, and says how long after its commit the last call began that it forbids.
func (p *proof) announce(k kind, i int) time.Duration {
	p.flows(k.name)
	p.rest(rand.N(100 * time.Millisecond)) // the calls come at regular times
	if i%5 == 4 {
		p.cut()
	}
	c := &change{consent: p.consents[k.name][i%consent]}
	k.take(p, c)
	p.rest(time.Until(c.until))
	k.give(p, c)
	if k.name == "slowed" {
		return p.tooQuick(k.name, c)
	}
	var last time.Duration
	for _, a := range p.since(k.name, c.from) {
		if a.at.After(c.until) || k.name == "ended" && a.consent != fmt.Sprint(c.consent) {
			continue
		}
		last = max(last, a.at.Sub(c.from))
	}
	return last
}

// tooQuick is when, after the rate was lowered, the last call began that came too soon after the one
// before. A call may be late by three eighths of the time between two slots (late in fetch), so the next
// one may come that much sooner after it.
func (p *proof) tooQuick(connection string, c *change) (last time.Duration) {
	const apart = time.Second / lowered * 5 / 8
	arrivals := p.since(connection, c.from.Add(-time.Second))
	for i, a := range arrivals {
		in := a.at.After(c.from) && a.at.Before(c.until)
		if in && i > 0 && a.at.Sub(arrivals[i-1].at) < apart {
			last = max(last, a.at.Sub(c.from))
		}
	}
	return last
}

// cut ends the connection on which one of the processes hears what is taken back.
func (p *proof) cut() {
	_, err := p.db.Pool.Exec(p.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database()
		AND (query LIKE 'LISTEN%' OR query = '-- ping')
		ORDER BY random()
		LIMIT 1`)
	p.must(err)
}

func (p *proof) pause(c *change) {
	bucket := "paused@" + p.base
	_, err := p.store.Admit.Pause(p.Context(), calls.Pause{Bucket: bucket, For: holds, Reason: "breaker",
		Call: calls.Call{Connection: "paused", Class: finance.Transient}})
	c.from = time.Now()
	p.must(err)
	// To the end that the row has: the machine is the same.
	row := p.db.Pool.QueryRow(p.Context(), "SELECT not_before FROM gates WHERE bucket = $1", bucket)
	p.must(row.Scan(&c.until))
	c.until = c.until.Add(-time.Millisecond)
}

// park parks the connection, or the credentials that all processes have.
func (p *proof) park(c *change) {
	client, err := caller{Base: p.base}.client(p.store, "parked", 0)
	p.must(err)
	if rand.N(2) == 0 {
		_, err = p.store.Connections.Park(p.Context(), "parked", finance.Fatal, "the proof")
	} else {
		_, err = p.store.Connections.ParkCredentials(p.Context(), "parked", client.Credentials(), finance.Fatal, "the proof")
	}
	c.from = time.Now()
	c.until = c.from.Add(holds)
	p.must(err)
}

func (p *proof) open(*change) { p.must(p.store.Connections.Open(p.Context(), "parked")) }

// end revokes a consent, or lets its validity end.
func (p *proof) end(c *change) {
	var err error
	if rand.N(2) == 0 {
		_, err = p.store.Consents.End(p.Context(), c.consent, finance.ConsentRevoked, "the proof",
			consents.FromOperator, finance.CallID{})
	} else {
		const end = "UPDATE consents SET valid_until = clock_timestamp() WHERE id = $1"
		_, err = p.db.Pool.Exec(p.Context(), end, c.consent)
	}
	c.from = time.Now()
	c.until = c.from.Add(holds)
	p.must(err)
}

func (p *proof) renew(c *change) {
	_, err := p.db.Pool.Exec(p.Context(), `UPDATE consents SET
			status = 'active', ended_at = NULL, ended_reason = NULL, valid_until = NULL
		WHERE id = $1`, c.consent)
	p.must(err)
}

func (p *proof) lower(c *change) {
	p.slow.Workers.NameRate("slowed", lowered)
	err := p.slow.Workers.Heartbeat(p.Context(), time.Hour)
	c.from = time.Now()
	c.until = c.from.Add(2 * holds)
	p.must(err)
}

func (p *proof) raise(*change) { p.must(p.slow.Workers.Leave(context.WithoutCancel(p.Context()))) }

// sent prints how many calls the processes sent.
func (p *proof) sent(in time.Duration) {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := 0
	for _, a := range p.arrivals {
		calls += len(a)
	}
	p.Logf("%d calls, %.0f a second", calls, float64(calls)/in.Seconds())
}
