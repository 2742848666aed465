package fetchtest

import (
	"fmt"
	"net/url"
	"testing"

	"syncer/fetch"
	"syncer/finance"
	"syncer/sandbox"
	"syncer/sandbox/sandboxtest"
)

// Simulated is the harness of a provider before its simulator, without what is the provider's alone: the streams, how a
// record is spoilt, how a consent is taken back, and what is secret.
func Simulated(t *testing.T, host *sandboxtest.Host, p fetch.Provider, conn fetch.Connection, consent finance.Consent) Harness {
	return Harness{
		Provider: p, Connection: conn, Consent: consent, Dial: host.Dial,
		Pause: func(after int, form string) func() {
			return host.Rule(t, sandbox.Rule{After: after, Times: 1, Action: Throttle(form)})
		},
		Instead: func(after, status int, body string) func() {
			action := sandbox.Action{Kind: sandbox.AnswerStatus, Status: status, Body: body}
			return host.Rule(t, sandbox.Rule{After: after, Action: action})
		},
		Expire: func(after, times int) func() {
			return host.Rule(t, sandbox.Rule{After: after, Times: times, Action: sandbox.Action{Kind: sandbox.ExpireTokens}})
		},
		Impostor: func() func() { return host.Rule(t, sandbox.Rule{Action: sandbox.Action{Kind: sandbox.WrongSubject}}) },
		Now:      host.Kit.Clock.Now,
		Calendar: "Europe/Oslo", // which all simulators share, those in Stockholm too
		Arrivals: func() (paths []string) {
			for _, e := range host.Kit.Journal.Entries() {
				paths = append(paths, e.Path)
			}
			return paths
		},
	}
}

// Replaced is a Spoil for a simulator: it replaces the first old in the next answer.
func Replaced(t *testing.T, host *sandboxtest.Host, old, spoilt string) (undo func()) {
	return host.Rule(t, sandbox.Rule{Times: 1, Action: sandbox.Action{Kind: sandbox.Replace, Old: old, New: spoilt}})
}

// Inserted is an Insert for a simulator: it puts the members before the first of that name.
func Inserted(t *testing.T, host *sandboxtest.Host, name, members string) (undo func()) {
	return Replaced(t, host, name, members+name)
}

// Doubled is a Double for a simulator: it shows the first record of a list twice, the second time with a member changed.
func Doubled(t *testing.T, host *sandboxtest.Host, list, member string, changed bool) (undo func()) {
	if !changed {
		member = ""
	}
	return host.Rule(t, sandbox.Rule{Times: 1, Only: "api",
		Action: sandbox.Action{Kind: sandbox.Double, Old: list, New: member}})
}

// RefusedPath is a Refuse for a simulator: it answers whatever is asked for below a path with a status.
func RefusedPath(t *testing.T, host *sandboxtest.Host, path string, status int) (undo func()) {
	return host.Rule(t, sandbox.Rule{PathPrefix: path, Action: sandbox.Action{Kind: sandbox.AnswerStatus, Status: status}})
}

// Browse is a person's browser before a simulator: it opens the link and gives the parameters with which it is sent
// back to the redirect URI.
func Browse(t testing.TB, link, redirect string) url.Values {
	t.Helper()
	r := sandboxtest.Do(t, "GET", link, "")
	where, err := url.Parse(r.Header.Get("Location"))
	if err != nil || r.Status != 302 {
		t.Fatalf("the browser got status %d, %v", r.Status, err)
	}
	to, err := url.Parse(redirect)
	if err != nil || where.Scheme != to.Scheme || where.Host != to.Host || where.Path != to.Path {
		t.Fatalf("the browser was sent to %q, %v", where, err)
	}
	return where.Query()
}

// Throttle is how a simulator asks for a pause in a form of Harness.Pause.
func Throttle(form string) sandbox.Action {
	refusal := sandbox.Action{Kind: sandbox.AnswerStatus, Status: 429, RetryAfter: sandbox.RetryAfter{Seconds: 1, Form: form}}
	switch form {
	case "body":
		return sandbox.Action{Kind: sandbox.ErrorIn200}
	case "words":
		const words = "Rate limit is exceeded. Try again in 1 seconds."
		refusal.RetryAfter = sandbox.RetryAfter{}
		refusal.Body = fmt.Sprintf(`{"statusCode":429,"message":%q,"detail":%q}`, words, words)
	case "reset":
		refusal.RetryAfter = sandbox.RetryAfter{Seconds: 1, Header: "X-RateLimit-Reset"}
		refusal.Body = `{"statusCode":429,"message":"Too many requests."}` // some simulators would tell a time there
	}
	return refusal
}
