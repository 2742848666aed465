package fetchtest

import "testing"

// Variants are the ways in which a provider is set up for a test: all of them, or with -short those that are named quick,
// which together lead through all of the connector's code.
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
	if testing.Short() {
		return few
	}
	return all
}
