package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The program itself has the time zones that an image from scratch has not; simulators have them too, and may be parted from it.
func TestTheProgramHasItsOwnTimeZones(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{join .Imports "\n"}}`, ".")
	imports, err := cmd.Output()
	if err != nil {
		t.Fatalf("list what main imports: %v", err)
	}
	if !slices.Contains(strings.Fields(string(imports)), "time/tzdata") {
		t.Errorf("main does not import time/tzdata, but only:\n%s", imports)
	}
}
