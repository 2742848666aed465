package rest

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"syncer/fetch"
)

var (
	errOtherList  = errors.New("it leads to another list than the one asked for")
	errOtherOwner = errors.New("it leads to another account or consent than the one asked for")
)

// rewriteAdvice helps against links of a server that does not know its own address.
const rewriteAdvice = "if the API's links are always so, say rewrite: true beside next_link or link_header"

// follows says which links are followed, and what they are relative to.
func (p *pass) follows(from *fetch.Request) fetch.Follow {
	rewrite, _ := p.Pagination.links()
	return fetch.Follow{From: from, To: p.leads, Rewrite: rewrite, Advice: rewriteAdvice}
}

// links are the keys that next_link and link_header share.
func (p *Pagination) links() (rewrite bool, leadsTo []string) {
	switch {
	case p.NextLink != nil:
		return p.NextLink.Rewrite, p.NextLink.LeadsTo
	case p.LinkHeader != nil:
		return p.LinkHeader.Rewrite, p.LinkHeader.LeadsTo
	}
	return false, nil
}

// leads says why a link to a place below the base is not followed. It must lead to the path that was asked for or below
// it, or to a place of leads_to or below that; and never to another account or consent, by its path or its query.
func (p *pass) leads(path, rawQuery string) error {
	at := pieces(path)
	covered := -1 // how much of the path a place of the description accounts for
	for _, target := range append([]template{p.path}, p.leadsTo...) {
		wanted := pieces(target.fill(p.asked, url.PathEscape))
		if len(at) >= len(wanted) && slices.Equal(at[:len(wanted)], wanted) {
			covered = max(covered, len(wanted))
		}
	}
	switch {
	case p.pathOfOther(at, max(covered, 0)) || p.queryOfOther(rawQuery):
		return errOtherOwner
	case covered < 0:
		return errOtherList
	}
	return nil
}

// pieces are what stands between the slashes of a path, without escapes: a link may escape otherwise than we do.
func pieces(path string) []string {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	all := strings.Split(path, "/")
	for i, piece := range all {
		if plain, err := url.PathUnescape(piece); err == nil {
			all[i] = plain
		}
	}
	return all
}

// pathOfOther says whether a path is made like the request's, but with another account or consent: it has the request's
// whole form, or the word that stands before the placeholder. Of what is covered nothing is asked.
func (p *pass) pathOfOther(at []string, covered int) bool {
	form := pieces(p.Request.Path)
	own := pieces(p.path.fill(p.asked, url.PathEscape))
	constant := func(i int) bool { return !strings.Contains(form[i], "{") }
	whole := len(at) == len(own)
	words := 0
	for i := range own {
		if constant(i) {
			words++
			whole = whole && at[i] == own[i]
		}
	}
	whole = whole && words > 0
	for i := range min(len(at), len(own)) {
		switch {
		case i < covered || at[i] == own[i]:
		case constant(i):
			return false
		default:
			return whole || i > 0 && constant(i-1) && at[i-1] == own[i-1]
		}
	}
	return false
}

// queryOfOther says whether a query has a parameter that names the account or the consent in the request, and here
// names another one.
func (p *pass) queryOfOther(rawQuery string) bool {
	parts := strings.FieldsFunc(rawQuery, func(r rune) bool { return r == '&' || r == ';' })
	for _, q := range p.query {
		if names := q.names(); !slices.Contains(names, forAccount) && !slices.Contains(names, forConsent) {
			continue
		}
		own := q.fill(p.asked, asItIs)
		for _, part := range parts {
			name, value, _ := strings.Cut(part, "=")
			if plain(name) == q.name && plain(value) != own {
				return true
			}
		}
	}
	return false
}

// plain is a piece of a query without its escapes.
func plain(text string) string {
	if got, err := url.QueryUnescape(text); err == nil {
		return got
	}
	return text
}
