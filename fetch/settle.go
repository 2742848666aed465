package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"

	"syncer/finance"
)

// toldWithin bounds what the ledger is told of a call after the caller has left.
const toldWithin = 10 * time.Second

// settle finds out what an attempt meant, tells the ledger, and ends the call.
func (t *task) settle(ctx context.Context, call *finance.Call, got reply, leave func(ending) bool) (*Answer, *failure) {
	v := Verdict{}
	ended := false
	end := func(e ending) bool { ended = true; return leave(e) }
	defer func() {
		if !ended {
			leave(endSilent)
		}
	}()
	tell, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()

	if got.answer == nil {
		v = t.noAnswer(ctx, got)
	} else {
		if failed := t.keepAnswer(tell, call, got.answer); failed != nil {
			return nil, failed
		}
		v = t.judge(got.answer)
	}
	t.note(call, &got, &v)
	opened := end(t.ending(v.Class))
	defer t.log(call)
	if failed := t.tell(tell, call, got, v, opened); failed != nil {
		return nil, failed
	}
	if v.Class == finance.OK {
		sum := sha256.Sum256(got.answer.Body)
		got.answer.Call, got.answer.Hash = *call, finance.Hash(sum[:16])
		return got.answer, nil
	}
	if v.Class == finance.TokenDenied && t.key != nil {
		if err := t.c.tokens.drop(tell, *t.key, t.token.AccessToken); err != nil {
			return nil, t.ledgerFailed("forget the token", err)
		}
	}
	if v.Class == finance.Transient {
		t.failures++
	}
	return nil, &failure{Error: t.verdictError(call, v)}
}

// noAnswer is the verdict on a send without a complete answer.
func (t *task) noAnswer(ctx context.Context, got reply) Verdict {
	v := Verdict{Class: finance.Transient, Reason: got.err.Error()}
	if ne, ok := errors.AsType[net.Error](got.err); ok && ne.Timeout() || errors.Is(got.err, context.DeadlineExceeded) {
		v.Reason = fmt.Sprintf("no complete answer within %s", t.timeout)
	}
	if dns, ok := errors.AsType[*net.DNSError](got.err); ok {
		v.Reason = "dns: " + dns.Name + " can't be resolved"
	}
	switch {
	case errors.Is(got.err, errTooLarge), errors.Is(got.err, errEncoding):
		v.Class = finance.Malformed
	case errors.Is(got.err, errPrivate), !got.left && isTLS(got.err):
		v.Class = finance.Fatal
	case ctx.Err() != nil && !t.once:
		v.Class, v.Reason = finance.Interrupted, "the caller has left"
	}
	if t.once && got.left {
		v.Class = finance.Unanswered
	}
	return v
}

// judge asks the provider's code what an answer means, and corrects it where the house has a rule of its own.
func (t *task) judge(a *Answer) (v Verdict) {
	defer func() {
		if p := recover(); p != nil { // its value may hold a piece of the body
			v = Verdict{Class: finance.Malformed, Reason: "the connector panicked while it classified the answer"}
			t.c.opt.Log.Error().Str("path", t.path).Bytes("stack", debug.Stack()).Msg("a connector's Classify panicked")
		}
	}()
	v = t.classify(a)
	if v.Class == "" {
		v.Class = classOfStatus(a.Status)
	}
	if isSuccess(a.Status) && (v.Class == finance.OK || v.Class == finance.Rejected) {
		t.errorInGood(a, &v)
	}
	if a.Status >= 500 && (v.Class == finance.Throttled || v.Class == finance.Transient) {
		// Only a 5xx that names a time was turned away on purpose. Without one it counts for the breaker, and a
		// single-use call may have been spent.
		v.Class = finance.Transient
		if told, _ := announced(a.Header, time.Now()); told > 0 || v.RetryAfter > 0 {
			v.Class = finance.Throttled
		}
	}
	switch {
	case a.Status >= 300 && a.Status < 400:
		v.Class = finance.Fatal
		orDefault(&v.Reason, fmt.Sprintf("redirected with status %d; redirects are never followed", a.Status))
	case a.Status == http.StatusTooManyRequests:
		v.Class = finance.Throttled
	case t.once && v.Class == finance.Transient && isSuccess(a.Status):
		v.Class = finance.Malformed // it is stored, and would be read in the same way again
	case t.once && v.Class == finance.Transient:
		v.Class = finance.Unanswered // a gateway's 502 does not tell whether the consent was spent
	}
	if v.Class != finance.OK {
		orDefault(&v.Reason, fmt.Sprintf("status %d", a.Status))
	}
	return v
}

// errorInGood corrects the verdict on a 2xx whose body is an error and nothing else. A refusal for the rate is told, or
// else is a bad moment where the connector saw no error. The answer of a single-use call stays what it is: it is stored, and
// whether the consent is spent is not known.
func (t *task) errorInGood(a *Answer, v *Verdict) {
	alone, limited := errorAlone(a.Body)
	switch {
	case !alone:
		return
	case limited && !t.once:
		v.Class = finance.Throttled
	case v.Class == finance.OK:
		v.Class = finance.Transient
	}
	orDefault(&v.Reason, fmt.Sprintf("an error in an answer with status %d", a.Status))
}

