package fetch

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"
)

// net/http has one goroutine take the connection and another write the request. A process that is frozen in between must
// not send what it has in hand when it wakes.
func TestARequestThatAgedInHandIsNotWritten(t *testing.T) {
	for name, frozen := range map[string]time.Duration{"at once": 0, "frozen": 2 * aged} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, abort := context.WithCancelCause(t.Context())
				defer abort(nil)
				conn, other := net.Pipe()
				defer other.Close()
				w := &watch{gate: newGate(), abort: abort, born: time.Now(), may: func() bool { return true }}
				trace := w.trace()
				trace.GotConn(httptrace.GotConnInfo{Conn: conn})
				<-time.After(frozen)
				trace.WroteHeaders()
				closed := conn.SetDeadline(time.Time{}) != nil
				if stopped := errors.Is(context.Cause(ctx), errAged); stopped != (frozen > 0) || closed != stopped {
					t.Errorf("stopped %t, connection closed %t", stopped, closed)
				}
				_ = conn.Close()
			})
		})
	}
}
