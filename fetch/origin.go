package fetch

import (
	"errors"
	"net/url"
	"strings"
)

// address is where the request goes: always our own scheme and host, and below the base.
func (r *Request) address(base *url.URL) (*url.URL, error) {
	text := base.Scheme + "://" + base.Host + root(base)
	if r.Path != "" {
		text += "/" + strings.TrimPrefix(r.Path, "/")
	}
	u, err := parseLink(text)
	if err != nil {
		return nil, err
	}
	if why := ours(u, base); why != nil {
		return nil, why
	}
	if why := below(u, base); why != nil {
		return nil, why
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("it has more than a path")
	}
	u.RawQuery = r.query()
	return u, nil
}

// query is what stands behind the question mark, byte for byte.
func (r *Request) query() string {
	if r.RawQuery != "" {
		return r.RawQuery
	}
	return r.Query.Encode()
}

const longestLink = 8 << 10

// parseLink reads an address that others have written. Its errors don't repeat it: it may be hostile, long or hold an id.
func parseLink(link string) (*url.URL, error) {
	if len(link) > longestLink {
		return nil, errors.New("it is too long")
	}
	if strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return nil, errors.New("it has a blank, a backslash or a control character")
	}
	u, err := url.Parse(link)
	if err != nil || u.Opaque != "" {
		return nil, errors.New("it is not a URL")
	}
	return u, nil
}

// root is the base's path without a slash at its end.
func root(base *url.URL) string { return strings.TrimRight(base.EscapedPath(), "/") }

// ours says why an address may not be called with our token: it has another scheme, host or port than the base.
func ours(u, base *url.URL) error {
	switch {
	case u.User != nil:
		return errUser
	case !strings.EqualFold(u.Hostname(), base.Hostname()):
		return errHost
	case u.Scheme != base.Scheme:
		return errScheme
	case port(u) != port(base):
		return errPort
	}
	return nil
}

// below says why an address does not stay below the base's path. Climbing that is escaped (%2e%2e) is refused too,
// because some servers undo the escapes before they walk the path.
func below(u, base *url.URL) error {
	for segment := range strings.FieldsFuncSeq(u.Path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == "." || segment == ".." {
			return errors.New("it climbs in the path")
		}
	}
	if p := u.EscapedPath(); p != root(base) && !strings.HasPrefix(p, root(base)+"/") {
		return errBase
	}
	return nil
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}
