package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Journal is the append-only record of every arrival at the simulators, token
// calls included. It is what proofs about the caller's manners are made from,
// so it measures real time and not the Clock that tests move.
type Journal struct {
	mu    sync.Mutex
	now   func() time.Time
	start time.Time
	limit int
	sink  *json.Encoder

	open  int           // arrivals without an end to their answer
	quiet chan struct{} // closed when open falls to 0

	entries  []*Entry // the newest limit arrivals, oldest first
	arrivals uint64
	totals   map[Total]int
	subjects map[subjectKey]int
	words    map[string]string // one copy of each repeated word
}

// Entry is one arrival.
type Entry struct {
	Seq       uint64        `json:"seq"`
	At        time.Duration `json:"at_ns"` // since the journal's start, monotonic
	Wall      time.Time     `json:"wall"`
	Provider  string        `json:"provider"`
	Bucket    string        `json:"bucket"` // what the quota is counted for, the client id by default
	Token     bool          `json:"token,omitempty"`
	Method    string        `json:"method"`
	Path      string        `json:"path"`
	Template  string        `json:"template"`
	Subject   string        `json:"subject,omitempty"` // consent or account, as the simulator understands it
	RequestID string        `json:"request_id,omitempty"`
	Status    int           `json:"status,omitempty"` // 0: no answer, or none yet
	Fault     string        `json:"fault,omitempty"`
	// Pause is what Retry-After demanded in words that RFC 9110 allows; 0: nothing.
	Pause time.Duration `json:"pause_ns,omitempty"`
	// PauseSubject narrows the demand to one subject; empty: the whole bucket.
	PauseSubject string `json:"pause_subject,omitempty"`
	// Announced is when the last byte of the answer with the demand was written.
	Announced time.Duration `json:"announced_ns,omitempty"`
	// Done is when the answer had been written or had failed; 0: still open.
	Done time.Duration `json:"done_ns,omitempty"`
}

// Total is a key of Journal.Totals.
type Total struct {
	Provider string
	Token    bool
	Status   int
}

type subjectKey struct{ provider, subject string }

// JournalOptions bounds a journal.
type JournalOptions struct {
	// Now is the base time; nil means time.Now.
	Now func() time.Time
	// Keep bounds the entries kept in memory, the newest ones; the counters
	// count on. 0 keeps all (about 300 bytes each), a negative number none.
	Keep int
	// Sink gets each entry as a line of JSON when its answer is done.
	Sink io.Writer
}

// NewJournal returns an empty journal that starts now.
func NewJournal(o JournalOptions) *Journal {
	if o.Now == nil {
		o.Now = time.Now
	}
	j := &Journal{now: o.Now, start: o.Now(), limit: o.Keep}
	if o.Sink != nil {
		j.sink = json.NewEncoder(o.Sink)
	}
	j.clear()
	return j
}

func (j *Journal) clear() {
	j.entries = nil
	j.arrivals = 0
	j.totals = make(map[Total]int)
	j.subjects = make(map[subjectKey]int)
	j.words = make(map[string]string)
}

// Reset forgets every entry and counter; time keeps counting from the start.
func (j *Journal) Reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.clear()
}

// Arrive records an arrival before anything is done about it, so that a call
// that hangs for ever is seen too.
func (j *Journal) Arrive(call Call, r *http.Request) *Visit {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.open++; j.open == 1 {
		j.quiet = make(chan struct{})
	}
	now := j.now() // under the lock: entries stay in the order of their time
	j.arrivals++
	e := &Entry{
		Seq: j.arrivals, At: now.Sub(j.start), Wall: now,
		Provider: j.word(call.Provider), Bucket: j.word(call.Bucket), Token: call.Token,
		Method: j.word(r.Method), Path: r.URL.Path, Template: j.word(call.Template),
		Subject: call.Subject, RequestID: requestID(r.Header),
	}
	if call.Subject != "" {
		j.subjects[subjectKey{e.Provider, e.Subject}]++
	}
	if j.limit >= 0 {
		j.entries = append(j.entries, e)
		j.trim()
	}
	return &Visit{journal: j, entry: e}
}

