package strictyaml

import (
	"testing"

	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	keys := []string{"lease", "heartbeat", "sweep", "max_wait", "batches", "drain", "id"}
	for name, want := range map[string]string{
		"leese": "lease", "heart_beat": "heartbeat", "maxwait": "max_wait", "batch": "batches", "di": "", "timeout": "", "": "", "Lease": "lease",
	} {
		if got, _ := nearest(name, keys); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestDistanceIsAMetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[abc]{0,8}`)
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		if distance(a, b) != distance(b, a) || (distance(a, b) == 0) != (a == b) || distance(a, c) > distance(a, b)+distance(b, c) {
			t.Fatalf("not a metric: %q %q %q", a, b, c)
		}
	})
	if d := distance("kitten", "sitting"); d != 3 {
		t.Errorf("kitten to sitting is %d edits, want 3", d)
	}
}
