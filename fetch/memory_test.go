package fetch

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func took(t *testing.T, h *held, size int64) {
	t.Helper()
	if err := h.grow(t.Context(), size); err != nil {
		t.Fatal(err)
	}
}

// begins starts to wait for size bytes, and gives a channel that is closed when they are had.
func begins(t *testing.T, h *held, size int64) <-chan struct{} {
	t.Helper()
	had := make(chan struct{})
	go func() {
		if h.grow(t.Context(), size) == nil {
			close(had)
		}
	}()
	synctest.Wait()
	return had
}

func isHad(had <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-had:
		return true
	default:
		return false
	}
}

func TestAnAnswerLargerThanAllGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(100)
		small, large, next := m.hold(), m.hold(), m.hold()
		took(t, small, 10)
		hadLarge := begins(t, large, 1000)
		hadNext := begins(t, next, 10)
		if isHad(hadLarge) || isHad(hadNext) {
			t.Fatal("what does not fit was had, or what came later")
		}
		small.release()
		if !isHad(hadLarge) || isHad(hadNext) {
			t.Fatal("the large one must go, alone")
		}
		large.release()
		if !isHad(hadNext) || m.used != 10 {
			t.Errorf("%d bytes are used", m.used)
		}
		next.release()
		next.release()
		if m.used != 0 || m.holders != 0 {
			t.Errorf("%d bytes are used by %d", m.used, m.holders)
		}
	})
}

func TestOfAnswersThatAllNeedMoreOneGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(100)
		a, b := m.hold(), m.hold()
		took(t, a, 50)
		took(t, b, 50)
		hadA := begins(t, a, 200)
		if isHad(hadA) {
			t.Fatal("b was about to give something back")
		}
		hadB := begins(t, b, 200)
		if !isHad(hadA) || isHad(hadB) {
			t.Fatal("one of them must go on, and one only")
		}
		hadA = begins(t, a, 300)
		if !isHad(hadA) || isHad(hadB) {
			t.Fatal("the same one must go on")
		}
		a.release()
		if !isHad(hadB) || m.used != 200 {
			t.Errorf("%d bytes are used", m.used)
		}
	})
}

func TestWhoLeavesHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(100)
		a := m.hold()
		took(t, a, 90)
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- m.hold().grow(ctx, 50) }()
		synctest.Wait()
		hadSmall := begins(t, m.hold(), 10)
		leave()
		if err := <-left; err != context.Canceled || !isHad(hadSmall) || m.used != 100 {
			t.Errorf("%v, %d bytes are used", err, m.used)
		}
	})
}

// An answer may be held by something that waits for another one.
func TestNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(100)
		took(t, m.hold(), 100)
		began := time.Now()
		took(t, m.hold(), 50)
		if waited := time.Since(began); waited != m.Patience {
			t.Errorf("waited %v", waited)
		}
	})
}

// Answers that take what they like, grow, shrink and leave never use more than there is, but for one that goes beyond; and all come
// to their end.
func TestMemoryAgainstAnyAnswers(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		plans := rapid.SliceOfN(rapid.SliceOfN(rapid.Int64Range(1, 80), 1, 5), 1, 12).Draw(r, "plans")
		synctest.Test(t, func(t *testing.T) {
			m := NewMemory(100)
			var all sync.WaitGroup
			for _, plan := range plans {
				all.Go(func() {
					h := m.hold()
					defer h.release()
					size := int64(0)
					for _, more := range plan {
						if size += more; h.grow(t.Context(), size) != nil {
							return
						}
						<-time.After(time.Second)
						h.shrink(size - more/2)
						size -= more / 2
					}
				})
			}
			began := time.Now()
			all.Wait()
			if took := time.Since(began); m.used != 0 || m.holders != 0 || m.beyond != nil || took > time.Minute {
				t.Errorf("%d bytes are used by %d after %v", m.used, m.holders, took)
			}
		})
	})
}
