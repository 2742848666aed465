package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with what was read, and where.
type Problem struct {
	File    string // the file; "" when the value came from the environment
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

// Problems are all the things that are wrong, in the order of the file.
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

// Err returns the problems sorted and without repeats as an error, nil if there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
	return slices.Compact(ps)
}
