package rest

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// binder carries a YAML tree into the Description and remembers where everything stood. The YAML library's own decoder
// stops at the first thing it doesn't like; a person who describes an API wants to hear of all of them.
type binder struct {
	file     string
	at       map[string]place // by path
	problems Problems
}

type place struct{ line, column int }

func (b *binder) failAt(tk *token.Token, path, format string, args ...any) {
	b.problems.add(b.file, path, placeOf(tk), format, args...)
}

// fail reports a problem at a path, or where nothing was said there, at the nearest level above it.
func (b *binder) fail(path, format string, args ...any) {
	b.problems.add(b.file, path, b.nearestPlace(path), format, args...)
}

func (b *binder) nearestPlace(path string) place {
	for at := path; at != ""; {
		if p, ok := b.at[at]; ok {
			return p
		}
		at = at[:max(0, strings.LastIndexByte(at, '.'))]
	}
	return place{}
}

func placeOf(tk *token.Token) place {
	if tk == nil || tk.Position == nil {
		return place{}
	}
	return place{tk.Position.Line, tk.Position.Column}
}

func (b *binder) note(path string, tk *token.Token) {
	if p := placeOf(tk); p.line > 0 {
		b.at[path] = p
	}
}

// bind sets v to what n says. A null leaves v as it is.
func (b *binder) bind(n ast.Node, v reflect.Value, path string) {
	switch n.(type) {
	case nil, *ast.NullNode:
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		b.failAt(n.GetToken(), path, "anchors, aliases and tags are not read here: write it out")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		b.bind(n, v.Elem(), path)
		return
	}
	text, scalar := scalarText(n)
	switch into := v.Addr().Interface().(type) {
	case *Body:
		into.value = b.bodyValue(n, path)
		return
	case shorthand:
		if _, group := n.(*ast.MappingNode); !group {
			b.bind(n, reflect.ValueOf(into.short()).Elem(), path)
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		b.bindStruct(n, v, path)
	case reflect.Map:
		b.bindMap(n, v, path)
	case reflect.Slice:
		b.bindSlice(n, v, path)
	default:
		if !scalar {
			b.failAt(n.GetToken(), path, "want one value, got a list or a group of keys")
			return
		}
		b.note(path, n.GetToken())
		if why := setScalar(v, text); why != "" {
			b.fail(path, "%s", why)
		}
	}
}

func (b *binder) bindStruct(n ast.Node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	given := map[string]bool{}
	entries, ok := b.mapping(n, path)
	if !ok {
		return
	}
	for _, e := range entries {
		at := join(path, e.key)
		f, known := fields[e.key]
		if !known {
			b.failAt(e.token, at, "no such key%s", didYouMean(e.key, slices.Sorted(maps.Keys(fields))))
			continue
		}
		given[e.key] = e.value != nil && e.value.Type() != ast.NullType
		b.note(at, e.token)
		b.bind(e.value, v.FieldByIndex(f.index), at)
		b.oneOf(f, v.FieldByIndex(f.index), at)
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if fields[key].required && !given[key] {
			b.fail(join(path, key), "missing")
		}
	}
}

// oneOf checks a text against the words that it may be.
func (b *binder) oneOf(f field, v reflect.Value, path string) {
	if v.Kind() != reflect.String || len(f.enum) == 0 || v.String() == "" || slices.Contains(f.enum, v.String()) {
		return
	}
	b.fail(path, "%q is not known%s (there are: %s)", v.String(), didYouMean(v.String(), f.enum), strings.Join(f.enum, ", "))
}

func (b *binder) bindMap(n ast.Node, v reflect.Value, path string) {
	entries, ok := b.mapping(n, path)
	if !ok {
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, e := range entries {
		at := join(path, e.key)
		b.note(at, e.token)
		value := reflect.New(v.Type().Elem()).Elem()
		b.bind(e.value, value, at)
		m.SetMapIndex(reflect.ValueOf(e.key), value)
	}
	v.Set(m)
}

func (b *binder) bindSlice(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		if _, single := v.Interface().(oneOrMany); !single {
			b.failAt(n.GetToken(), path, "want a list, such as [a, b]")
			return
		}
		list := reflect.MakeSlice(v.Type(), 1, 1)
		b.bind(n, list.Index(0), path)
		v.Set(list)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		at := join(path, itoa(i))
		b.note(at, item.GetToken())
		b.bind(item, list.Index(i), at)
	}
	v.Set(list)
}

// setScalar sets v to the value that text stands for, or says why it can't.
func setScalar(v reflect.Value, text string) string {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return "want true or false, got " + strconv.Quote(text)
		}
		v.SetBool(text == "true")
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != f || f < 0 || f > 1e6 {
			return "want a number from 0 to 1000000, got " + strconv.Quote(text)
		}
		v.SetFloat(f)
	default:
		i, err := strconv.Atoi(text)
		if err != nil {
			return "want a whole number, got " + strconv.Quote(text)
		}
		v.SetInt(int64(i))
	}
	return ""
}

// field is a key of a group as its struct declares it.
type field struct {
	index    []int
	required bool
	enum     []string
}

// fieldsOf returns the keys of a struct, those of its inlined structs included. What is required and which words are
// allowed stands in the tags that make the JSON schema.
func fieldsOf(t reflect.Type) map[string]field {
	fields := map[string]field{}
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if f.Anonymous && key == "" {
			for k, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields[k] = inner
			}
			continue
		}
		if key == "" {
			continue
		}
		entry := field{index: []int{i}}
		for tag := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
			word, isEnum := strings.CutPrefix(tag, "enum=")
			if isEnum {
				entry.enum = append(entry.enum, word)
			}
			entry.required = entry.required || tag == "required"
		}
		fields[key] = entry
	}
	return fields
}
