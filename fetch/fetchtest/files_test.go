package fetchtest

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The files of a connector and of its simulator have the names that CONTRIBUTING lists, so that whoever knows one provider
// finds the way through the next. A file outside of the list is one that the package's doc names under "of its own".
func TestTheFilesOfAProvider(t *testing.T) {
	connector := filesIn(t, "A connector's file")
	simulator := filesIn(t, "A simulator's file")
	entries, err := filepath.Glob("../*/provider.go")
	if err != nil || len(entries) < 6 {
		t.Fatalf("found the connectors %v, %v: the test would prove nothing", entries, err)
	}
	for _, entry := range entries {
		name := filepath.Base(filepath.Dir(entry))
		connector.check(t, filepath.Join("..", name))
		simulator.check(t, filepath.Join("..", "..", "sandbox", name))
	}
}

// files are the names that the files of a folder may have, some with a star, and whether each must be there.
type files map[string]bool

// filesIn reads a table of CONTRIBUTING by the words over its first column.
func filesIn(t *testing.T, title string) files {
	t.Helper()
	text, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n| "+title+" ")
	table, _, found := strings.Cut(table, "\n\n")
	if !found {
		t.Fatalf("CONTRIBUTING.md has no table %q", title)
	}
	all := files{}
	quoted := regexp.MustCompile("`([^`]+\\.go)`")
	for _, row := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(strings.Trim(row, "|"), "|")
		for _, name := range quoted.FindAllStringSubmatch(cells[0], -1) {
			all[name[1]] = strings.TrimSpace(cells[1]) == "always"
		}
	}
	return all
}

func (f files) check(t *testing.T, folder string) {
	t.Helper()
	there, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(there) == 0 {
		t.Fatalf("%s: no files, %v", folder, err)
	}
	own := ownFiles(t, there)
	for _, file := range there {
		name := filepath.Base(file)
		if !strings.HasSuffix(name, "_test.go") && !f.knows(name) && !strings.Contains(own, name) {
			t.Errorf("%s: CONTRIBUTING.md has no such file of a provider: rename it, or name it in the package's doc under "+
				`"Files of its own" and say what it holds`, file)
		}
	}
	for name, always := range f {
		_, err := os.Stat(filepath.Join(folder, name))
		if always && err != nil && !strings.Contains(own, name) {
			t.Errorf("%s has no %s", folder, name)
		}
	}
}

// knows says whether a name is on the list.
func (f files) knows(name string) bool {
	for pattern := range f {
		if fits, err := path.Match(pattern, name); err == nil && fits {
			return true
		}
	}
	return false
}

// ownFiles is what a package's doc says of the files that it alone has.
func ownFiles(t *testing.T, all []string) string {
	t.Helper()
	for _, file := range all {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if _, own, found := strings.Cut(tree.Doc.Text(), " of its own"); found {
			return own
		}
	}
	return ""
}
