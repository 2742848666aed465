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
		if beginsWith(at, wanted) {
			covered = max(covered, len(wanted))
		}
	}
	switch {
	case p.pathOfOther(at, max(covered, 0)), p.queryOfOther(rawQuery):
		return errOtherOwner
	case covered < 0:
		return errOtherList
	}
	return nil
}

func beginsWith(at, wanted []string) bool {
	return slices.Equal(at[:min(len(at), len(wanted))], wanted)
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
	i := covered
	for ; i < min(len(at), len(own)); i++ {
		if at[i] != own[i] {
			break
		}
	}
	if i >= min(len(at), len(own)) || isConstant(form[i]) {
		return false
	}
	return hasForm(at, form, own) || followsWord(at, form, own, i)
}

// isConstant says that a piece of a described path has no placeholder.
func isConstant(piece string) bool { return !strings.Contains(piece, "{") }

// hasForm says that a path has the words of a form in their places, and that the form has any.
func hasForm(at, form, own []string) bool {
	if len(at) != len(own) {
		return false
	}
	words := 0
	for i := range own {
		if !isConstant(form[i]) {
			continue
		}
		if at[i] != own[i] {
			return false
		}
		words++
	}
	return words > 0
}

// followsWord says that the same word stands before a place in a path and in the form.
func followsWord(at, form, own []string, i int) bool {
	if i == 0 {
		return false
	}
	return isConstant(form[i-1]) && at[i-1] == own[i-1]
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
