package config

import (
	"testing"
)

func noEnv(string) (string, bool) { return "", false }

func TestSmoke(t *testing.T) {
	_, err := Parse([]byte("worker:\n  leese: 3s\n  lease: 3x\n  batches: 1\n  batches: 2\nconnections:\n  a: &a\n    provider: x\n    credentials: {a: hunter2}\n  b:\n    <<: *a\n    provider: z\n"), "dir/syncer.yaml", noEnv)
	t.Log(err)
	_, err = Parse([]byte("a: [b\nclient: {x: hunter2}"), "dir/syncer.yaml", noEnv)
	t.Log(err)
}
