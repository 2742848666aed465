package rest

import "github.com/goccy/go-yaml/ast"

// Types that may be written in a short way.

// Paths are dotted paths into an answer, with numbers for places in a list: one, or a list of which the first that is
// there counts.
type Paths []string

// Words are texts: one, or a list.
type Words []string

// Statuses are HTTP statuses: one, or a list.
type Statuses []int

// Lists are lists of records: one, or several.
type Lists []List

// Body is any YAML value that is sent as JSON, with placeholders in its texts.
type Body struct{ value any }

// oneOrMany marks lists of which a single element may stand without brackets.
type oneOrMany interface{ oneOrMany() }

func (Paths) oneOrMany()    {}
func (Words) oneOrMany()    {}
func (Statuses) oneOrMany() {}
func (Lists) oneOrMany()    {}

// shorthand is a group of keys of which a single one may be written alone: it gives the place of that one's value.
type shorthand interface{ short() any }

func (h *Header) short() any { return &h.Value }
func (l *List) short() any   { return &l.Path }
func (f *Field) short() any  { return &f.Path }
func (i *ID) short() any     { return &i.Path }

// number is a number of a request's body, sent with the digits that stand in the description.
type number string

// MarshalJSON gives the digits.
func (n number) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// bodyValue turns a YAML tree into what encoding/json writes.
func (b *binder) bodyValue(n ast.Node, path string) any {
	switch t := n.(type) {
	case *ast.MappingNode:
		m := map[string]any{}
		for _, e := range b.entries(t, path) {
			m[e.key] = b.bodyValue(e.value, join(path, e.key))
		}
		return m
	case *ast.SequenceNode:
		list := make([]any, len(t.Values))
		for i, v := range t.Values {
			list[i] = b.bodyValue(v, join(path, itoa(i)))
		}
		return list
	case *ast.NullNode:
		return nil
	case *ast.BoolNode:
		return t.Value
	case *ast.IntegerNode, *ast.FloatNode:
		if text := n.GetToken().Value; jsonNumber(text) {
			return number(text)
		}
		b.failAt(n.GetToken(), path, "not a number as JSON knows it: put it into quotation marks")
		return nil
	}
	text, ok := scalarText(n)
	if !ok {
		b.failAt(n.GetToken(), path, "this can't be sent as JSON")
	}
	b.note(path, n.GetToken())
	return text
}
