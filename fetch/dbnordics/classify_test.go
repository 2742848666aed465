package dbnordics

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

func TestClassify(t *testing.T) {
	const notFound = `{"status":404,"statusText":"NOT FOUND","message":"Company not found","timestamp":"2026-11-03T09:15:44.3949"}`
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   fetch.Meaning
	}{
		{"ok", 200, `{"companyInformation":{}}`, fetch.Meaning{Class: finance.OK}},
		{"ok, with a correlation", 200, `{"risk":{"a":["correlationId"]},"correlationId":"9d4f"}`, fetch.Meaning{Class: finance.OK, Correlation: "9d4f"}},
		{"incomplete", 207, `{"companyInformation":{}}`, fetch.Meaning{Class: finance.OK}},
		{"proxy page", 200, `<html>`, fetch.Meaning{Class: finance.Transient}},
		{"cut", 200, `{"companyInformation":{`, fetch.Meaning{Class: finance.Transient}},
		{"empty", 200, ``, fetch.Meaning{Class: finance.Transient}},
		{"no content", 204, ``, fetch.Meaning{Class: finance.Withheld, Reason: "the provider has nothing on the company (status 204)"}},
		{"unknown", 404, notFound, fetch.Meaning{Class: finance.Withheld, Reason: "the provider does not know the company (status 404): Company not found"}},
		{"unknown, with a correlation", 404, `{"detail":"x","correlationId":"9d4f"}`,
			fetch.Meaning{Class: finance.Withheld, Reason: "the provider does not know the company (status 404): x", Correlation: "9d4f"}},
		{"no such address", 404, `<html>404</html>`, fetch.Meaning{Class: finance.Fatal, Reason: "404 without an error document of the provider: is base_url right?"}},
		{"no such address, by Azure", 404, `{"statusCode":404,"message":"Resource not found"}`, fetch.Meaning{Class: finance.Fatal,
			Reason: "404 for the address and not for the company: is base_url right?: Resource not found"}},
		{"no such address, by Kong", 404, `{"message":"no Route matched with those values"}`, fetch.Meaning{Class: finance.Fatal,
			Reason: "404 for the address and not for the company: is base_url right?: no Route matched with those values"}},
		{"no such address, by Spring", 404, `{"timestamp":"2026-11-03T09:15:44Z","status":404,"error":"Not Found","path":"/crdt/v2/x"}`,
			fetch.Meaning{Class: finance.Fatal, Reason: "404 for the address and not for the company: is base_url right?: Not Found"}},
		{"no such address, in JSON", 404, `{}`, fetch.Meaning{Class: finance.Fatal, Reason: "404 without an error document of the provider: is base_url right?"}},
		{"withheld", 451, `{"status":451,"statusText":"UNAVAILABLE FOR LEGAL REASONS","message":"no"}`,
			fetch.Meaning{Class: finance.Withheld, Reason: "the company exists, but the provider may not tell of it (status 451): no"}},
		{"withheld, without words", 451, ``, fetch.Meaning{Class: finance.Withheld, Reason: "the company exists, but the provider may not tell of it (status 451)"}},
		{"invalid", 400, `{"status":400,"statusText":"BAD REQUEST","message":"Validation error","subErrors":[{"object":"RequestModel","field":"registrationNumber","rejectedValue":"8501019700","message":"8501019700 is not valid"}]}`,
			fetch.Meaning{Class: finance.Rejected, Reason: "Validation error: registrationNumber: [number] is not valid"}},
		{"invalid, detail", 400, `{"detail":"Bad","errorCode":17,"validationErrors":[{"field":"language","code":"ENUM","errorMessage":"no"}]}`,
			fetch.Meaning{Class: finance.Rejected, Reason: "17: Bad: language: ENUM: no"}},
		{"invalid, errors", 400, `{"errorMessage":"Bad","errors":["first","second",7,null]}`, fetch.Meaning{Class: finance.Rejected, Reason: "Bad: first: second: 7"}},
		{"invalid, details", 400, `{"message":"Request body contains one or more errors","details":"country"}`,
			fetch.Meaning{Class: finance.Rejected, Reason: "Request body contains one or more errors: country"}},
		{"stale token", 401, `{"error":"invalid_token","error_description":"Invalid Token: token not found, expired or invalid"}`,
			fetch.Meaning{Class: finance.TokenDenied, Reason: "invalid_token: Invalid Token: token not found, expired or invalid"}},
		{"stale token, as 403", 403, `{"error":"invalid_token"}`, fetch.Meaning{Class: finance.TokenDenied, Reason: "invalid_token"}},
		{"no scope", 403, `{"error":"insufficient_scope"}`, fetch.Meaning{Class: finance.Fatal, Reason: "insufficient_scope"}},
		{"not this country", 403, `{"message":"Market not in contract"}`, fetch.Meaning{Class: finance.Rejected, Reason: "Market not in contract"}},
		{"turned away", 403, `<html>`, fetch.Meaning{Class: finance.Fatal, Reason: "403 without an error document of the provider: is our address known to it?"}},
		{"outage", 500, `{"message":"x"}`, fetch.Meaning{Class: finance.Transient, Reason: "x"}},
		{"quota", 429, ``, fetch.Meaning{Class: finance.Throttled}},
		{"closed", 503, ``, fetch.Meaning{Class: finance.Throttled}},
	} {
		got := classify(&fetch.Request{Purpose: calls.ForData}, &fetch.Answer{Status: c.status, Header: http.Header{}, Body: []byte(c.body)})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	probe := classify(&fetch.Request{Purpose: calls.ForCheck}, &fetch.Answer{Status: 404, Header: http.Header{}, Body: []byte(notFound)})
	if probe.Class != finance.Rejected {
		t.Errorf("a check that finds nothing is %s", probe.Class)
	}
}
