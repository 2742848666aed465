package fetch

import (
	"net/url"
	"regexp"
	"strings"

	"syncer/fetch/redact"
	"syncer/finance"
)

// Link is a next link that may be followed: a place below the API's address, byte for byte as the provider wrote it.
// Path and RawQuery go into a Request.
type Link struct {
	Path     string
	RawQuery string
	// Address is the same place from the host on, for a cursor: Resolve takes it again.
	Address string
}

// Follow is what Resolve has to know to take a next link apart.
type Follow struct {
	// From is the request in whose answer the link stands. A relative link is relative to its address (RFC 3986 section
	// 5.1, RFC 8288 section 3.2).
	From *Request
	// To says why a link to this place is not followed, such as "it leads to another list"; nil: it is. The path is below
	// the base and escaped.
	To func(path, rawQuery string) error
	// Rewrite puts a link on the base's host that has another scheme or port, or has not the base's path or the beginning of
	// it, onto the base. Proxies and gateways leave such links behind.
	Rewrite bool
	// Advice is what helps against a link that Rewrite would have put right, for the operator.
	Advice string
}

// Resolve takes a next link apart. The link must have the base's scheme, host and port, stay below its path, carry no
// user, and lead to where f.To lets it. Joining the texts is not enough: "https://api.example" + "@evil.example/next"
// is a URL of host evil.example.
//
// The error is an *Error of class malformed, because the link is a fault of this one answer. It shows a link on our own
// host without its query and with names in the place of ids; of any other link it shows nothing, since that may be
// hostile.
func (c *Client) Resolve(link string, f Follow) (Link, error) {
	base := c.opt.Driver.Base
	asked, no := f.From.address(base)
	if no != nil {
		return Link{}, c.refusedLink("the address that was asked for: " + no.why)
	}
	ref, no := parseLink(link)
	if no != nil {
		return Link{}, c.refusedLink(no.why)
	}
	u := asked.ResolveReference(ref)
	found, no := f.onBase(u, base)
	switch {
	case no == nil:
		return found, nil
	case no.hidden:
		return Link{}, c.refusedLink(no.why)
	}
	reason := no.why + " (" + u.Scheme + "://" + u.Host + f.withoutIDs(u, base) + ")"
	advised := no.behind && !f.Rewrite
	if advised && f.Advice != "" {
		reason += ": " + f.Advice
	}
	return Link{}, c.refusedLink(reason)
}

func (c *Client) refusedLink(why string) *Error {
	return &Error{
		Class: finance.Malformed, Op: "follow a next link", Connection: c.opt.Connection.Name,
		Reason: "the link is refused: " + redact.Words(why, c.shown()...),
	}
}

// onBase is the place below the base that an address names.
func (f *Follow) onBase(u, base *url.URL) (Link, *astray) {
	for _, no := range []*astray{ours(u, base), below(u, base)} {
		if no != nil && !f.putsRight(no) {
			return Link{}, no
		}
	}
	rests := []string{strings.TrimPrefix(u.EscapedPath(), root(base))}
	if f.Rewrite {
		// A gateway hides its whole path from the server behind it, or only the beginning. What fits best comes first.
		rests = withoutBase(u.EscapedPath(), root(base))
	}
	var first *astray
	for _, rest := range rests {
		found, no := f.to(rest, u.RawQuery, base)
		if no == nil {
			return found, nil
		}
		if first == nil {
			first = no
		}
	}
	return Link{}, first
}

// putsRight says that Rewrite takes an address for one on the base nevertheless.
func (f *Follow) putsRight(no *astray) bool { return f.Rewrite && no.behind }

// withoutBase gives what may follow the base in a path of the base's host: behind the whole base, behind each shorter
// end of the base that the path begins with, and last the path itself.
func withoutBase(path, root string) (rests []string) {
	for end := root; end != ""; {
		if rest, ok := strings.CutPrefix(path, end); ok && isWholePieces(rest) {
			rests = append(rests, rest)
		}
		next := strings.IndexByte(end[1:], '/')
		if next < 0 {
			break
		}
		end = end[1+next:]
	}
	return append(rests, path)
}

// isWholePieces says that what is left of a path does not begin within one of its pieces.
func isWholePieces(rest string) bool { return rest == "" || rest[0] == '/' }

// to is the link to a path behind the base, if f.To lets it lead there.
func (f *Follow) to(path, rawQuery string, base *url.URL) (Link, *astray) {
	l := Link{Path: path, RawQuery: rawQuery, Address: root(base) + path}
	if l.Address == "" {
		l.Address = "/"
	}
	if rawQuery != "" {
		l.Address += "?" + rawQuery
	}
	if path != "/" && !strings.HasPrefix(path, "//") { // behind the base, a slash alone is an address of its own
		l.Path = strings.TrimPrefix(path, "/")
	}
	if f.To != nil {
		if err := f.To(l.Path, rawQuery); err != nil {
			return Link{}, &astray{why: err.Error()}
		}
	}
	return l, nil
}

// route is a piece of a path that is no id: a word or a version.
var route = regexp.MustCompile(`^([a-z]{3,}[a-z_-]*\d?|v\d{1,2}(\.\d{1,2})*)$`)

// withoutIDs is a path that may be shown: what was asked for has the names of the request's template, and every other
// piece that is no word or version is shown as {id}.
func (f *Follow) withoutIDs(u, base *url.URL) string {
	names := strings.Split(strings.Trim(f.From.Template, "/"), "/")
	values := strings.Split(strings.Trim(f.From.Path, "/"), "/")
	shown := map[string]string{}
	for piece := range strings.SplitSeq(root(base), "/") {
		shown[piece] = piece
	}
	for i, name := range names {
		if !isPlaceholder(name) {
			shown[name] = name
		}
		if isPlaceholder(name) && len(names) == len(values) {
			shown[values[i]] = name
		}
	}
	pieces := strings.Split(u.EscapedPath(), "/")
	// Another account stands where the request had its own: seen from the end, the two paths are made alike.
	for back := 1; back <= len(names) && back < len(pieces); back++ {
		piece := pieces[len(pieces)-back]
		name := names[len(names)-back]
		if piece != name && !isPlaceholder(name) {
			break
		}
		if _, known := shown[piece]; !known {
			shown[piece] = name
		}
	}
	for i, piece := range pieces {
		name, known := shown[piece]
		switch {
		case piece == "":
		case known:
			pieces[i] = name
		case len(piece) > 24, !route.MatchString(piece):
			pieces[i] = "{id}"
		}
	}
	return strings.Join(pieces, "/")
}

func isPlaceholder(name string) bool {
	return strings.HasPrefix(name, "{") && strings.HasSuffix(name, "}")
}
