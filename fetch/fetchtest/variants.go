package fetchtest

import (
	"testing"

	"syncer/sandbox/sandboxtest"
)

// Variants are the ways in which a provider is set up for a test: all of them, or with -short or the race detector, which
// looks at the code and not at the values, those that are named quick: these lead together through all of the connector's code.
func Variants[V any](t *testing.T, all map[string]V, quick ...string) map[string]V {
	t.Helper()
	few := map[string]V{}
	for _, name := range quick {
		variant, known := all[name]
		if !known {
			t.Fatalf("there is no variant %q to be quick with", name)
		}
		few[name] = variant
	}
	if testing.Short() || sandboxtest.Race {
		return few
	}
	return all
}
