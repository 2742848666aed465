package persist_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"syncer/finance"
	"syncer/persist"
	"syncer/persist/consents"
)

// A change and the word of who made it are one commit; of what was no change there is no word.
func TestActsAreWrittenWithTheirChange(t *testing.T) {
	t.Parallel()
	h := newFixture(t)
	ctx := t.Context()
	id := h.consents(t, 1)[0]
	act := persist.Act{Who: "ada", Why: "a slip\x00", Name: "consents revoke", Kind: "consent", Object: "1"}
	revoke := func(fail error) error {
		return h.Acting(ctx, act, func(s *persist.Store, act *persist.Act) error {
			changed, err := s.Consents.End(ctx, id, finance.ConsentRevoked, "gone", consents.FromOperator,
				finance.CallID{})
			act.Vain, act.Details = !changed, map[string]any{"n": 1}
			return errors.Join(err, fail)
		})
	}
	broken := errors.New("broken")
	if err := revoke(broken); !errors.Is(err, broken) || status(t, h, id) != finance.ConsentActive {
		t.Errorf("a change that failed: %v, the consent is %s", err, status(t, h, id))
	}
	err := h.Acting(ctx, act, func(s *persist.Store, act *persist.Act) error {
		act.Details = map[string]any{"no JSON": make(chan int)}
		_, err := s.Consents.End(ctx, id, finance.ConsentRevoked, "gone", consents.FromOperator, finance.CallID{})
		return err
	})
	acts := queryInt(t, h.pool, "SELECT count(*) FROM acts")
	if err == nil || status(t, h, id) != finance.ConsentActive || acts != 0 {
		t.Errorf("an act that can't be written: %v, the consent is %s, %d acts", err, status(t, h, id), acts)
	}
	must(t, revoke(nil))
	must(t, revoke(nil)) // it has ended already
	steps := act
	steps.Name = "removals accept"
	during := 0
	must(t, h.ActingInSteps(ctx, steps, func(act *persist.Act) error {
		during = int(queryInt(t, h.pool, "SELECT count(*) FROM acts WHERE done_at IS NULL AND id = $1",
			act.ID))
		return nil
	}))
	if during != 1 {
		t.Error("there was no act while the change was being made")
	}
	leaving, leave := context.WithCancel(ctx)
	err = h.ActingInSteps(leaving, steps, func(*persist.Act) error { leave(); return broken })
	if !errors.Is(err, broken) {
		t.Errorf("a change in steps that failed: %v", err)
	}
	must(t, h.ActingInSteps(ctx, steps, func(act *persist.Act) error { act.Vain = true; return nil }))
	got, err := h.Acts(ctx, 10)
	must(t, err)
	first, second, third := act, steps, steps
	first.Why, second.Why, third.Why = "a slip", "a slip", "a slip"
	first.Details, second.Details = map[string]any{"n": 1.0}, map[string]any{}
	third.Details = map[string]any{"failed": true}
	times := cmpopts.IgnoreFields(persist.Act{}, "ID", "At", "DoneAt")
	if diff := cmp.Diff([]persist.Act{third, second, first}, got, times); diff != "" {
		t.Error(diff)
	}
	for _, a := range got {
		if a.At.IsZero() || a.DoneAt.Before(a.At) || time.Since(a.At) > time.Hour {
			t.Errorf("act %d was at %s and done at %s", a.ID, a.At, a.DoneAt)
		}
	}
	if last, err := h.Acts(ctx, 1); err != nil || len(last) != 1 || last[0].ID != got[0].ID {
		t.Errorf("the last one: %v, %v", last, err)
	}
}
