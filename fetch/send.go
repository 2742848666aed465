package fetch

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"syncer/calls"
	"syncer/fetch/pause"
	"syncer/fetch/wire"
)

// reply is what one send brought.
type reply struct {
	answer    *Answer   // complete, or nil
	err       error     // why there is none
	halt      wire.Halt // why we stopped it ourselves
	maybeSent bool      // the request may have reached the provider
	pause     time.Duration
	told      string // where the pause was announced
	alone     string // the gate that it closes; empty: the bucket's
	advice    bool   // the pause stands beside a good status
	guessed   bool   // no time was told: the pause is the least that it may be
	arrived   time.Time
}

// send puts the attempt on the wire and reads its answer to the last byte. The deadline begins here, below every wait.
func (a *attempt) send(ctx context.Context) reply {
	if a.once {
		// A single-use answer that is on its way is not thrown away because the worker is asked to leave.
		ctx = context.WithoutCancel(ctx)
	}
	ctx, within := withAllowance(ctx, a.limits.timeout)
	defer within.end()
	stoppable, abort := context.WithCancel(ctx)
	defer abort()
	watch := &wire.Watch{Abort: abort, Look: func() wire.Halt { return a.beforeFirstByte(stoppable) }}
	req, err := a.build(httptrace.WithClientTrace(stoppable, watch.Trace()), a.call.ID)
	if err != nil {
		return reply{err: err}
	}
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("User-Agent", "syncer")
	if a.key != nil && a.token.AccessToken != noToken {
		req.Header.Set("Authorization", bearer(a.token))
	}
	a.call.SentAt = time.Now()
	got := a.exchange(stoppable, req, within)
	a.call.Duration = time.Since(a.call.SentAt) - within.spent
	a.call.Waited += within.spent
	got.maybeSent = watch.MaybeSent.Load()
	if got.err != nil && ctx.Err() == nil { // otherwise the deadline or the caller came first
		got.halt = watch.Why()
	}
	if got.err != nil && within.over() {
		got.err = context.DeadlineExceeded
	}
	return got
}

// beforeFirstByte writes the intent of a single-use call down and has the last look, with a connection in hand. The handshake
// may have taken long.
func (a *attempt) beforeFirstByte(ctx context.Context) wire.Halt {
	if a.once {
		if a.barred = a.intend(ctx); a.barred.move != send {
			return wire.NotIntended
		}
	}
	if a.gates().ClosedFor > 0 {
		return wire.GateMoved
	}
	d := a.lastLook(ctx, time.Now())
	switch {
	case d.move == send:
		return wire.NotHalted
	case a.gates().ClosedFor > 0:
		return wire.GateMoved
	case d.move == giveUp:
		a.barred = d
		return wire.Refused
	}
	return wire.TooOld
}

// exchange sends and receives. What an answer's headers announce closes the gate before its body is read.
func (a *attempt) exchange(ctx context.Context, req *http.Request, within *allowance) reply {
	resp, err := a.client.Do(req)
	got := reply{arrived: time.Now()}
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // its text would show the URL, with the consent's id
		}
		got.err = err
		return got
	}
	defer resp.Body.Close()
	a.call.Status = resp.StatusCode
	said := pause.Announced(resp.StatusCode, resp.Header, got.arrived)
	got.pause = said.Pause
	got.told = said.Source
	if said.Unreadable {
		a.logUnreadable(resp.Header)
	}
	if said.Moved {
		a.logClock(said)
	}
	a.obey(&got, resp.StatusCode)
	body, err := a.receive(ctx, resp, within)
	if err != nil {
		got.err = err
		a.call.Correlation = a.correlation(resp.Header)
		return got
	}
	a.call.Bytes = int64(len(body))
	body = a.c.hidden(a.token.AccessToken).TakeOut(body)
	got.answer = &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, announced: said}
	return got
}

// obey does at once what the headers of an answer want. Beside a good status a Retry-After is no refusal: some servers
// send one with every answer, to say how often to ask. So calls go on one at a time, unless the body turns out to be a
// refusal after all.
func (a *attempt) obey(got *reply, status int) {
	if got.told == pause.ByHeader && isSuccess(status) {
		got.advice = true
		if a.bucket.Turnstile.Narrow(got.arrived, got.pause) {
			a.logAdvice(got.pause)
		}
		return
	}
	if !a.c.opt.Driver.Alone {
		a.bucket.Gate.Close(got.arrived, got.pause, got.told)
	}
}

// bearer is the Authorization header of a token. Providers write bearer in any case; RFC 6750 wants it as here.
func bearer(t calls.Token) string { return "Bearer " + t.AccessToken }
