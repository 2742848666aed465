package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// maxAliasHops ends the walk along aliases that lead to themselves.
const maxAliasHops = 16

// binder carries a YAML tree into Go structs. The decoder of the YAML library would do, but it stops at the
// first thing it doesn't like, and its messages quote the lines around it, which may hold a secret.
type binder struct {
	src      *source
	anchors  map[string]ast.Node
	problems Problems
}

func (b *binder) fail(path, format string, args ...any) {
	b.problems = append(b.problems, b.src.problem(path, format, args...))
}

func (b *binder) failAt(tk *token.Token, path, format string, args ...any) {
	p := b.src.problem(path, format, args...)
	if tk != nil && tk.Position != nil {
		p.Line, p.Column = tk.Position.Line, tk.Position.Column
	}
	b.problems = append(b.problems, p)
}

// note remembers where the value at path stands.
func (b *binder) note(path string, tk *token.Token) {
	if tk != nil && tk.Position != nil {
		b.src.at[path] = origin{line: tk.Position.Line, column: tk.Position.Column}
	}
}

// bind sets v, which must be settable, to what n says. A null leaves v as it is.
func (b *binder) bind(n ast.Node, v reflect.Value, path string) {
	n, ok := b.resolve(n, path)
	if !ok || n.Type() == ast.NullType {
		return
	}
	if s, ok := v.Addr().Interface().(*Settings); ok {
		*s = Settings{node: n, path: path, binder: b}
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		b.bind(n, v.Elem(), path)
		return
	}
	if isScalar(v.Type()) {
		b.bindScalar(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		b.bindStruct(n, v, path)
	case reflect.Map:
		b.bindMap(n, v, path)
	case reflect.Slice:
		b.bindSlice(n, v, path)
	default:
		b.fail(path, "a setting of type %s can't be read from a file", v.Type())
	}
}

func (b *binder) bindStruct(n ast.Node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	for _, e := range b.entries(n, path) {
		i, known := fields[e.key]
		if !known {
			b.failAt(e.token, join(path, e.key), "no such key%s", didYouMean(e.key, slices.Sorted(maps.Keys(fields))))
			continue
		}
		at := join(path, e.key)
		b.note(at, e.token)
		b.bind(e.value, v.Field(i), at)
	}
}

func (b *binder) bindMap(n ast.Node, v reflect.Value, path string) {
	if v.Type().Key().Kind() != reflect.String {
		b.fail(path, "a setting of type %s can't be read from a file", v.Type())
		return
	}
	entries := b.entries(n, path)
	m := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, e := range entries {
		at := join(path, e.key)
		b.note(at, e.token)
		value := reflect.New(v.Type().Elem())
		if d, ok := value.Interface().(defaulter); ok {
			d.setDefaults()
		}
		b.bind(e.value, value.Elem(), at)
		m.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), value.Elem())
	}
	v.Set(m)
}

func (b *binder) bindSlice(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		b.failAt(n.GetToken(), path, "want a list, such as [a, b]")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		at := join(path, strconv.Itoa(i))
		b.note(at, item.GetToken())
		b.bind(item, list.Index(i), at)
	}
	v.Set(list)
}

func (b *binder) bindScalar(n ast.Node, v reflect.Value, path string) {
	text, ok := scalarText(n)
	if !ok {
		b.failAt(n.GetToken(), path, "want one value, got a list or a group of keys")
		return
	}
	b.note(path, n.GetToken())
	if err := setText(v, text); err != nil {
		b.fail(path, "%s", err)
	}
}

// entry is one key of a mapping.
type entry struct {
	key   string
	token *token.Token
	value ast.Node
}

// entries returns the keys of a mapping in the order of the file, those of merged mappings (<<) last.
// A key that stands there twice is a problem: one of the two would be lost without a word.
func (b *binder) entries(n ast.Node, path string) []entry {
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		b.failAt(n.GetToken(), path, "want keys and values here")
		return nil
	}
	var own, merged []entry
	seen := map[string]int{}
	for _, value := range mapping.Values {
		if value.Key.IsMergeKey() {
			merged = append(merged, b.merged(value.Value, path)...)
			continue
		}
		tk := value.Key.GetToken()
		key, ok := scalarText(value.Key)
		if !ok {
			b.failAt(tk, path, "want a plain word as key")
			continue
		}
		if line, twice := seen[key]; twice {
			b.failAt(tk, join(path, key), "this key is already on line %d", line)
			continue
		}
		seen[key] = tk.Position.Line
		own = append(own, entry{key, tk, value.Value})
	}
	for _, e := range merged {
		if _, over := seen[e.key]; !over {
			seen[e.key] = e.token.Position.Line
			own = append(own, e)
		}
	}
	return own
}

