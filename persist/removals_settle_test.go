package persist_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/finance"
	"syncer/persist/pg"
	"syncer/persist/plan"
	"syncer/persist/streams"
	"syncer/persist/write"
)

// debtLines are all debts with what must be again as it was.
func (h *guardedFixture) debtLines(t *testing.T) []string {
	t.Helper()
	return queryAll(t, h.pool, `SELECT consent_id, debt_id, creditor, first_seen_at::text, encode(content_hash, 'hex'),
		call_id::text, place, removed_at IS NULL FROM debts ORDER BY consent_id, debt_id`)
}

// settle gives a night whose items are decided its verdict.
func (h *guardedFixture) settle(t *testing.T, night *guardedNight) {
	t.Helper()
	for _, b := range night.batches {
		h.exec(t, `UPDATE batches SET state = 'done', holder = NULL, finished_at = now() WHERE id = $1`, b)
	}
	_, settled, err := h.Queue.Settle(t.Context(), night.run)
	if must(t, err); !settled {
		t.Fatal("not settled")
	}
}

// emptyNight writes a night in which every consent's list is empty, by several writers side by side, and gives how many
// rows are alive.
func (h *guardedFixture) emptyNight(t *testing.T, night *guardedNight) {
	t.Helper()
	ids := slices.Clone(h.ids)
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	work := make(chan []int64, len(ids))
	for chunk := range slices.Chunk(ids, 7) {
		work <- chunk
	}
	close(work)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for chunk := range work {
				var pages []write.PageWrite
				for _, id := range chunk {
					pages = append(pages, night.page(id))
				}
				for _, r := range h.writer.Commit(t.Context(), pages) {
					if r.Err != nil {
						t.Error(r.Err)
					}
				}
			}
		})
	}
	writers.Wait()
}

// A night in which everybody becomes empty, by several writers: no more than the share goes, there is one alert, and
// what went comes back as it was.
func TestUndoRemovalsBringsBackWhatWent(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 300, 3)
	before := h.debtLines(t)
	night := h.night(t)
	h.emptyNight(t, night)
	if got, want := h.state(t), "720 alive, 720 withheld, 180 removed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := h.log.alerts(); len(got) != 1 || !strings.Contains(got[0], "61 of 300 consents") {
		t.Errorf("alerts: %s", got)
	}
	h.decideAll(t)

	last := queryAll(t, h.pool, `SELECT max(changed_xid::text::int8) FROM debts`)
	did, err := h.Streams.UndoRemovals(t.Context(), night.run)
	if diff := cmp.Diff(streams.RemovalChange{Consents: 60, Records: 180}, did); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if diff := cmp.Diff(before, h.debtLines(t)); diff != "" {
		t.Errorf("not as before:\n%s", diff)
	}
	changed := queryAll(t, h.pool, `SELECT count(*), bool_and(d.changed_at > h.changed_at),
		bool_and(h.removed_at IS NOT NULL), bool_and(h.place = -1), bool_and(h.replaced_by = d.call_id), bool_and(d.first_seen_at = h.first_seen_at)
		FROM debts d JOIN debts_history h USING (consent_id, debt_id)
		WHERE d.changed_xid::text::int8 > `+last[0]+` AND h.removed_at IS NOT NULL`)
	if diff := cmp.Diff([]string{"180 true true true true true"}, changed); diff != "" {
		t.Errorf("a change of its own: %s", diff)
	}
	if again, err := h.Streams.UndoRemovals(t.Context(), night.run); again != (streams.RemovalChange{}) || err != nil {
		t.Errorf("undone once more: %+v, %v", again, err)
	}
	if broken, err := h.Read.Verify(t.Context()); err != nil || len(broken) > 0 {
		t.Errorf("verify: %v, %v", broken, err)
	}

	// The next night is as if nothing had been.
	next := h.night(t)
	for _, id := range h.ids {
		got := commitAll(t, h.writer, next.page(id, debtNames(3)...))
		if got[0] != (write.Written{Unchanged: 3}) {
			t.Fatalf("the next night wrote %+v", got[0])
		}
	}
	if got, want := h.state(t), "900 alive, 0 withheld, 0 removed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n := queryInt(t, h.pool, `SELECT count(*) FROM absences`); n != 0 {
		t.Errorf("%d notes are left", n)
	}
}

