package fetch

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"syncer/finance"
)

// Why a bucket is closed, as Error.Told says it, where the provider has announced a pause.
const (
	toldByHeader    = "retry-after"
	toldByRateLimit = "rate-limit"
	toldInBody      = "told in the body"
)

// Announcement is what an answer's headers say of the calls to come. It is read once, when they arrive.
type Announcement struct {
	Pause time.Duration // how long not to call, from the arrival of the answer on; 0: nothing is announced
	Asked bool          // there is a Retry-After, whether or not it can be read
	told  string        // where the pause stands
	bad   bool          // there is a Retry-After that can't be used
	clock clock         // what moments are measured from
	moved bool          // a moment was measured by our clock, because the answer's Date is not believed
}

// ByRetryAfter says that the pause stands in the header Retry-After.
func (a Announcement) ByRetryAfter() bool { return a.told == toldByHeader }

// announced reads the headers of an answer that arrived at the given moment, whatever its status: a pause can only slow
// us down.
func announced(status int, h http.Header, arrived time.Time) *Announcement {
	a := &Announcement{
		Asked: h.Get("Retry-After") != "",
		clock: clockOf(h, arrived),
	}
	a.read(status, h)
	inAnotherZone := a.clock.off != 0 && a.clock.off.Abs() <= 24*time.Hour
	if a.Pause == 0 && inAnotherZone {
		// By our clock the moment has passed. A server that writes its local time writes it everywhere, and then its Date
		// says what it means.
		a.clock.at = a.clock.at.Add(a.clock.off)
		a.read(status, h)
	}
	return a
}

// read reads the pause, with moments measured by the clock.
func (a *Announcement) read(status int, h http.Header) {
	told, ok, invalid := retryAfter(h, a.clock.at)
	a.bad = invalid
	if ok && told.Pause > 0 {
		a.Pause = told.Pause
		a.told = toldByHeader
	} else if told = spentFor(status, h, a.clock.at); told.Pause > 0 {
		a.Pause = told.Pause
		a.told = toldByRateLimit
	}
	a.moved = told.Moment && a.clock.off != 0
}

// Announced is what the answer's headers say of the calls to come. Of an answer that did not arrive over the wire they
// are read when it is first asked.
func (a *Answer) Announced() Announcement {
	if a.announced == nil {
		a.announced = announced(a.Status, a.Header, time.Now())
	}
	return *a.announced
}

// PauseIn is the pause that a text of the answer's body tells in any of the forms of ParsePause; 0 where it tells none.
// It is for a place where nothing but a pause stands.
func (a *Answer) PauseIn(text string) time.Duration {
	told, _ := ParsePause(text, a.Announced().clock.at)
	return told.Pause
}

// PauseInWords is the pause in a sentence of the answer's body, as PauseInWords reads it; 0 where it tells none.
func (a *Answer) PauseInWords(text string) time.Duration {
	told, _ := PauseInWords(text, a.Announced().clock.at)
	return told.Pause
}

// pauseMembers are where an error tells a pause in its body.
var pauseMembers = []string{"retry_after", "retryAfter", "retry_after_seconds"}

// toldInside adds the pause that a refusal for the rate tells in its body alone: in a member of its own, in its message,
// or in the words that the connector gives as the reason. Where a connector has read one, or the headers tell one, it stays.
func toldInside(a *Answer, v *Meaning) {
	refused := v.Class == finance.Throttled || a.Status == http.StatusTooManyRequests
	if !refused || v.RetryAfter > 0 || a.Announced().Pause > 0 {
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
	r.c.seldom.of("pause "+r.bucket.name, r.c.opt.Log.Warn()).Str("bucket", r.bucket.name).Str("path", r.path).
		Str("retry_after", clean(strings.Join(h.Values("Retry-After"), ", "), r.c.shown()...)).
		Msg("the provider announces a pause that can't be read, so it is not kept")
}

// logClock tells that a pause was measured by our own clock, since the provider's is too far from it.
func (r *request) logClock(said *Announcement) {
	r.c.seldom.of("clock "+r.bucket.name, r.c.opt.Log.Warn()).Str("bucket", r.bucket.name).Str("path", r.path).
		Dur("date_is_off_by", said.clock.off).Dur("pause", said.Pause).
		Msg("the provider tells a moment beside a Date that can't be right: the pause is measured by our own clock, or by " +
			"that Date where the moment has passed by ours; if our clock is the wrong one, correct it")
}

// logAdvice tells of a Retry-After beside a good status.
func (r *request) logAdvice(pause time.Duration) {
	r.c.opt.Log.Info().Str("bucket", r.bucket.name).Str("path", r.path).Dur("for", pause).
		Msg("a Retry-After beside a good status: calls go on, one at a time for that long")
}

// loud is from when on a pause is told to people: a provider that means it has a reason that somebody should know, and
// one that does not mean it must not be obeyed for years.
const loud = 24 * time.Hour

// logLong tells of a pause of days.
func (r *request) logLong(got reply) {
	if got.pause < loud {
		return
	}
	r.c.opt.Log.Warn().Str("bucket", r.bucket.name).Str("path", r.path).Str("told", got.told).
		Time("until", got.arrived.Add(got.pause).UTC().Truncate(time.Second)).
		Msg("the provider wants a pause of days, and it is kept; if that can't be meant, ask the provider, then " +
			"`syncer connections resume " + r.c.opt.Connection.Name + " --reason TEXT` ends it")
}
