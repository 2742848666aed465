package main

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheLogHasUnitsAndOneNameForErrors holds every line that is logged to two rules: a duration is written with its unit, which
// zerolog's Dur does not do, and an error is called error.
func TestTheLogHasUnitsAndOneNameForErrors(t *testing.T) {
	t.Parallel()
	wrong := regexp.MustCompile(`\bDurs?\(|\.(Str|AnErr|Interface)\("err"`)
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := fs.ReadFile(root, path)
		if found := wrong.FindString(string(content)); found != "" {
			t.Errorf("%s logs by %q", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
