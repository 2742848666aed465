package main

import (
	"encoding/json"
	"errors"
	gobuild "go/build"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// mayImport is the table of rooms from docs/design.md. A room may always import itself and, in tests, anything that
// its tests need; a room that is missing here fails the test, so that a new one gets a line.
var mayImport = map[string][]string{
	"cmd/syncer":            {"*"},
	"config":                {"strictyaml"},
	"finance":               {},
	"migrations":            {},
	"sandbox":               {},
	"sandbox/<provider>":    {"sandbox"},
	"sandbox/sandboxtest":   {"sandbox"},
	"strictyaml":            {},
	"strictyaml/schematest": {},
	"fetch":                 {"finance"},
	"fetch/<provider>":      {"fetch", "finance", "strictyaml"},
	"fetch/fetchtest":       {"fetch", "finance", "sandbox", "sandbox/sandboxtest"},
	"fetch/oauthtest":       {"fetch", "finance", "fetch/fetchtest"},
	"persist":               {"migrations", "finance"},
	"persist/embedded":      {},
	"persist/persisttest":   {"persist", "persist/embedded", "migrations", "finance"},
	"jobs":                  {"fetch", "persist", "finance"},
	"proof/<proof>":         {"proof/lab"},
	"proof/lab":             {"persist", "persist/persisttest", "sandbox", "sandbox/norskgjeld", "sandbox/sbanken"},
	"ops":                   {"jobs", "persist", "finance"},
	"export":                {"jobs", "persist", "finance"},
}

type listedPackage struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

// room is the name under which a package stands in mayImport.
func room(pkg string) string {
	pkg = strings.TrimPrefix(pkg, "syncer/")
	if _, ok := mayImport[pkg]; ok {
		return pkg
	}
	if path.Dir(pkg) == "proof" {
		return "proof/<proof>"
	}
	return path.Dir(pkg) + "/<provider>"
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, p := range list(t) {
		from := room(p.ImportPath)
		allowed, ok := mayImport[from]
		if !ok {
			t.Errorf("%s is a room that the table of rooms does not know", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "syncer/") {
				continue
			}
			to := strings.TrimPrefix(imp, "syncer/")
			if !contains(allowed, to) {
				t.Errorf("%s must not import %s", p.ImportPath, to)
			}
		}
	}
}

// A provider is known by name only in its own two folders, in the lists of cmd/syncer, and in the lab, whose world has two.
func TestAProviderTouchesOnlyItsFoldersAndTheLists(t *testing.T) {
	for _, p := range list(t) {
		if r := room(p.ImportPath); r == "cmd/syncer" || r == "proof/lab" {
			continue
		}
		for _, imp := range p.Imports {
			if r := room(imp); strings.HasSuffix(r, "/<provider>") && strings.HasPrefix(imp, "syncer/") {
				t.Errorf("%s imports the provider's folder %s", p.ImportPath, imp)
			}
		}
	}
}

func contains(allowed []string, to string) bool {
	for _, a := range allowed {
		if a == "*" || a == to {
			return true
		}
	}
	return false
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
