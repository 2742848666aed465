package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a config, and where.
type Problem struct {
	File    string // the config file; "" when the value came from the environment
	Line    int    // from 1; 0 when the file has no such line (a key that is missing altogether)
	Column  int    // from 1; 0 like Line
	Env     string // the environment variable that set the value; "" when the file did
	Path    string // the keys down to the value, such as jobs.nightly.schedule
	Message string // what is wrong and what to write instead; never a secret
}

// Error is the problem on one line: file:line:column: path: message.
func (p Problem) Error() string {
	var where []string
	switch {
	case p.Env != "":
		where = append(where, "environment "+p.Env)
	case p.Line > 0:
		where = append(where, fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column))
	case p.File != "":
		where = append(where, p.File)
	}
	if p.Path != "" {
		where = append(where, p.Path)
	}
	return strings.Join(append(where, p.Message), ": ")
}

// Problems are all the things that are wrong with a config, in the order of the file.
type Problems []Problem

// Error gives one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Problem.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// err returns the problems sorted and without repeats as an error, nil if there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
	return slices.Compact(ps)
}

// origin is where a value was said.
type origin struct {
	line, column int
	env          string
}

// source remembers where every value of a config came from.
type source struct {
	file string
	at   map[string]origin // by path
}

// problem describes what is wrong at path. Where nothing was said at path itself (a missing key), the
// position is that of the nearest level above it.
func (s *source) problem(path, format string, args ...any) Problem {
	p := Problem{File: s.file, Path: path, Message: fmt.Sprintf(format, args...)}
	for at := path; ; {
		if o, ok := s.at[at]; ok {
			p.Line, p.Column, p.Env = o.line, o.column, o.env
			if p.Env != "" {
				p.File = ""
			}
			return p
		}
		i := strings.LastIndexByte(at, '.')
		if i < 0 {
			return p
		}
		at = at[:i]
	}
}

// Problemf makes an error about the value at path (such as "connections.ng.environment") that names its
// place in the file, for those who know more about a value than this package does.
func (c *Config) Problemf(path, format string, args ...any) error {
	return c.src.problem(path, format, args...)
}

// CheckProviders reports every connection whose provider isn't in known, with the nearest name that is.
func (c *Config) CheckProviders(known []string) error {
	var problems Problems
	for name, conn := range c.Connections {
		if !slices.Contains(known, conn.Provider) {
			problems = append(problems, c.src.problem(join("connections", name, "provider"), "no provider %q%s (there are: %s)",
				conn.Provider, didYouMean(conn.Provider, known), strings.Join(known, ", ")))
		}
	}
	return problems.err()
}

// join makes a path of keys.
func join(keys ...string) string {
	return strings.Join(slices.DeleteFunc(keys, func(k string) bool { return k == "" }), ".")
}
