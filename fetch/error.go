package fetch

import (
	"errors"
	"fmt"
	"time"

	"syncer/calls"
	"syncer/finance"
)

// Error is why a request brought no usable answer. Its text names what was attempted, on what, and the provider's
// words; never a token, a body or a national id.
type Error struct {
	Class       finance.Class
	Op          string // what was attempted, such as "GET /v1/debt/{consent}"
	Connection  string
	Reason      string
	Status      int                   // the HTTP status of the deciding attempt; 0: there was no answer, or none was asked for
	Correlation string                // the provider's id of the call
	Call        finance.CallID        // the deciding attempt; zero: nothing was sent
	Wait        time.Duration         // Throttled: how long the bucket stays closed; the batch is parked for it
	Bucket      string                // Throttled: the bucket that is closed
	Told        string                // Throttled: why the bucket is closed: "retry-after", "rate-limit", calls.PauseByBreaker ...
	Alone       bool                  // Throttled: the consent or the account is to wait, and nobody else
	Consent     finance.ConsentStatus // ConsentOver: what the consent is now
	Named       bool                  // ConsentOver: see Meaning.Named
	Purpose     calls.Purpose         // of the call that was asked for
	Again       bool                  // Transient, or Alone: one try was to be made, and more are allowed; see calls.Task.OneTry
	Unasked     bool                  // our own store refused the call, so it says nothing of the provider
	Credentials string                // TokenDenied, Fatal: the credentials that were refused, see Client.Credentials; empty: it is not they
	Other       bool                  // Malformed: the answer is about another subject than was asked for
	Err         error
}

// WrongSubject is what a decoder fails with when an answer is about somebody else than was asked for. Nothing of it may
// be stored, and it is the sign of a fault that may concern everybody: see Error.Other. Walk adds which answer it was.
func WrongSubject(how string) error {
	return &Error{Class: finance.Malformed, Reason: "wrong subject: " + how, Other: true}
}

// ToldByNobody is the reason of a pause behind one request's own throttles, none of which named a time.
const ToldByNobody = "throttled without a Retry-After"

// Error is one line.
func (e *Error) Error() string {
	if e.Op == "" { // a decoder's, which Walk has not taken yet
		return e.Reason
	}
	s := fmt.Sprintf("%s on %s: %s", e.Op, e.Connection, e.Class)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Wait > 0 {
		s += fmt.Sprintf(" (closed for another %s)", e.Wait.Round(time.Second))
	}
	if e.Correlation != "" {
		s += " (provider's id " + e.Correlation + ")"
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// unopened gives an error of our own the class that ends its item where something sealed can't be
// opened: tried again, it would be as closed as before, and hold up its batch for ever.
func (e *Error) unopened() *Error {
	if errors.Is(e.Err, finance.ErrUnopened) {
		e.Class = finance.Malformed
		e.Reason = e.Reason + ": " + e.Err.Error()
		e.Err = nil
	}
	return e
}

// ClassOf is the class of an error that came out of this package, finance.Interrupted for anything else.
func ClassOf(err error) finance.Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return finance.Interrupted
}

// isFatal says that there is an error, and that no other call would fare better.
func (e *Error) isFatal() bool { return e != nil && e.Class == finance.Fatal }
