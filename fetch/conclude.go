package fetch

import (
	"context"
	"crypto/sha256"
	"time"

	"syncer/calls"
	"syncer/fetch/gate"
	"syncer/fetch/pause"
	"syncer/fetch/redact"
	"syncer/finance"
)

// toldWithin bounds what the store is told of a call after the caller has left.
const toldWithin = 10 * time.Second

// conclude finds out what an attempt meant, tells the store, and ends the call.
func (a *attempt) conclude(ctx context.Context, got reply) decision {
	defer a.leave(gate.Silent) // unless it has left before, with a word on the provider's health
	tell, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()

	var v Meaning
	if got.answer == nil {
		v = a.noAnswer(ctx, got)
	} else {
		if e := a.keepAnswer(tell, got.answer); e != nil {
			return failed(e)
		}
		v = a.judge(got.answer)
	}
	a.note(&got, &v)
	var refused refusal
	if a.key != nil { // before the next caller gets the semaphore
		switch v.Class {
		case finance.TokenDenied:
			refused = a.c.tokens.refuse(a.named, denied{a.token.AccessToken, a.key.Consent != 0, a.call.SentAt,
				a.spent.refreshed})
		case finance.OK:
			a.c.tokens.served(a.named, a.token.AccessToken, a.call.SentAt)
		}
	}
	probed := a.probe
	opened := a.leave(a.ending(v.Class))
	defer a.log()
	if e := a.tell(tell, got, v, opened); e != nil {
		return failed(e)
	}
	if e := a.heard(tell, v.Class); e != nil {
		return failed(e)
	}
	switch v.Class {
	case finance.OK:
		got.answer.Call, got.answer.Hash = *a.call, bodyHash(got.answer.Body)
		got.answer.memory = a.memory
		return decision{move: answered, answer: got.answer}
	case finance.TokenDenied:
		if a.key == nil {
			break
		}
		if refused.drop {
			news, err := a.c.tokens.drop(tell, a.named, a.token.AccessToken)
			if err != nil {
				return failed(a.storeFailed("forget the token", err))
			}
			onceMore := !news && !a.spent.overtaken
			if onceMore && !refused.hopeless {
				a.spent.overtaken = true
				return decision{move: retry, err: a.sentError(a.call, v)}
			}
		}
		if refused.hopeless {
			a.spent.refreshed = true
		}
	case finance.Throttled:
		// Whoever asks for all the others repeats that within its own read: a refusal has read nothing, and a quota that is
		// used up would otherwise cost this consent its day.
		a.read.paid = probed && a.read.opening
	case finance.Transient:
		a.spent.failures++
	}
	return a.again(a.sentError(a.call, v))
}

func bodyHash(body []byte) finance.Hash {
	sum := sha256.Sum256(body)
	return finance.Hash(sum[:16])
}

// note writes the meaning into the call, and closes our gate for every pause that is now known.
func (a *attempt) note(got *reply, v *Meaning) {
	hidden := a.redaction(a.token.AccessToken)
	v.Reason = hidden.Words(v.Reason)
	if got.answer != nil {
		a.call.Correlation = hidden.Correlation(redact.CorrelationIn(v.Correlation, got.answer.Header))
	}
	a.call.RetryAfter = got.pause
	if got.advice && v.Class == finance.OK {
		got.pause = 0 // the turnstile keeps it
	}
	if v.RetryAfter > got.pause {
		got.pause = min(v.RetryAfter, pause.Longest)
		got.told = pause.InBody
	}
	if v.Class == finance.Throttled && got.pause <= 0 {
		// The least that it may be: the store doubles it with every refusal in a row.
		got.pause = 2 * a.limits.retry.Base
		got.told = ToldByNobody
		got.guessed = true
	}
	a.call.Class = v.Class
	a.call.Reason = v.Reason
	a.call.RetryAfter = max(a.call.RetryAfter, got.pause)
	if v.Class == finance.Throttled {
		got.alone = a.keys.of(v.Pauses)
	}
	a.bucket.Lone(got.alone).Close(got.arrived, got.pause, got.told)
}

// ending is what the breaker is told.
func (a *attempt) ending(c finance.Class) gate.Ending {
	switch c {
	case finance.Transient, finance.Unanswered:
		if unfinished(a.call.Status) != "" { // the provider is there, and has answered: not yet, or not all
			return gate.Well
		}
		if a.spent.failures > 0 {
			return gate.Repeated
		}
		return gate.Failed
	case finance.Throttled, finance.Interrupted, finance.Fatal:
		return gate.Silent
	}
	return gate.Well
}

