package rest

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"syncer/strictyaml"
)

var (
	headerName     = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	credentialName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
)

// checker proves everything about a description that can be proven without a call.
type checker struct{ *strictyaml.Source }

func (k checker) description(d *Description) {
	if d.BaseURL != "" {
		k.absolute("base_url", d.BaseURL)
	}
	if _, err := zoneOf(d.TimeZone); err != nil {
		k.Fail("time_zone", "no time zone %q: write one such as Europe/Oslo", d.TimeZone)
	}
	if d.Decimal != "" && !isDecimal(d.Decimal) {
		k.Fail("decimal", "%q does not set off decimals: comma or point", d.Decimal)
	}
	if d.Rate.PerSecond > 0 && d.Rate.PerMinute > 0 {
		k.Fail("rate", "per_second and per_minute are two ways to say the same: give one")
	}
	if d.RequestIDHeader != "" {
		k.header("request_id_header", d.RequestIDHeader)
	}
	k.token(&d.Token)
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		k.constantHeader(join("headers", name), name, d)
	}
	for i, name := range d.Correlation.Headers {
		k.header(join("correlation.headers", itoa(i)), name)
	}
	k.paths("correlation.body", d.Correlation.Body)
	k.errors(&d.Errors)
	k.check(&d.Check)
	if d.Datasets == (Datasets{}) {
		k.Fail("datasets", "none is described: give accounts, transactions or debt")
	}
	k.datasets(&d.Datasets, d.TimeZone)
}

// absolute says what is wrong with an address.
func (k checker) absolute(path, address string) {
	if why := absolute(address); why != nil {
		k.Fail(path, "%s", why)
	}
}

// absolute says what is wrong with an address.
func absolute(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		u = &url.URL{}
	}
	switch {
	case u.Host == "", !slices.Contains([]string{"https", "http"}, u.Scheme):
		return errors.New("want an address such as https://api.example.com/v1")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return errors.New("an address here has no user, no query and no fragment")
	}
	return nil
}

func (k checker) header(path, name string) {
	if !headerName.MatchString(name) {
		k.Fail(path, "%q can't be the name of a header", name)
	}
}

func (k checker) credential(path, name string) {
	if !credentialName.MatchString(name) {
		k.Fail(path, "%q can't be the name of a credential: want small letters, digits, _ and -", name)
	}
}

func (k checker) paths(path string, paths Paths) {
	for i, p := range paths {
		if err := checkPath(p); err != nil {
			at := join(path, itoa(i))
			if !k.Said(at) {
				at = path
			}
			k.Fail(at, "%s", err)
		}
	}
}

func (k checker) token(t *Token) {
	if t.Dialect == "none" {
		if t.asksForSomething() {
			k.Fail("token", "dialect none asks for no token, so nothing else belongs here")
		}
		return
	}
	if t.URL == "" {
		k.Fail("token.url", "missing")
	} else {
		k.absolute("token.url", t.URL)
	}
	if t.Dialect == "in_headers" && len(t.Headers) == 0 {
		k.Fail("token.headers", "missing: with dialect in_headers they are all the proof there is")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		k.header(join("token.headers", name), name)
		k.credential(join("token.headers", name), t.Headers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(t.Params)) {
		if slices.Contains([]string{"scope", "audience", "client_id", "client_secret"}, name) {
			k.Fail(join("token.params", name), "this parameter has a key of its own, or is not to be set")
		}
	}
}

// asksForSomething says that anything is described beside the dialect.
func (t *Token) asksForSomething() bool {
	switch {
	case t.URL != "", len(t.Headers) > 0, len(t.Scopes) > 0, len(t.Params) > 0, t.Audience != "":
		return true
	}
	return false
}

func (k checker) constantHeader(path, name string, d *Description) {
	k.header(path, name)
	h := d.Headers[name]
	if h.Credential == "" {
		k.headerText(path, h.Value)
	} else {
		k.headerCredential(path, h)
	}
	if http.CanonicalHeaderKey(name) == "Authorization" && d.Token.Dialect != "none" {
		k.Fail(path, "this header carries the token")
	}
}

func (k checker) headerCredential(path string, h Header) {
	if h.Value != "" {
		k.Fail(path, "value and credential are two ways to fill a header: give one")
		return
	}
	k.credential(path, h.Credential)
}

func (k checker) headerText(path, text string) {
	switch {
	case text == "":
		k.Fail(path, "a header needs a text, or credential with the name of one")
	case strings.ContainsAny(text, "{}"):
		k.Fail(path, "placeholders are for the headers of a request")
	case !sendable(text):
		k.Fail(path, "this text can't be sent in a header")
	}
}

func sendable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (k checker) errors(e *Errors) {
	k.paths("errors.code", e.Code)
	k.paths("errors.message", e.Message)
	k.wait("errors.retry_after", &e.RetryAfter)
	if e.InSuccess && len(e.Code) == 0 {
		k.Fail("errors.in_success", "only a code can tell an error from an answer: give errors.code")
	}
	k.rules(e)
}

// wait checks where a pause stands. A pattern that could never give a number would let every pause pass unheard.
func (k checker) wait(path string, w *Wait) {
	k.paths(join(path, "path"), w.Path)
	if w.Pattern == "" {
		if w.Unit != "" {
			k.Fail(join(path, "unit"), "this is for a number that a pattern finds: give pattern")
		}
		return
	}
	pattern, err := regexp.Compile(w.Pattern)
	switch {
	case err != nil:
		k.Fail(join(path, "pattern"), "this is no regular expression: %s", err)
	case pattern.NumSubexp() != 1:
		k.Fail(join(path, "pattern"), "want one group in parentheses, around the number: write (?:...) for others")
	}
}

func (k checker) status(path string, status int) {
	if status == 0 { // no number, and told already
		return
	}
	if !within(status, 200, 599) {
		k.Fail(path, "%d is not an HTTP status", status)
	}
}

func (k checker) check(c *Check) {
	k.relative("check.path", c.Path)
	if strings.ContainsAny(c.Path, "{}") {
		k.Fail("check.path", "the check is made without a consent, so it has no placeholders")
	}
	for _, status := range c.Accept {
		k.status("check.accept", status)
		k.decided("check.accept", status)
	}
}

// relative checks a request's path.
func (k checker) relative(path, text string) {
	switch {
	case text == "": // told already
	case strings.Contains(text, "://"):
		k.Fail(path, "a path is below base_url and has no host")
	case strings.ContainsAny(text, "?#"):
		k.Fail(path, "a path has no ? and no #: parameters go to query")
	case strings.ContainsFunc(text, notInPath):
		k.Fail(path, "a path has no blanks, no backslashes and nothing but ASCII: escape it")
	}
	for step := range strings.SplitSeq(text, "/") {
		if slices.Contains([]string{".", ".."}, step) {
			k.Fail(path, "a path does not climb")
		}
	}
}

// notInPath says that a character can't stand in a path as it is.
func notInPath(r rune) bool {
	return r == '\\' || !within(int(r), '!', '~')
}
