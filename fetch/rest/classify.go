package rest

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strings"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// classes are the words of rules.
var classes = map[string]finance.Class{
	"ok": finance.OK, "throttled": finance.Throttled, "transient": finance.Transient, "token": finance.TokenDenied,
	"consent": finance.ConsentOver, "rejected": finance.Rejected, "withheld": finance.Withheld, "fatal": finance.Fatal,
}

// reaches are the words of pauses.
var reaches = map[string]fetch.Reach{
	"consent": fetch.ReachConsent, "account": fetch.ReachAccount, "connection": fetch.ReachAll, "": fetch.ReachAll,
}

// faults says what the answers of an API mean.
type faults struct {
	of          *Errors
	correlation *Correlation
	check       *Check
	bare        bool // a dataset's answer is a list without an object around it

	shape   *shape
	code    []int
	message []int
	wait    wait
	trace   []int
}

func newFaults(d *Description, readings map[finance.Dataset]*compiledReading) *faults {
	f := &faults{of: &d.Errors, correlation: &d.Correlation, check: &d.Check, shape: newShape()}
	f.code, f.message = f.shape.slots(d.Errors.Code), f.shape.slots(d.Errors.Message)
	f.wait, f.trace = newWait(&d.Errors.RetryAfter, f.shape), f.shape.slots(d.Correlation.Body)
	for _, p := range readings {
		f.bare = f.bare || p.envelope.root.list > 0
	}
	return f
}

func (f *faults) classify(r *fetch.Request, a *fetch.Answer) fetch.Meaning {
	v := fetch.Meaning{Class: fetch.ByStatusOf(a, f.openings())}
	if r != nil && slices.Contains(r.Empty, a.Status) {
		v.Class = finance.OK
	}
	for _, name := range f.correlation.Headers {
		v.Correlation = cmp.Or(v.Correlation, a.Header.Get(name))
	}
	good := v.Class == finance.OK
	if good && f.passes(a, &v) {
		return v
	}
	found := f.shape.look(a.Body)
	v.Correlation = cmp.Or(v.Correlation, f.text(found, f.trace))
	code := ""
	if !good || f.of.InSuccess {
		code = f.text(found, f.code)
	}
	if good && code == "" && !f.namesGood(a.Status) {
		return v
	}
	v.Reason = reasonOf(code, f.text(found, f.message))
	f.judge(&v, a, code, found, good)
	if v.Class == finance.OK && f.spoilt(a) { // a rule can say what a status means, and not that HTML is data
		v.Class = finance.Transient
		v.Reason = ""
	}
	if f.accepts(r, a.Status, v.Class) {
		v.Class = finance.OK
		v.Status = ""
		v.Named = false
	}
	return v
}

// passes says that nothing in the body of a good answer can change what it means, or is wanted of it.
func (f *faults) passes(a *fetch.Answer, v *fetch.Meaning) bool {
	if f.of.InSuccess || f.namesGood(a.Status) {
		return false
	}
	return len(f.trace) == 0 || v.Correlation != ""
}

// namesGood says that a rule names a status of answers that are no refusal.
func (f *faults) namesGood(status int) bool {
	return status < http.StatusMultipleChoices && f.names(status)
}

// reasonOf is the code with the message that explains it, or one of them.
func reasonOf(code, message string) string {
	switch {
	case code == "":
		return message
	case message == "", message == code:
		return code
	}
	return code + ": " + message
}

// accepts says that the check of a connection takes an answer for good. Not where the credentials are wrong: a check that
// passes with them is none.
func (f *faults) accepts(r *fetch.Request, status int, class finance.Class) bool {
	if r == nil || r.Purpose != calls.ForCheck {
		return false
	}
	if !slices.Contains(f.check.Accept, status) {
		return false
	}
	return class != finance.Fatal && class != finance.TokenDenied
}

// alone says that some rule pauses one consent or account alone.
func (e *Errors) alone() bool {
	return slices.ContainsFunc(e.Rules, func(r Rule) bool { return reaches[r.Pauses] != fetch.ReachAll })
}

// names says whether a rule names a status.
func (f *faults) names(status int) bool {
	return slices.ContainsFunc(f.of.Rules, func(r Rule) bool { return slices.Contains(r.Status, status) })
}

// judged says that what a good answer has under error is a code that the rules were asked about.
func (f *faults) judged(a *fetch.Answer) bool {
	if !f.of.InSuccess || !slices.ContainsFunc(f.of.Code, underError) {
		return false
	}
	return f.text(f.shape.look(a.Body), f.code) != ""
}

func underError(path string) bool {
	name, _, _ := strings.Cut(path, ".")
	return name == "error"
}

// spoilt says whether an answer of 2xx has a body that can't be read. One that says that it is not the
// whole answer, or that there is nothing, may have none.
func (f *faults) spoilt(a *fetch.Answer) bool {
	if a.Status >= http.StatusMultipleChoices {
		return false
	}
	mayBeEmpty := a.Status == http.StatusNoContent || a.Unfinished() != ""
	if len(bytes.TrimSpace(a.Body)) == 0 {
		return !mayBeEmpty
	}
	return jsonread.Misshapen(a.Body, f.openings()) != ""
}

// openings are the characters that good answers begin with.
func (f *faults) openings() string {
	if f.bare {
		return "{["
	}
	return "{"
}

// judge finds the rule that fits. A code in a good answer that no rule knows is an error nevertheless.
func (f *faults) judge(v *fetch.Meaning, a *fetch.Answer, code string, found values, good bool) {
	v.RetryAfter = f.wait.in(a, found)
	for i := range f.of.Rules {
		if rule := &f.of.Rules[i]; rule.fits(a.Status, code, good) {
			rule.apply(v)
			return
		}
	}
	switch {
	case good && code == "": // no rule fits after all
		v.Reason = ""
		v.RetryAfter = 0
	case good:
		v.Class = finance.Rejected
	case a.Status < http.StatusMultipleChoices:
	case v.RetryAfter > 0 && v.Class == finance.Transient:
		v.Class = finance.Throttled
	}
}

// apply says what the rule says.
func (r *Rule) apply(v *fetch.Meaning) {
	v.Class = classes[r.Class]
	v.Pauses = reaches[r.Pauses]
	if v.Class != finance.ConsentOver {
		return
	}
	v.Status = finance.ConsentStatus(cmp.Or(r.Consent, string(finance.ConsentRevoked)))
	v.Named = len(r.Code) > 0
}

func (r *Rule) fits(status int, code string, good bool) bool {
	if good && r.isEmpty() {
		return false
	}
	return r.fitsStatus(status) && r.fitsCode(code)
}

func (f *faults) text(found values, slots []int) string {
	text, err := textOf(found.first(slots))
	if err != nil {
		return ""
	}
	return text
}
