package strictyaml

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// A file that nests without end is refused before the parser sees it, and costs nothing.
func TestWhatNestsWithoutEndIsRefusedCheaply(t *testing.T) {
	const many = 100_000
	for name, text := range map[string]string{
		"lists":       strings.Repeat("[", many),
		"closed":      strings.Repeat("[", many) + strings.Repeat("]", many),
		"groups":      strings.Repeat("{a: ", many),
		"dashes":      strings.Repeat("- ", many) + "a",
		"lists below": "settings:\n  a: " + strings.Repeat("[\n", many/10),
		"lines":       strings.Repeat("a: b\n", many),
		"size":        strings.Repeat("#", 2<<20),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		_, err := Read([]byte(text), "m.yaml")
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "is it the right file?") {
			t.Errorf("%s: %v", name, err)
		}
		if took, spent := time.Since(began), after.TotalAlloc-before.TotalAlloc; took > 5*time.Second || spent > 4<<20 {
			t.Errorf("%s: %v, %d bytes", name, took, spent)
		}
	}
	for _, text := range []string{
		"a: [" + strings.Repeat("[1], ", 2000) + "1]",
		"a: '" + strings.Repeat("]", 2000) + "'",
		"a: {" + strings.Repeat("b: 1, ", 2000) + "c: 2}",
		strings.Repeat("# - a line like any other\n", 2000) + "a: 1",
	} {
		if why := excess([]byte(text)); why != "" {
			t.Errorf("%.30s: %s", text, why)
		}
	}
}
