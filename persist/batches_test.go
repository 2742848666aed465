package persist_test

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist/consents"
	"syncer/persist/pg"
	"syncer/persist/queue"
	"syncer/persist/workers"
)

// I6: of many claimers one wins, and nobody else while it lives.
func TestOneClaimerWins(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	_, batches := h.plan(t, 10)
	won := make(chan queue.Claimed, 20)
	var wg sync.WaitGroup
	for range 20 {
		s := h.sibling(t, time.Hour)
		wg.Go(func() {
			c, ok, err := s.Queue.Claim(t.Context(), batches[0])
			if err != nil {
				t.Error(err)
			}
			if ok {
				won <- c
			}
		})
	}
	wg.Wait()
	close(won)
	if len(won) != 1 {
		t.Fatalf("%d claimers won, want 1", len(won))
	}
	c := <-won
	if c.Fence != 1 || c.Claims != 1 || c.Job != "nightly" || c.Connection != "bank" || c.Kind != queue.Manual ||
		len(c.Datasets) != 1 || c.Datasets[0] != finance.Debts || !c.WindowFrom.IsZero() {
		t.Errorf("claimed %+v", c)
	}
}

// What a crash of Postgres may take back of an item is what is found out again without a call: see unflushed in persist/queue.
func TestOnlyDecisionsWithoutPagesWaitForTheDisk(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 5)
	_, batches := h.plan(t, 10)
	c := claim(t, h.Store, batches[0])
	for _, sql := range []string{
		"CREATE TABLE seen (consent bigint, outcome text, waits text)",
		`CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO seen VALUES (NEW.consent_id, coalesce(NEW.outcome, 'started'), current_setting('synchronous_commit'));
			RETURN NULL;
		END $$`,
		"CREATE TRIGGER see AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION see()",
	} {
		_, err := h.pool.Exec(t.Context(), sql)
		must(t, err)
	}
	withheld := decision(finance.Rows) // of some of its accounts there are no pages
	withheld.Class, withheld.Reason = finance.Withheld, "two accounts"
	for i, d := range []queue.Decision{decision(finance.Rows), decision(finance.Empty), decision(finance.Partial), decision(finance.Failed), withheld} {
		must(t, h.Queue.StartItem(t.Context(), c.ID, c.Fence, ids[i], finance.Debts))
		must(t, h.Queue.DecideItem(t.Context(), c.ID, c.Fence, ids[i], finance.Debts, d))
	}
	want := []string{"empty off", "failed on", "partial on", "rows off", "rows on", "started off"}
	if diff := cmp.Diff(want, queryAll(t, h.pool, "SELECT DISTINCT outcome, waits FROM seen ORDER BY 1")); diff != "" {
		t.Error(diff)
	}
	// The setting ends with its transaction: over the same connection the next one waits.
	must(t, h.Queue.Finish(t.Context(), c.ID, c.Fence))
	for range 10 {
		if got := queryAll(t, h.pool, "SHOW synchronous_commit"); got[0] != "on" {
			t.Fatal(got)
		}
	}
}

// W3: a worker that slept through its lease writes nothing any more, whatever it tries.
func TestSleeperIsFencedOff(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	id := h.consents(t, 1)[0]
	_, batches := h.plan(t, 10)
	b := batches[0]
	sleeper := h.sibling(t, time.Microsecond)
	old := claim(t, sleeper, b)
	fresh := claim(t, h.Store, b)
	if fresh.Fence != old.Fence+1 || fresh.Claims != 2 {
		t.Fatalf("taken over as %+v", fresh)
	}
	before := queryAll(t, h.pool, "SELECT b::text, i::text FROM batches b, items i")
	for name, try := range map[string]func() error{
		"start": func() error { return sleeper.Queue.StartItem(ctx, b, old.Fence, id, finance.Debts) },
		"decide": func() error {
			return sleeper.Queue.DecideItem(ctx, b, old.Fence, id, finance.Debts, decision(finance.Rows))
		},
		"park":    func() error { return sleeper.Queue.Park(ctx, b, old.Fence, queue.Parking{For: time.Hour, Reason: "x"}) },
		"release": func() error { return sleeper.Queue.Release(ctx, b, old.Fence) },
		"finish":  func() error { return sleeper.Queue.Finish(ctx, b, old.Fence) },
	} {
		if err := try(); !errors.Is(err, pg.ErrFenced) {
			t.Errorf("%s: %v, want ErrFenced", name, err)
		}
	}
	if after := queryAll(t, h.pool, "SELECT b::text, i::text FROM batches b, items i"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the sleeper wrote:\n%v\n%v", before, after)
	}
}

