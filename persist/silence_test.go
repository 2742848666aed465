package persist_test

import (
	"testing"
	"time"

	"syncer/calls"
	"syncer/finance"
)

// Only a good answer to a call for data, over this connection and within the time, breaks the silence; and a run that is
// younger has not waited for it yet.
func TestSilence(t *testing.T) {
	t.Parallel()
	const patience = 15 * time.Minute
	call := func(change func(*calls.Call)) *calls.Call {
		c := newCall(debtStream(1))
		c.SentAt = time.Now().Add(-5 * time.Minute)
		change(&c)
		return &c
	}
	for _, test := range []struct {
		name string
		age  string
		call *calls.Call
		want bool
	}{
		{"a young run", "14 minutes", nil, false},
		{"an old run", "16 minutes", nil, true},
		{"a good answer", "16 minutes", call(func(*calls.Call) {}), false},
		{"a good answer of long ago", "16 minutes", call(func(c *calls.Call) { c.SentAt = c.SentAt.Add(-11 * time.Minute) }), true},
		{"a failure", "16 minutes", call(func(c *calls.Call) { c.Class = finance.Transient }), true},
		{"a token", "16 minutes", call(func(c *calls.Call) { c.Purpose = calls.ForToken }), true},
		{"another connection", "16 minutes", call(func(c *calls.Call) { c.Connection = "other" }), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newFixture(t)
			h.consents(t, 1)
			run, _ := h.plan(t, 1)
			h.exec(t, "UPDATE runs SET created_at = now() - $1::interval", test.age)
			if test.call != nil {
				must(t, h.Admit.Record(t.Context(), *test.call))
			}
			if got, err := h.Admit.SilentFor(t.Context(), "bank", run.ID, patience); got != test.want || err != nil {
				t.Errorf("silent: %v, %v; want %v", got, err, test.want)
			}
		})
	}
}
