package fetch_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"syncer/calls"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// A handshake may take so long, or the process be frozen in it, that the batch is another's when the connection is had.
// Then nothing is sent; a connection that is only slow is used.
func TestAPermissionIsAskedForAgainBehindASlowHandshake(t *testing.T) {
	for name, taken := range map[string]bool{"the batch is ours": false, "the batch was taken over": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) {}}, fetchtest.NewCallStore()
				o, stop := piped(t, p, l)
				defer stop()
				dial := o.Dial
				o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					<-time.After(2 * time.Second)
					if taken {
						l.Refuse(func(calls.Ask) (finance.Class, string) { return finance.Fenced, "taken over" })
					}
					return dial(ctx, network, address)
				}
				_, err := client(t, o).Do(t.Context(), get("x"))
				if !taken {
					if err != nil || len(p.journal()) != 1 {
						t.Errorf("%d arrivals, %v", len(p.journal()), err)
					}
					return
				}
				wantClass(t, err, finance.Fenced)
				if n := len(p.journal()); n != 0 {
					t.Errorf("%d calls arrived for a batch that is another's", n)
				}
			})
		})
	}
}

// What is cancelled before a connection was had was never a call, and is on no record.
func TestACallThatWasNeverSentIsNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) {}}, fetchtest.NewCallStore()
		o, stop := piped(t, p, l)
		defer stop()
		ctx, leave := context.WithCancel(t.Context())
		o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			leave()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		_, err := client(t, o).Do(ctx, get("x"))
		wantClass(t, err, finance.Interrupted)
		if calls := l.Calls(); len(calls) != 0 {
			t.Errorf("recorded: %+v", calls)
		}
	})
}