func TestDueAreFreeBatches(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	h.consents(t, 6)
	_, batches := h.plan(t, 1)
	dead := h.sibling(t, time.Microsecond)
	claim(t, dead, batches[0])              // its holder died: due
	claim(t, h.Store, batches[1])           // held
	parked := claim(t, h.Store, batches[2]) // parked for an hour
	woken := claim(t, h.Store, batches[3])  // parked until now: due
	h.work(t, batches[4], finance.Rows)     // done
	must(t, h.Queue.Park(ctx, batches[2], parked.Fence, queue.Parking{For: time.Hour, Reason: "retry-after"}))
	must(t, h.Queue.Park(ctx, batches[3], woken.Fence, queue.Parking{For: 0, Reason: "retry-after"}))
	due, err := h.Queue.Due(ctx, []string{"nightly"}, []string{"bank"}, 10)
	must(t, err)
	got := map[int64]bool{}
	for _, d := range due {
		got[d.ID] = true
	}
	for i, want := range []bool{true, false, false, true, false, true} {
		if got[batches[i]] != want {
			t.Errorf("batch %d: due %v, want %v", i, got[batches[i]], want)
		}
	}
	for i, want := range []bool{true, false, false, true, false, true} {
		if _, ok, err := h.sibling(t, time.Hour).Queue.Claim(ctx, batches[i]); ok != want || err != nil {
			t.Errorf("batch %d: claimed %v, want %v (%v)", i, ok, want, err)
		}
	}
	if due, _ := h.Queue.Due(ctx, []string{"nightly"}, []string{"another"}, 10); len(due) != 0 {
		t.Errorf("batches over another connection: %v", due)
	}
	if due, _ := h.Queue.Due(ctx, []string{"another"}, []string{"bank"}, 10); len(due) != 0 {
		t.Errorf("batches of a job that was not asked for: %v", due)
	}
}

func TestLeavingFreesWhatIsHeld(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	_, batches := h.plan(t, 1)
	leaver := h.sibling(t, time.Hour)
	claim(t, leaver, batches[0])
	must(t, leaver.Workers.Leave(t.Context()))
	claim(t, h.Store, batches[0])
}

// O6: a batch that kills its workers is given up; one that only loses them while it gets on is not.
func TestPoisonedBatch(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	ids := h.consents(t, 8)
	run, batches := h.plan(t, 8)
	b := batches[0]
	die := func() queue.Claimed { return claim(t, h.sibling(t, time.Microsecond), b) }
	c := die()
	for want := 1; want <= 2; want++ { // two die without progress
		if c = die(); c.Lost != want || c.Poisoned {
			t.Fatalf("%+v, want lost %d", c, want)
		}
	}
	must(t, h.Queue.DecideItem(ctx, b, c.Fence, ids[0], finance.Debts, decision(finance.Rows)))
	if c = die(); c.Lost != 0 {
		t.Fatalf("an item was decided: %+v", c)
	}
	for range 2 {
		c = die()
	}
	h.exec(t, "INSERT INTO cursors (consent_id, dataset, position, mid_pass, run_id) VALUES ($1, 'debt', 'p2', true, $2)", ids[1], run.ID)
	if c = die(); c.Lost != 0 {
		t.Fatalf("a page was committed: %+v", c)
	}
	for range 2 {
		c = die()
	}
	must(t, h.Queue.Release(ctx, b, c.Fence)) // given back in order: whatever it was, it did not kill this one
	if c = die(); c.Lost != 0 {
		t.Fatalf("it was released: %+v", c)
	}
	for range 3 {
		c = die()
	}
	if !c.Poisoned || c.Lost != 3 {
		t.Fatalf("after three deaths in a row: %+v", c)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM items WHERE outcome = 'failed' AND class = 'poisoned' AND reason <> ''"); n != 7 {
		t.Errorf("%d items failed, want the 7 undecided", n)
	}
	if v, settled, err := h.Queue.Settle(ctx, run.ID); v != queue.VerdictPartial || !settled || err != nil {
		t.Errorf("settled %v as %q, %v", settled, v, err)
	}
}

