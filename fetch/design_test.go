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

// The design tells a request's way by file and function. Whoever moves one moves the other.
func TestTheStopsOfTheDesignAreThere(t *testing.T) {
	text, err := os.ReadFile("../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "## One request, stop by stop\n")
	if !found {
		t.Fatal("the design does not tell one request")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	stops := regexp.MustCompile("`fetch/(\\w+\\.go)` `([\\w.]+)`").FindAllStringSubmatch(section, -1)
	if len(stops) < 25 {
		t.Errorf("only %d functions are named", len(stops))
	}
	for _, stop := range stops {
		if file, name := stop[1], stop[2]; !declares(t, file, name) {
			t.Errorf("%s has no %s", file, name)
		}
	}
	for _, method := range []string{"atGate", "haveToken", "pace", "takeWire", "reserve", "reachSlot", "clear", "atBreaker"} {
		if !strings.Contains(section, "attempt."+method+"`") {
			t.Errorf("the stop %s is not told", method)
		}
	}
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
			full = of.(*ast.Ident).Name + "." + full
		}
		if full == name {
			return true
		}
	}
	return false
}
