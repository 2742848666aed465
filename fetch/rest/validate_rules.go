package rest

import (
	"net/http"
	"slices"

	"syncer/fetch"
)

// rules checks how errors are told. A rule that can never count is a mistake that nobody would notice
// before the night that it was written for.
func (k checker) rules(e *Errors) {
	for i := range e.Rules {
		rule := &e.Rules[i]
		path := join("errors.rules", itoa(i))
		if rule.isEmpty() {
			k.Fail(path, "a rule needs status, code, or both")
			continue
		}
		if len(rule.Code) > 0 && len(e.Code) == 0 {
			k.Fail(join(path, "code"), "nothing says where a code stands: give errors.code")
		}
		for _, status := range rule.Status {
			k.status(join(path, "status"), status)
			k.counts(join(path, "status"), status, rule, e.InSuccess)
		}
		if rule.Consent != "" && rule.Class != "consent" {
			k.Fail(join(path, "consent"), "this is for class consent")
		}
		if rule.Pauses != "" && !slices.Contains([]string{"throttled", "transient"}, rule.Class) {
			k.Fail(join(path, "pauses"), "this is for class throttled, or transient where the answer names a time")
		}
		if by := rule.hiddenBy(e.Rules[:i]); by >= 0 {
			k.Fail(path, "this rule never counts: all that it fits is met by errors.rules.%d, and the first that fits "+
				"counts", by)
		}
	}
}

// counts checks that a rule counts for a status that it names.
func (k checker) counts(path string, status int, rule *Rule, inSuccess bool) {
	switch {
	case status == http.StatusTooManyRequests:
		if rule.Class != "throttled" {
			k.Fail(path, "this never counts: 429 is about the rate whatever else is said, so its class is throttled")
		}
	case isRedirect(status):
		if rule.Class != "fatal" {
			k.Fail(path, "this never counts: a redirect (%d) is never followed, and parks the connection", status)
		}
	case isBodiless(status) && len(rule.Code) > 0:
		k.Fail(path, "this never counts: an answer with status %d has no body for a code to stand in", status)
	case status == http.StatusNotModified:
		if rule.Class == "ok" {
			k.Fail(path, "304 does not say that there are no records")
		}
	case isGood(status):
		k.countsInSuccess(path, status, rule, inSuccess)
	}
}

// countsInSuccess checks that a rule counts for a status of answers that are taken for what was asked for.
func (k checker) countsInSuccess(path string, status int, rule *Rule, inSuccess bool) {
	coded := len(rule.Code) > 0
	switch {
	case coded && !inSuccess:
		k.Fail(path, "this never counts: a code in a good answer (%d) is looked for only with errors.in_success: true",
			status)
	case !coded && status == http.StatusOK:
		k.Fail(path, "every good answer has status 200: give a code too, or leave 200 out")
	}
}

// decided refuses a status whose meaning nothing in a description changes.
func (k checker) decided(path string, status int) {
	switch {
	case status == http.StatusTooManyRequests:
		k.Fail(path, "this never counts: 429 is always about the rate")
	case isRedirect(status):
		k.Fail(path, "this never counts: a redirect (%d) is never followed, and parks the connection", status)
	}
}

// beyond checks the statuses that say that there is no such page.
func (k checker) beyond(path string, statuses Statuses) {
	for _, status := range statuses {
		k.status(path, status)
		k.decided(path, status)
		if isGood(status) && status != http.StatusNoContent {
			k.Fail(path, "an answer with status %d has records, or shows by itself that there are none", status)
		}
	}
}

func isBodiless(status int) bool {
	return slices.Contains([]int{http.StatusNoContent, http.StatusResetContent, http.StatusNotModified}, status)
}

func isRedirect(status int) bool {
	return within(status, 300, 399) && status != http.StatusNotModified
}

// isGood says that an answer with the status is taken for what was asked for, unless it has the code of an
// error.
func isGood(status int) bool {
	a := fetch.Answer{Status: status}
	return within(status, 200, 299) && a.Unfinished() == ""
}

// hiddenBy is the place of an earlier rule that, perhaps with others, fits whatever the rule fits; -1: the
// rule counts.
func (r *Rule) hiddenBy(earlier []Rule) (by int) {
	statuses := []int(r.Status)
	codes := []string(r.Code)
	if len(statuses) == 0 {
		statuses = []int{0} // any
	}
	if len(codes) == 0 {
		codes = []string{""} // any
	}
	for _, status := range statuses {
		for _, code := range codes {
			by = slices.IndexFunc(earlier, func(o Rule) bool { return o.takes(status, code) })
			if by < 0 {
				return -1
			}
		}
	}
	return by
}

// takes says whether the rule fits every answer with a status, or any status for 0, and a code, or any code
// for none.
func (r *Rule) takes(status int, code string) bool {
	switch {
	case r.isEmpty():
		return false // told already
	case status == 0 && len(r.Status) > 0:
		return false
	case code == "" && len(r.Code) > 0:
		return false
	}
	return r.fitsStatus(status) && r.fitsCode(code)
}

// isEmpty says that the rule names neither a status nor a code.
func (r *Rule) isEmpty() bool { return len(r.Status)+len(r.Code) == 0 }

// fitsStatus says that the rule names the status, or none.
func (r *Rule) fitsStatus(status int) bool {
	return len(r.Status) == 0 || slices.Contains(r.Status, status)
}

// fitsCode says that the rule names the code, or none.
func (r *Rule) fitsCode(code string) bool {
	return len(r.Code) == 0 || slices.Contains(r.Code, code)
}
