package fetch

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"syncer/finance"
)

var (
	errGateMoved = errors.New("the gate was closed before the request was written")
	errResend    = errors.New("the connection broke before an answer came")
	errAged      = errors.New("the permission to send was withdrawn before a connection was had; nothing was sent")
)

// reply is what one send brought.
type reply struct {
	answer  *Answer // complete, or nil
	err     error   // why there is none
	left    bool    // the request may have reached the provider
	pause   time.Duration
	told    string // where the pause was announced
	arrived time.Time
}

// send puts one request on the wire and reads its answer to the last byte. The deadline begins here, below every
// wait. What an answer's headers announce closes the gate before its body is read.
func (t *task) send(ctx context.Context, call *finance.Call) reply {
	if t.once {
		// A single-use answer that is on its way is not thrown away because the worker is asked to leave.
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	watch := &watch{gate: t.bucket.gate, abort: abort, born: t.cleared}
	watch.may = func() bool {
		looked, failed := t.look(ctx, call)
		return failed == nil && !looked.IsZero()
	}
	req, err := t.build(httptrace.WithClientTrace(ctx, watch.trace()), call.ID)
	if err != nil {
		return reply{err: err}
	}
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("User-Agent", "syncer")
	if t.key != nil && t.token.AccessToken != noToken {
		req.Header.Set("Authorization", bearer(t.token))
	}
	call.SentAt = time.Now()
	got := t.exchange(req, call)
	call.Duration = time.Since(call.SentAt)
	got.left = watch.left.Load()
	if cause := context.Cause(ctx); got.err != nil && (errors.Is(cause, errGateMoved) || errors.Is(cause, errResend) || errors.Is(cause, errAged)) {
		got.err = cause
	}
	return got
}

func (t *task) exchange(req *http.Request, call *finance.Call) reply {
	resp, err := t.client.Do(req)
	got := reply{arrived: time.Now()}
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // its text would show the URL, with the consent's id
		}
		got.err = err
		return got
	}
	defer resp.Body.Close()
	call.Status = resp.StatusCode
	got.pause, got.told = announced(resp.Header, got.arrived)
	t.logUnreadable(resp.Header, got.arrived)
	t.bucket.gate.close(got.arrived, got.pause, got.told)
	body, err := receive(resp, t.c.opt.MaxBody)
	if err != nil {
		got.err = err
		call.Correlation = correlationOf("", resp.Header)
		return got
	}
	call.Bytes = int64(len(body))
	got.answer = &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}
	return got
}

// announced is the pause that an answer's headers tell, whatever its status: a pause can only slow us down.
func announced(h http.Header, now time.Time) (time.Duration, string) {
	if d, ok, _ := ParseRetryAfter(h, now); ok && d > 0 {
		return d, "retry-after"
	}
	if d := spentFor(h, now); d > 0 {
		return d, "rate-limit"
	}
	return 0, ""
}

// logUnreadable tells of a Retry-After that is not obeyed because it can't be read: the provider wants something of us.
func (t *task) logUnreadable(h http.Header, now time.Time) {
	if _, _, invalid := ParseRetryAfter(h, now); invalid {
		t.c.opt.Log.Warn().Str("bucket", t.bucket.name).Str("path", t.path).
			Str("retry_after", clean(strings.Join(h.Values("Retry-After"), ", "), t.c.secrets...)).
			Msg("the provider announces a pause that can't be read, so it is not kept")
	}
}

// aged is how old the permission to send may be when a connection is had. Older, the ledger is asked once more: the
// handshake may have been slow, or this process was frozen, and then its batch may be another's by now.
const aged = time.Second

// watch sees to what net/http does by itself within one send.
type watch struct {
	gate  *gate
	abort context.CancelCauseFunc
	born  time.Time   // when the ledger last let the call through
	may   func() bool // whether it still would be
	left  atomic.Bool // a connection was had, so bytes may have gone out
	wrote atomic.Bool

	inHand atomic.Pointer[inHand] // from the connection to the first byte
}

// trace stops a request between the handshake, which may have taken long enough for another caller to be told to
// wait, and its first byte; and it stops net/http from sending a request again on a second connection, which it does
// for a GET whose reused connection breaks: that would be a call that nobody admitted and nobody recorded. The
// connection is closed because cancelling alone does not keep net/http from writing.
func (w *watch) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			left, _, _ := w.gate.left()
			switch {
			case w.wrote.Load():
				w.abort(errResend)
				_ = info.Conn.Close()
			case left > 0:
				w.abort(errGateMoved)
				_ = info.Conn.Close()
			case time.Since(w.born) > aged && !w.may():
				w.abort(errAged)
				_ = info.Conn.Close()
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
// goroutine than the one that had the connection, so a process may have been frozen in between. Then nothing is sent; the
// closed connection fails the buffer's flush.
func (w *watch) wroteHeaders() {
	if h := w.inHand.Load(); h != nil && time.Since(h.since) > aged {
		w.abort(errAged)
		_ = h.conn.Close()
		return
	}
	w.wrote.Store(true)
}

// bearer is the Authorization header of a token. Providers write bearer in any case; RFC 6750 wants it as here.
func bearer(t finance.Token) string { return "Bearer " + t.AccessToken }
