package cambio

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

const person = "194609073277" // a published test person

func outcomeOf(code, text, diagnostics string) string {
	return `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"` + code + `","details":{"text":"` + text + `"},"diagnostics":"` + diagnostics + `"}]}`
}

func TestClassify(t *testing.T) {
	apim := func(status, message string) string {
		return `{"statusCode":` + status + `,"message":"` + message + `"}`
	}
	cosmic := func(words string) string {
		return `{"timestamp":1795000000000,"path":"/api/open/contacts/` + person + `","status":500,"error":"` + words + `"}`
	}
	fatal := func(reason string) fetch.Meaning { return fetch.Meaning{Class: finance.Fatal, Reason: reason} }
	missing := "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API."
	for _, c := range []struct {
		name     string
		template string
		status   int
		body     string
		want     fetch.Meaning
	}{
		{"a bundle", invoicesTemplate, 200, `{"resourceType":"Bundle"}`, fetch.Meaning{Class: finance.OK}},
		{"contacts", visitsTemplate, 200, " [] \n", fetch.Meaning{Class: finance.OK}},
		{"no contacts", visitsTemplate, 200, `{}`, fetch.Meaning{Class: finance.Transient}},
		{"a proxy's page", invoicesTemplate, 200, `<html>`, fetch.Meaning{Class: finance.Transient}},
		{"a cut list", visitsTemplate, 200, `[{"a":`, fetch.Meaning{Class: finance.Transient}},

		{"no key", visitsTemplate, 401, apim("401", missing), fatal(missing)},
		{"wrong key", invoicesTemplate, 401, apim("401", "Access denied due to invalid subscription key. ..."), fatal("Access denied due to invalid subscription key. ...")},
		{"bad token", visitsTemplate, 401, apim("401", "Invalid access token."), fetch.Meaning{Class: finance.TokenDenied, Reason: "Invalid access token."}},
		{"bad token, FHIR", invoicesTemplate, 401, outcomeOf("forbidden", "The authorization token was invalid", "TokenError"),
			fetch.Meaning{Class: finance.TokenDenied, Reason: "forbidden: The authorization token was invalid: TokenError"}},
		{"scope", visitsTemplate, 403, apim("403", "Insufficient scope."), fatal("Insufficient scope.")},
		{"scope, FHIR", invoicesTemplate, 403, outcomeOf("forbidden", "Insufficient scope", ""), fatal("forbidden: Insufficient scope")},
		{"our address", invoicesTemplate, 403, `<html>`, fatal("403 without an error of the gateway: is our address known to it?")},
		{"the patient is closed", visitsTemplate, 403, cosmic("The user has no access to patient " + person),
			fetch.Meaning{Class: finance.ConsentOver, Status: finance.ConsentReauthRequired, Reason: "The user has no access to patient [number]"}},
		{"the patient is closed, FHIR", invoicesTemplate, 403, outcomeOf("suppressed", "spärrad", "460907-3277"),
			fetch.Meaning{Class: finance.ConsentOver, Status: finance.ConsentReauthRequired, Reason: "suppressed: spärrad: [number]"}},

		{"rate, in words", visitsTemplate, 429, apim("429", "Rate limit is exceeded. Try again in 7 seconds."),
			fetch.Meaning{Class: finance.Throttled, Reason: "Rate limit is exceeded. Try again in 7 seconds.", RetryAfter: 7 * time.Second}},
		{"rate, in minutes", visitsTemplate, 429, apim("429", "Try again in 2 minutes."),
			fetch.Meaning{Class: finance.Throttled, Reason: "Try again in 2 minutes.", RetryAfter: 2 * time.Minute}},
		{"rate, without words", visitsTemplate, 429, ``, fetch.Meaning{Class: finance.Throttled, RetryAfter: 5 * time.Second}},
		{"rate, at once", visitsTemplate, 429, apim("429", "Try again in 0 seconds."),
			fetch.Meaning{Class: finance.Throttled, Reason: "Try again in 0 seconds.", RetryAfter: 5 * time.Second}},
		{"volume", visitsTemplate, 403, apim("403", "Out of call volume quota. Quota will be replenished in 01:02:03."),
			fetch.Meaning{Class: finance.Throttled, Reason: "Out of call volume quota. Quota will be replenished in 01:02:03.", RetryAfter: time.Hour + 2*time.Minute + 3*time.Second}},

		{"no route", visitsTemplate, 404, apim("404", "Resource not found"), fatal("the gateway has no such route; check fhir_path and rest_path: Resource not found")},
		{"no such patient", visitsTemplate, 404, cosmic("No patient found for 19460907-3277"), fetch.Meaning{Class: finance.OK, Reason: "No patient found for [number]"}},
		{"no such type", invoicesTemplate, 404, outcomeOf("not-found", "", "Unknown resource type 'Invoice'"), fatal("not-found: Unknown resource type 'Invoice'")},
		{"no such search", invoicesTemplate, 400, outcomeOf("not-supported", "", "by patient"), fatal("not-supported: by patient")},
		{"the spoilt GET", invoicesTemplate, 400, outcomeOf("processing", "", "Invalid search criteria"), fetch.Meaning{Class: finance.Rejected, Reason: "processing: Invalid search criteria"}},
		{"expired, 410", pageTemplate, 410, outcomeOf("not-found", "", "expired"), fetch.Meaning{Class: finance.OK, Reason: "the page has expired: not-found: expired"}},
		{"expired, 404", pageTemplate, 404, outcomeOf("not-found", "", "gone"), fetch.Meaning{Class: finance.OK, Reason: "the page has expired: not-found: gone"}},
		{"expired, 400", pageTemplate, 400, outcomeOf("processing", "", "gone"), fetch.Meaning{Class: finance.OK, Reason: "the page has expired: processing: gone"}},
		{"expired, in a foreign shape", pageTemplate, 410, ``, fetch.Meaning{Class: finance.OK, Reason: "the page has expired: "}},
		{"a page's route", pageTemplate, 404, apim("404", "Resource not found"), fatal("the gateway has no such route; check fhir_path and rest_path: Resource not found")},
		{"a search is not a page", invoicesTemplate, 410, outcomeOf("not-found", "", "gone"), fetch.Meaning{Class: finance.Rejected, Reason: "not-found: gone"}},
		{"by law", invoicesTemplate, 451, outcomeOf("suppressed", "", ""), fetch.Meaning{Class: finance.Withheld, Reason: "suppressed"}},

		{"outage", visitsTemplate, 500, cosmic("Internal Server Error"), fetch.Meaning{Class: finance.Transient, Reason: "Internal Server Error"}},
		{"outage, FHIR", invoicesTemplate, 500, outcomeOf("exception", "", "boom"), fetch.Meaning{Class: finance.Transient, Reason: "exception: boom"}},
		{"not implemented", invoicesTemplate, 501, outcomeOf("processing", "", "read"), fetch.Meaning{Class: finance.Rejected, Reason: "processing: read"}},
		{"closed", visitsTemplate, 503, ``, fetch.Meaning{Class: finance.Throttled}},
		{"moved", visitsTemplate, 302, ``, fetch.Meaning{Class: finance.Fatal}},

		{"an error in a 200", visitsTemplate, 200, cosmic("down"), fetch.Meaning{Class: finance.Transient, Reason: "down"}},
		{"a refusal in a 200", visitsTemplate, 200, apim("401", "Invalid access token."), fetch.Meaning{Class: finance.TokenDenied, Reason: "Invalid access token."}},
		{"an outcome in a 200", invoicesTemplate, 200, outcomeOf("invalid", "no", ""), fetch.Meaning{Class: finance.Rejected, Reason: "invalid: no"}},
		{"a passing outcome in a 200", invoicesTemplate, 200, outcomeOf("timeout", "", ""), fetch.Meaning{Class: finance.Transient, Reason: "timeout"}},
		{"a throttling outcome in a 200", invoicesTemplate, 200, outcomeOf("throttled", "", ""), fetch.Meaning{Class: finance.Throttled, Reason: "throttled"}},
		{"a bundle that holds an outcome", invoicesTemplate, 200, `{"entry":[{"resource":` + outcomeOf("x", "", "") + `}],"resourceType":"Bundle"}`, fetch.Meaning{Class: finance.OK}},
	} {
		r := &fetch.Request{Template: c.template, Task: calls.Task{Consent: &finance.Consent{Subject: fetchtest.Subject(person)}}}
		c.want.Correlation = "7c1d"
		got := classifier{}.classify(r, &fetch.Answer{Status: c.status, Header: http.Header{"X-Cos-Correlation-Id": {"7c1d"}}, Body: []byte(c.body)})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// Where every consent has a grant of its own, a scope that is missing is missing there.
func TestAScopeOfOneGrant(t *testing.T) {
	v := classifier{ownGrants: true}.classify(&fetch.Request{}, &fetch.Answer{Status: 403, Header: http.Header{}, Body: []byte(`{"statusCode":403,"message":"Insufficient scope."}`)})
	if v.Class != finance.ConsentOver || v.Status != finance.ConsentReauthRequired {
		t.Errorf("%+v", v)
	}
}

func TestAKeyIsMissedByItsHeaderToo(t *testing.T) {
	h := http.Header{"Www-Authenticate": {`AzureApiManagementKey realm="x"`}}
	if v := (classifier{}).classify(&fetch.Request{}, &fetch.Answer{Status: 401, Header: h}); v.Class != finance.Fatal {
		t.Errorf("%+v", v)
	}
}

// A usable header goes before the words; an unusable one behind them.
func TestRetryAfterComesFirst(t *testing.T) {
	body := []byte(`{"statusCode":429,"message":"Rate limit is exceeded. Try again in 9 seconds."}`)
	for header, want := range map[string]time.Duration{"3": 0, "soon": 9 * time.Second, "0": 9 * time.Second, "-4": 9 * time.Second} {
		v := classifier{}.classify(&fetch.Request{}, &fetch.Answer{Status: 429, Header: http.Header{"Retry-After": {header}}, Body: body})
		if v.RetryAfter != want || v.Class != finance.Throttled {
			t.Errorf("Retry-After %q: %v", header, v)
		}
	}
}

func TestHide(t *testing.T) {
	for text, want := range map[string]string{
		"No patient " + person + ".":          "No patient [number].",
		"19460907-3277, 460907-3277":          "[number], [number]",
		"460907+3277 and 4609073277":          "[number] and [number]",
		"EhrId:" + person + "x":               "EhrId:[number]x",
		"somebody else: 198001072381":         "somebody else: [number]",
		"somebody else: 800107-2381":          "somebody else: [number]",
		"an order: 5560360793, 1234567890123": "an order: 5560360793, 1234567890123",
		"19800107 2381":                       "[number]",
	} {
		if got := hide(text, person); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}
