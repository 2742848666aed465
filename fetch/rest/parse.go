package rest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// largest bounds a description; a larger one is another file.
const largest = 1 << 20

// Problem is one thing that is wrong with a description, and where.
type Problem struct {
	File    string
	Line    int    // from 1; 0: the file as a whole
	Column  int    // from 1
	Path    string // the keys down to the value, such as datasets.debt.fields.balance
	Message string
}

// Error is the problem on one line: file:line:column: path: message.
func (p Problem) Error() string {
	where := p.File
	if p.Line > 0 {
		where += fmt.Sprintf(":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" {
		where += ": " + p.Path
	}
	return where + ": " + p.Message
}

// Problems are all the things that are wrong with a description, in the order of the file.
type Problems []Problem

// Error gives one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

func (ps *Problems) add(file, path string, at place, format string, args ...any) {
	*ps = append(*ps, Problem{file, at.line, at.column, path, fmt.Sprintf(format, args...)})
}

func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
	return slices.Compact(ps)
}

// Parse reads and checks a description. The file's name is for messages only. The error is a Problems with everything
// that is wrong, not just the first of it.
func Parse(data []byte, filename string) (*Description, error) {
	body, err := parseYAML(data, filename)
	if err != nil {
		return nil, err
	}
	b := &binder{file: filename, at: map[string]place{}}
	d := &Description{}
	b.bind(body, reflect.ValueOf(d).Elem(), "")
	validate(b, d)
	if err := b.problems.err(); err != nil {
		return nil, err
	}
	return d, nil
}

// parseYAML returns the body of the one document in data. The library has been seen to panic.
func parseYAML(data []byte, filename string) (body ast.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			body, err = nil, Problems{{File: filename, Message: "this is not YAML that can be read"}}
		}
	}()
	if len(data) > largest {
		return nil, Problems{{File: filename, Message: fmt.Sprintf("larger than %d bytes: is it the right file?", largest)}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))                        // editors on Windows put one there
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // all doubles are reported here, not the first
	if err != nil {
		p := Problem{File: filename, Message: "not valid YAML"}
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			p.Message += ": " + syntax.GetMessage()
			at := placeOf(syntax.GetToken())
			p.Line, p.Column = at.line, at.column
			p.Message += braceHint(data, at.line)
		}
		return nil, Problems{p}
	}
	docs := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	if len(docs) != 1 {
		return nil, Problems{{File: filename, Message: fmt.Sprintf("want one YAML document, got %d", len(docs))}}
	}
	return docs[0].Body, nil
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

// entry is one key of a mapping.
type entry struct {
	key   string
	token *token.Token
	value ast.Node
}

func (b *binder) mapping(n ast.Node, path string) ([]entry, bool) {
	if _, ok := n.(*ast.MappingNode); !ok {
		b.failAt(n.GetToken(), path, "want keys and values here")
		return nil, false
	}
	return b.entries(n.(*ast.MappingNode), path), true
}

// entries returns the keys of a mapping in the order of the file.
func (b *binder) entries(n *ast.MappingNode, path string) []entry {
	var all []entry
	seen := map[string]int{}
	for _, value := range n.Values {
		tk := value.Key.GetToken()
		key, ok := scalarText(value.Key)
		switch line, twice := seen[key]; {
		case value.Key.IsMergeKey():
			b.failAt(tk, path, "merged keys (<<) are not read here: write them out")
		case !ok || key == "":
			b.failAt(tk, path, "want a plain word as key")
		case twice:
			b.failAt(tk, join(path, key), "this key is already on line %d", line)
		default:
			seen[key] = placeOf(tk).line
			all = append(all, entry{key, tk, value.Value})
		}
	}
	return all
}

// scalarText returns a scalar as it is written, so that no value passes through a type it doesn't have (007 stays 007).
func scalarText(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.MappingKeyNode:
		return scalarText(t.Value)
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func itoa(i int) string { return strconv.Itoa(i) }

// join makes a path of keys.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// didYouMean names the candidate that a name was most likely meant to be, as the end of a sentence, or nothing.
func didYouMean(name string, candidates []string) string {
	best, least := "", len(name)/3+2
	for _, c := range candidates {
		if d := distance(name, c); d < least && d < len(c) {
			best, least = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the Levenshtein distance of two strings in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
