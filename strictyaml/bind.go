package strictyaml

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Defaulter is a type of which a file may hold many, in a map: each is given its defaults before its keys are read, so
// that an explicit zero is not mistaken for "not said".
type Defaulter interface{ SetDefaults() }

// Shorthand is a group or a list of which a single member may be written alone: Short gives a pointer to that member.
type Shorthand interface{ Short() any }

// Bind sets what into points at to what the file says; an empty file and a null leave it as it is. What doesn't fit is
// added to Problems. It takes structs, maps by strings, slices, pointers, scalars as SetText does, Later, and, of a Plain
// source, any: what encoding/json would make of it, with numbers as json.Number.
func (s *Source) Bind(into any) {
	if len(s.documents) > 0 {
		s.bind(s.documents[0], reflect.ValueOf(into).Elem(), "")
	}
}

// Later is a part of a file that is kept as it stands until somebody knows its type.
type Later struct {
	node   ast.Node
	path   string
	source *Source
}

// Bind reads the part into the struct that into points at, as strictly as the rest of the file. Where the file has no
// such part, into stays as it is.
func (l Later) Bind(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("settings are decoded into a pointer to a struct, not into %T", into)
	}
	if l.node == nil {
		return nil
	}
	s := *l.source
	s.said = nil
	s.Problems = nil
	s.note(l.path, locationOf(l.node.GetToken()))
	s.bind(l.node, v.Elem(), l.path)
	return s.Problems.Err()
}

// bind sets v, which must be settable, to what n says.
func (s *Source) bind(n ast.Node, v reflect.Value, path string) {
	n, ok := s.resolve(n, path)
	if !ok || n.Type() == ast.NullType {
		return
	}
	switch into := v.Addr().Interface().(type) {
	case *Later:
		*into = Later{n, path, s}
		return
	case Shorthand:
		if !isLong(n, v.Kind()) {
			s.bind(n, reflect.ValueOf(into.Short()).Elem(), path)
			return
		}
	}
	if IsScalar(v.Type()) {
		s.bindScalar(n, v, path)
		return
	}
	switch k := v.Kind(); {
	case k == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		s.bind(n, v.Elem(), path)
	case k == reflect.Struct:
		s.bindStruct(n, v, path)
	case k == reflect.Map && v.Type().Key().Kind() == reflect.String:
		s.bindMap(n, v, path)
	case k == reflect.Slice:
		s.bindSlice(n, v, path)
	case k == reflect.Interface && s.Plain: // without aliases, which could lead round in circles
		if value := s.value(n, path); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	default:
		s.Fail(path, "a setting of type %s can't be read from a file", v.Type())
	}
}

// isLong tells whether n is written out as a value of kind k is.
func isLong(n ast.Node, k reflect.Kind) bool {
	if k == reflect.Slice {
		return n.Type() == ast.SequenceType
	}
	return n.Type() == ast.MappingType
}

func (s *Source) bindStruct(n ast.Node, v reflect.Value, path string) {
	entries, ok := s.mapping(n, path)
	if !ok {
		return
	}
	fields := Fields(v.Type())
	given := map[string]bool{}
	for _, e := range entries {
		at := Join(path, e.key)
		f, known := fields[e.key]
		if !known {
			s.failAt(e.token, at, "no such key%s", DidYouMean(e.key, slices.Sorted(maps.Keys(fields))))
			continue
		}
		given[e.key] = e.value != nil && e.value.Type() != ast.NullType
		s.note(at, locationOf(e.token))
		into := v.FieldByIndex(f.Index)
		s.bind(e.value, into, at)
		if text := into.String(); into.Kind() == reflect.String && len(f.words) > 0 && text != "" && !slices.Contains(f.words, text) {
			s.Fail(at, "%q is not known%s (there are: %s)", text, DidYouMean(text, f.words), strings.Join(f.words, ", "))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if fields[key].required && !given[key] {
			s.Fail(Join(path, key), "missing")
		}
	}
}

func (s *Source) bindMap(n ast.Node, v reflect.Value, path string) {
	entries, ok := s.mapping(n, path)
	if !ok {
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, e := range entries {
		at := Join(path, e.key)
		s.note(at, locationOf(e.token))
		value := reflect.New(v.Type().Elem())
		if d, ok := value.Interface().(Defaulter); ok {
			d.SetDefaults()
		}
		s.bind(e.value, value.Elem(), at)
		m.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), value.Elem())
	}
	v.Set(m)
}

func (s *Source) bindSlice(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		s.failAt(n.GetToken(), path, "want a list, such as [a, b]")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		at := Join(path, strconv.Itoa(i))
		s.note(at, locationOf(item.GetToken()))
		s.bind(item, list.Index(i), at)
	}
	v.Set(list)
}

func (s *Source) bindScalar(n ast.Node, v reflect.Value, path string) {
	text, ok := scalarText(n)
	if !ok {
		s.failAt(n.GetToken(), path, "want one value, got a list or a group of keys")
		return
	}
	s.note(path, locationOf(n.GetToken()))
	if err := s.SetText(v.Addr().Interface(), text); err != nil {
		s.Fail(path, "%s", err)
	}
}
