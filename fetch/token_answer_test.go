package fetch_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
)

// What stands beside a token, or in front of it, must not cost the token.
func TestATokenIsUsedWhateverStandsBesideIt(t *testing.T) {
	for name, body := range map[string]string{
		"a list of scopes":             `{"access_token":"t","token_type":"Bearer","expires_in":3600,"scope":["aisp","openid"]}`,
		"BearerToken":                  `{"access_token":"t","token_type":"BearerToken","expires_in":3600}`,
		"another case":                 `{"access_token":"t","token_type":"bEARER","expires_in":3600}`,
		"no kind of token":             `{"access_token":"t","expires_in":3600}`,
		"a number for a kind":          `{"access_token":"t","token_type":1,"expires_in":3600}`,
		"numbers":                      `{"access_token":"t","expires_in":3600,"scope":7,"refresh_token":1,"id_token":2,"trace_id":3,"correlation_id":4.5,"x":5}`,
		"an error of 0":                `{"access_token":"t","expires_in":3600,"error":0}`,
		"an error of null":             `{"access_token":"t","expires_in":3600,"error":null,"error_description":null}`,
		"an error of false":            `{"access_token":"t","expires_in":3600,"error":false}`,
		"objects":                      `{"access_token":"t","expires_in":3600,"scope":{"a":1},"refresh_token":{},"error":{}}`,
		"a list that is no text":       `{"access_token":"t","expires_in":3600,"scope":[1,null]}`,
		"a byte order mark":            "\ufeff" + `{"access_token":"t","expires_in":3600}`,
		"an end as a text":             `{"access_token":"t","expires_in":"3600"}`,
		"an end in decimals":           `{"access_token":"t","expires_in":3600.5}`,
		"an end in another millennium": `{"access_token":"t","expires_in":1e300}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := ""
				p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/token" {
						answer(200, body)(w)
						return
					}
					sent = r.Header.Get("Authorization")
					answer(200, `{}`)(w)
				}}
				o, stop := piped(t, p, fetchtest.NewCallStore())
				defer stop()
				withToken(&o)
				_, err := client(t, o).Do(t.Context(), get("x"))
				if err != nil || sent != "Bearer t" || p.count("/token") != 1 {
					t.Errorf("%v: %q was sent after %d token calls", err, sent, p.count("/token"))
				}
			})
		})
	}
}

// One answer of the token endpoint that is no OAuth2 error says nothing of our credentials: the next one is
// good.
func TestOneOddAnswerOfTheTokenEndpointPasses(t *testing.T) {
	for name, odd := range map[string]func(http.ResponseWriter){
		"a page with 400":      answer(400, `<html><title>HTTP Status 400</title></html>`, "Content-Type", "text/html"),
		"a page with 401":      answer(401, `<html>`),
		"a page with 403":      answer(403, `<html>`),
		"a page with 404":      answer(404, `<html>`),
		"nothing with 400":     answer(400, ``),
		"Spring's 403":         answer(403, `{"status":403,"error":"Forbidden","path":"/token"}`),
		"a negative end":       answer(200, `{"access_token":"old","expires_in":-3600}`),
		"an end that is none":  answer(200, `{"access_token":"old","expires_in":"soon"}`),
		"no token":             answer(200, `{"token_type":"bearer"}`),
		"a token for two rows": answer(200, `{"access_token":"a\r\nb"}`),
		"cut off":              answer(200, `{"access_token":"old",`),
		"a list":               answer(200, `["old"]`),
		"not ready":            answer(202, `{"access_token":"old"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tokens := 0
				p := &provider{handler: func(_ int, w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/token" {
						answer(200, `{}`)(w)
						return
					}
					if tokens++; tokens == 1 {
						odd(w)
						return
					}
					answer(200, `{"access_token":"t","expires_in":3600}`)(w)
				}}
				o, stop := piped(t, p, fetchtest.NewCallStore())
				defer stop()
				withToken(&o)
				o.Retry = fetch.Retry{Attempts: 3}
				if _, err := client(t, o).Do(t.Context(), get("x")); err != nil || tokens != 2 {
					t.Errorf("%v after %d token calls", err, tokens)
				}
			})
		})
	}
}
