package persist_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"syncer/finance"
	"syncer/persist"
)

// The planner prices a join that it was forbidden at ten thousand million, and what is that dear Postgres before 18
// compiles first: on a busy machine a run of no consents took 1.7 s instead of 27 ms, and two processes that caught up on
// a year of nights lost each other to the lock timeout.
func TestPlanCompilesNothing(t *testing.T) {
	h := newHouse(t)
	h.consents(t, 1)
	asked := false
	_, _, err := h.PlanRun(t.Context(), spec(time.Now(), 1, finance.Debts),
		func(ctx context.Context, tx pgx.Tx, _ []persist.BatchRef) error {
			var jit string
			if err := tx.QueryRow(ctx, "SHOW jit").Scan(&jit); err != nil {
				return err
			}
			if asked = true; jit != "off" {
				t.Errorf("a run is planned with jit = %s", jit)
			}
			return nil
		})
	must(t, err)
	if !asked {
		t.Error("nobody was rung for")
	}
}
