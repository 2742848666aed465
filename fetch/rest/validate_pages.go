package rest

import (
	"slices"
	"strings"
)

// reads are the paths that pagination looks at.
func (p *Pagination) reads() (paths Paths) {
	if p.NextLink != nil {
		paths = append(paths, p.NextLink.Path...)
	}
	if p.NextLink != nil {
		paths = append(paths, p.NextLink.HasMore...)
	}
	if c := p.Cursor; c != nil {
		paths = append(append(paths, c.Path...), c.HasMore...)
	}
	if n := p.Page; n != nil {
		paths = append(append(append(append(paths, n.HasMore...), n.Pages...), n.LastPage...), n.Total...)
	}
	if o := p.Offset; o != nil {
		paths = append(append(paths, o.HasMore...), o.Total...)
	}
	return paths
}

// totals are the paths of how many records there are.
func (p *Pagination) totals() Paths {
	switch {
	case p.Page != nil:
		return p.Page.Total
	case p.Offset != nil:
		return p.Offset.Total
	}
	return nil
}

func (k checker) pagination(path string, r *Reading) {
	p := &r.Pagination
	if kinds := p.kinds(); len(kinds) > 1 {
		k.Fail(path, "one list has one way of paging, and here are %s", strings.Join(kinds, " and "))
	}
	parameter := ""
	var ends []Paths
	switch {
	case p.Cursor != nil:
		parameter = p.Cursor.Parameter
	case p.Page != nil:
		parameter = p.Page.Parameter
		ends = []Paths{p.Page.HasMore, p.Page.Pages, p.Page.LastPage, p.Page.Total}
		k.beyond(path+".page.beyond", p.Page.Beyond)
		if !within(p.Page.first(), 0, 1) {
			k.Fail(path+".page.first", "the first page is 0 or 1")
		}
	case p.Offset != nil:
		parameter = p.Offset.Parameter
		ends = []Paths{p.Offset.HasMore, p.Offset.Total}
		k.beyond(path+".offset.beyond", p.Offset.Beyond)
	}
	k.oneEnd(path, ends)
	if _, twice := r.Request.Query[parameter]; twice {
		k.Fail(path, "parameter %q is set by the request's query already", parameter)
	}
	k.leadsTo(path, r)
	k.paths(path, p.reads())
	k.windows(path+".windows", r)
}

// oneEnd checks that the end of a list is told in one way.
func (k checker) oneEnd(path string, ways []Paths) {
	ends := 0
	for _, way := range ways {
		ends += min(len(way), 1)
	}
	if ends > 1 {
		k.Fail(path, "has_more, pages, last_page and total are ways to tell the end: give one of them")
	}
}

func (k checker) windows(path string, r *Reading) {
	w := r.Pagination.Windows
	if w == nil {
		return
	}
	if !within(w.Days, 1, 3660) {
		k.Fail(path+".days", "want 1 to 3660 days")
	}
	bothEnds := r.Request.names(forSince) && r.Request.names(forUntil)
	if !bothEnds {
		k.Fail(path, "the request must name {since} and {until}, the ends of a window")
	}
}

// leadsTo checks the other paths that links may lead to.
func (k checker) leadsTo(path string, r *Reading) {
	_, targets := r.Pagination.links()
	for _, target := range targets {
		k.relative(path, target)
		for _, name := range k.template(path, target) {
			switch {
			case !slices.Contains([]string{forConsent, forAccount}, name):
				k.Fail(path, "leads_to has {consent} and {account} only, not {%s}", name)
			case !r.Request.names(name):
				k.Fail(path, "leads_to names {%s}, and the request does not", name)
			}
		}
	}
}
