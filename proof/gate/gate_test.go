// Package gate proves that the calls of all processes together keep to what a provider allows: pauses, rates and quotas.
package gate

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"syncer/persist/persisttest"
	"syncer/proof/lab"
	"syncer/sandbox"
	"syncer/sandbox/norskgjeld"
	"syncer/sandbox/sandboxtest"
)

// TestMain builds the program whose calls are watched here.
func TestMain(m *testing.M) { lab.Main(m) }

// The gate's proof: so many buckets, each with so many consents that its share of the waits fits in.
const (
	gateBuckets  = 20
	gateConsents = 150
	gateWaits    = 1000 // at least
)

// flight is how long after the database has an announcement a call may still be sent by another process: what it was told
// before holds for that long at most. Time in which the whole machine stood still does not count. A gate with a hole would
// let calls through at any time of its one or two seconds.
//
// With the race detector the way from the last look to the first byte is several times as long, and three processes share two
// cores on it.
func flight() time.Duration {
	if sandboxtest.Race {
		return 200 * time.Millisecond
	}
	return 100 * time.Millisecond
}

// TestNoCallInsideAnAnnouncedWindow: three processes work twenty buckets side by side, every bucket is closed again
// and again by Retry-After, and now and then a process is killed and started anew. The sandbox's journal must show no
// call inside an announced window, except those that were on their way, and that little more than what was demanded
// was spent idle.
//
// The connections have no rate, so that nothing but the gate holds a call back: a hole in it shows at once.
func TestNoCallInsideAnAnnouncedWindow(t *testing.T) {
	lab.Long(t)
	persisttest.Turn(t)
	l := lab.New(t, lab.Options{
		NG:          norskgjeld.Options{Consents: gateConsents, DebtFree: 0.5, MaxLoans: 2, Start: time.Now().Add(-time.Hour)},
		Connections: gateBuckets, Concurrency: 2, Batches: 1, BatchSize: 10, MaxWait: "10m", Lease: "1s",
	})
	importEverywhere(l, gateBuckets)
	var jobs []string
	for n := 1; n <= gateBuckets; n++ {
		jobs = append(jobs, fmt.Sprintf("debt%d", n))
		client, date := fmt.Sprintf("client-%d", n), []string{"imf", "rfc850", "asctime"}[n%3]
		throttle(l, client, 16, sandbox.RetryAfter{Seconds: 2, Form: date})
		throttle(l, client, 4, sandbox.RetryAfter{Seconds: 1})
	}
	l.Plan(jobs...)
	began, stalls := time.Now(), watchDatabase(l, 25*time.Millisecond)
	kills := workAndKill(l, 3, gateWaits*7/10, "work", "--job", strings.Join(jobs, ","))
	still, took := stalls(), time.Since(began)
	if kills < 3 {
		t.Errorf("only %d processes were killed", kills)
	}

	p := gateProof{still: still}
	recorded := announcements(l)
	for _, entries := range dataCalls(l) {
		p.bucket(t, entries, recorded)
	}
	ratio := p.idle.Seconds() / p.demanded.Seconds()
	t.Logf("%d announcements in %d waits, %d kills; %d calls in flight; %d announcements died with the process that was told; %d stalls",
		p.told, p.waits, kills, p.flying, p.unheard, len(p.still))
	t.Logf("%s idle of %s demanded: %.4f", p.idle.Round(time.Millisecond), p.demanded, ratio)
	if p.waits < gateWaits {
		t.Errorf("%d gated waits, want at least %d", p.waits, gateWaits)
	}
	if p.unheard > kills {
		t.Errorf("%d announcements did not come into the database, but only %d processes were killed", p.unheard, kills)
	}
	// A wait ends when a process gets a processor. A machine that stood still for more than a hundredth of the
	// time is granted what it took, up to a sixth. With the race detector the processes wait for a processor
	// most of the time.
	most := 1.05
	if stoodFor(p.still) > took/100 {
		most = 1.17
	}
	if sandboxtest.Race {
		most = 2
	}
	if ratio < 1 || ratio > most {
		t.Errorf("idle for %.4f of what was demanded, want 1 to %.2f", ratio, most)
	}
	l.Verify()
}

