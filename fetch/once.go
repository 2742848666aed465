package fetch

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"syncer/calls"
	"syncer/fetch/gate"
	"syncer/finance"
)

// A single-use consent is spent by the call itself. So its intent is durable before the send, its answer is durable
// before anything reads it, and a send that brought no answer is never made again.

// earlier looks whether the call was intended before. Then it waits for nothing: what became of it is known.
func (a *attempt) earlier(ctx context.Context) decision {
	intent, found, err := a.c.opt.Once.Earlier(ctx, *a.call)
	switch {
	case err != nil && ctx.Err() != nil:
		return failed(a.interrupted(err))
	case err != nil:
		return failed(a.storeFailed("look for an earlier single-use call", err))
	case found:
		return a.intendedBefore(intent)
	}
	return onward()
}

// intend writes the intent down, behind every wait and with a connection in hand: a process that is killed while an intent
// is open may have made the call, and the consent is taken for spent. With the decision send the call may be sent.
func (a *attempt) intend(ctx context.Context) decision {
	if a.intended { // for a connection that was given up before a byte was written
		return onward()
	}
	intent, err := a.c.opt.Once.Intend(ctx, *a.call)
	switch {
	case err != nil && ctx.Err() != nil:
		return failed(a.interrupted(err))
	case err != nil:
		return failed(a.storeFailed("write down the intent of a single-use call", err))
	case intent.Fresh:
		a.intended = true
		return onward()
	}
	return a.intendedBefore(intent)
}

// intendedBefore is what becomes of a call that was intended before: its stored answer is read instead of sending. Without one
// the consent ends in a state of its own.
func (a *attempt) intendedBefore(intent calls.Intent) decision {
	if intent.Answered {
		return a.stored(intent)
	}
	e := a.fail(finance.Unanswered,
		"an earlier call was sent and its answer never arrived; the consent may be spent, so it is not sent again")
	e.Call = intent.Call.ID
	return failed(e)
}

// stored gives an answer that an earlier call has brought. Its headers were not kept.
func (a *attempt) stored(intent calls.Intent) decision {
	answer := &Answer{Status: intent.Call.Status, Header: http.Header{}, Body: intent.Body, Call: intent.Call}
	if looksLikeJSON(answer.Body) {
		answer.Header.Set("Content-Type", "application/json")
	}
	answer.Call.Durable = true
	v := a.judge(answer)
	if v.Class != finance.OK {
		v.Reason = a.redaction("").Words(v.Reason)
		return failed(a.sentError(&answer.Call, v))
	}
	answer.Hash = bodyHash(answer.Body)
	return decision{move: answered, answer: answer}
}

func looksLikeJSON(body []byte) bool {
	text := bytes.TrimSpace(body)
	return bytes.HasPrefix(text, []byte("{")) || bytes.HasPrefix(text, []byte("["))
}

// storeTries bounds how often storing a single-use answer is tried: it exists nowhere else.
const storeTries = 6

// keepAnswer makes a single-use answer durable before the provider's code looks at it.
func (a *attempt) keepAnswer(ctx context.Context, answer *Answer) *Error {
	if !a.once || !isSuccess(answer.Status) {
		return nil
	}
	a.call.Class, a.call.Correlation = finance.OK, a.correlation(answer.Header)
	var err error
	for n := range storeTries {
		if err = a.c.opt.Once.Answered(ctx, *a.call, answer.Body); err == nil {
			a.call.Durable = true
			return nil
		}
		if _, left := gate.Wait(ctx, 100*time.Millisecond<<n, nil); left != nil {
			break
		}
	}
	return a.storeFailed("store the answer of a single-use call", err)
}

// withdraw takes the intent back, where there is one.
func (a *attempt) withdraw(ctx context.Context) error {
	if !a.intended {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()
	if err := a.c.opt.Once.Withdraw(ctx, *a.call); err != nil {
		return err
	}
	a.intended = false
	return nil
}

// notSpent says whether a single-use consent is certainly as good as before: nothing was sent, or the provider turned
// the call away.
func notSpent(c finance.Class, got reply) bool {
	if got.answer == nil {
		return !got.maybeSent
	}
	switch c {
	case finance.Throttled, finance.TokenDenied:
		return true
	}
	return turnedAway(got.answer.Status)
}

// turnedAway says that a call with this answer was not taken up.
func turnedAway(status int) bool { return status >= 300 && status < 500 }