// A worker that is slow, or without its database for a while, loses its batch as a dead one does. When it is
// heard again it does not count as dead: a batch that is only slow is never given up.
func TestABatchIsNotGivenUpForSlowWorkers(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	ids := h.consents(t, 1)
	_, batches := h.plan(t, 1)
	b := batches[0]
	slow := claim(t, h.sibling(t, time.Microsecond), b)
	for range 5 {
		c := claim(t, h.sibling(t, time.Microsecond), b)
		if c.Lost != 1 || c.Poisoned {
			t.Fatalf("taken over from a slow worker: %+v", c)
		}
		must(t, h.Queue.Outlived(ctx, b, c.Fence)) // it holds the batch, so there is nothing to take back
		if n := queryInt(t, h.pool, "SELECT lost FROM batches WHERE id = $1", b); n != 1 {
			t.Fatalf("%d workers have died after a word of the holder, want 1", n)
		}
		must(t, h.Queue.Outlived(ctx, b, slow.Fence))
		if n := queryInt(t, h.pool, "SELECT lost FROM batches WHERE id = $1", b); n != 0 {
			t.Fatalf("%d workers have died after the slow one was heard, want 0", n)
		}
		slow = c
	}
	c := claim(t, h.Store, b)
	must(t, h.Queue.DecideItem(ctx, b, c.Fence, ids[0], finance.Debts, decision(finance.Rows)))
	must(t, h.Queue.Finish(ctx, b, c.Fence))
	must(t, h.Queue.Outlived(ctx, b, slow.Fence))
	if n := queryInt(t, h.pool, "SELECT lost FROM batches WHERE id = $1", b); n != 1 {
		t.Errorf("lost is %d of a batch that is done, want 1: its history stays", n)
	}
}

func TestItemsInWorkingOrder(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	ids := h.consents(t, 2, func(c *consents.Import) {
		c.NationalID, c.KeepPlain, c.Scopes, c.ReadsPerDay, c.SingleUse = "29868099311", true, []string{"a", "b"}, 4, true
	})
	_, batches := h.plan(t, 10, finance.Debts, finance.Transactions, finance.Accounts)
	c := claim(t, h.Store, batches[0])
	must(t, h.Queue.StartItem(ctx, batches[0], c.Fence, ids[0], finance.Accounts))
	must(t, h.Queue.StartItem(ctx, batches[0], c.Fence, ids[0], finance.Accounts))
	must(t, h.Queue.DecideItem(ctx, batches[0], c.Fence, ids[0], finance.Accounts, decision(finance.Failed)))
	must(t, h.Queue.DecideItem(ctx, batches[0], c.Fence, ids[0], finance.Accounts, decision(finance.Rows))) // the first word stands
	items, err := h.Queue.Items(ctx, batches[0])
	must(t, err)
	if len(items) != 6 {
		t.Fatalf("%d items, want 6", len(items))
	}
	order := []finance.Dataset{finance.Accounts, finance.Transactions, finance.Debts}
	for i, item := range items {
		if item.Consent.ID != ids[i/3] || item.Dataset != order[i%3] {
			t.Errorf("item %d is %s of consent %d", i, item.Dataset, item.Consent.ID)
		}
		plain, _ := item.Consent.Subject.Reveal()
		if plain != "29868099311" || !item.Consent.Subject.Is("29868099311") || item.Consent.Subject.Is("14842249091") {
			t.Error("the subject is not the one that was imported")
		}
		if len(item.Consent.Scopes) != 2 || item.Consent.ReadsPerDay != 4 || !item.Consent.SingleUse || !item.Consent.ValidUntil.IsZero() {
			t.Errorf("consent %+v", item.Consent)
		}
	}
	if i := items[0]; i.Attempts != 2 || i.Outcome != finance.Failed || i.Class != finance.Rejected || i.Reason == "" ||
		i.StartedAt.IsZero() || i.FinishedAt.IsZero() {
		t.Errorf("the decided item is %+v", i)
	}
	if i := items[1]; i.Outcome != "" || !i.StartedAt.IsZero() {
		t.Errorf("the next item is %+v", i)
	}
	if err := h.Queue.Finish(ctx, batches[0], c.Fence); !errors.Is(err, queue.ErrUndecided) {
		t.Errorf("finish with open items: %v", err)
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM batches WHERE state = 'done'"); n != 0 {
		t.Error("a batch with open items is done")
	}
}

func TestDecideItemsIsAllOrNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ids := h.consents(t, 2)
	_, batches := h.plan(t, 10)
	c := claim(t, h.Store, batches[0])
	bad := queue.Decision{Outcome: finance.Failed} // without a reason
	err := h.Queue.DecideItems(t.Context(), batches[0], c.Fence, []queue.Decided{
		{Consent: ids[0], Dataset: finance.Debts, Decision: decision(finance.Rows)},
		{Consent: ids[1], Dataset: finance.Debts, Decision: bad}})
	if err == nil {
		t.Error("an item failed without a reason")
	}
	if n := queryInt(t, h.pool, "SELECT count(*) FROM items WHERE outcome IS NOT NULL"); n != 0 {
		t.Error("half of the decisions were kept")
	}
}

