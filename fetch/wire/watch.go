package wire

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Halt is why we have stopped a send ourselves.
type Halt int32

// Why a send was stopped.
const (
	NotHalted      Halt = iota
	GateMoved           // the gate was closed before the request was written
	wouldSendTwice      // net/http was about to send it again on another connection
	TooOld              // the permission to send was withdrawn before a connection was had
	NotIntended         // the intent of a single-use call could not be written down
	Refused             // the last look has forbidden the call, or could not be had
)

// String is what an operator reads of it.
func (h Halt) String() string {
	switch h {
	case GateMoved:
		return "the gate was closed before the request was written"
	case wouldSendTwice:
		return "the connection broke before an answer came"
	case NotIntended:
		return "the intent of the call could not be written down; nothing was sent"
	case Refused:
		return "the last look has forbidden the call, or could not be had; nothing was sent"
	case TooOld:
		return "the permission to send was withdrawn before a connection was had; nothing was sent"
	}
	return ""
}

// aged is how long after the last look a request may be written. Later the process was frozen in between,
// and its batch may be another's by now.
const aged = 500 * time.Millisecond

// Watch sees to what net/http does by itself within one send.
type Watch struct {
	Abort     context.CancelFunc
	Look      func() Halt // the last one, at our gates and at what the store has said
	MaybeSent atomic.Bool // a connection was had, so bytes may have gone out
	wrote     atomic.Bool

	inHand atomic.Pointer[inHand] // from the connection to the first byte
	halted atomic.Int32           // why, the first time
}

// halt ends the send. The connection is closed because cancelling alone does not keep net/http from writing.
func (w *Watch) halt(why Halt, conn net.Conn) {
	w.halted.CompareAndSwap(int32(NotHalted), int32(why))
	w.Abort()
	_ = conn.Close()
}

// Why is why the send was halted, if it was.
func (w *Watch) Why() Halt { return Halt(w.halted.Load()) }

// Trace halts a request between the handshake, which may have taken long enough for another caller to be
// told to wait, and its first byte: there it has the last look. And it keeps net/http from sending a
// request again on a second connection, which it does for a GET whose reused connection breaks: that would
// be a call that nobody admitted and nobody recorded.
func (w *Watch) Trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if w.wrote.Load() {
				w.halt(wouldSendTwice, info.Conn)
				return
			}
			if why := w.Look(); why != NotHalted {
				w.halt(why, info.Conn)
				return
			}
			w.inHand.Store(&inHand{info.Conn, time.Now()})
			w.MaybeSent.Store(true)
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
func (w *Watch) wroteHeaders() {
	if h := w.inHand.Load(); h != nil && time.Since(h.since) > aged {
		w.halt(TooOld, h.conn)
		return
	}
	w.wrote.Store(true)
}