// gateProof sums up what the journal shows of every bucket.
type gateProof struct {
	told, waits     int // announcements; waits are fewer where a call in flight was told to wait too
	flying, unheard int
	idle, demanded  time.Duration
	still           []stall
}

// sent is what the program's tables know of a call.
type sent struct {
	at     time.Time
	paused *time.Time // when the database had the pause that this call was told
}

// bucket looks at the arrivals of one bucket, oldest first.
//
// A date has whole seconds, and so has the Date it is measured against: two seconds after 12:00:00.9 is announced as
// 12:00:02. Arrivals are held against the instant itself; the caller, who must not trust that the clocks agree, waits
// for the two seconds that the answer's own words differ by, and these are what was demanded.
func (p *gateProof) bucket(t *testing.T, entries []sandbox.Entry, recorded map[string]sent) {
	t.Helper()
	for i := 0; i < len(entries); {
		if entries[i].Pause <= 0 || entries[i].Announced == 0 {
			i++
			continue
		}
		i = p.wait(t, entries, i, recorded)
	}
}

// wait follows the wait that entry first announced, together with what calls in flight were told meanwhile, and gives
// the first arrival after it.
func (p *gateProof) wait(t *testing.T, entries []sandbox.Entry, first int, recorded map[string]sent) (next int) {
	t.Helper()
	from := entries[first].Announced
	until, words := from, from // by the instant, and by the answers' words
	var known time.Time        // when the database had the announcement
	for next = first; next < len(entries); next++ {
		e := entries[next]
		if next > first && e.At >= until {
			p.waits++
			p.idle += e.At - from
			p.demanded += words - from
			return next
		}
		call := recorded[e.RequestID]
		if next > first && e.At > from {
			p.flying++
			at := call.at
			if at.IsZero() {
				at = e.Wall // its process was killed before it could write the call down
			}
			if late := at.Sub(known) - stood(p.still, known, at); late > flight() {
				t.Errorf("bucket %s: call %s was sent %s after the database had the announcement, %s before the window's end",
					e.Bucket, e.RequestID, late.Round(time.Microsecond), (until - e.At).Round(time.Microsecond))
			}
		}
		if e.Pause <= 0 || e.Announced == 0 {
			continue
		}
		p.told++
		if call.paused == nil { // nobody who is alive was told
			p.unheard++
			if next == first {
				return next + 1
			}
			continue
		}
		if next == first {
			known = *call.paused
		}
		until = max(until, e.Announced+e.Pause)
		words = max(words, e.Announced+(e.Pause+time.Second-1).Truncate(time.Second))
	}
	return next // the bucket's work was done: nothing followed
}

// stood is how long the machine stood still between two instants.
func stood(still []stall, from, until time.Time) (sum time.Duration) {
	for _, s := range still {
		begin, end := s.from, s.until
		if begin.Before(from) {
			begin = from
		}
		if end.After(until) {
			end = until
		}
		sum += max(0, end.Sub(begin))
	}
	return sum
}

// stoodFor is how long the machine stood still in all.
func stoodFor(still []stall) (sum time.Duration) {
	for _, s := range still {
		sum += s.until.Sub(s.from)
	}
	return sum
}

// stall is a time in which the machine did not even commit a single row.
type stall struct{ from, until time.Time }

// watchTick is how often watchDatabase commits.
const watchTick = 10 * time.Millisecond

// watchDatabase commits something all the time, beside the processes, and notes when that took longer than it should:
// then the machine or another test's work on the same server stood in the way. The function it gives ends the watch.
func watchDatabase(l *lab.Lab, longer time.Duration) (end func() []stall) {
	l.Helper()
	if _, err := l.DB.Pool.Exec(l.Context(), "CREATE TABLE IF NOT EXISTS watch AS SELECT 0 AS n"); err != nil {
		l.Fatal(err)
	}
	stop, stalls := make(chan struct{}), make(chan []stall)
	go func() {
		var found []stall
		ticker := time.NewTicker(watchTick)
		defer ticker.Stop()
		last := time.Now()
		for {
			_, err := l.DB.Pool.Exec(l.Context(), "UPDATE watch SET n = n + 1")
			now := time.Now()
			if now.Sub(last) > longer {
				found = append(found, stall{last, now})
			}
			last = now
			select {
			case <-stop:
				stalls <- found
				return
			case <-ticker.C:
			}
			if err != nil {
				l.Errorf("watch the database: %v", err)
			}
		}
	}()
	return func() []stall { close(stop); return <-stalls }
}

