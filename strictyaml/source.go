// Package strictyaml reads YAML that people write by hand into Go structs, and leaves nothing to chance: an unknown key,
// a key that stands there twice and a value that doesn't fit are problems, all of them are told at once, each with its
// line, its column, its path and the nearest word that would have been right, and none repeats the lines around it,
// which may hold a secret.
//
// The keys of a struct are named by its yaml tags, as in every YAML library, and a field tagged ",inline" gives its own.
// What a jsonschema tag says of a field holds here too: required, and enum=word for each word that it may be.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Source is a file: what stands where in it, and what is wrong with it. Its zero value with a File is one that says nothing.
type Source struct {
	// File is its name, for messages only.
	File string
	// Plain refuses anchors, aliases, tags and merged keys (<<). Set it before Bind.
	Plain bool
	// Durations reads a time.Duration; without it time.ParseDuration does. Set it before Bind.
	Durations func(text string) (time.Duration, error)
	// Problems are those found so far.
	Problems Problems

	documents []ast.Node
	anchors   map[string]ast.Node
	said      map[string]location // by path
}

// location is where a value was said.
type location struct {
	line, column int
	env          string
}

// Read takes data apart. It fails with Problems if this isn't YAML. The library quotes the lines around a mistake, so only
// its message and position are passed on; and it has been seen to panic.
func Read(data []byte, file string) (s *Source, err error) {
	s = &Source{File: file, anchors: map[string]ast.Node{}}
	defer func() {
		if p := recover(); p != nil {
			s = nil
			err = Problems{{File: file, Message: "this is not YAML that can be read"}}
		}
	}()
	if why := excess(data); why != "" {
		return nil, Problems{{File: file, Message: why}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))                        // editors on Windows put one there
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // all doubles are reported here, not the first
	if err != nil {
		p := Problem{File: file, Message: "not valid YAML"}
		if syntax, ok := errors.AsType[yaml.Error](err); ok {
			p.Message += ": " + syntax.GetMessage()
			at := locationOf(syntax.GetToken())
			p.Line = at.line
			p.Column = at.column
		}
		return nil, Problems{p}
	}
	for _, d := range tree.Docs {
		if d.Body != nil {
			s.documents = append(s.documents, d.Body)
			ast.Walk(anchors(s.anchors), d.Body)
		}
	}
	return s, nil
}

// anchors collects the anchors of a tree.
type anchors map[string]ast.Node

// Visit sees a node; see ast.Walk.
func (a anchors) Visit(n ast.Node) ast.Visitor {
	if anchor, ok := n.(*ast.AnchorNode); ok {
		a[nameOf(anchor.Name)] = anchor.Value
	}
	return a
}

// Documents counts those in the file that say anything.
func (s *Source) Documents() int { return len(s.documents) }

// Said tells whether the file or the environment has a value at path.
func (s *Source) Said(path string) bool {
	_, ok := s.said[path]
	return ok
}

// SaidBy notes that the value at path comes from an environment variable.
func (s *Source) SaidBy(variable, path string) { s.note(path, location{env: variable}) }

func (s *Source) note(path string, p location) {
	if s.said == nil {
		s.said = map[string]location{}
	}
	s.said[path] = p
}

func locationOf(tk *token.Token) location {
	if tk == nil || tk.Position == nil {
		return location{}
	}
	return location{line: tk.Position.Line, column: tk.Position.Column}
}

// Problem is what is wrong at path. Where nothing was said at path itself, as with a key that is missing, its place is
// that of the nearest level above.
func (s *Source) Problem(path, format string, args ...any) Problem {
	for at := path; ; {
		if p, ok := s.said[at]; ok {
			return s.problem(p, path, format, args...)
		}
		i := strings.LastIndexByte(at, '.')
		if i < 0 {
			return s.problem(location{}, path, format, args...)
		}
		at = at[:i]
	}
}

// Fail adds a Problem to those of the source.
func (s *Source) Fail(path, format string, args ...any) {
	s.Problems = append(s.Problems, s.Problem(path, format, args...))
}

func (s *Source) failAt(tk *token.Token, path, format string, args ...any) {
	s.Problems = append(s.Problems, s.problem(locationOf(tk), path, format, args...))
}

func (s *Source) problem(at location, path, format string, args ...any) Problem {
	p := Problem{File: s.File, Line: at.line, Column: at.column, Env: at.env, Path: path, Message: fmt.Sprintf(format, args...)}
	if p.Env != "" {
		p.File = ""
	}
	return p
}

// Join makes a path of keys.
func Join(keys ...string) string {
	return strings.Join(slices.DeleteFunc(keys, func(k string) bool { return k == "" }), ".")
}
