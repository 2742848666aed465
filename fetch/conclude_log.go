package fetch

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"syncer/fetch/gate"
)

// cause is what the breaker has opened for, on one line: the failure that was one too many stands for those before it.
func (a *attempt) cause(v Meaning) string {
	if v.Reason == "" {
		return fmt.Sprintf("%s %s: %s", a.method, a.path, v.Class)
	}
	return fmt.Sprintf("%s %s: %s", a.method, a.path, v.Reason)
}

// logBreaker tells that the provider is left alone, and why.
func (a *attempt) logBreaker(v Meaning) {
	a.c.opt.Log.Warn().Str("bucket", a.bucket.Name).Str("cause", a.cause(v)).Int("status", a.call.Status).
		Stringer("request_id", a.call.ID).Str("correlation_id", a.call.Correlation).Stringer("for", gate.BreakerPause).
		Msg("the provider fails again and again: it is left alone for a while, then one call asks")
}

// log tells of the call, for whoever looks closely.
func (a *attempt) log() {
	call := a.call
	e := a.c.opt.Log.Debug()
	if s := call.Task; e != nil {
		e.Int64("run", s.Run).Int64("batch", s.Batch)
		if s.Consent != nil {
			e.Int64("consent", s.Consent.ID)
		}
	}
	e.Str("connection", call.Connection).Str("bucket", call.Bucket).Str("purpose", string(call.Purpose)).
		Str("request_id", call.ID.String()).Str("correlation_id", call.Correlation).
		Str("method", call.Method).Str("path", call.Path).Int("attempt", call.Attempt).Int("status", call.Status).
		Str("class", string(call.Class)).Str("reason", call.Reason).Stringer("waited", call.Waited.Round(time.Millisecond)).
		Stringer("duration", call.Duration.Round(time.Microsecond)).Int64("bytes", call.Bytes).Func(func(e *zerolog.Event) {
		if call.RetryAfter > 0 {
			e.Stringer("retry_after", call.RetryAfter.Round(time.Millisecond))
		}
	}).Msg("call")
}
