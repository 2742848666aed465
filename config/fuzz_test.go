package config

import (
	"strings"
	"testing"
)

// FuzzParse shows that no file makes Parse panic, that what it accepts is complete, and that it says where a problem is.
// The seeds are long, so run it with -fuzzminimizetime=10x, or it spends its time on making them shorter.
func FuzzParse(f *testing.F) {
	for _, doc := range []string{whole, sampleFile, "", "a: &a [*a]", "log: &a *a", "<<: *x", "? {}\n: 1", "jobs: {a: {schedule: 'TZ=0'}}",
		"- &x\n", "a: !!binary |\n  x", "%YAML 1.2\n---\n", "connections: {a: {settings: [1, {b: c}]}}", "\x00", "{", "a: |", "&", "*", "!"} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		c, err := Parse([]byte(doc), "fuzz.yaml", noEnv)
		if err != nil {
			if _, ok := err.(Problems); !ok || c != nil {
				t.Fatalf("%T beside %v", err, c)
			}
			if strings.TrimSpace(err.Error()) == "" {
				t.Fatal("an error without a word")
			}
			return
		}
		for name, j := range c.Jobs {
			if _, ok := c.Connections[j.Connection]; !ok || j.BatchSize < 1 || len(j.Datasets) == 0 {
				t.Fatalf("job %s was accepted: %+v", name, j)
			}
		}
		for _, conn := range c.Connections {
			var settings struct{ A, B string }
			_ = conn.DecodeSettings(&settings)
		}
	})
}