// classOfStatus is what a status alone means: at a token endpoint, and where a Classify leaves Verdict.Class empty.
func classOfStatus(status int) finance.Class {
	switch {
	case isSuccess(status):
		return finance.OK
	case status == http.StatusTooManyRequests:
		return finance.Throttled
	case status == http.StatusUnauthorized:
		return finance.TokenDenied
	case status == http.StatusRequestTimeout, status == http.StatusLocked, status == http.StatusTooEarly, status >= 500:
		return finance.Transient
	case status >= 400:
		return finance.Rejected
	}
	return finance.Fatal
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }

// note writes the verdict into the call, and closes our gate for every pause that is now known.
func (t *task) note(call *finance.Call, got *reply, v *Verdict) {
	v.Reason = clean(v.Reason, append([]string{t.token.AccessToken}, t.c.secrets...)...)
	if got.answer != nil {
		call.Correlation = correlationOf(v.Correlation, got.answer.Header)
	}
	if v.RetryAfter > got.pause {
		got.pause, got.told = min(v.RetryAfter, longest), "told in the body"
	}
	if v.Class == finance.Throttled && got.pause <= 0 {
		t.untold++
		got.pause, got.told = t.retry.Base/2+jitter(t.retry, t.throttled), ToldByNobody
	}
	call.Class, call.Reason, call.RetryAfter = v.Class, v.Reason, got.pause
	t.bucket.gate.close(got.arrived, got.pause, got.told)
}

func (t *task) ending(c finance.Class) ending {
	switch c {
	case finance.Transient, finance.Unanswered:
		if t.failures > 0 {
			return endRepeated
		}
		return endFailed
	case finance.Throttled, finance.Interrupted, finance.Fatal:
		return endSilent
	}
	return endWell
}

// tell writes down the call, and first of all the pause it was told.
func (t *task) tell(ctx context.Context, call *finance.Call, got reply, v Verdict, opened bool) *failure {
	if opened && got.pause < breakerPause {
		got.pause, got.told = breakerPause, ToldByBreaker
		t.bucket.gate.close(time.Now(), breakerPause, ToldByBreaker)
	}
	ledger := t.c.opt.Ledger
	switch {
	case got.pause > 0:
		p := finance.Pause{Bucket: t.bucket.name, For: got.pause, Reason: got.told, Call: *call}
		if err := ledger.Pause(ctx, p); err != nil {
			return t.ledgerFailed("close the gate", err)
		}
		call.Durable = true
	case call.Durable:
	case v.Class != finance.OK || t.purpose != finance.ForData:
		if err := ledger.Record(ctx, *call); err != nil {
			return t.ledgerFailed("record the call", err)
		}
		call.Durable = true
	}
	if t.once && notSpent(v.Class, got) {
		if err := t.withdraw(ctx, call); err != nil {
			return t.ledgerFailed("take the intent back", err)
		}
	}
	return nil
}

// verdictError is the error of an attempt that was sent.
func (t *task) verdictError(call *finance.Call, v Verdict) *Error {
	e := t.fail(v.Class, v.Reason)
	e.Status, e.Correlation, e.Call, e.Consent = call.Status, call.Correlation, call.ID, v.Status
	if v.Class == finance.Throttled {
		e.Wait, _, _ = t.bucket.gate.left()
		if t.untold == manyUntold {
			e.Told = ToldByNobody
		}
	}
	if v.Class == finance.TokenDenied && t.refreshed && t.key != nil && t.key.Consent != 0 {
		// Of one person's grant, which the authorization server has just called good. Class token would park the connection
		// for everybody, and to end the consent is for the authorization server to say.
		e.Class, e.Reason = finance.Rejected, "a token that was just given by the consent's grant is refused: "+v.Reason
	}
	return e
}

func (t *task) log(call *finance.Call) {
	e := t.c.opt.Log.Debug()
	if s := call.Scope; e != nil {
		e.Int64("run", s.Run).Int64("batch", s.Batch)
		if s.Consent != nil {
			e.Int64("consent", s.Consent.ID)
		}
	}
	e.Str("connection", call.Connection).Str("bucket", call.Bucket).Str("purpose", string(call.Purpose)).
		Str("request_id", call.ID.String()).Str("correlation_id", call.Correlation).
		Str("method", call.Method).Str("path", call.Path).Int("attempt", call.Attempt).Int("status", call.Status).
		Str("class", string(call.Class)).Str("reason", call.Reason).Dur("waited", call.Waited).
		Dur("duration", call.Duration).Int64("bytes", call.Bytes).Func(func(e *zerolog.Event) {
		if call.RetryAfter > 0 {
			e.Dur("retry_after", call.RetryAfter)
		}
	}).Msg("call")
}