// trim drops the oldest half at once, so that a bounded journal costs no copy
// per arrival. Up to twice the limit is in memory, never less than the limit.
func (j *Journal) trim() {
	if j.limit > 0 && len(j.entries) >= 2*j.limit {
		j.entries = append([]*Entry(nil), j.entries[j.limit:]...)
	}
}

func (j *Journal) word(s string) string {
	if w, ok := j.words[s]; ok {
		return w
	}
	j.words[s] = s
	return s
}

// requestID is the id that the caller gave its call. The providers name the
// header differently and callers may send more than one.
func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "X-Trace-Id", "X-Correlation-Id"} {
		if id := h.Get(name); id != "" {
			return id
		}
	}
	return ""
}

// Visit is an arrival whose answer is not finished.
type Visit struct {
	journal *Journal
	entry   *Entry
}

// Seq is the arrival's number.
func (v *Visit) Seq() uint64 { return v.entry.Seq }

// Fault notes which fault was applied.
func (v *Visit) Fault(name string) {
	v.journal.mu.Lock()
	defer v.journal.mu.Unlock()
	v.entry.Fault = name
}

// Demand notes that the answer will carry a pause; it counts as announced when
// Finish is called. A subject narrows the demand to it.
func (v *Visit) Demand(pause time.Duration, subject string) {
	v.journal.mu.Lock()
	defer v.journal.mu.Unlock()
	v.entry.Pause = pause
	v.entry.PauseSubject = subject
}

func (v *Visit) demands() bool {
	v.journal.mu.Lock()
	defer v.journal.mu.Unlock()
	return v.entry.Pause > 0
}

// Finish records the status and that nothing more will be written. Status 0
// means that the caller got no answer.
func (v *Visit) Finish(status int) {
	j := v.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.open--; j.open == 0 {
		close(j.quiet)
	}
	e := v.entry
	e.Status = status
	e.Done = j.now().Sub(j.start)
	if e.Pause > 0 {
		e.Announced = e.Done
	}
	j.totals[Total{e.Provider, e.Token, status}]++
	if j.sink != nil && j.sink.Encode(e) != nil { // the rest is not written either: half a journal proves nothing
		j.sink = nil
	}
}

// WaitForAnswers waits until every answer that was begun has ended in the journal too.
// A caller has its answer a moment before the journal has its end, so whoever
// proves something right after a call settles first.
func (j *Journal) WaitForAnswers(ctx context.Context) error {
	j.mu.Lock()
	open := j.open
	quiet := j.quiet
	j.mu.Unlock()
	if open == 0 {
		return nil
	}
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sandbox: journal with %d open answers: %w", open, ctx.Err())
	}
}

// Entries returns a copy of what is kept, in order of arrival.
func (j *Journal) Entries() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Entry, len(j.entries))
	for i, e := range j.entries {
		out[i] = *e
	}
	return out
}

// Arrivals counts every arrival since the start or the last Reset, also those
// that are no longer kept.
func (j *Journal) Arrivals() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return int(j.arrivals)
}

// Totals counts finished answers by provider, kind and status.
func (j *Journal) Totals() map[Total]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make(map[Total]int, len(j.totals))
	for k, n := range j.totals {
		out[k] = n
	}
	return out
}

// CountSubject counts the arrivals for one consent or account.
func (j *Journal) CountSubject(provider, subject string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.subjects[subjectKey{provider, subject}]
}

// CountBySubject counts the arrivals of a provider by consent or account.
func (j *Journal) CountBySubject(provider string) map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make(map[string]int)
	for k, n := range j.subjects {
		if k.provider == provider {
			out[k.subject] = n
		}
	}
	return out
}

// WriteJSON writes the kept entries with a number above after, one a line.
func (j *Journal) WriteJSON(w io.Writer, after uint64) error {
	enc := json.NewEncoder(w)
	for _, e := range j.Entries() {
		if e.Seq <= after {
			continue
		}
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}
