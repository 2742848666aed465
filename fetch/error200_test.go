package fetch_test

import (
	"testing"
	"testing/synctest"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// Some gateways answer 200 and put the refusal into the body. It is no data, whatever the connector takes it for.
func TestAnErrorInA200(t *testing.T) {
	tests := []struct {
		body  string
		says  finance.Class // the connector
		once  bool
		want  finance.Class
		calls int // until the good answer, or until it gave up
	}{
		{`{"error":"rate_limit_exceeded"}`, finance.OK, false, finance.OK, 2},
		{`{"error":"rate_limit_exceeded"}`, finance.Rejected, false, finance.OK, 2},
		{`{"error":{"code":"x","message":"Rate limit reached"}}`, finance.OK, false, finance.OK, 2},
		{`{"error":"refused","error_description":"Too Many Requests","trace_id":"7"}`, finance.OK, false, finance.OK, 2},
		{`{"error":"request was throttled"}`, finance.OK, false, finance.OK, 2},
		{`{"error":"try later"}`, finance.OK, false, finance.OK, 2},
		{`{"error":"no such customer"}`, finance.Rejected, false, finance.Rejected, 1},
		{`{"error":"rate_limit_exceeded","items":[]}`, finance.OK, false, finance.OK, 1},
		{`{"error":null}`, finance.OK, false, finance.OK, 1},
		{`{"message":"the rate limit is 5"}`, finance.OK, false, finance.OK, 1},
		{`{"error":"rate_limit_exceeded"}`, finance.OK, true, finance.Malformed, 1},
		{`{"error":"try later"}`, finance.OK, true, finance.Malformed, 1},
	}
	for _, tt := range tests {
		t.Run(tt.body+" "+string(tt.says), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := &provider{handler: answers(answer(200, tt.body), answer(200, `{"items":[]}`))}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				o.Driver.Classify = func(_ *fetch.Request, a *fetch.Answer) fetch.Meaning {
					if string(a.Body) == tt.body {
						return fetch.Meaning{Class: tt.says}
					}
					return fetch.Meaning{}
				}
				r := get("x")
				if tt.once {
					r = single()
				}
				for range 2 { // for a single use, the second reads what is stored
					_, err := client(t, o).Do(t.Context(), r)
					if tt.want == finance.OK && err != nil {
						t.Fatal(err)
					}
					if tt.want != finance.OK {
						wantClass(t, err, tt.want)
					}
					if !tt.once {
						break
					}
				}
				if n := len(p.journal()); n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
			})
		})
	}
}
