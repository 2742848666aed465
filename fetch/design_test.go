package fetch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The design tells the ways of a request and of a page by file and function. Whoever moves one moves the other.
func TestTheStopsOfTheDesignAreThere(t *testing.T) {
	request := stops(t, "## One request, stop by stop\n", 25)
	for _, method := range []string{"atGate", "haveToken", "pace", "takeSemaphore", "reserve", "reachSlot", "clear", "atBreaker"} {
		if !strings.Contains(request, "attempt."+method+"`") {
			t.Errorf("the stop %s is not told", method)
		}
	}
	page := stops(t, "## One page, stop by stop\n", 25)
	for _, method := range []string{"checkFences", "moveCursors", "writeRecords", "rememberPages", "countItems", "commit"} {
		if !strings.Contains(page, "attempt."+method+"`") {
			t.Errorf("the stop %s is not told", method)
		}
	}
}

// stops gives a section of the design, whose functions must be where it says, at least as many as least.
func stops(t *testing.T, title string, least int) string {
	t.Helper()
	text, err := os.ReadFile("../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), title)
	if !found {
		t.Fatalf("the design has no section %q", title)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	named := regexp.MustCompile("`(\\w[\\w/]*\\.go)` `([\\w.]+)`").FindAllStringSubmatch(section, -1)
	if len(named) < least {
		t.Errorf("%s: only %d functions are named", title, len(named))
	}
	for _, stop := range named {
		if file, name := stop[1], stop[2]; !declares(t, "../"+file, name) {
			t.Errorf("%s has no %s", file, name)
		}
	}
	return section
}

// declares says whether a file declares a function, or a method as Type.Method.
func declares(t *testing.T, file, name string) bool {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		full := f.Name.Name
		if f.Recv != nil {
			of := f.Recv.List[0].Type
			if pointer, ok := of.(*ast.StarExpr); ok {
				of = pointer.X
			}
			if generic, ok := of.(*ast.IndexExpr); ok {
				of = generic.X
			}
			full = of.(*ast.Ident).Name + "." + full
		}
		if full == name {
			return true
		}
	}
	return false
}