// importEverywhere imports all consents of the registries over each of n connections.
func importEverywhere(l *lab.Lab, n int) {
	l.Helper()
	var csv strings.Builder
	csv.WriteString("external_id,national_id,scopes,valid_until\n")
	for _, c := range l.NG.Consents() {
		fmt.Fprintf(&csv, "%s,%s,%s,%s\n", c.ID, c.NationalID, c.Scope, c.ValidUntil.UTC().Format(time.RFC3339))
	}
	for i := 1; i <= n; i++ {
		l.ImportCSV(fmt.Sprintf("ng%d", i), csv.String())
	}
}

// throttle lets every n-th call of a client's be answered with 429.
func throttle(l *lab.Lab, client string, every int, after sandbox.RetryAfter) {
	l.Helper()
	_, err := l.Kit.Faults.Add(sandbox.Rule{Bucket: client, Only: "api", Every: every,
		Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: after}})
	if err != nil {
		l.Fatal(err)
	}
}

// workAndKill lets n processes work until every run is complete. Now and then one of them is killed and started anew,
// as long as fewer than so many waits were announced. Work is left then for everybody, so that no bucket has to wait
// for the lease of a dead process: each holds a batch of every bucket, and two of three are always alive.
func workAndKill(l *lab.Lab, n, waits int, args ...string) (kills int) {
	l.Helper()
	processes := make([]*lab.Process, n)
	for i := range processes {
		processes[i] = l.Start(nil, args...)
	}
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	next := time.Now().Add(8 * time.Second)
	for l.Number("SELECT count(*) FROM runs WHERE verdict IS NULL") > 0 {
		select {
		case <-l.Context().Done():
			l.Fatal(l.Context().Err())
		case <-ticker.C:
		}
		if time.Now().Before(next) || throttled(l) >= waits {
			continue
		}
		i := rand.IntN(n)
		processes[i].Kill()
		processes[i] = l.Start(nil, args...)
		kills++
		next = time.Now().Add(time.Duration(3000+rand.IntN(3000)) * time.Millisecond)
	}
	for _, p := range processes {
		p.Kill()
	}
	if n := l.Number("SELECT count(*) FROM runs WHERE verdict <> 'complete'"); n > 0 {
		l.Errorf("%d runs are not complete", n)
	}
	return kills
}

// throttled is how many calls were answered with 429.
func throttled(l *lab.Lab) int {
	return l.Kit.Journal.Totals()[sandbox.Total{Provider: norskgjeld.Name, Status: 429}]
}

// dataCalls are the arrivals of each bucket without those for tokens, which have buckets of their own.
func dataCalls(l *lab.Lab) map[string][]sandbox.Entry {
	l.Helper()
	if err := l.Kit.Journal.WaitForAnswers(l.Context()); err != nil {
		l.Fatal(err)
	}
	buckets := map[string][]sandbox.Entry{}
	for _, e := range l.Kit.Journal.Entries() {
		if !e.Token {
			buckets[e.Bucket] = append(buckets[e.Bucket], e)
		}
	}
	return buckets
}

// announcements are all calls that the tables know, by the request id that the journal has too.
func announcements(l *lab.Lab) map[string]sent {
	l.Helper()
	rows, err := l.DB.Pool.Query(l.Context(), "SELECT c.id, c.sent_at, p.announced_at FROM calls c LEFT JOIN pauses p ON p.call_id = c.id")
	if err != nil {
		l.Fatal(err)
	}
	calls := map[string]sent{}
	var id uuid.UUID
	var c sent
	if _, err := pgx.ForEachRow(rows, []any{&id, &c.at, &c.paused}, func() error {
		calls[id.String()] = c
		return nil
	}); err != nil {
		l.Fatal(err)
	}
	return calls
}
