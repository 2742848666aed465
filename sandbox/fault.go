package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Kind is what a fault does to a call.
type Kind string

// The kinds of faults. Kinds that spoil the true answer let the simulator do
// its work first, so a single-use consent is spent; the others don't, unless
// Action.Work is set.
const (
	// AnswerStatus answers Status, with RetryAfter and Body. Without a Body the
	// provider's own error body is sent.
	AnswerStatus Kind = "status"
	// SlowHeader waits DelayMS before the true answer's first byte.
	SlowHeader Kind = "slow-header"
	// Drip sends the true body Chunk bytes at a time, DelayMS apart.
	Drip Kind = "drip"
	// Truncate promises the whole Content-Length and closes after Keep bytes
	// (half of the body when Keep is 0).
	Truncate Kind = "truncate"
	// Cut sends Keep bytes without any Content-Length and closes, so that only
	// the envelope shows what is missing.
	Cut Kind = "cut"
	// Reset sends a TCP RST instead of an answer.
	Reset Kind = "reset"
	// Redirect answers Status (302 when 0) with Target as the Location; the
	// default target is the server's trap.
	Redirect Kind = "redirect"
	// Bomb sends Size zero bytes as a small gzip stream, Giant sends them plain.
	Bomb  Kind = "bomb"
	Giant Kind = "giant"
	// InvalidUTF8 puts a byte 0xFF into the first text value of the true body.
	InvalidUTF8 Kind = "invalid-utf8"
	// Replace changes the first Old in the true body to New: drifted schemas,
	// double keys, NUL, numbers like 1e400.
	Replace Kind = "replace"
	// Double shows a record of the list Old twice in the true body, the first one with Body in it, the second time
	// with the member New changed: one id, two contents. Without New it is the very same record twice.
	Double Kind = "double"
	// WrongSubject makes the simulator answer with somebody else's data.
	WrongSubject Kind = "wrong-subject"
	// ErrorIn200 answers 200 with Body, by default {"error":"rate_limit_exceeded"}.
	ErrorIn200 Kind = "error-200"
	// ExpireTokens makes all live tokens of the provider invalid, the call's
	// own included, and lets the call go on.
	ExpireTokens Kind = "expire-tokens"
	// ExpiresIn makes a token answer carry Body as its expires_in, JSON as it
	// stands ("\"3600\"", "3599.5", "0", "null", "-1"), or none for an empty Body.
	ExpiresIn Kind = "expires-in"
	// Hang never answers: the call ends when the caller gives up.
	Hang Kind = "hang"
)

var kinds = []Kind{AnswerStatus, SlowHeader, Drip, Truncate, Cut, Reset, Redirect, Bomb, Giant, InvalidUTF8,
	Replace, Double, WrongSubject, ErrorIn200, ExpireTokens, ExpiresIn, Hang}

// Action says what to do with a call that a rule picked.
type Action struct {
	Kind        Kind       `json:"kind"`
	Status      int        `json:"status,omitempty"`
	RetryAfter  RetryAfter `json:"retry_after,omitzero"`
	Body        string     `json:"body,omitempty"`
	ContentType string     `json:"content_type,omitempty"` // application/json when empty
	// OneSubject narrows the announced pause to the call's subject: the provider
	// limits this consent or account, not the client.
	OneSubject bool   `json:"one_subject,omitempty"`
	DelayMS    int    `json:"delay_ms,omitempty"`
	Chunk      int    `json:"chunk,omitempty"`
	Keep       int    `json:"keep,omitempty"`
	Size       int64  `json:"size,omitempty"`
	Target     string `json:"target,omitempty"`
	Old        string `json:"old,omitempty"`
	New        string `json:"new,omitempty"`
	// Work lets the simulator do its work although its answer is thrown away.
	Work bool `json:"work,omitempty"`
}

// Rule picks calls. Every condition that is set must hold; a call gets the
// first rule, in the order they were added, that picks it.
type Rule struct {
	// ID is chosen by Add when empty.
	ID       string `json:"id,omitempty"`
	Provider string `json:"provider,omitempty"`
	Method   string `json:"method,omitempty"`
	// PathPrefix is compared without regard to case.
	PathPrefix string `json:"path_prefix,omitempty"`
	Template   string `json:"template,omitempty"`
	Subject    string `json:"subject,omitempty"`
	Bucket     string `json:"bucket,omitempty"`
	// Only is "token" for token calls, "api" for all others, empty for both.
	Only string `json:"only,omitempty"`
	// After lets so many matching calls pass first; Times ends the rule after
	// so many faults (0: never); Every picks each so many-th of the rest (0: all).
	After int `json:"after,omitempty"`
	Times int `json:"times,omitempty"`
	Every int `json:"every,omitempty"`
	// Probability picks by chance (0: always). The draw depends on the seed,
	// the call's path and how often that path has come, not on which worker was
	// first, so a run with many workers draws the same.
	Probability float64 `json:"probability,omitempty"`
	Action      Action  `json:"action"`
}

