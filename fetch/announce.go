package fetch

import (
	"net/http"
	"strings"
	"time"
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
}

// ByRetryAfter says that the pause stands in the header Retry-After.
func (a Announcement) ByRetryAfter() bool { return a.told == toldByHeader }

// announced reads the headers of an answer that arrived at the given moment, whatever its status: a pause can only slow
// us down.
func announced(h http.Header, arrived time.Time) *Announcement {
	d, ok, invalid := ParseRetryAfter(h, arrived)
	a := &Announcement{Asked: h.Get("Retry-After") != "", bad: invalid}
	if ok && d > 0 {
		a.Pause, a.told = d, toldByHeader
		return a
	}
	if d := spentFor(h, arrived); d > 0 {
		a.Pause, a.told = d, toldByRateLimit
	}
	return a
}

// Announced is what the answer's headers say of the calls to come. Of an answer that did not arrive over the wire they
// are read when it is first asked.
func (a *Answer) Announced() Announcement {
	if a.announced == nil {
		a.announced = announced(a.Header, time.Now())
	}
	return *a.announced
}

// logUnreadable tells of a Retry-After that is not obeyed because it can't be read: the provider wants something of us.
func (r *request) logUnreadable(h http.Header) {
	r.c.opt.Log.Warn().Str("bucket", r.bucket.name).Str("path", r.path).
		Str("retry_after", clean(strings.Join(h.Values("Retry-After"), ", "), r.c.shown()...)).
		Msg("the provider announces a pause that can't be read, so it is not kept")
}
