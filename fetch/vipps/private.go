package vipps

import (
	"regexp"
	"strings"

	"syncer/fetch/jsonread"
)

// other reads what tells who has paid, and what nobody has given a column. The former comes only where it was asked
// for; without that it is dropped even if it comes, under the names that are known and those that look like one.
func (r *rowReader) other(e *entry, o *jsonread.Object) {
	switch key := strings.ToLower(o.Key()); {
	case !r.gdpr && (personal.MatchString(key) || r.nested()):
	case key == "name":
		e.CounterpartyName = r.s.Text()
	case key == "message":
		e.Text = r.s.Text()
	default:
		o.Extra(&r.extra)
	}
}

// personal is what names of members that tell who has paid look like.
var personal = regexp.MustCompile(`(?i)name|phone|message|e-?mail|address|payer`)

// nested says whether the value ahead holds members with such names in its depths.
func (r *rowReader) nested() bool {
	if c := r.s.Peek(); c != '{' && c != '[' {
		return false
	}
	ahead := *r.s // a look ahead: the scanner itself stays where it is
	return personal.MatchString(ahead.Raw())
}