// Fault is an action that a rule has picked for one call.
type Fault struct {
	Rule string
	Action
}

// Faults holds the rules. They may change while calls are served.
type Faults struct {
	mu    sync.Mutex
	seed  uint64
	added int
	rules []*armed
}

type armed struct {
	Rule
	seen, fired int
	paths       map[string]uint64 // how often each path came; only for Probability
}

// NewFaults returns an empty set whose chances follow seed.
func NewFaults(seed uint64) *Faults { return &Faults{seed: seed} }

// Add puts a rule at the end and returns its id. A rule with the id of another
// takes its place and counts anew.
func (f *Faults) Add(r Rule) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.added++
	if r.ID == "" {
		r.ID = fmt.Sprintf("rule-%d", f.added)
	}
	a := &armed{Rule: r, paths: make(map[string]uint64)}
	if i := slices.IndexFunc(f.rules, func(o *armed) bool { return o.ID == r.ID }); i >= 0 {
		f.rules[i] = a
		return r.ID, nil
	}
	f.rules = append(f.rules, a)
	return r.ID, nil
}

func (r Rule) check() error {
	switch {
	case !slices.Contains(kinds, r.Action.Kind):
		return fmt.Errorf("fault rule: unknown kind %q, use one of %v", r.Action.Kind, kinds)
	case r.Action.Kind == AnswerStatus && (r.Action.Status < 200 || r.Action.Status > 599):
		return fmt.Errorf("fault rule: status %d is not an HTTP status", r.Action.Status)
	case !slices.Contains([]string{"", "token", "api"}, r.Only):
		return fmt.Errorf("fault rule: only is %q, use token or api", r.Only)
	case r.Probability < 0, r.Probability > 1:
		return errors.New("fault rule: probability must be between 0 and 1")
	}
	return nil
}

// Remove takes a rule away and reports whether it was there.
func (f *Faults) Remove(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.rules)
	f.rules = slices.DeleteFunc(f.rules, func(a *armed) bool { return a.ID == id })
	return len(f.rules) < before
}

// Clear takes all rules away.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Rules lists the rules in force.
func (f *Faults) Rules() []Rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Rule, len(f.rules))
	for i, a := range f.rules {
		out[i] = a.Rule
	}
	return out
}

// Fired says how often a rule has struck.
func (f *Faults) Fired(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.rules {
		if a.ID == id {
			return a.fired
		}
	}
	return 0
}

// Match counts the call against the rules and returns the fault that strikes
// it, or nil.
func (f *Faults) Match(call Call, r *http.Request) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.rules {
		if a.matches(call, r) && a.strikes(f.seed, r) {
			return &Fault{Rule: a.ID, Action: a.Action}
		}
	}
	return nil
}

func (r Rule) matches(call Call, req *http.Request) bool {
	for _, of := range []struct{ wanted, got string }{
		{r.Provider, call.Provider},
		{r.Method, req.Method},
		{r.Template, call.Template},
		{r.Subject, call.Subject},
		{r.Bucket, call.Bucket},
		{r.Only, only(call)},
	} {
		if of.wanted != "" && of.wanted != of.got {
			return false
		}
	}
	path := req.URL.Path
	return strings.EqualFold(path[:min(len(path), len(r.PathPrefix))], r.PathPrefix)
}

// only is the word by which a rule picks calls like this one.
func only(call Call) string {
	if call.Token {
		return "token"
	}
	return "api"
}

func (a *armed) strikes(seed uint64, r *http.Request) bool {
	a.seen++
	over := a.Times > 0 && a.fired >= a.Times
	if over || a.seen <= a.After {
		return false
	}
	if a.Every > 1 && (a.seen-a.After)%a.Every != 0 {
		return false
	}
	if a.Probability > 0 {
		key := r.Method + " " + r.URL.RequestURI()
		a.paths[key]++
		draw := float64(Mix(MixString(seed, a.ID), MixString(seed, key), a.paths[key])>>11) / (1 << 53)
		if draw >= a.Probability {
			return false
		}
	}
	a.fired++
	return true
}

type faultKey struct{}

func withFault(r *http.Request, f *Fault) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), faultKey{}, f))
}

// FaultOf is the fault of a kind that strikes the request, for those kinds that
// the simulator itself has to act out; false if there is none.
func FaultOf(r *http.Request, kind Kind) (Action, bool) {
	f, _ := r.Context().Value(faultKey{}).(*Fault)
	if f == nil || f.Kind != kind {
		return Action{}, false
	}
	return f.Action, true
}
