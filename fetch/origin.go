package fetch

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// astray is why an address is not called.
type astray struct {
	why    string
	hidden bool // it is nobody's that we know: nothing of it is shown
	behind bool // it may be right for the server behind a gateway: Follow.Rewrite puts it right
}

// address is where the request goes: always our own scheme and host, and below the base.
func (r *Request) address(base *url.URL) (*url.URL, *astray) {
	text := base.Scheme + "://" + base.Host + root(base)
	if r.Path != "" {
		text += "/" + strings.TrimPrefix(r.Path, "/")
	}
	u, no := parseLink(text)
	if no != nil {
		return nil, no
	}
	for _, no := range []*astray{ours(u, base), below(u, base), onlyPath(u)} {
		if no != nil {
			return nil, no
		}
	}
	u.RawQuery = r.query()
	return u, nil
}

// onlyPath says why an address is not a path alone.
func onlyPath(u *url.URL) *astray {
	if u.RawQuery+u.Fragment == "" {
		return nil
	}
	return &astray{why: "it has more than a path"}
}

// query is what stands behind the question mark, byte for byte.
func (r *Request) query() string {
	if r.RawQuery != "" {
		return r.RawQuery
	}
	return r.Query.Encode()
}

const longestLink = 8 << 10

// parseLink reads an address that others have written.
func parseLink(link string) (*url.URL, *astray) {
	if len(link) > longestLink {
		return nil, &astray{why: "it is too long", hidden: true}
	}
	if strings.ContainsFunc(link, isHostile) {
		return nil, &astray{why: "it has a blank, a backslash or a control character", hidden: true}
	}
	u, err := url.Parse(link)
	if err != nil || u.Opaque != "" {
		return nil, &astray{why: "it is not a URL", hidden: true}
	}
	return u, nil
}

// isHostile says that a character stands in no address: readers of addresses disagree about it.
func isHostile(r rune) bool {
	switch r {
	case '\\', 0x7f:
		return true
	}
	return r <= ' '
}

// root is the base's path without a slash at its end.
func root(base *url.URL) string { return strings.TrimRight(base.EscapedPath(), "/") }

// ours says why an address may not be called with our token: it has another scheme, host or port than the base.
func ours(u, base *url.URL) *astray {
	switch {
	case u.User != nil:
		return &astray{why: "it names a user", hidden: true}
	case !strings.EqualFold(u.Hostname(), base.Hostname()):
		return &astray{why: "it leads to another host", hidden: true}
	case u.Scheme != base.Scheme:
		return &astray{why: "it has another scheme", behind: true}
	case port(u) != port(base):
		return &astray{why: "it leads to another port", behind: true}
	}
	return nil
}

// below says why an address does not stay below the base's path. Climbing that is escaped (%2e%2e) is refused too,
// because some servers undo the escapes before they walk the path.
func below(u, base *url.URL) *astray {
	for segment := range strings.FieldsFuncSeq(u.Path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if slices.Contains([]string{".", ".."}, segment) {
			return &astray{why: "it climbs in the path"}
		}
	}
	if !strings.HasPrefix(u.EscapedPath()+"/", root(base)+"/") {
		return &astray{why: "it leaves the base path", behind: true}
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

// Origin is the scheme, host and port of an address, as one word: the same for two ways to write one. On loopback the port
// does not count, because what listens there for a test has another one each time.
func Origin(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if host == "localhost" || net.ParseIP(host).IsLoopback() {
		return strings.ToLower(u.Scheme) + "://loopback"
	}
	return strings.ToLower(u.Scheme) + "://" + net.JoinHostPort(host, port(u))
}
