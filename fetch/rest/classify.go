package rest

import (
	"bytes"
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
		if v.Correlation == "" {
			v.Correlation = a.Header.Get(name)
		}
	}
	good := v.Class == finance.OK
	named := a.Status < http.StatusMultipleChoices && f.names(a.Status)
	if good && !named && !f.of.InSuccess && (len(f.trace) == 0 || v.Correlation != "") {
		return v
	}
	found := f.shape.look(a.Body)
	code := f.text(found, f.code)
	message := f.text(found, f.message)
	if v.Correlation == "" {
		v.Correlation = f.text(found, f.trace)
	}
	if good && !f.of.InSuccess {
		code = ""
	}
	if good && !named && code == "" {
		return v
	}
	if v.Reason = code; code == "" || message != "" && message != code {
		v.Reason = message
		if code != "" {
			v.Reason = code + ": " + message
		}
	}
	f.judge(&v, a, code, found, good)
	if v.Class == finance.OK && f.spoilt(a) { // a rule can say what a status means, and not that HTML is data
		v.Class = finance.Transient
		v.Reason = ""
	}
	if r != nil && r.Purpose == calls.ForCheck && slices.Contains(f.check.Accept, a.Status) &&
		v.Class != finance.Fatal && v.Class != finance.TokenDenied { // a check that passes with wrong credentials is none
		v.Class = finance.OK
		v.Status = ""
		v.Named = false
	}
	return v
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
	within := func(path string) bool { return path == "error" || strings.HasPrefix(path, "error.") }
	return f.of.InSuccess && slices.ContainsFunc(f.of.Code, within) && f.text(f.shape.look(a.Body), f.code) != ""
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
		rule := &f.of.Rules[i]
		if !rule.fits(a.Status, code, good) {
			continue
		}
		if v.Class = classes[rule.Class]; v.Class == finance.ConsentOver {
			v.Status = finance.ConsentRevoked
			v.Named = len(rule.Code) > 0
			if rule.Consent != "" {
				v.Status = finance.ConsentStatus(rule.Consent)
			}
		}
		v.Pauses = reaches[rule.Pauses]
		return
	}
	switch {
	case good && code == "": // no rule fits after all
		v.Reason = ""
		v.RetryAfter = 0
	case good:
		v.Class = finance.Rejected
	case v.RetryAfter > 0 && v.Class == finance.Transient && a.Status >= http.StatusMultipleChoices:
		v.Class = finance.Throttled
	}
}

func (r *Rule) fits(status int, code string, good bool) bool {
	if good && len(r.Code) == 0 && len(r.Status) == 0 {
		return false
	}
	return (len(r.Status) == 0 || slices.Contains(r.Status, status)) && (len(r.Code) == 0 || slices.Contains(r.Code, code))
}

func (f *faults) text(found values, slots []int) string {
	text, err := textOf(found.first(slots))
	if err != nil {
		return ""
	}
	return text
}