// Items that have proven rows gone are partial when the rows are back, and so is a run that was complete by then: else a
// rerun would take what was withheld and leave the others empty.
func TestUndoneItemsAreAskedAgain(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 50, 1)
	night := h.night(t)
	for _, id := range h.ids {
		commitAll(t, h.writer, night.page(id))
	}
	h.decideAll(t)
	h.settle(t, night)
	// An earlier rerun has proven what was withheld, so the run is complete.
	_, err := h.Streams.AcceptRemovals(t.Context(), night.run)
	must(t, err)
	h.exec(t, `UPDATE items SET outcome = 'empty', reason = '' WHERE outcome = 'partial'`)
	h.exec(t, `UPDATE runs SET verdict = 'complete' WHERE id = $1`, night.run)

	did, err := h.Streams.UndoRemovals(t.Context(), night.run)
	if must(t, err); did.Consents != 10 {
		t.Fatalf("undone: %+v, want 10 consents", did)
	}
	got := queryAll(t, h.pool, `SELECT outcome, count(*), bool_and(reason = '' OR reason LIKE '%brought back%') FROM items
		WHERE outcome <> 'rows' GROUP BY outcome ORDER BY outcome`)
	if diff := cmp.Diff([]string{"empty 40 true", "partial 10 true"}, got); diff != "" {
		t.Error(diff)
	}
	if verdict := queryAll(t, h.pool, `SELECT verdict FROM runs WHERE id = $1`, night.run)[0]; verdict != "partial" {
		t.Errorf("the run is %s, want partial", verdict)
	}
	var batches []int64
	again, _, err := h.Plan.Rerun(t.Context(), plan.RerunSpec{OfRun: night.run, BatchSize: 100}, listBatches(&batches))
	must(t, err)
	if again.Expected != 10 {
		t.Errorf("the rerun takes %d items, want 10", again.Expected)
	}
	if broken, err := h.Read.Verify(t.Context()); err != nil || len(broken) > 0 {
		t.Errorf("verify: %v, %v", broken, err)
	}
}

// Without undo, a good night brings everything back by itself, with its first_seen_at.
func TestWithheldRemovalsEndWithAGoodNight(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 40, 2)
	h.emptyNight(t, h.night(t))
	next := h.night(t)
	for _, id := range h.ids {
		commitAll(t, h.writer, next.page(id, debtNames(2)...))
	}
	if got, want := h.state(t), "80 alive, 0 withheld, 0 removed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n := queryInt(t, h.pool, `SELECT count(*) FROM absences`); n != 0 {
		t.Errorf("%d notes are left", n)
	}
}

// Accepting removes what is withheld now. What is shown again is not, and the next night is guarded again.
func TestAcceptRemovalsRemovesWhatIsWithheld(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 50, 2)
	night := h.night(t)
	for _, id := range h.ids[:30] {
		commitAll(t, h.writer, night.page(id))
	}
	commitAll(t, h.writer, night.page(h.ids[29], "d1")) // one is there again
	if got, want := h.state(t), "80 alive, 39 withheld, 20 removed"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	h.decideAll(t)
	withheld, err := h.Read.WithheldRemovals(t.Context())
	must(t, err)
	if len(withheld) != 1 || withheld[0].Run != night.run || withheld[0].Withheld != 39 || withheld[0].WithheldOf != 20 ||
		withheld[0].Records != 20 || withheld[0].Consents != 10 || withheld[0].Dataset != finance.Debts {
		t.Errorf("withheld: %+v", withheld)
	}
	// Of a consent that has ended nothing will be shown any more: it does not wait for a person, and accepting means it
	// too.
	h.exec(t, `UPDATE consents SET status = 'revoked', ended_at = now() WHERE id = $1`, h.ids[12])
	if rest, err := h.Read.WithheldRemovals(t.Context()); err != nil || rest[0].Withheld != 37 || rest[0].WithheldOf != 19 {
		t.Errorf("withheld of consents that are active: %+v, %v", rest, err)
	}
	did, err := h.Streams.AcceptRemovals(t.Context(), night.run)
	if diff := cmp.Diff(streams.RemovalChange{Consents: 20, Records: 39}, did); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got, want := h.state(t), "41 alive, 0 withheld, 59 removed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// As other removals, they name the call that no longer had the row.
	if n := queryInt(t, h.pool, `SELECT count(*) FROM debts d JOIN calls k ON k.id = d.call_id AND k.run_id = $1
		JOIN debts_history h ON h.consent_id = d.consent_id AND h.debt_id = d.debt_id AND h.replaced_by = d.call_id
		WHERE d.removed_at IS NOT NULL AND d.place = -1 AND h.removed_at IS NULL`, night.run); n != 59 {
		t.Errorf("%d removals are as they must be, want 59", n)
	}
	if broken, err := h.Read.Verify(t.Context()); err != nil || len(broken) > 0 {
		t.Errorf("verify: %v, %v", broken, err)
	}
	if did, err := h.Streams.UndoRemovals(t.Context(), night.run); err != nil || did.Records != 20 {
		t.Errorf("undo after accept brings back what went before the guard closed: %+v, %v", did, err)
	}
	if again, err := h.Streams.AcceptRemovals(t.Context(), night.run); again != (streams.RemovalChange{}) || err != nil {
		t.Errorf("accepted once more: %+v, %v", again, err)
	}

	next := h.night(t)
	for _, id := range h.ids[30:] {
		commitAll(t, h.writer, next.page(id))
	}
	if got := queryInt(t, h.pool, `SELECT count(*) FROM absences WHERE withheld_by = $1`, next.run); got == 0 {
		t.Error("the next night was not guarded")
	}
}

