package fetch_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"syncer/fetch/fetchtest"
)

// saying is one header of a server that wants a pause.
type saying struct {
	name string
	form string        // in which it is told; see forms
	d    time.Duration // what the server means
}

// forms are how a server may tell a pause, each with the precision that it has. Those of 0 are garbage: nothing is told.
var forms = map[string]struct {
	precision time.Duration
	tell      func(at time.Time, d time.Duration) string
}{
	"seconds":  {time.Second, func(_ time.Time, d time.Duration) string { return fmt.Sprint(int64(d / time.Second)) }},
	"fraction": {time.Millisecond, func(_ time.Time, d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }},
	"imf":      {time.Second, func(at time.Time, _ time.Duration) string { return at.Format(http.TimeFormat) }},
	"rfc850":   {time.Second, func(at time.Time, _ time.Duration) string { return at.Format("Monday, 02-Jan-06 15:04:05 GMT") }},
	"asctime":  {time.Second, func(at time.Time, _ time.Duration) string { return at.Format(time.ANSIC) }},
	"unix":     {time.Second, func(at time.Time, _ time.Duration) string { return fmt.Sprint(at.Unix()) }},
	"unix ms":  {time.Millisecond, func(at time.Time, _ time.Duration) string { return fmt.Sprint(at.UnixMilli()) }},
	"iso":      {time.Second, func(at time.Time, _ time.Duration) string { return at.Format(time.RFC3339) }},
	"iso elsewhere": {time.Millisecond, func(at time.Time, _ time.Duration) string {
		return at.In(time.FixedZone("", 5400)).Format("2006-01-02T15:04:05.000-0700")
	}},
	"units": {time.Millisecond, func(_ time.Time, d time.Duration) string { return d.String() }},
	"sentence": {time.Second, func(_ time.Time, d time.Duration) string {
		return fmt.Sprintf("Please try again in %d seconds.", d/time.Second)
	}},
	"clock": {time.Second, func(_ time.Time, d time.Duration) string {
		return fmt.Sprintf("%d:%02d:%02d", d/time.Hour, d/time.Minute%60, d/time.Second%60)
	}},
	"soon":     {0, func(time.Time, time.Duration) string { return "soon" }},
	"negative": {0, func(time.Time, time.Duration) string { return "-5" }},
	"too long": {0, func(time.Time, time.Duration) string { return strings.Repeat("9", 25) }},
}

// answering is a server that answers one call badly.
type answering struct {
	status int
	said   []saying
	skew   time.Duration // of the server's clock, as its Date tells
	date   string        // instead of that; empty: it tells none
}

func drawAnswering(rt *rapid.T) answering {
	draw := rapid.Custom(func(rt *rapid.T) saying {
		s := saying{
			name: rapid.SampledFrom([]string{"Retry-After", "Retry-After", "X-RateLimit-Reset"}).Draw(rt, "name"),
			form: rapid.SampledFrom(sortedForms()).Draw(rt, "form"),
		}
		most := rapid.SampledFrom([]time.Duration{3 * time.Second, time.Hour, 30 * 24 * time.Hour}).Draw(rt, "most")
		s.d = time.Duration(rapid.Int64Range(1, int64(most/time.Millisecond)).Draw(rt, "ms")) * time.Millisecond
		return s
	})
	a := answering{
		status: rapid.SampledFrom([]int{429, 429, 503}).Draw(rt, "status"),
		said:   rapid.SliceOfN(draw, 1, 2).Draw(rt, "said"),
	}
	switch rapid.SampledFrom([]string{"right", "skewed", "absent", "1970", "2099"}).Draw(rt, "date") {
	case "right":
		a.date = "real"
	case "skewed":
		a.date = "real"
		a.skew = time.Duration(rapid.IntRange(-299, 299).Draw(rt, "skew")) * time.Second
	case "1970":
		a.date = "Thu, 01 Jan 1970 00:00:00 GMT"
	case "2099":
		a.date = "Fri, 20 Nov 2099 00:00:00 GMT"
	}
	return a
}

func sortedForms() []string { return slices.Sorted(maps.Keys(forms)) }

// headers are what the server sends at its own present, and the sane readings of it: what each saying means.
func (a answering) headers(now time.Time, h http.Header) (sane []time.Duration) {
	now = now.Add(a.skew).UTC()
	h["Date"] = nil // net/http would add its own
	if a.date == "real" {
		h.Set("Date", now.Format(http.TimeFormat))
	} else if a.date != "" {
		h.Set("Date", a.date)
	}
	for _, s := range a.said {
		form := forms[s.form]
		at := now.Add(s.d)
		if form.precision > 0 {
			at = at.Truncate(form.precision)
		}
		h[s.name] = append(h[s.name], form.tell(at, s.d))
		// A reset alone says nothing beside another status than 429: there may be some left.
		if form.precision > 0 && (s.name == "Retry-After" || a.status == http.StatusTooManyRequests) {
			sane = append(sane, min(s.d.Truncate(form.precision), max(0, at.Sub(now))))
		}
	}
	return sane
}

// Any header that tells a pause, in any form and beside any Date, is kept: no call comes before the earliest sane reading,
// none waits longer than the longest one, and whoever waits for days or can't read a pause says so.
func TestPausesAgainstAGrammar(t *testing.T) {
	if seed := flag.Lookup("rapid.seed"); seed.Value.String() == "0" {
		if err := seed.Value.Set("20261129"); err != nil { // the same trials every time; -rapid.seed tries others
			t.Fatal(err)
		}
	}
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set("2000"); err != nil { // each takes a fifth of a millisecond
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		a := drawAnswering(rt)
		var complaint string
		synctest.Test(t, func(t *testing.T) { complaint = keepsPause(t, a) })
		if complaint != "" {
			rt.Fatalf("%+v: %s", a, complaint)
		}
	})
}

// keepsPause makes a call to the server and says what is wrong with the next one.
func keepsPause(t *testing.T, a answering) string {
	in2030()
	var sane []time.Duration
	p, l := &provider{}, fetchtest.NewCallStore()
	p.handler = func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			sane = a.headers(time.Now(), w.Header())
			w.WriteHeader(a.status)
		}
	}
	o, stop := piped(t, p, l)
	defer stop()
	var log bytes.Buffer
	o.Log = zerolog.New(&log).Level(zerolog.WarnLevel)
	o.MaxWait = 100 * 24 * time.Hour
	if _, err := client(t, o).Do(t.Context(), get("x")); err != nil {
		return err.Error()
	}
	j := p.journal()
	waited := j[1].at.Sub(j[0].at)
	const guess = time.Minute // the most that is waited where no time is told
	least, most := time.Duration(0), guess
	for i, d := range sane {
		if i == 0 || d < least {
			least = d
		}
		most = max(most, d+time.Second) // a Date has whole seconds
	}
	said := log.String()
	switch {
	case waited < least:
		return fmt.Sprintf("called after %s, inside every sane reading of %v", waited, sane)
	case waited > most:
		return fmt.Sprintf("waited %s, longer than every sane reading of %v", waited, sane)
	case waited >= 24*time.Hour && !strings.Contains(said, "a pause of days"):
		return fmt.Sprintf("waited %s without a loud word", waited)
	case len(sane) == 0 && len(a.named("Retry-After")) > 0 && !strings.Contains(said, "can't be read"):
		return "a pause that can't be read is passed over in silence"
	}
	return ""
}

// named are the sayings in headers of a name.
func (a answering) named(name string) (found []saying) {
	for _, s := range a.said {
		if s.name == name {
			found = append(found, s)
		}
	}
	return found
}
