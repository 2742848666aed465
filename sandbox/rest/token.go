package rest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"syncer/sandbox"
)

// inParams finds id and secret in the form. The body stays readable.
func inParams(r *http.Request) (id, secret string, ok bool) {
	if r.Body == nil {
		return "", "", false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, formErr := url.ParseQuery(string(body))
	if err != nil || formErr != nil || r.Header.Get("Authorization") != "" {
		return "", "", false
	}
	return form.Get("client_id"), form.Get("client_secret"), form.Has("client_id") && form.Has("client_secret")
}

// accept grants client credentials of one scope and, if the provider has one, one audience.
func accept(scope, audience string) func(sandbox.Client, url.Values) (sandbox.Grant, *sandbox.Refusal) {
	return func(_ sandbox.Client, form url.Values) (sandbox.Grant, *sandbox.Refusal) {
		switch {
		case form.Get("grant_type") != "client_credentials":
			return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: "unsupported_grant_type"}
		case !slices.Contains(strings.Fields(form.Get("scope")), scope):
			return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: "invalid_scope"}
		case form.Get("audience") != audience:
			return sandbox.Grant{}, &sandbox.Refusal{Status: http.StatusBadRequest, Code: "invalid_target"}
		}
		return sandbox.Grant{Scope: scope}, nil
	}
}
