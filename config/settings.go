package config

import (
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml/ast"
)

// Settings is the part of a connection that only its provider understands. It is kept as it stands in the
// file until Connection.DecodeSettings reads it into the provider's struct.
type Settings struct {
	node   ast.Node
	path   string
	binder *binder
}

// DecodeSettings reads the connection's settings into the struct that into points at, as strictly as the rest
// of the file: every unknown key and every value that doesn't fit is reported with its place. What the file
// doesn't mention keeps the value it has, so defaults are set beforehand. Fields are named by their yaml tag and
// may be strings, booleans, numbers, time.Duration, types with UnmarshalText, and structs, lists and maps of these.
func (c Connection) DecodeSettings(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("settings are decoded into a pointer to a struct, not into %T", into)
	}
	if c.Settings.node == nil {
		return nil
	}
	b := &binder{
		src:     &source{file: c.Settings.binder.src.file, at: map[string]origin{}},
		anchors: c.Settings.binder.anchors,
	}
	b.note(c.Settings.path, c.Settings.node.GetToken())
	b.bind(c.Settings.node, v.Elem(), c.Settings.path)
	return b.problems.err()
}
