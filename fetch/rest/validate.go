package rest

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	headerName     = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	credentialName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
)

// validate proves everything about a description that can be proven without a call.
func validate(b *binder, d *Description) {
	if why := absolute(d.BaseURL); why != nil && d.BaseURL != "" {
		b.fail("base_url", "%s", why)
	}
	if _, err := zoneOf(d.TimeZone); err != nil {
		b.fail("time_zone", "no time zone %q: write one such as Europe/Oslo", d.TimeZone)
	}
	if d.Rate.PerSecond > 0 && d.Rate.PerMinute > 0 {
		b.fail("rate", "per_second and per_minute are two ways to say the same: give one")
	}
	if d.RequestIDHeader != "" {
		b.header("request_id_header", d.RequestIDHeader)
	}
	b.token(&d.Token)
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		b.constantHeader(join("headers", name), name, d)
	}
	for i, name := range d.Correlation.Headers {
		b.header(join("correlation.headers", itoa(i)), name)
	}
	b.paths("correlation.body", d.Correlation.Body)
	b.errors(&d.Errors)
	b.check(&d.Check)
	if d.Datasets.Accounts == nil && d.Datasets.Transactions == nil && d.Datasets.Debt == nil {
		b.fail("datasets", "none is described: give accounts, transactions or debt")
	}
	b.datasets(&d.Datasets, d.TimeZone)
}

// absolute says what is wrong with an address.
func absolute(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("want an address such as https://api.example.com/v1")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("an address here has no user, no query and no fragment")
	}
	return nil
}

func (b *binder) header(path, name string) {
	if !headerName.MatchString(name) {
		b.fail(path, "%q can't be the name of a header", name)
	}
}

func (b *binder) credential(path, name string) {
	if !credentialName.MatchString(name) {
		b.fail(path, "%q can't be the name of a credential: want small letters, digits, _ and -", name)
	}
}

func (b *binder) paths(path string, paths Paths) {
	for i, p := range paths {
		if err := checkPath(p); err != nil {
			at := join(path, itoa(i))
			if _, ok := b.at[at]; !ok {
				at = path
			}
			b.fail(at, "%s", err)
		}
	}
}

func (b *binder) token(t *Token) {
	if t.Dialect == "none" {
		if t.URL != "" || len(t.Headers) > 0 || len(t.Scopes) > 0 || len(t.Params) > 0 || t.Audience != "" {
			b.fail("token", "dialect none asks for no token, so nothing else belongs here")
		}
		return
	}
	if t.URL == "" {
		b.fail("token.url", "missing")
	} else if why := absolute(t.URL); why != nil {
		b.fail("token.url", "%s", why)
	}
	if t.Dialect == "in_headers" && len(t.Headers) == 0 {
		b.fail("token.headers", "missing: with dialect in_headers they are all the proof there is")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		b.header(join("token.headers", name), name)
		b.credential(join("token.headers", name), t.Headers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(t.Params)) {
		if slices.Contains([]string{"scope", "audience", "client_id", "client_secret"}, name) {
			b.fail(join("token.params", name), "this parameter has a key of its own, or is not to be set")
		}
	}
}

func (b *binder) constantHeader(path, name string, d *Description) {
	b.header(path, name)
	h := d.Headers[name]
	switch {
	case h.Credential != "" && h.Value != "":
		b.fail(path, "value and credential are two ways to fill a header: give one")
	case h.Credential != "":
		b.credential(path, h.Credential)
	case h.Value == "":
		b.fail(path, "a header needs a text, or credential with the name of one")
	case strings.ContainsAny(h.Value, "{}"):
		b.fail(path, "placeholders are for the headers of a request")
	case !sendable(h.Value):
		b.fail(path, "this text can't be sent in a header")
	}
	if http.CanonicalHeaderKey(name) == "Authorization" && d.Token.Dialect != "none" {
		b.fail(path, "this header carries the token")
	}
}

func sendable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (b *binder) errors(e *Errors) {
	b.paths("errors.code", e.Code)
	b.paths("errors.message", e.Message)
	b.paths("errors.retry_after", e.RetryAfter)
	if e.InSuccess && len(e.Code) == 0 {
		b.fail("errors.in_success", "only a code can tell an error from an answer: give errors.code")
	}
	for i := range e.Rules {
		rule, path := &e.Rules[i], join("errors.rules", itoa(i))
		switch {
		case len(rule.Status) == 0 && len(rule.Code) == 0:
			b.fail(path, "a rule needs status, code, or both")
		case len(rule.Code) > 0 && len(e.Code) == 0:
			b.fail(join(path, "code"), "nothing says where a code stands: give errors.code")
		}
		for _, status := range rule.Status {
			b.status(join(path, "status"), status)
		}
		if rule.Consent != "" && rule.Class != "consent" {
			b.fail(join(path, "consent"), "this is for class consent")
		}
	}
}

func (b *binder) status(path string, status int) {
	if status != 0 && (status < 200 || status > 599) { // 0: no number, and told already
		b.fail(path, "%d is not an HTTP status", status)
	}
}

func (b *binder) check(c *Check) {
	b.relative("check.path", c.Path)
	if strings.ContainsAny(c.Path, "{}") {
		b.fail("check.path", "the check is made without a consent, so it has no placeholders")
	}
	for _, status := range c.Accept {
		b.status("check.accept", status)
	}
}

// relative checks a request's path.
func (b *binder) relative(path, text string) {
	switch {
	case text == "": // told already
	case strings.Contains(text, "://"):
		b.fail(path, "a path is below base_url and has no host")
	case strings.ContainsAny(text, "?#"):
		b.fail(path, "a path has no ? and no #: parameters go to query")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' || r > '~' }):
		b.fail(path, "a path has no blanks, no backslashes and nothing but ASCII: escape it")
	}
	for step := range strings.SplitSeq(text, "/") {
		if step == "." || step == ".." {
			b.fail(path, "a path does not climb")
		}
	}
}
