package fetch

import (
	"testing"
	"time"

	"syncer/finance"
)

// What follows a failed attempt, by its class and by what the request has cost so far.
func TestWhatFollowsAFailedAttempt(t *testing.T) {
	limit := limits{maxWait: time.Minute, retry: Retry{Attempts: 3, Base: time.Millisecond, Cap: time.Second, Budget: time.Minute}}
	for name, c := range map[string]struct {
		class   finance.Class
		wait    time.Duration
		spent   spent
		noToken bool
		want    move
	}{
		"transient":                            {class: finance.Transient, spent: spent{attempts: 1, failures: 1}, want: retry},
		"transient, the last attempt":          {class: finance.Transient, spent: spent{attempts: 3, failures: 3}, want: giveUp},
		"transient, out of time":               {class: finance.Transient, spent: spent{attempts: 1, failures: 1, time: time.Hour}, want: giveUp},
		"throttled":                            {class: finance.Throttled, wait: time.Second, want: retry},
		"throttled for too long":               {class: finance.Throttled, wait: time.Hour, want: giveUp},
		"throttled for too long, all in all":   {class: finance.Throttled, wait: 31 * time.Second, spent: spent{held: 30 * time.Second}, want: giveUp},
		"throttled once too often":             {class: finance.Throttled, spent: spent{throttled: manyThrottles - 1}, want: giveUp},
		"the token is refused":                 {class: finance.TokenDenied, want: retry},
		"the token is refused again":           {class: finance.TokenDenied, spent: spent{refreshed: true}, want: giveUp},
		"a token is refused and none was sent": {class: finance.TokenDenied, noToken: true, want: giveUp},
		"rejected":                             {class: finance.Rejected, want: giveUp},
		"unanswered":                           {class: finance.Unanswered, want: giveUp},
		"malformed":                            {class: finance.Malformed, want: giveUp},
		"the consent is over":                  {class: finance.ConsentOver, want: giveUp},
		"the consent has another id":           {class: finance.Renewed, want: giveUp},
		"fenced":                               {class: finance.Fenced, want: giveUp},
		"the caller has left":                  {class: finance.Interrupted, want: giveUp},
	} {
		r := request{limits: limit, spent: c.spent, key: &TokenKey{}, pinned: true}
		if c.noToken {
			r.key = nil
		}
		e := &Error{Class: c.class, Wait: c.wait}
		d := r.again(e)
		if d.move != c.want || d.err != e {
			t.Errorf("%s: %d, %v; want %d", name, d.move, d.err, c.want)
		}
		if d.after != 0 && c.class != finance.Transient {
			t.Errorf("%s: a back-off of %s: the gate is what is waited at", name, d.after)
		}
	}
}

func TestWhatAStatusMeans(t *testing.T) {
	for status, want := range map[int]finance.Class{
		200: finance.OK, 201: finance.OK, 202: finance.Transient, 203: finance.OK, 204: finance.OK, 205: finance.Transient,
		206: finance.Transient, 207: finance.Transient, 301: finance.Fatal, 304: finance.Transient, 400: finance.Rejected,
		401: finance.TokenDenied, 403: finance.Rejected, 404: finance.Rejected, 408: finance.Transient, 410: finance.Rejected,
		423: finance.Transient, 425: finance.Transient, 429: finance.Throttled, 451: finance.Rejected, 500: finance.Transient,
		502: finance.Transient, 503: finance.Throttled, 504: finance.Transient, 599: finance.Transient, 101: finance.Fatal,
	} {
		if got := ofStatus(status, false); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
		if want == finance.Transient && status >= 500 {
			want = finance.Throttled
		}
		if got := ofStatus(status, true); got != want {
			t.Errorf("%d that asks to wait: %s, want %s", status, got, want)
		}
	}
}
