package persist_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"syncer/calls"
	"syncer/finance"
	"syncer/persist"
	"syncer/persist/persisttest"
	"syncer/persist/pg"
	"syncer/persist/read"
	"syncer/persist/seal"
)

func inspected(t *testing.T) *persist.Store {
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.OpenSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	return persist.NewStore(persisttest.New(t), sealer, pg.Worker{ID: uuid.New(), Host: "lab", PID: 7, Version: "v1"})
}

// A process is alive from its first heartbeat until it leaves.
func TestProcessIsAliveBetweenHeartbeatAndLeaving(t *testing.T) {
	t.Parallel()
	s := inspected(t)
	if alive, err := s.Workers.Alive(t.Context()); err != nil || alive {
		t.Fatalf("alive before the first heartbeat: %v, %v", alive, err)
	}
	if err := s.Workers.Heartbeat(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if alive, err := s.Workers.Alive(t.Context()); err != nil || !alive {
		t.Fatalf("not alive after a heartbeat: %v, %v", alive, err)
	}
	list, err := s.Read.Workers(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("workers: %+v, %v", list, err)
	}
	if w := list[0]; w.ID != s.Worker().ID || w.Host != "lab" || w.PID != 7 || !w.Alive || w.Batches != 0 || !w.ExpiresAt.After(w.StartedAt) {
		t.Errorf("worker: %+v", w)
	}
	if err := s.Workers.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive, err := s.Workers.Alive(t.Context()); err != nil || alive {
		t.Errorf("alive after leaving: %v, %v", alive, err)
	}
}

// A call is found by our id and by the provider's, with everything that was recorded of it.
func TestCallsAreFound(t *testing.T) {
	t.Parallel()
	s := inspected(t)
	id := finance.CallID(uuid.New())
	want := calls.Call{
		ID: id, Connection: "ng", Bucket: "ng", Purpose: calls.ForData, Task: calls.Task{Run: 3, Batch: 4, Dataset: finance.Debts},
		Method: "GET", Path: "/v1/debt/{consent}", Attempt: 2, SentAt: time.Now().UTC().Truncate(time.Microsecond), Waited: 20 * time.Millisecond,
		Duration: 30 * time.Millisecond, Status: 429, Bytes: 12, Correlation: "abc", Class: finance.Throttled, Reason: "slow down", RetryAfter: 2 * time.Second,
	}
	unanswered := calls.Call{ID: finance.CallID(uuid.New()), Connection: "ng", Bucket: "ng", Purpose: calls.ForToken, Method: "POST", Path: "/token",
		Attempt: 1, SentAt: want.SentAt.Add(-time.Second), Class: finance.Transient, Correlation: "abc"}
	if err := s.Admit.Record(t.Context(), want, unanswered); err != nil {
		t.Fatal(err)
	}
	got, err := s.Read.CallByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got.Call.SentAt = got.Call.SentAt.UTC()
	if diff := cmp.Diff(read.CallRecord{Call: want, KeptAs: id}, got); diff != "" {
		t.Errorf("call (-want +got):\n%s", diff)
	}
	both, err := s.Read.CallsByCorrelation(t.Context(), "abc")
	if err != nil || len(both) != 2 || both[0].Call.ID != id || both[1].Call.ID != unanswered.ID {
		t.Errorf("calls by the provider's id: %+v, %v", both, err)
	}
	if _, err := s.Read.CallByID(t.Context(), finance.CallID(uuid.New())); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("a call that there is not: %v, want ErrNotFound", err)
	}
}
