package sandboxtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Reply is an answer, read to its end.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Decode reads the body as JSON.
func (r Reply) Decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Body), into); err != nil {
		t.Fatalf("%v in %d %q", err, r.Status, r.Body)
	}
}

// Token is the access token of a token endpoint's answer.
func (r Reply) Token(t testing.TB) string {
	t.Helper()
	var answer struct {
		Token string `json:"access_token"`
	}
	if r.Decode(t, &answer); answer.Token == "" {
		t.Fatalf("no access token in %d %q", r.Status, r.Body)
	}
	return answer.Token
}

// Do calls a path of the host, or a whole address.
func (h *Host) Do(t testing.TB, method, path, body string, headers ...string) Reply {
	t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = h.Base + path
	}
	return Do(t, method, path, body, headers...)
}

// Do makes one call. The headers are pairs of name and value; an empty value is not sent.
func Do(t testing.TB, method, address, body string, headers ...string) Reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	// A redirect is an answer like any other.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Reply{resp.StatusCode, resp.Header, string(b)}
}

// Ask puts a form to a token endpoint. The id and the secret, where there is an id, go into Basic as they are.
func (h *Host) Ask(t testing.TB, path, id, secret string, form url.Values, headers ...string) Reply {
	t.Helper()
	headers = append(headers, "Content-Type", "application/x-www-form-urlencoded", "Authorization", Basic(id, secret))
	return h.Do(t, http.MethodPost, path, form.Encode(), headers...)
}

// Basic is the Authorization of an id and a secret that nobody has escaped; "" without an id.
func Basic(id, secret string) string {
	if id == "" {
		return ""
	}
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(id, secret)
	return r.Header.Get("Authorization")
}