// merged returns the keys that a merge key brings in: those of an alias to a mapping, or of several. A merge
// inside of a merged mapping is refused.
func (b *binder) merged(n ast.Node, path string) []entry {
	n, ok := b.resolve(n, path)
	if !ok {
		return nil
	}
	sources := []ast.Node{n}
	if seq, isList := n.(*ast.SequenceNode); isList {
		sources = seq.Values
	}
	var all []entry
	for _, s := range sources {
		s, ok := b.resolve(s, path)
		if !ok {
			continue
		}
		m, ok := s.(*ast.MappingNode)
		if !ok {
			b.failAt(s.GetToken(), path, "<< wants an alias to keys and values, such as <<: *common")
			continue
		}
		for _, value := range m.Values {
			tk := value.Key.GetToken()
			if value.Key.IsMergeKey() {
				b.failAt(tk, path, "<< inside of what << brings in is not followed: name both there, <<: [*a, *b]")
			} else if key, ok := scalarText(value.Key); ok {
				all = append(all, entry{key, tk, value.Value})
			}
		}
	}
	return all
}

// resolve looks through anchors, aliases and tags to the node that holds the value.
func (b *binder) resolve(n ast.Node, path string) (ast.Node, bool) {
	start := n
	for range maxAliasHops {
		switch t := n.(type) {
		case *ast.AnchorNode:
			n = t.Value
		case *ast.TagNode:
			n = t.Value
		case *ast.AliasNode:
			n = b.anchors[aliasName(t.Value)]
			if n == nil {
				b.failAt(start.GetToken(), path, "alias to an anchor that isn't in this file")
				return nil, false
			}
		case nil:
			return nil, false
		default:
			return n, true
		}
	}
	b.failAt(start.GetToken(), path, "alias that leads to itself")
	return nil, false
}

func aliasName(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// Visit collects the anchors of a tree; see ast.Walk.
func (b *binder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok {
		b.anchors[aliasName(a.Name)] = a.Value
	}
	return b
}

// scalarText returns a scalar as it is written, so that no value passes through a type it doesn't have
// (an id of 007 stays 007).
func scalarText(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.MappingKeyNode:
		return scalarText(t.Value)
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode, *ast.NullNode:
		return n.GetToken().Value, true
	}
	return "", false
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	stdDuration     = reflect.TypeFor[time.Duration]()
)

// isScalar reports whether values of type t are one text in the file.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64:
		return true
	}
	return isInteger(t.Kind())
}

func isInteger(k reflect.Kind) bool { return reflect.Int <= k && k <= reflect.Uint64 }

// setText sets v to the value that text stands for.
func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == stdDuration {
		d, err := ParseDuration(text)
		v.SetInt(int64(d))
		return err
	}
	switch k := v.Kind(); {
	case k == reflect.String:
		v.SetString(text)
	case k == reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("want true or false, got %q", text)
		}
		v.SetBool(text == "true")
	case k == reflect.Float32, k == reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a number, got %q", text)
		}
		v.SetFloat(f)
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a whole number, got %q", text)
		}
		v.SetInt(i)
	default:
		u, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a whole number that isn't negative, got %q", text)
		}
		v.SetUint(u)
	}
	return nil
}

// fieldsOf returns the settings of a struct: the index of each field by its key.
func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		if key := keyOf(t.Field(i)); key != "" {
			fields[key] = i
		}
	}
	return fields
}

// keyOf is the YAML key of a struct field: its yaml tag, else its name in lower case; "" for no setting.
func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	switch {
	case !f.IsExported() || key == "-":
		return ""
	case key == "":
		return strings.ToLower(f.Name)
	}
	return key
}
