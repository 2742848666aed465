package sandbox

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// injection is one fault acting on one call.
type injection struct {
	kit   *Kit
	site  Site
	call  Call
	visit *Visit
	fault *Fault
}

func (in injection) serve(w *statusWriter, r *http.Request) {
	r = withFault(r, in.fault)
	if in.fault.Work {
		in.answer(r) // for its effects only
	}
	switch in.fault.Kind {
	case AnswerStatus, ErrorIn200:
		in.status(w, r)
	case Redirect:
		in.redirect(w)
	case Bomb, Giant:
		in.flood(w)
	case Reset:
		reset(w)
	case Hang:
		hang(r)
	case ExpireTokens:
		in.kit.ExpireTokens(in.site.Name)
		in.site.API.ServeHTTP(w, r)
	case SlowHeader:
		if in.pause(r) {
			in.site.API.ServeHTTP(w, r)
		}
	case WrongSubject, ExpiresIn:
		in.site.API.ServeHTTP(w, r) // the simulator asks FaultOf
	default:
		in.spoil(w, r)
	}
}

func (in injection) status(w *statusWriter, r *http.Request) {
	f := in.fault
	status := f.Status
	body := f.Body
	if f.Kind == ErrorIn200 {
		status = http.StatusOK
		if body == "" {
			body = `{"error":"rate_limit_exceeded"}`
		}
	}
	if header, pause := f.RetryAfter.header(in.kit.Clock.Wall(in.kit.Clock.Now())); header != "" {
		w.Header().Set(orElse(f.RetryAfter.Header, "Retry-After"), header)
		subject := ""
		if f.OneSubject {
			subject = in.call.Subject
		}
		in.visit.Demand(pause, subject)
	}
	if body == "" {
		in.site.problem(w, r, status)
		return
	}
	w.Header().Set("Content-Type", orElse(f.ContentType, "application/json"))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (in injection) redirect(w *statusWriter) {
	status := in.fault.Status
	if status == 0 {
		status = http.StatusFound
	}
	w.Header().Set("Location", orElse(in.fault.Target, in.kit.trapURL()))
	w.WriteHeader(status)
}

// flood answers with Size zero bytes, compressed or not. It is written piece
// by piece: the simulator's own memory is not what is tested.
func (in injection) flood(w *statusWriter) {
	w.Header().Set("Content-Type", "application/json")
	var out io.Writer = w
	if in.fault.Kind == Bomb {
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		defer func() { _ = zip.Close() }() // the caller may have hung up, as it should
		out = zip
	}
	piece := make([]byte, 64<<10)
	for left := in.fault.Size; left > 0; {
		n, err := out.Write(piece[:min(left, int64(len(piece)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}

// spoil lets the simulator answer and damages what it said.
func (in injection) spoil(w *statusWriter, r *http.Request) {
	f := in.fault
	answer := in.answer(r)
	body := answer.body.Bytes()
	keep := f.Keep
	if keep <= 0 {
		keep = len(body) / 2
	}
	keep = min(keep, len(body))
	switch f.Kind {
	case InvalidUTF8:
		answer.send(w, spoilText(body))
	case Replace:
		answer.send(w, bytes.Replace(body, []byte(f.Old), []byte(f.New), 1))
	case Double:
		answer.send(w, doubled(body, f.Old, f.New, f.Body))
	case Drip:
		in.drip(w, r, answer)
	case Truncate:
		w.Header().Set("Content-Length", strconv.Itoa(max(len(body), keep+1)))
		answer.send(w, body[:keep])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case Cut:
		answer.sendUntilClose(w, body[:keep])
	}
}

func (in injection) drip(w *statusWriter, r *http.Request, answer *recorded) {
	body := answer.body.Bytes()
	answer.send(w, nil)
	flush := http.NewResponseController(w).Flush
	for len(body) > 0 {
		n := min(max(in.fault.Chunk, 1), len(body))
		if _, err := w.Write(body[:n]); err != nil || flush() != nil {
			return
		}
		body = body[n:]
		if len(body) > 0 && !in.pause(r) {
			return
		}
	}
}

// pause waits DelayMS and reports whether the caller is still there.
func (in injection) pause(r *http.Request) bool {
	drain(r)
	timer := time.NewTimer(time.Duration(in.fault.DelayMS) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// answer runs the simulator without showing anybody what it said.
func (in injection) answer(r *http.Request) *recorded {
	rec := &recorded{header: make(http.Header), status: http.StatusOK}
	in.site.API.ServeHTTP(rec, r)
	return rec
}

// hang waits until the caller gives up.
func hang(r *http.Request) {
	drain(r)
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// drain reads the request's body: net/http notices that a caller has left only
// when nothing of it is unread. The form stays readable for the simulator.
func drain(r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20)) // a broken upload ends the call anyway
	r.Body = io.NopCloser(bytes.NewReader(body))
}

// reset closes the connection with unsent data thrown away: a RST on the wire.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 or a test's recorder: the next best
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// spoilText makes the first text value of a JSON body invalid UTF-8.
func spoilText(body []byte) []byte {
	out := bytes.Clone(body)
	if i := bytes.Index(out, []byte(`":"`)); i >= 0 && i+3 < len(out) && out[i+3] != '"' {
		out[i+3] = 0xff
	}
	return out
}

// recorded is an answer kept back.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recorded) Header() http.Header         { return a.header }
func (a *recorded) WriteHeader(status int)      { a.status = status }
func (a *recorded) Write(b []byte) (int, error) { return a.body.Write(b) }

func (a *recorded) send(w http.ResponseWriter, body []byte) {
	length := w.Header().Get("Content-Length")
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length")
	if length != "" {
		w.Header().Set("Content-Length", length)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
}

// sendUntilClose writes an answer of HTTP/1.0's kind: it ends where the
// connection ends, so nothing below the envelope tells that it was cut.
func (a *recorded) sendUntilClose(w *statusWriter, body []byte) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = conn.Close() }()
	w.status = a.status
	var head strings.Builder
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\nConnection: close\r\n", a.status, http.StatusText(a.status))
	fmt.Fprintf(&head, "Date: %s\r\nContent-Type: %s\r\n\r\n", w.Header().Get("Date"), a.header.Get("Content-Type"))
	_, _ = buf.WriteString(head.String())
	_, _ = buf.Write(body)
	_ = buf.Flush()
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
