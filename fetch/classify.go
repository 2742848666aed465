package fetch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"

	"syncer/calls"
	"syncer/fetch/jsonread"
	"syncer/finance"
)

// What an attempt has brought is judged here and nowhere else: a send without an answer by noAnswer, an answer by
// judge, which asks the provider's code and then the rules of the stack. What a status means stands in ofStatus.

// ofStatus is what a status means by itself. asked says that the answer wants us to wait.
//
// A 304 is an answer without content. We never ask by a condition, so something on the way has given what
// it keeps for somebody else.
func ofStatus(status int, asked bool) finance.Class {
	switch {
	case unfinished(status) != "" || status == http.StatusNotModified:
		return finance.Transient
	case isSuccess(status):
		return finance.OK
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return finance.Throttled
	case status >= 500 && asked:
		return finance.Throttled
	case status >= 500:
		return finance.Transient
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusLocked:
		return finance.Transient
	case status == http.StatusUnauthorized:
		return finance.TokenDenied
	case status >= 400:
		return finance.Rejected
	}
	return finance.Fatal
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }

// unfinished is why an answer with the status is not the whole of what was asked for; empty: the status
// does not say so. What a 2xx means that is not named here is not known, so it is not believed.
func unfinished(status int) string {
	switch status {
	case http.StatusOK, http.StatusCreated, http.StatusNonAuthoritativeInfo, http.StatusNoContent:
		return ""
	case http.StatusAccepted:
		return "the answer is not ready yet (status 202)"
	case http.StatusResetContent:
		return "an answer without content (status 205)"
	case http.StatusPartialContent:
		return "the answer is a part of one (status 206)"
	case http.StatusMultiStatus:
		return "an answer of parts with a status each (status 207)"
	case http.StatusIMUsed:
		return "the answer is a difference to another one (status 226)"
	}
	if isSuccess(status) {
		return fmt.Sprintf("a success of which it is not known what it shows (status %d)", status)
	}
	return ""
}

// class is what the answer's status means.
func (a *Answer) class() finance.Class {
	if isSuccess(a.Status) && a.Unfinished() == "" {
		return finance.OK
	}
	return ofStatus(a.Status, a.Announced().Asked)
}

// ByStatus is what an answer's status means where the provider has said nothing more particular. A
// connector asks it for the statuses that it has no words of its own for, and adds the reason and the
// correlation.
//
// A 200 whose body is no JSON object, as far as its ends and its brackets tell, is transient: a page of a
// proxy, or an answer that was cut without its Content-Length to tell.
func ByStatus(a *Answer) finance.Class { return ByStatusOf(a, "{") }

// ByStatusOf is ByStatus for an answer whose JSON may begin with any of openings: { for an object, [ for a
// list.
func ByStatusOf(a *Answer, openings string) finance.Class {
	class := a.class()
	if class != finance.OK || a.Status == http.StatusNoContent {
		return class
	}
	if jsonread.Misshapen(a.Body, openings) != "" {
		return finance.Transient
	}
	return finance.OK
}

// judge asks the provider's code what an answer means, and corrects it where the stack has a rule of its own.
func (r *request) judge(a *Answer) (v Meaning) {
	defer func() {
		if p := recover(); p != nil { // its value may hold a piece of the body
			v = Meaning{Class: finance.Malformed, Reason: "the connector panicked while it classified the answer"}
			r.c.opt.Log.Error().Str("path", r.path).Bytes("stack", debug.Stack()).Msg("a connector's Classify panicked")
		}
	}()
	if isSuccess(a.Status) {
		if why := r.c.overfull(a.Body); why != "" {
			return Meaning{Class: finance.Malformed, Reason: why}
		}
	}
	v = r.classify(a)
	if v.Class == "" {
		v.Class = a.class()
	}
	if isSuccess(a.Status) && (v.Class == finance.OK || v.Class == finance.Rejected) {
		r.errorInGood(a, &v)
	}
	toldInside(a, &v)
	r.commonRules(a, &v)
	if v.Class != finance.OK {
		v.explain(a)
	}
	return v
}

// explain gives a meaning its reason where the connector has none. Of a 2xx that is no JSON, or is cut off,
// the stack says what it was: what a connector takes there for the provider's words is a piece of it.
func (v *Meaning) explain(a *Answer) {
	status := fmt.Sprintf("status %d", a.Status)
	useless := v.Class == finance.Transient || v.Class == finance.Malformed
	if isSuccess(a.Status) && useless && a.Unfinished() == "" && a.Status != http.StatusNoContent {
		if what := jsonread.Misshapen(a.Body, "{["); what != "" {
			v.Reason = what + " in an answer with " + status
			return
		}
		orDefault(&v.Reason, jsonread.Describe(a.Body)+" in an answer with "+status)
	}
	if a.Status == http.StatusNotModified {
		orDefault(&v.Reason, "an answer without content, as if we had asked on a condition (status 304)")
	}
	orDefault(&v.Reason, a.Unfinished())
	orDefault(&v.Reason, status)
}