// tell writes down the call, and first of all the pause it was told.
func (a *attempt) tell(ctx context.Context, got reply, v Meaning, opened bool) *Error {
	if opened {
		a.logBreaker(v)
	}
	if opened && got.pause < gate.BreakerPause {
		got.pause, got.told, got.alone = gate.BreakerPause, calls.PauseByBreaker+": "+a.cause(v), ""
		got.arrived = time.Now()
		a.bucket.Gate.Close(got.arrived, got.pause, got.told)
	}
	store := a.c.opt.Calls
	switch {
	case got.pause > 0:
		a.logLong(got)
		if e := a.tellPause(ctx, got, v); e != nil {
			return e
		}
		a.call.Durable = true
	case a.call.Durable:
	case v.Class != finance.OK, a.purpose != calls.ForData:
		if err := store.Record(ctx, *a.call); err != nil {
			return a.storeFailed("record the call", err)
		}
		a.call.Durable = true
	}
	if a.once && notSpent(v.Class, got) {
		if err := a.withdraw(ctx); err != nil {
			return a.storeFailed("take the intent back", err)
		}
	}
	return nil
}

// tellPause tells the store of a pause, which may last longer than this answer knows.
func (a *attempt) tellPause(ctx context.Context, got reply, v Meaning) *Error {
	now := time.Now()
	closed, err := a.c.opt.Calls.Pause(ctx, calls.Pause{
		Bucket: a.bucket.Name, Alone: got.alone, For: got.pause, Reason: got.told, Call: *a.call,
		Guessed: got.guessed, Sent: now.Sub(a.call.SentAt),
	})
	if err != nil {
		return a.storeFailed("close the gate", err)
	}
	shut := a.bucket.Lone(got.alone)
	shut.Keeps(now, closed)
	shut.Keeps(got.arrived, got.pause)
	shut.Close(now, closed, got.told)
	if v.Class == finance.Throttled && got.alone == "" {
		a.bucket.Refused.Store(true)
		a.probe = false // it was refused, which the store knows by now
	}
	return nil
}

// heard ends what a refusal began, where a call was answered: this one probed, or was sent before the refusal.
func (a *attempt) heard(ctx context.Context, c finance.Class) *Error {
	ofRefused := a.probe || a.bucket.Refused.Load()
	if !ofRefused || a.ending(c) != gate.Well {
		return nil
	}
	if err := a.endProbe(ctx, true); err != nil {
		return a.storeFailed("tell that the provider answers again", err)
	}
	return nil
}

// leaveProbe lets another call probe where this one was to and has heard nothing: it was not sent, or not answered.
func (a *attempt) leaveProbe(ctx context.Context) {
	if !a.probe {
		return
	}
	if err := a.endProbe(ctx, false); err != nil {
		a.c.opt.Log.Warn().Err(err).Str("bucket", a.bucket.Name).
			Msg("a probe could not be given back; the others wait until its time is over")
	}
}

// endProbe tells the store whether the provider has answered a call of a bucket that was refused.
func (a *attempt) endProbe(ctx context.Context, answered bool) error {
	a.probe = false
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldWithin)
	defer cancel()
	err := a.c.opt.Calls.Probed(ctx, a.bucket.Name, a.call.ID, answered)
	if err == nil && answered {
		a.bucket.Refused.Store(false)
	}
	a.bucket.Gate.Wake()
	return err
}

// sentError is the error of an attempt that was sent.
func (r *request) sentError(call *calls.Call, v Meaning) *Error {
	e := r.fail(v.Class, v.Reason)
	e.Status = call.Status
	e.Correlation = call.Correlation
	e.Call = call.ID
	e.Consent = v.Status
	e.Named = v.Named
	if e.mayBeCredentials() {
		e.Credentials = r.of.print
	}
	if v.Class == finance.Throttled {
		shut := r.gates()
		e.Bucket = r.bucket.Name
		e.Wait, e.Told = shut.ClosedFor, toldOf(shut.Reason)
		if e.Alone = r.only(shut); e.Alone {
			e.Reason += "; " + notBefore(shut.ClosedFor)
		}
	}
	again := v.Class == finance.TokenDenied && r.spent.refreshed
	if again && r.ofGrant() {
		// Of one person's grant, which the authorization server has just called good. Class token would park the connection
		// for everybody, and to end the consent is for the authorization server to say.
		e.Credentials = ""
		e.Class = finance.Rejected
		e.Reason = "a token that was just given by the consent's grant is refused: " + v.Reason
	}
	return e
}

// mayBeCredentials says that an answer speaks against the token or the client.
func (e *Error) mayBeCredentials() bool {
	switch e.Class {
	case finance.TokenDenied:
		return true
	case finance.Fatal:
		return e.Status >= 400 && e.Status < 500
	}
	return false
}

// ofGrant says that the request is sent with a token of one consent's own grant.
func (r *request) ofGrant() bool {
	if r.key == nil {
		return false
	}
	return r.key.Consent != 0
}
