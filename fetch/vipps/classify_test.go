package vipps

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncer/fetch"
	"syncer/finance"
)

func TestClassify(t *testing.T) {
	const day = "/report/v2/ledgers/{ledger}/funds/dates/{date}"
	for name, c := range map[string]struct {
		status   int
		body     string
		template string
		header   http.Header
		want     fetch.Meaning
	}{
		"a report":            {200, `{"items":[]}`, day, nil, fetch.Meaning{Class: finance.OK}},
		"a page of a proxy":   {200, `<html>`, day, nil, fetch.Meaning{Class: finance.Transient}},
		"input not parsed":    {400, `{"type":"t","title":"Bad Request","status":"400","detail":"x","code":10002,"traceId":"00-1-2-00","extraDetails":[{"name":"cursor","reason":"odd"},{"field":"f","text":"g"},7]}`, day, nil, fetch.Meaning{Class: finance.Rejected, Reason: "10002: Bad Request: x: cursor odd: f g", Correlation: "00-1-2-00"}},
		"invalid params":      {400, `{"title":"T","invalidParams":[{"name":"n","reason":"r"}],"contextId":"c-1"}`, day, nil, fetch.Meaning{Class: finance.Rejected, Reason: "T: n r", Correlation: "c-1"}},
		"an invalid token":    {401, `{"responseInfo":{"responseCode":401,"responseMessage":"Unauthorized"},"result":{"message":"Something went wrong, please try again later."}}`, day, nil, fetch.Meaning{Class: finance.TokenDenied, Reason: "Unauthorized: Something went wrong, please try again later."}},
		"the API's own 401":   {401, `{"code":"Unauthorized","message":"Please check your API keys"}`, day, nil, fetch.Meaning{Class: finance.TokenDenied, Reason: "Unauthorized: Please check your API keys"}},
		"no subscription key": {401, `{"statusCode":401,"message":"Access denied due to missing subscription key."}`, day, nil, fetch.Meaning{Class: finance.Fatal, Reason: "Access denied due to missing subscription key."}},
		"forbidden":           {403, `{"title":"Forbidden"}`, day, nil, fetch.Meaning{Class: finance.Rejected, Reason: "Forbidden"}},
		"no such ledger":      {404, `{"detail":"No such ledgerId","title":"Not Found","traceId":"t"}`, day, nil, fetch.Meaning{Class: finance.Withheld, Reason: "Not Found: No such ledgerId", Correlation: "t"}},
		"a date not yet":      {404, `{"title":"Not Found"}`, day, nil, fetch.Meaning{Class: finance.OK, Reason: "Not Found"}},
		"no such page":        {404, `{"title":"Not Found"}`, "/report/v2/ledgers/{ledger}/funds/feed", nil, fetch.Meaning{Class: finance.Rejected, Reason: "Not Found"}},
		"no such path":        {404, `{"responseInfo":{"responseCode":404,"responseMessage":"Something"},"result":{"message":"x"}}`, day, nil, fetch.Meaning{Class: finance.Rejected, Reason: "Something: x"}},
		"gone":                {410, `{"title":"Gone"}`, day, nil, fetch.Meaning{Class: finance.Rejected, Reason: "Gone"}},
		"locked":              {423, `{"title":"Locked"}`, day, nil, fetch.Meaning{Class: finance.Transient, Reason: "Locked"}},
		"too many":            {429, `{"statusCode":429,"message":"Rate limit is exceeded. Try again in 7 seconds."}`, day, nil, fetch.Meaning{Class: finance.Throttled, Reason: "Rate limit is exceeded. Try again in 7 seconds.", RetryAfter: 7 * time.Second}},
		"too many, by header": {429, `{"statusCode":429,"message":"Try again in 7 seconds."}`, day, http.Header{"Retry-After": {"2"}}, fetch.Meaning{Class: finance.Throttled, Reason: "Try again in 7 seconds."}},
		"too many, no words":  {429, ``, day, nil, fetch.Meaning{Class: finance.Throttled}},
		"the API's own 500":   {500, `{"errorCode":10001,"errorMessage":"Unexpected","contextId":"c-2"}`, day, nil, fetch.Meaning{Class: finance.Transient, Reason: "10001: Unexpected", Correlation: "c-2"}},
		"a list for a body":   {502, `[1]`, day, nil, fetch.Meaning{Class: finance.Transient}},
		"odd types":           {400, `{"title":{"a":1},"code":null,"detail":["x"],"result":"none","extraDetails":{"a":1},"traceId":12}`, day, nil, fetch.Meaning{Class: finance.Rejected, Correlation: "12"}},
		"cut in the middle":   {503, `{"title":"Unavailable","detail":"x`, day, nil, fetch.Meaning{Class: finance.Throttled, Reason: "Unavailable"}},
		"Azure":               {400, `{"error":"invalid_request","error_description":"AADSTS900144: x","trace_id":"t-1","correlation_id":"c-3"}`, day, nil, fetch.Meaning{Class: finance.Rejected, Reason: "invalid_request: AADSTS900144: x", Correlation: "c-3"}},
	} {
		h := c.header
		if h == nil {
			h = http.Header{}
		}
		got := classify(&fetch.Request{Template: c.template}, &fetch.Answer{Status: c.status, Header: h, Body: []byte(c.body)})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestLimitsAreHonoured: a pause told in a header, in either form, or in words alone closes the gate.
func TestLimitsAreHonoured(t *testing.T) {
	soon := time.Now().Add(2 * time.Second)
	for name, a := range map[string]answer{
		"seconds": {status: 429, header: http.Header{"Retry-After": {"1"}}, body: `{}`},
		"a date":  {status: 429, header: http.Header{"Retry-After": {soon.UTC().Format(http.TimeFormat)}}, body: `{}`},
		"words":   {status: 429, body: `{"statusCode":429,"message":"Rate limit is exceeded. Try again in 1 seconds."}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := play(t, &script{answers: []answer{a, page(caughtUp), page(caughtUp)}}, settings(nil))
			r.mustRead(t, stream("410001"), "")
			if p := r.ledger.Pauses(); len(p) != 1 || p[0].For <= 0 || p[0].For > 3*time.Second {
				t.Errorf("pauses %+v", p)
			}
		})
	}
}
