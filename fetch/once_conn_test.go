package fetch

import (
	"context"
	"testing"

	"syncer/calls"
)

// one intends a single-use call once.
type one struct {
	OnceStore
	intents int
}

func (o *one) Intend(context.Context, calls.Call) (calls.Intent, error) {
	o.intents++
	return calls.Intent{Fresh: o.intents == 1}, nil
}

// A kept connection that the server has closed is given up before a byte was written, and net/http takes another one. The
// intent is this call's own then, and no earlier call's.
func TestAnotherConnectionKeepsTheIntent(t *testing.T) {
	store := &one{}
	c := &Client{opt: Options{Once: store}}
	a := &attempt{request: &request{c: c, once: true}, call: &calls.Call{}}
	for n := range 2 {
		if d := a.intend(t.Context()); d.move != send {
			t.Errorf("connection %d: the call may not be sent: %+v", n+1, d)
		}
	}
	if store.intents != 1 {
		t.Errorf("the store was asked for %d intents", store.intents)
	}
}
