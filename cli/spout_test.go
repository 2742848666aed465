package cli

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// gate is a writer that takes nothing until it is opened.
type gate struct {
	opened chan struct{}
	mu     sync.Mutex
	got    strings.Builder
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.opened
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.Write(p)
}

func TestWhatNobodyReadsStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{opened: make(chan struct{})}
		s := newSpout(screen{Writer: g})
		const lines = 3000
		for n := range lines { // far more than the buffer holds, and only the first one is waited for
			fmt.Fprintf(s, "line %d %s\n", n, strings.Repeat("x", 1000))
		}
		s.flush()
		close(g.opened)
		synctest.Wait()
		fmt.Fprintln(s, "heard")
		synctest.Wait()
		g.mu.Lock()
		defer g.mu.Unlock()
		got := strings.Split(strings.TrimSpace(g.got.String()), "\n")
		kept := len(got) - 2
		if kept < 1000 || kept >= lines || !strings.HasPrefix(got[kept-1], fmt.Sprintf("line %d ", kept-1)) {
			t.Errorf("%d of %d lines were kept", kept, lines)
		}
		want := fmt.Sprintf("syncer: %d lines were dropped here, since nobody read them", lines-kept)
		if got[kept] != want || got[kept+1] != "heard" {
			t.Errorf("%q, %q; want %q and what came then", got[kept], got[kept+1], want)
		}
	})
}

func TestWhatIsReadStaysInOrder(t *testing.T) {
	synctest.Test(t, readInOrder)
}

func readInOrder(t *testing.T) {
	var both strings.Builder // of two streams
	s := newSpout(screen{Writer: &both})
	for n := range 100 {
		fmt.Fprintf(s, "err %d\n", n)
		fmt.Fprintf(&both, "out %d\n", n)
	}
	want := ""
	for n := range 100 {
		want += fmt.Sprintf("err %d\nout %d\n", n, n)
	}
	if both.String() != want {
		t.Errorf("the streams are mixed:\n%s", both.String())
	}
}
