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
	"syncer/fetch/wire"
	"syncer/finance"
)

// What an attempt has brought is judged here and nowhere else: a send without an answer by noAnswer, an answer by
// judge, which asks the provider's code and then the rules of the stack. What a status means stands in ofStatus.

// ofStatus is what a status means by itself. asked says that the answer wants us to wait.
//
// A 304 is an answer without content. We never ask by a condition, so something on the way has given what
// it keeps for somebody else.
func ofStatus(status int, asked bool) finance.Class {
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return finance.Throttled
	case http.StatusNotModified, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusLocked:
		return finance.Transient
	case http.StatusUnauthorized:
		return finance.TokenDenied
	}
	switch {
	case status >= 500 && asked:
		return finance.Throttled
	case status >= 500, unfinished(status) != "":
		return finance.Transient
	case isSuccess(status):
		return finance.OK
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
	if class != finance.OK || a.hasNoContent() {
		return class
	}
	if jsonread.Misshapen(a.Body, openings) != "" {
		return finance.Transient
	}
	return finance.OK
}

// hasNoContent says that the answer has no body, in so many words.
func (a *Answer) hasNoContent() bool { return a.Status == http.StatusNoContent }

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
	if isSuccess(a.Status) && slices.Contains([]finance.Class{finance.OK, finance.Rejected}, v.Class) {
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
	if v.isUseless() && a.shouldHaveData() {
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

// isUseless says that nothing can be made of what an answer holds.
func (v *Meaning) isUseless() bool {
	return v.Class == finance.Transient || v.Class == finance.Malformed
}

// shouldHaveData says that by its status the answer has all that was asked for.
func (a *Answer) shouldHaveData() bool {
	if a.hasNoContent() || !isSuccess(a.Status) {
		return false
	}
	return a.Unfinished() == ""
}

// commonRules are those that no provider's code can set aside.
func (r *request) commonRules(a *Answer, v *Meaning) {
	switch {
	case isRedirect(a.Status):
		v.Class = finance.Fatal
		orDefault(&v.Reason, fmt.Sprintf("redirected with status %d; redirects are never followed", a.Status))
		return
	case a.Status == http.StatusTooManyRequests:
		v.Class = finance.Throttled
		return
	case a.Status >= 500:
		v.byNamedTime(a)
	}
	if r.once && v.Class == finance.Transient {
		v.Class = ofSingleUse(a.Status)
	}
}

// isRedirect says that a status leads elsewhere.
func isRedirect(status int) bool {
	if status < 300 || status >= 400 {
		return false
	}
	return status != http.StatusNotModified
}

// byNamedTime tells a 5xx that was turned away on purpose, which names a time, from one that counts for the breaker, and may
// have spent a single-use consent.
func (v *Meaning) byNamedTime(a *Answer) {
	named := v.RetryAfter > 0 || a.Announced().Pause > 0
	switch v.Class {
	case finance.Transient, finance.Throttled:
		v.Class = finance.Transient
		if named {
			v.Class = finance.Throttled
		}
	}
}

// ofSingleUse is what a bad moment means for a call that may have spent its consent.
func ofSingleUse(status int) finance.Class {
	switch {
	case turnedAway(status):
		return finance.Transient
	case isSuccess(status):
		return finance.Malformed // it is stored, and would be read in the same way again
	}
	return finance.Unanswered // a gateway's 502 does not tell whether the consent was spent
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
	if len(body) > longestError {
		return false, false
	}
	members := withError[json.RawMessage](body)
	if members == nil {
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

// withError are the members of a JSON object that may have one of this name; nil: it is no such object.
func withError[T any](body []byte) (members map[string]T) {
	if !bytes.Contains(body, []byte(`"error"`)) {
		return nil
	}
	if json.Unmarshal(body, &members) != nil {
		return nil
	}
	return members
}

// ErrorBeside is why a 2xx without a record does not show that there are none: it has an error beside its empty lists.
// Empty: it has not.
func (a *Answer) ErrorBeside() string {
	if !isSuccess(a.Status) {
		return ""
	}
	members := withError[any](a.Body)
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
		return slices.Contains([]float64{0, http.StatusOK}, v)
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
	v := Meaning{Class: finance.Transient, Reason: r.whyNone(got)}
	switch {
	case isUnreadable(got.err):
		if r.purpose != calls.ForToken { // there it is no OAuth2 error, and passes like any other page
			v.Class = finance.Malformed
		}
	case errors.Is(got.err, wire.ErrPrivate), !got.maybeSent && wire.IsTLS(got.err):
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

// isUnreadable says that an answer came which is not taken.
func isUnreadable(err error) bool {
	return errors.Is(err, wire.ErrTooLarge) || errors.Is(err, wire.ErrEncoding)
}

// whyNone says why there is no complete answer, without an address.
func (r *request) whyNone(got reply) string {
	if dns, ok := errors.AsType[*net.DNSError](got.err); ok {
		return "dns: " + dns.Name + " can't be resolved"
	}
	if isTimeout(got.err) {
		return fmt.Sprintf("no complete answer within %s", r.limits.timeout)
	}
	if got.halt != wire.NotHalted {
		return got.halt.String()
	}
	return got.err.Error()
}

func isTimeout(err error) bool {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}
