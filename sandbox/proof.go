package sandbox

import (
	"cmp"
	"slices"
	"time"
)

// Window is a pause that a provider announced and what followed it.
type Window struct {
	Seq      uint64        `json:"seq"` // the arrival that was answered with the demand
	Provider string        `json:"provider"`
	Bucket   string        `json:"bucket"`
	Subject  string        `json:"subject,omitempty"` // empty: the whole bucket
	From     time.Duration `json:"from_ns"`           // when the demand had been written
	Demanded time.Duration `json:"demanded_ns"`
	// Idle is the time from the demand to the first arrival that began after
	// it; meaningful only when Next is not 0.
	Idle time.Duration `json:"idle_ns"`
	Next uint64        `json:"next,omitempty"` // that arrival; 0: none came
}

// Violation is a call that arrived although the bucket was closed.
type Violation struct {
	Window  Window        `json:"window"`
	Arrival Entry         `json:"arrival"`
	Early   time.Duration `json:"early_ns"` // how much of the window was left
}

// InsideWindows lists every arrival inside an announced window of its bucket.
// An arrival before the demand had been written does not count, nor one within
// flight after it: that call may already have been on its way. Pass 0 to be
// strict. An arrival inside several windows is reported once, for the one that
// ends last.
func (j *Journal) InsideWindows(flight time.Duration) []Violation {
	return InsideWindows(j.Entries(), flight)
}

// InsideWindows is Journal.InsideWindows for entries read elsewhere, such as
// over HTTP.
func InsideWindows(entries []Entry, flight time.Duration) []Violation {
	worst := make(map[uint64]Window)
	buckets := byBucket(entries)
	for _, e := range entries {
		w, ok := e.window()
		if !ok {
			continue
		}
		for _, late := range after(buckets[bucketOf(e)], w.From+flight) {
			if late.At >= w.end() {
				break
			}
			if old, seen := worst[late.Seq]; w.covers(late) && (!seen || w.end() > old.end()) {
				worst[late.Seq] = w
			}
		}
	}
	var out []Violation
	for _, e := range entries {
		if w, ok := worst[e.Seq]; ok {
			out = append(out, Violation{Window: w, Arrival: e, Early: w.end() - e.At})
		}
	}
	return out
}

// IdleTime lists every announced window with the rest the bucket really got.
// Windows that a later one overlaps are listed too, each by itself.
func (j *Journal) IdleTime() []Window { return IdleTime(j.Entries()) }

// IdleTime is Journal.IdleTime for entries read elsewhere.
func IdleTime(entries []Entry) []Window {
	var out []Window
	buckets := byBucket(entries)
	for _, e := range entries {
		w, ok := e.window()
		if !ok {
			continue
		}
		for _, next := range after(buckets[bucketOf(e)], w.From) {
			if w.covers(next) {
				w.Idle = next.At - w.From
				w.Next = next.Seq
				break
			}
		}
		out = append(out, w)
	}
	return out
}

// MaxInWindow is the largest number of arrivals of a bucket within any span of
// the given length. The span is half open: two calls exactly a period apart are
// not in one window.
func (j *Journal) MaxInWindow(provider, bucket string, span time.Duration) int {
	return MaxInWindow(j.Entries(), provider, bucket, span)
}

// MaxInWindow is Journal.MaxInWindow for entries read elsewhere.
func MaxInWindow(entries []Entry, provider, bucket string, span time.Duration) int {
	most := 0
	first := 0
	var at []time.Duration
	for _, e := range entries {
		if e.Provider == provider && e.Bucket == bucket {
			at = append(at, e.At)
		}
	}
	slices.Sort(at)
	for last := range at {
		for at[last]-at[first] >= span {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

type bucketKey struct{ provider, bucket string }

func bucketOf(e Entry) bucketKey { return bucketKey{e.Provider, e.Bucket} }

// byBucket splits entries, each part in the order of time.
func byBucket(entries []Entry) map[bucketKey][]Entry {
	out := make(map[bucketKey][]Entry)
	for _, e := range entries {
		out[bucketOf(e)] = append(out[bucketOf(e)], e)
	}
	for _, part := range out {
		slices.SortStableFunc(part, func(a, b Entry) int { return cmp.Compare(a.At, b.At) })
	}
	return out
}

// after is the part of sorted entries that arrived later than t.
func after(sorted []Entry, t time.Duration) []Entry {
	i, _ := slices.BinarySearchFunc(sorted, t+1, func(e Entry, t time.Duration) int { return cmp.Compare(e.At, t) })
	return sorted[i:]
}

// window is the pause that e's answer announced. An answer that never got
// through announced nothing.
func (e Entry) window() (Window, bool) {
	if e.Pause <= 0 || e.Announced == 0 {
		return Window{}, false
	}
	return Window{Seq: e.Seq, Provider: e.Provider, Bucket: e.Bucket, Subject: e.PauseSubject,
		From: e.Announced, Demanded: e.Pause}, true
}

func (w Window) end() time.Duration { return w.From + w.Demanded }

func (w Window) covers(e Entry) bool { return w.Subject == "" || w.Subject == e.Subject }
