package rest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"syncer/strictyaml"
)

// Problem is one thing that is wrong with a description, and where.
type Problem = strictyaml.Problem

// Problems are all the things that are wrong with a description, in the order of the file.
type Problems = strictyaml.Problems

// Parse reads and checks a description. The file's name is for messages only. The error is a Problems with everything
// that is wrong, not just the first of it.
func Parse(data []byte, filename string) (*Description, error) {
	src, err := strictyaml.Read(data, filename)
	if problems, ok := errors.AsType[Problems](err); ok {
		problems[0].Message += braceHint(data, problems[0].Line)
		return nil, problems
	}
	if n := src.Documents(); n != 1 {
		return nil, Problems{src.Problem("", "want one YAML document, got %d", n)}
	}
	src.Plain = true
	d := &Description{}
	src.Bind(d)
	d.shareDecimal()
	checker{src}.description(d)
	if err := src.Problems.Err(); err != nil {
		return nil, err
	}
	return d, nil
}

// braceHint helps where a placeholder, whose braces mean something to YAML, stands without quotation marks.
func braceHint(data []byte, line int) string {
	lines := bytes.Split(data, []byte("\n"))
	if line < 1 || line > len(lines) {
		return ""
	}
	for _, name := range placeholders {
		if bytes.Contains(lines[line-1], []byte("{"+name+"}")) {
			return fmt.Sprintf(`; a text with {%s} in it needs quotation marks: "...{%s}..."`, name, name)
		}
	}
	return ""
}

func itoa(i int) string { return strconv.Itoa(i) }

// join makes a path of keys.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
