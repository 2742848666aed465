package fetchtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTheAdditionOfTheDocs takes the provider that docs/providers/adding.md adds out of the page, lays it over the module and
// runs its tests, so that whoever follows the page ends with something that works.
func TestTheAdditionOfTheDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a provider and runs its conformance tests")
	}
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "providers", "adding.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\n`([a-z_/]+\\.go)`:[^`]*(?:`[^`\n]+`[^`]*)*?\n\n```go\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 11 {
		t.Fatalf("the page has %d files of the provider, want 11", len(blocks))
	}
	dir := t.TempDir()
	over := map[string]string{}
	for _, block := range blocks {
		path, code := block[1], block[2]
		file := filepath.Join(dir, filepath.Base(filepath.Dir(filepath.Dir(path)))+"_"+filepath.Base(path))
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		over[filepath.Join(root, filepath.FromSlash(path))] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": over})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "strandkreditt.test")
	// Neither vet nor go test itself can work in a folder that lies in the overlay alone.
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", list, "-o", binary, "./fetch/strandkreditt")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compile what the page adds: %v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), binary)
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("run the tests that the page adds: %v\n%s", err, out)
	}
}
