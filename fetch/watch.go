package fetch

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// halt is why we have stopped a send ourselves.
type halt int32

const (
	notHalted      halt = iota
	gateMoved           // the gate was closed before the request was written
	wouldSendTwice      // net/http was about to send it again on another connection
	tooOld              // the permission to send was withdrawn before a connection was had
)

// String is what an operator reads of it.
func (h halt) String() string {
	switch h {
	case gateMoved:
		return "the gate was closed before the request was written"
	case wouldSendTwice:
		return "the connection broke before an answer came"
	case tooOld:
		return "the permission to send was withdrawn before a connection was had; nothing was sent"
	}
	return ""
}

// aged is how old the permission to send may be when a connection is had. Older, the ledger is asked once more: the
// handshake may have been slow, or this process was frozen, and then its batch may be another's by now.
const aged = time.Second

// watch sees to what net/http does by itself within one send.
type watch struct {
	gate  *gate
	abort context.CancelFunc
	born  time.Time   // when the ledger last let the call through
	may   func() bool // whether it still would be
	left  atomic.Bool // a connection was had, so bytes may have gone out
	wrote atomic.Bool

	inHand atomic.Pointer[inHand] // from the connection to the first byte
	halted atomic.Int32           // why, the first time
}

// halt ends the send. The connection is closed because cancelling alone does not keep net/http from writing.
func (w *watch) halt(why halt, conn net.Conn) {
	w.halted.CompareAndSwap(int32(notHalted), int32(why))
	w.abort()
	_ = conn.Close()
}

// why is why the send was halted, if it was.
func (w *watch) why() halt { return halt(w.halted.Load()) }

// trace halts a request between the handshake, which may have taken long enough for another caller to be told to
// wait, and its first byte; and it keeps net/http from sending a request again on a second connection, which it does
// for a GET whose reused connection breaks: that would be a call that nobody admitted and nobody recorded.
func (w *watch) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			left, _, _ := w.gate.left()
			switch {
			case w.wrote.Load():
				w.halt(wouldSendTwice, info.Conn)
			case left > 0:
				w.halt(gateMoved, info.Conn)
			case time.Since(w.born) > aged && !w.may():
				w.halt(tooOld, info.Conn)
			default:
				w.inHand.Store(&inHand{info.Conn, time.Now()})
				w.left.Store(true)
			}
		},
		WroteHeaders: w.wroteHeaders,
	}
}

// inHand is a request that net/http has taken over with a connection.
type inHand struct {
	conn  net.Conn
	since time.Time
}

// wroteHeaders is the last moment before the bytes go out: the headers are in a buffer. They are put there by another
// goroutine than the one that had the connection, so a process may have been frozen in between. Then nothing is sent;
// the closed connection fails the buffer's flush.
func (w *watch) wroteHeaders() {
	if h := w.inHand.Load(); h != nil && time.Since(h.since) > aged {
		w.halt(tooOld, h.conn)
		return
	}
	w.wrote.Store(true)
}
