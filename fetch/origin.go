package fetch

import (
	"errors"
	"net/url"
	"strings"

	"syncer/finance"
)

const longestLink = 8 << 10

// Resolve takes apart a next link, absolute or relative to the base: the path below the base and the query, to be
// put into a Request. A link must have the base's scheme, host and port, stay below its path and carry no user;
// everything else is an *Error of class fatal, because whoever follows it hands the token to a stranger. Joining the
// texts is not enough: "https://api.example" + "@evil.example/next" is a URL of host evil.example.
func (c *Client) Resolve(link string) (path string, query url.Values, err error) {
	u, err := below(c.opt.Driver.Base, link)
	if err != nil {
		return "", nil, &Error{
			Class: finance.Fatal, Op: "follow a next link", Connection: c.opt.Connection.Name,
			Reason: "the link is refused: " + err.Error(),
		}
	}
	return strings.TrimPrefix(strings.TrimPrefix(u.EscapedPath(), root(c.opt.Driver.Base)), "/"), u.Query(), nil
}

// root is the base's path without a slash at its end.
func root(base *url.URL) string { return strings.TrimRight(base.EscapedPath(), "/") }

// below resolves a link against the base and checks that it stays there. Its errors don't repeat the link, which may
// be hostile, long or hold an id.
func below(base *url.URL, link string) (*url.URL, error) {
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
	if u.Scheme == "" && u.Host == "" && !strings.HasPrefix(link, "//") {
		if u.Scheme, u.Host = base.Scheme, base.Host; !strings.HasPrefix(u.Path, "/") {
			if u, err = url.Parse(base.Scheme + "://" + base.Host + root(base) + "/" + link); err != nil {
				return nil, errors.New("it is not a URL")
			}
		}
	}
	switch {
	case u.User != nil:
		return nil, errors.New("it names a user")
	case u.Scheme != base.Scheme:
		return nil, errors.New("it has another scheme")
	case !strings.EqualFold(u.Hostname(), base.Hostname()) || port(u) != port(base):
		return nil, errors.New("it leads to another host or port")
	}
	for segment := range strings.FieldsFuncSeq(u.Path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == "." || segment == ".." {
			return nil, errors.New("it climbs in the path")
		}
	}
	if p := u.EscapedPath(); p != root(base) && !strings.HasPrefix(p, root(base)+"/") {
		return nil, errors.New("it leaves the base path")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
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
