package wire

import (
	"context"
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
				ctx, abort := context.WithCancel(t.Context())
				defer abort()
				conn, other := net.Pipe()
				defer other.Close()
				w := &Watch{Abort: abort, Look: func() Halt { return NotHalted }}
				trace := w.Trace()
				trace.GotConn(httptrace.GotConnInfo{Conn: conn})
				<-time.After(frozen)
				trace.WroteHeaders()
				closed := conn.SetDeadline(time.Time{}) != nil
				stopped := w.Why() == TooOld && ctx.Err() != nil
				if stopped != (frozen > 0) || closed != stopped {
					t.Errorf("stopped %t, connection closed %t", stopped, closed)
				}
				_ = conn.Close()
			})
		})
	}
}