// What a rerun removes counts to the run it is for: else every rerun could remove another share.
func TestRemovalsOfARerunCountToItsRun(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 50, 1)
	night := h.night(t)
	for _, id := range h.ids {
		commitAll(t, h.writer, night.page(id))
	}
	h.decideAll(t)
	h.settle(t, night)
	var batches []int64
	again, _, err := h.Plan.Rerun(t.Context(), plan.RerunSpec{OfRun: night.run, BatchSize: 100}, listBatches(&batches))
	must(t, err)
	if again.Expected != 40 {
		t.Errorf("the rerun takes %d items, want 40", again.Expected)
	}
	rerun := h.begin(t, again.ID, batches)
	for _, id := range h.ids[10:] {
		commitAll(t, h.writer, rerun.page(id))
	}
	if got, want := h.state(t), "40 alive, 40 withheld, 10 removed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n := len(h.log.alerts()); n != 1 {
		t.Errorf("%d alerts, want 1", n)
	}
	if did, err := h.Streams.AcceptRemovals(t.Context(), again.ID); err != nil || did.Records != 40 {
		t.Errorf("accept by the rerun's number: %+v, %v", did, err)
	}
}

// A page that is written once more after it was, as by another worker, counts once.
func TestRemovalsCountOnce(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 50, 2)
	night := h.night(t)
	for _, id := range h.ids[:8] {
		page := night.page(id)
		commitAll(t, h.writer, page)
		page.Call.Durable = true // its row is there
		commitAll(t, h.writer, page, night.page(id))
	}
	for _, id := range h.ids[:4] { // what came back and goes again is no further consent
		commitAll(t, h.writer, night.page(id, "d0"))
		commitAll(t, h.writer, night.page(id))
	}
	got := queryAll(t, h.pool, `SELECT consents, lost, records, closed_at IS NULL FROM removal_guards`)
	if diff := cmp.Diff([]string{"8 8 20 true"}, got); diff != "" {
		t.Error(diff)
	}
}

// 15 in a hundred may have ended in truth, whatever the order and however many write.
func TestRemovalsOfConsentsThatEndedInTruth(t *testing.T) {
	t.Parallel()
	h := newGuardedFixture(t, 400, 2)
	night := h.night(t)
	ended := map[int64]bool{}
	for _, i := range rand.Perm(400)[:60] {
		ended[h.ids[i]] = true
	}
	c := write.StartCommitter(t.Context(), h.writer, 3)
	var readers sync.WaitGroup
	for chunk := range slices.Chunk(h.ids, 50) {
		readers.Go(func() {
			for _, id := range chunk {
				page := night.page(id, debtNames(2)...)
				if ended[id] {
					page = night.page(id)
				}
				if err := c.Line(0).Hand(t.Context(), page); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait()
	if got, want := h.state(t), "680 alive, 0 withheld, 120 removed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	got := queryAll(t, h.pool, `SELECT consents, lost, records, closed_at IS NULL FROM removal_guards`)
	if diff := cmp.Diff([]string{"60 60 120 true"}, got); diff != "" {
		t.Error(diff)
	}
	if n := len(h.log.alerts()); n != 0 {
		t.Errorf("%d alerts", n)
	}
	_, err := h.Streams.UndoRemovals(t.Context(), night.run)
	if !errors.Is(err, streams.ErrGuardOpen) {
		t.Errorf("undo where the guard is open: %v", err)
	}
	if _, err := h.Streams.AcceptRemovals(t.Context(), 4711); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("accept of a run that is not there: %v", err)
	}
}
