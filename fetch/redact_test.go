package fetch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"syncer/calls"
	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/fetch/redact"
	"syncer/finance"
)

// A gateway that builds its id of a call of what it was sent puts neither the subject's number nor a token nor a secret
// into it, nor into a reason, in any form; a record that echoes the token has it no more.
func TestWhatWasSentDoesNotComeBack(t *testing.T) {
	const number, bearer, external = "15088512909", "live-token-0123456789", "consent-4711"
	forms := []string{
		number, "150885 12909", "15.08.85 12909", "150885\u200b12909", "150885%2012909", "1-5-0-8-8-5-1-2-9-0-9", "77" + number + "99",
		bearer, "Bearer " + bearer, url.QueryEscape(bearer), "hunter2-hunter2", "https://bank.example/v1/debt/" + external + "?consent=" + external,
	}
	type way struct {
		status int
		cut    bool // in the middle of its body
		once   bool
	}
	for _, form := range forms {
		for _, way := range []way{{status: 200}, {status: 400}, {status: 200, cut: true}, {status: 200, once: true}} {
			p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/token" {
					fmt.Fprintf(w, `{"access_token": %q, "token_type": "bearer", "expires_in": 3600}`, bearer)
					return
				}
				w.Header().Set("X-Correlation-Id", "gw:"+form+":1")
				if way.cut {
					w.Header().Set("Content-Length", "9999")
				}
				w.WriteHeader(way.status)
				text, _ := json.Marshal("refused: " + form)
				fmt.Fprintf(w, `{"message": %s, "auth": %q}`, text, bearer)
			}}
			l := fetchtest.NewCallStore()
			o := options(t, served(t, p), l)
			withToken(&o)
			o.Once = l
			o.Retry = fetch.Retry{Attempts: 1, Base: time.Millisecond}
			r := get("x")
			r.Once = way.once
			subject := finance.NewSubject(nil, number, nil)
			r.Task = calls.Task{Consent: &finance.Consent{ID: 1, ExternalID: external, Subject: subject, SingleUse: way.once}}
			a, err := client(t, o).Do(t.Context(), r)
			body := ""
			if a != nil {
				body = string(a.Body)
			}
			if len(l.Calls()) == 0 {
				t.Fatalf("%+v: no call is told of", way)
			}
			var reasons strings.Builder
			for _, c := range l.Calls() {
				fmt.Fprintf(&reasons, "%s %s\n", c.Reason, strings.ReplaceAll(c.Correlation, external, ""))
			}
			if e, ok := errors.AsType[*fetch.Error](err); ok {
				fmt.Fprintf(&reasons, "%s\n", e.Reason)
			}
			for _, secret := range []string{bearer, "hunter2", "/" + external, "=" + external} {
				id := strings.HasSuffix(secret, external)
				if text := reasons.String(); strings.Contains(text, secret) || !id && strings.Contains(body, secret) {
					t.Errorf("%q, %+v: %q is shown in\n%s%s", form, way, secret, text, body)
				}
			}
			if strings.Contains(onlyDigits(reasons.String()), number) {
				t.Errorf("%q: the number is shown in\n%s", form, &reasons)
			}
		}
	}
}

// onlyDigits is a text without all that may stand between the digits of a number.
func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, strings.ReplaceAll(text, "%20", ""))
}

// A provider's id of a call is looked up as it is stored.
func TestACorrelationIDIsLookedUpAsItIsStored(t *testing.T) {
	for id, want := range map[string]string{
		"4bf92f3577b34da6a3ce929d0e0e4736": "4bf92f3577b34da6a3ce929d0e0e4736",
		"gw-150885 12909-7":                "gw-[number]-7",
		"a\nb":                             "a b",
		"123456789012":                     "123456789012",
	} {
		if got := redact.Correlation(id); got != want {
			t.Errorf("%q is stored as %q, want %q", id, got, want)
		}
	}
}

// Addresses that are no public ones are not called, however they are written.
func TestAddressesThatAreNotPublic(t *testing.T) {
	for _, host := range []string{
		"10.0.0.1", "169.254.169.254", "100.64.0.1", "198.18.0.1", "240.0.0.1", "0.0.0.1",
		"[::1]", "[::]", "[::a00:1]", "[fc00::1]", "[fe80::1]", "[fec0::1]", "[feff::1]", "[::ffff:10.0.0.1]",
		"[64:ff9b::a00:1]", "[64:ff9b:1::1]", "[2001::1]", "[2002:a00:1::1]",
	} {
		o := options(t, "https://"+host+":1", fetchtest.NewCallStore())
		o.AllowPrivate = false
		_, err := client(t, o).Do(t.Context(), get("x"))
		if e := wantClass(t, err, finance.Fatal); !strings.Contains(e.Reason, "private") {
			t.Errorf("%s: %v", host, e)
		}
	}
}