func TestWorkersAreSeen(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.sibling(t, time.Microsecond)
	list, err := h.Read.Workers(t.Context())
	must(t, err)
	alive := 0
	for _, w := range list {
		if w.Alive {
			alive++
		}
	}
	if len(list) != 2 || alive != 1 {
		t.Errorf("%d workers, %d alive; want 2 and 1", len(list), alive)
	}
}

// considered asks for the schedule of nightly and compares.
func (h *fixture) considered(t *testing.T, expression string, begin, want time.Time, wantWas string) {
	t.Helper()
	got, was, err := h.Plan.Considered(t.Context(), "nightly", expression, begin)
	if !got.Equal(want) || was != wantWas || err != nil {
		t.Errorf("%s: considered %v, was %q, %v; want %v, %q", expression, got, was, err, want, wantWas)
	}
}

func TestScheduleNeverGoesBack(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	at := time.Date(2026, 10, 25, 2, 30, 0, 0, time.UTC)
	h.considered(t, "@daily", at.Add(-24*time.Hour), at.Add(-24*time.Hour), "")
	for _, to := range []time.Time{at, at.Add(-time.Hour), at.Add(-time.Nanosecond)} {
		must(t, h.Plan.AdvanceSchedule(t.Context(), "nightly", to))
		h.considered(t, "@daily", at.Add(time.Hour), at, "")
	}
	h.considered(t, "@hourly", at.Add(-time.Hour), at, "@daily")
}

// What is recorded of a job's ticks is of one schedule. One that was kept before schedules were told apart goes on.
func TestAnotherScheduleBeginsAnew(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	at := time.Date(2026, 10, 25, 2, 30, 0, 0, time.UTC)
	week := 7 * 24 * time.Hour
	h.exec(t, "INSERT INTO schedules (job, considered) VALUES ('nightly', $1)", at)
	h.considered(t, "30 2 * * * Europe/Oslo", at.Add(week), at, "")
	h.considered(t, "30 2 * * * UTC", at.Add(week), at.Add(week), "30 2 * * * Europe/Oslo")
	h.considered(t, "30 2 * * * UTC", at.Add(2*week), at.Add(week), "")
	must(t, h.Plan.Unschedule(t.Context(), "nightly"))
	h.considered(t, "30 2 * * * UTC", at.Add(3*week), at.Add(3*week), "")
}

func TestForgetWorkersKeepsTheRecentlySilent(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.sibling(t, time.Hour)
	h.sibling(t, time.Microsecond)
	if _, err := h.pool.Exec(t.Context(), `INSERT INTO workers (id, host, pid, expires_at) VALUES (gen_random_uuid(), 'gone', 1, now() - interval '2 hours')`); err != nil {
		t.Fatal(err)
	}
	before, err := h.Read.Workers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n, err := h.Workers.ForgetWorkers(t.Context())
	if err != nil || n != 1 {
		t.Fatalf("forgot %d workers, %v; want the one that is silent for hours", n, err)
	}
	if after, err := h.Read.Workers(t.Context()); err != nil || len(after) != len(before)-1 {
		t.Fatalf("%d workers are left of %d, %v", len(after), len(before), err)
	}
}

// No timeout of Postgres ends a COPY whose client has fallen silent, so a frozen holder would keep its batch's lock for
// as long as it sleeps. The next claimer cuts its connections.
func TestClaimCutsAHolderFrozenInACopy(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	h.consents(t, 1)
	_, batches := h.plan(t, 10)
	frozen := h.sibling(t, 300*time.Millisecond)
	if _, ok, err := frozen.Queue.Claim(t.Context(), batches[0]); !ok || err != nil {
		t.Fatalf("the first claim: %v, %v", ok, err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), h.pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{"SET application_name = '" + workers.ApplicationName(frozen.Worker().ID) + "'", "SET statement_timeout = '1s'",
		"BEGIN", fmt.Sprintf("SELECT id FROM batches WHERE id = %d FOR SHARE", batches[0])} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	silence, stop := io.Pipe()
	cut := make(chan error, 1)
	go func() {
		_, err := conn.PgConn().CopyFrom(t.Context(), silence, "COPY quarantine (consent_id, dataset, call_id, place, reason) FROM STDIN")
		cut <- err
	}()
	defer stop.Close()
	deadline := time.After(20 * time.Second)
	for {
		c, ok, err := h.Queue.Claim(t.Context(), batches[0])
		if ok && err == nil && c.Fence == 2 {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("the batch can't be claimed from a frozen holder: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	stop.Close()
	if err := <-cut; err == nil {
		t.Error("the frozen holder's connection is still alive")
	}
}