// commonRules are those that no provider's code can set aside.
func (r *request) commonRules(a *Answer, v *Meaning) {
	named := a.Announced().Pause > 0 || v.RetryAfter > 0
	switch {
	case a.Status >= 300 && a.Status < 400 && a.Status != http.StatusNotModified:
		v.Class = finance.Fatal
		orDefault(&v.Reason, fmt.Sprintf("redirected with status %d; redirects are never followed", a.Status))
		return
	case a.Status == http.StatusTooManyRequests:
		v.Class = finance.Throttled
		return
	case a.Status >= 500 && v.Class == finance.Transient && named:
		v.Class = finance.Throttled
	case a.Status >= 500 && v.Class == finance.Throttled && !named:
		// Only a 5xx that names a time was turned away on purpose. Without one it counts for the breaker, and a
		// single-use call may have been spent.
		v.Class = finance.Transient
	}
	if !r.once || v.Class != finance.Transient || turnedAway(a.Status) {
		return
	}
	v.Class = finance.Unanswered // a gateway's 502 does not tell whether the consent was spent
	if isSuccess(a.Status) {
		v.Class = finance.Malformed // it is stored, and would be read in the same way again
	}
}

// errorInGood corrects the meaning of a 2xx whose body is an error and nothing else. A refusal for the rate is told, or
// else is a bad moment where the connector saw no error. The answer of a single-use call stays what it is: it is
// stored, and whether the consent is spent is not known.
func (r *request) errorInGood(a *Answer, v *Meaning) {
	alone, limited := errorAlone(a.Body)
	switch {
	case !alone:
		return
	case limited && !r.once:
		v.Class = finance.Throttled
	case v.Class == finance.OK:
		v.Class = finance.Transient
	}
	orDefault(&v.Reason, fmt.Sprintf("an error in an answer with status %d", a.Status))
}

// besideError are the members that may stand beside an error in an answer that holds nothing else.
var besideError = map[string]bool{
	"error": true, "error_description": true, "error_uri": true, "message": true, "code": true, "errorCode": true,
	"status": true, "statusCode": true, "path": true, "timestamp": true, "detail": true, "retry_after": true,
	"trace_id": true, "traceId": true, "correlation_id": true, "correlationId": true, "request_id": true, "requestId": true,
}

// limitWords are how an error says that there were too many calls.
var limitWords = regexp.MustCompile(`(?i)rate[ _-]?limit|throttl|too[ _-]?many[ _-]?requests`)

// longestError is how many bytes a body may have that is read for the members of an error.
const longestError = 4 << 10

// errorAlone says whether a body is a JSON object with an error and nothing else, and whether that is about the rate.
func errorAlone(body []byte) (alone, limited bool) {
	var members map[string]json.RawMessage
	if len(body) > longestError || !bytes.Contains(body, []byte(`"error"`)) || json.Unmarshal(body, &members) != nil {
		return false, false
	}
	for name := range members {
		if !besideError[name] {
			return false, false
		}
	}
	switch string(members["error"]) {
	case "", "null", "false", `""`, "0", "{}":
		return false, false
	}
	return true, limitWords.Match(body)
}

// ErrorBeside is why a 2xx without a record does not show that there are none: it has an error beside its empty lists.
// Empty: it has not.
func (a *Answer) ErrorBeside() string {
	var members map[string]any
	if !isSuccess(a.Status) || !bytes.Contains(a.Body, []byte(`"error"`)) || json.Unmarshal(a.Body, &members) != nil {
		return ""
	}
	if saysFine(members["error"]) {
		return ""
	}
	return fmt.Sprintf("an error beside no records in an answer with status %d", a.Status)
}

// saysFine says that what stands under error tells of none. Some APIs always send the member: empty, or with a code and a
// message that nothing is wrong.
func saysFine(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0 || v == http.StatusOK
	case string:
		return fineWords.MatchString(v)
	case []any:
		return !slices.ContainsFunc(v, func(of any) bool { return !saysFine(of) })
	case map[string]any:
		for name, of := range v {
			if name != "success" && !saysFine(of) { // "success": true
				return false
			}
		}
		return v["success"] != false
	}
	return false
}

// fineWords are texts that tell of no error.
var fineWords = regexp.MustCompile(`(?i)^\s*(0*|200|ok|success|none|null|nil|false|no|no[ _-]?errors?)\s*\.?$`)

// noAnswer is what a send means that brought no complete answer.
func (r *request) noAnswer(ctx context.Context, got reply) Meaning {
	v := Meaning{Class: finance.Transient, Reason: got.err.Error()}
	if got.halt != notHalted {
		v.Reason = got.halt.String()
	}
	if ne, ok := errors.AsType[net.Error](got.err); ok && ne.Timeout() || errors.Is(got.err, context.DeadlineExceeded) {
		v.Reason = fmt.Sprintf("no complete answer within %s", r.limits.timeout)
	}
	if dns, ok := errors.AsType[*net.DNSError](got.err); ok {
		v.Reason = "dns: " + dns.Name + " can't be resolved"
	}
	switch {
	case errors.Is(got.err, errTooLarge), errors.Is(got.err, errEncoding):
		if r.purpose != calls.ForToken { // there it is no OAuth2 error, and passes like any other page
			v.Class = finance.Malformed
		}
	case errors.Is(got.err, errPrivate), !got.maybeSent && isTLS(got.err):
		v.Class = finance.Fatal
	case ctx.Err() != nil && !r.once:
		v.Class = finance.Interrupted
		v.Reason = "the caller has left"
	}
	if r.once && got.maybeSent {
		v.Class = finance.Unanswered
	}
	if r.purpose == calls.ForToken && v.Class != finance.Interrupted { // or an item seems to have failed by its data call
		v.Reason = "the token endpoint: " + v.Reason
	}
	return v
}
