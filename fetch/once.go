package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"syncer/finance"
)

// A single-use consent is spent by the call itself. So its intent is durable before the send, its answer is durable
// before anything reads it, and a send that brought no answer is never made again.

// intend writes the intent down, or finds what became of an earlier one: a stored answer, which is read instead of
// sending, or none, which ends the consent in a state of its own. With neither result the call may be sent.
func (t *task) intend(ctx context.Context, call *finance.Call) (*Answer, *failure) {
	if t.intended {
		return nil, nil
	}
	intent, err := t.c.opt.Once.Intend(ctx, *call)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, &failure{Error: t.interrupted(err), final: true}
	case err != nil:
		return nil, t.ledgerFailed("write down the intent of a single-use call", err)
	case intent.Fresh:
		t.intended = true
		return nil, nil
	case intent.Answered:
		return t.stored(intent)
	}
	e := t.fail(finance.Unanswered, "an earlier call was sent and its answer never arrived; the consent may be spent, so it is not sent again")
	e.Call = intent.Call.ID
	return nil, &failure{Error: e, final: true}
}

// stored gives an answer that an earlier call has brought. Its headers were not kept.
func (t *task) stored(intent finance.Intent) (*Answer, *failure) {
	a := &Answer{Status: intent.Call.Status, Header: http.Header{}, Body: intent.Body, Call: intent.Call}
	if b := bytes.TrimSpace(a.Body); len(b) > 0 && (b[0] == '{' || b[0] == '[') {
		a.Header.Set("Content-Type", "application/json")
	}
	a.Call.Durable = true
	v := t.judge(a)
	if v.Class != finance.OK {
		v.Reason = clean(v.Reason, t.c.secrets...)
		return nil, &failure{Error: t.verdictError(&a.Call, v), final: true}
	}
	sum := sha256.Sum256(a.Body)
	a.Hash = finance.Hash(sum[:16])
	return a, nil
}

// storeTries bounds how often storing a single-use answer is tried: it exists nowhere else.
const storeTries = 6

// keepAnswer makes a single-use answer durable before the provider's code looks at it.
func (t *task) keepAnswer(ctx context.Context, call *finance.Call, a *Answer) *failure {
	if !t.once || !isSuccess(a.Status) {
		return nil
	}
	call.Class, call.Correlation = finance.OK, correlationOf("", a.Header)
	var err error
	for n := range storeTries {
		if err = t.c.opt.Once.Answered(ctx, *call, a.Body); err == nil {
			call.Durable = true
			return nil
		}
		if _, left := wait(ctx, 100*time.Millisecond<<n, nil); left != nil {
			break
		}
	}
	return t.ledgerFailed("store the answer of a single-use call", err)
}

// withdraw takes the intent back, where there is one.
func (t *task) withdraw(ctx context.Context, call *finance.Call) error {
	if !t.intended {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()
	if err := t.c.opt.Once.Withdraw(ctx, *call); err != nil {
		return err
	}
	t.intended = false
	return nil
}

// notSpent says whether a single-use consent is certainly as good as before: nothing was sent, or the provider turned
// the call away.
func notSpent(c finance.Class, got reply) bool {
	if got.answer == nil {
		return !got.left
	}
	switch c {
	case finance.Throttled, finance.TokenDenied:
		return true
	}
	return got.answer.Status >= 300 && got.answer.Status < 500
}
