package rest

import (
	"maps"
	"slices"
	"strings"
)

// reading checks what all datasets share.
func (k checker) reading(path string, r *Reading, statuses bool) {
	k.request(path+".request", &r.Request)
	if !r.Request.names(forConsent, forAccount, forSubject) {
		k.Fail(path+".request", "the request names nobody, so everybody would get the same: use {consent}, {account} or {subject}")
	}
	if r.Whole && r.ofDays() {
		k.Fail(path+".whole", "the request names days, so a pass shows a part; older records would look as if they had vanished")
	}
	k.lists(path, r, statuses)
	k.pagination(path+".pagination", r)
	k.paths(path+".subject", r.Subject)
	k.paths(path+".record_subject", r.RecordSubject)
	k.paths(path+".drop", r.Drop)
	k.echoes(path+".echoes.", r.Echoes)
	for i := range r.Partial {
		at := join(path+".partial", itoa(i))
		sign := &r.Partial[i]
		k.paths(at+".path", Paths{sign.Path})
		if (sign.Above != nil) == (len(sign.Is) > 0) {
			k.Fail(at, "give above or is, one of the two")
		}
	}
}

// names says that the request has one of the placeholders.
func (r *Request) names(placeholders ...string) bool {
	return slices.ContainsFunc(r.placeholders(), func(name string) bool { return slices.Contains(placeholders, name) })
}

// ofDays says that a pass reads some days and no others.
func (r *Reading) ofDays() bool {
	return r.Pagination.Windows != nil || r.Request.names(forSince, forUntil)
}

// echoes checks where an answer repeats what was asked for.
func (k checker) echoes(path string, echoes map[string]string) {
	for _, at := range slices.Sorted(maps.Keys(echoes)) {
		k.paths(path+at, Paths{at})
		for _, name := range k.template(path+at, echoes[at]) {
			if name == forSubject {
				k.Fail(path+at, "whom an answer is about is checked by subject")
			}
		}
	}
}

func (k checker) request(path string, r *Request) {
	k.relative(path+".path", r.Path)
	inURL := func(at, text string) {
		if slices.Contains(k.template(at, text), forSubject) {
			k.Fail(at, "a national identity number must not stand in an address, which is logged everywhere: send {subject} in a header or in the body")
		}
	}
	inURL(path+".path", r.Path)
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		inURL(path+".query."+name, r.Query[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		k.header(path+".headers."+name, name)
		k.template(path+".headers."+name, r.Headers[name])
		if strings.EqualFold(name, "Authorization") {
			k.Fail(path+".headers."+name, "this header carries the token; for a constant one use headers at the top")
		}
	}
	eachText(r.Body, path+".body", func(at, text string) string {
		k.template(at, text)
		return text
	})
	if r.Body != nil && r.Method != "POST" {
		k.Fail(path+".body", "a body goes with method POST")
	}
}

// template checks a text with placeholders and gives their names.
func (k checker) template(path, text string) []string {
	t, err := parseTemplate(text)
	if err != nil {
		k.Fail(path, "%s", err)
	}
	return t.names()
}

func (k checker) lists(path string, r *Reading, statuses bool) {
	around := r.around()
	for i := range r.Records {
		l := &r.Records[i]
		at := path + ".records"
		if len(r.Records) > 1 {
			at = join(at, itoa(i))
		}
		if l.Path != "." {
			k.paths(at, Paths{l.Path})
		}
		if l.Empty == emptyAbsent && !r.provesItself() {
			k.Fail(at+".empty", "an absent list shows that there is nothing only in an answer that is good by its subject, its echoes or its total: describe one of them")
		}
		if l.Status != "" && !statuses {
			k.Fail(at, "only transactions have a status")
		}
		for _, other := range around {
			if l.covers(other) {
				k.Fail(at, "%s can't be read: it lies inside of the list of records", other)
			}
		}
		k.noneInside(at, r.Records, i)
	}
}

// noneInside refuses a list of records that holds another one. Of two at the same path the second is told.
func (k checker) noneInside(at string, lists Lists, i int) {
	l := &lists[i]
	for j := range lists {
		other := lists[j].Path
		switch {
		case j == i:
			continue
		case other == l.Path && j > i && l.Path != ".":
			continue
		case l.covers(other):
			k.Fail(at, "one list of records lies inside of another")
		}
	}
}

// covers says that a path is the list's, or lies inside of it.
func (l *List) covers(path string) bool {
	switch {
	case l.Path == ".", path == l.Path:
		return true
	}
	return strings.HasPrefix(path, l.Path+".")
}

// around are the paths that are read beside the records.
func (r *Reading) around() Paths {
	paths := slices.Concat(r.Subject, Paths(slices.Sorted(maps.Keys(r.Echoes))))
	for i := range r.Partial {
		paths = append(paths, r.Partial[i].Path)
	}
	return append(paths, r.Pagination.reads()...)
}

// provesItself says that an answer without a list of records can be told from one of another shape.
func (r *Reading) provesItself() bool {
	return len(r.Subject)+len(r.Echoes)+len(r.Pagination.totals()) > 0
}
