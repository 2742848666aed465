package main

import (
	"encoding/json"
	"errors"
	gobuild "go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rooms reads the table of rooms in docs/design.md: which packages each may import. A room may always import itself and, in
// tests, anything that its tests need; one that is missing there fails the test, so that a new one gets a line.
func rooms(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n| room |")
	table, _, found := strings.Cut(after, "\n\n")
	if !found {
		t.Fatal("docs/design.md has no table of rooms")
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	all := map[string][]string{}
	for _, row := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(strings.Trim(row, "|"), "|")
		if len(cells) != 3 {
			t.Fatalf("not a row of three cells: %s", row)
		}
		name := quoted.FindStringSubmatch(cells[0])[1]
		all[name] = nil
		for _, may := range quoted.FindAllStringSubmatch(cells[2], -1) {
			all[name] = append(all[name], may[1])
		}
		if strings.TrimSpace(cells[2]) == "everything" {
			all[name] = []string{"*"}
		}
	}
	return all
}

type listedPackage struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

// room is the name under which a package stands among them.
func room(all map[string][]string, pkg string) string {
	pkg = strings.TrimPrefix(pkg, "syncer/")
	if _, ok := all[pkg]; ok {
		return pkg
	}
	if path.Dir(pkg) == "proof" {
		return "proof/<proof>"
	}
	return path.Dir(pkg) + "/<provider>"
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	all := rooms(t)
	used := map[string]bool{}
	for _, p := range list(t) {
		from := room(all, p.ImportPath)
		used[from] = true
		allowed, ok := all[from]
		if !ok {
			t.Errorf("%s is a room that the table of rooms does not know", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "syncer/") {
				continue
			}
			to := strings.TrimPrefix(imp, "syncer/")
			if !contains(allowed, to) && !contains(allowed, room(all, to)) {
				t.Errorf("%s must not import %s", p.ImportPath, to)
			}
		}
	}
	for name := range all {
		if !used[name] {
			t.Errorf("docs/design.md has the room %s, which is not there", name)
		}
	}
}

// A provider is known by name only in its own two folders, in the list of cmd/syncer, in the demo, and in the lab, whose
// world has two. The schemas hold those of described APIs.
func TestAProviderTouchesOnlyItsFoldersAndTheLists(t *testing.T) {
	all := rooms(t)
	for _, p := range list(t) {
		if r := room(all, p.ImportPath); slices.Contains([]string{"cmd/syncer", "report/schemas", "demo", "proof/lab"}, r) {
			continue
		}
		for _, imp := range p.Imports {
			if r := room(all, imp); strings.HasSuffix(r, "/<provider>") && strings.HasPrefix(imp, "syncer/") {
				t.Errorf("%s imports the provider's folder %s", p.ImportPath, imp)
			}
		}
	}
}

// Whoever opens a folder reads first what it is for.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range list(t) {
		folder := filepath.Join("..", "..", filepath.FromSlash(strings.TrimPrefix(p.ImportPath, "syncer/")))
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files, %v", folder, err)
		}
		if !slices.ContainsFunc(files, func(file string) bool { return hasPackageDoc(t, file) }) {
			t.Errorf("%s has no doc comment that begins with Package or Command and its name", p.ImportPath)
		}
	}
}

func hasPackageDoc(t *testing.T, file string) bool {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	doc := tree.Doc.Text()
	return strings.HasPrefix(doc, "Package "+tree.Name.Name+" ") || strings.HasPrefix(doc, "Command ")
}

func contains(allowed []string, to string) bool {
	for _, a := range allowed {
		if a == "*" || a == to || a == "persist/<part>" && isPartOfPersist(to) || a == "fetch/<part>" && isPartOfFetch(to) {
			return true
		}
	}
	return false
}

// isPartOfFetch says whether a package is one of those that the HTTP stack is made of.
func isPartOfFetch(pkg string) bool {
	return slices.Contains([]string{"fetch/pause", "fetch/gate", "fetch/wire", "fetch/redact", "fetch/resume"}, pkg)
}

// isPartOfPersist says whether a package is one of those that persist puts together.
func isPartOfPersist(pkg string) bool {
	name, below := strings.CutPrefix(pkg, "persist/")
	return below && name != "embedded" && name != "persisttest"
}

func list(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,GoFiles", "syncer/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listedPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list named only %d packages: the test would prove nothing", len(all))
	}
	nested := listNested(t)
	if len(nested) == 0 {
		t.Fatal("no folder with a go.mod of its own was found: the test would prove nothing of fetch/oauthtest")
	}
	return append(all, nested...)
}

// listNested lists the packages of the folders that are modules of their own, which go list leaves out. It reads the
// files themselves: go list would fetch what the module needs, and that is much.
func listNested(t *testing.T) (all []listedPackage) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "go.mod" || filepath.Dir(file) == root {
			return err
		}
		return fs.WalkDir(os.DirFS(filepath.Dir(file)), ".", func(inner string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			p, err := gobuild.ImportDir(filepath.Join(filepath.Dir(file), inner), 0)
			if _, none := errors.AsType[*gobuild.NoGoError](err); none {
				return nil
			}
			rel, relErr := filepath.Rel(root, p.Dir)
			name := path.Join("syncer", filepath.ToSlash(rel))
			all = append(all, listedPackage{ImportPath: name, Imports: p.Imports, GoFiles: p.GoFiles})
			return errors.Join(err, relErr)
		})
	})
	if err != nil {
		t.Fatalf("list the modules below the root: %v", err)
	}
	return all
}
