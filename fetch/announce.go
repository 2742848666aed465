package fetch

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"syncer/fetch/gate"
	"syncer/fetch/pause"
	"syncer/fetch/redact"
	"syncer/finance"
)

// Announced is what the answer's headers say of the calls to come. Of an answer that did not arrive over the wire they
// are read when it is first asked.
func (a *Answer) Announced() pause.Announcement {
	if a.announced == nil {
		a.announced = pause.Announced(a.Status, a.Header, time.Now())
	}
	return *a.announced
}

// PauseIn is the pause that a text of the answer's body tells in any of the forms of pause.Parse; 0 where it tells none.
// It is for a place where nothing but a pause stands.
func (a *Answer) PauseIn(text string) time.Duration {
	told, _ := pause.Parse(text, a.Announced().Clock.At)
	return told.Pause
}

// PauseInWords is the pause in a sentence of the answer's body, as pause.InWords reads it; 0 where it tells none.
func (a *Answer) PauseInWords(text string) time.Duration {
	told, _ := pause.InWords(text, a.Announced().Clock.At)
	return told.Pause
}

// pauseMembers are where an error tells a pause in its body.
var pauseMembers = []string{"retry_after", "retryAfter", "retry_after_seconds"}

// toldInside adds the pause that a refusal for the rate tells in its body alone: in a member of its own, in its message,
// or in the words that the connector gives as the reason. Where a connector has read one, or the headers tell one, it stays.
func toldInside(a *Answer, v *Meaning) {
	refused := v.Class == finance.Throttled || a.Status == http.StatusTooManyRequests
	told := v.RetryAfter > 0 || a.Announced().Pause > 0
	if told || !refused {
		return
	}
	var members map[string]json.RawMessage
	if len(a.Body) <= longestError && json.Unmarshal(a.Body, &members) == nil {
		for _, name := range pauseMembers {
			v.RetryAfter = max(v.RetryAfter, a.PauseIn(strings.Trim(string(members[name]), `"`)))
		}
		for _, name := range []string{"message", "detail", "error_description", "error"} {
			v.RetryAfter = max(v.RetryAfter, a.PauseInWords(string(members[name])))
		}
	}
	v.RetryAfter = max(v.RetryAfter, a.PauseInWords(v.Reason))
}

// logUnreadable tells of a Retry-After that is not obeyed because it can't be read: the provider wants something of us.
func (r *request) logUnreadable(h http.Header) {
	r.c.seldom.of("pause "+r.bucket.Name, r.c.opt.Log.Warn()).Str("bucket", r.bucket.Name).Str("path", r.path).
		Str("retry_after", redact.Words(strings.Join(h.Values("Retry-After"), ", "), r.c.shown()...)).
		Msg("the provider announces a pause that can't be read, so it is not kept")
}

// logClock tells that a pause was measured by our own clock, since the provider's is too far from it.
func (r *request) logClock(said *pause.Announcement) {
	r.c.seldom.of("clock "+r.bucket.Name, r.c.opt.Log.Warn()).Str("bucket", r.bucket.Name).Str("path", r.path).
		Stringer("date_is_off_by", said.Clock.Off.Round(time.Millisecond)).
		Stringer("pause", said.Pause.Round(time.Millisecond)).
		Msg("the provider tells a moment beside a Date that can't be right: the pause is measured by our own clock, or by " +
			"that Date where the moment has passed by ours; if our clock is the wrong one, correct it")
}

// logAdvice tells of a Retry-After beside a good status.
func (r *request) logAdvice(advised time.Duration) {
	r.c.opt.Log.Info().Str("bucket", r.bucket.Name).Str("path", r.path).Stringer("for", advised.Round(time.Millisecond)).
		Msg("a Retry-After beside a good status: calls go on, one at a time for that long")
}

// logLong tells of a pause of days.
func (r *request) logLong(got reply) {
	if got.pause < gate.Loud {
		return
	}
	r.c.opt.Log.Warn().Str("bucket", r.bucket.Name).Str("path", r.path).Str("told", got.told).
		Time("until", got.arrived.Add(got.pause).UTC().Truncate(time.Second)).
		Msg("the provider wants a pause of days, and it is kept; if that can't be meant, ask the provider, then " +
			"`syncer connections resume " + r.c.opt.Connection.Name + " --reason TEXT` ends it")
}
