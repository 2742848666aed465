package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"syncer/app"
	"syncer/cli"
	"syncer/finance"
)

// keys runs syncer keys in a process of its own.
func (c *club) keys(args ...string) (text string, code int) {
	c.t.Helper()
	var stdout, stderr strings.Builder
	// The club is no provider of the program's own, so its connections are left out.
	path := filepath.Join(c.dir, "keys.yaml")
	if err := os.WriteFile(path, []byte("database: { url: \"file:database-url\" }\nkeys: { file: syncer.keys }\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	code = cli.New(nil, &stdout, &stderr, os.LookupEnv, setup(nil)).Run(c.t.Context(), append([]string{"keys", "--config", path}, args...))
	return stdout.String() + stderr.String(), code
}

// The key changes while a process runs: it opens what was sealed anew at once, its grants rotate on, and when the old key
// is gone everything still opens.
func TestTheKeyChangesUnderARunningProcess(t *testing.T) {
	t.Parallel()
	c := newClub(t)
	c.give("anna")
	running := c.open()
	defer running.Close()
	grant := func(inst *app.Installation) finance.Secret {
		t.Helper()
		kept, err := inst.Store.Tokens.LoadGrant(t.Context(), 1, c.texts("SELECT holder FROM grants")[0])
		if kept.Refresh.IsZero() || err != nil {
			t.Fatalf("the grant: %v", err)
		}
		return kept.Refresh
	}
	before := grant(running)
	if text, code := c.keys("rotate"); code != 0 || !strings.Contains(text, "1 value sealed anew") {
		t.Fatalf("exit code %d\n%s", code, text)
	}
	if grant(running) != before {
		t.Error("the running process reads another grant")
	}
	if saved, err := running.Store.Tokens.SaveGrant(t.Context(), 1, before, finance.NewSecret("next")); !saved || err != nil {
		t.Errorf("saved %v, %v", saved, err)
	}
	if text, code := c.keys("rotate", "--retire"); code != 1 || !strings.Contains(text, "not dropped yet") {
		t.Errorf("exit code %d\n%s", code, text)
	}

	c.aged(t, 48*time.Hour)
	if text, code := c.keys("rotate"); code != 1 || !strings.Contains(text, "no new key was made: the rotation to key ") {
		t.Errorf("a key that is wanted while an old rotation is not ended: exit code %d\n%s", code, text)
	}
	c.aged(t, time.Hour)
	if text, code := c.keys("rotate", "--retire"); code != 0 || !strings.Contains(text, "Dropped: ") {
		t.Fatalf("exit code %d\n%s", code, text)
	}
	fresh := c.open()
	defer fresh.Close()
	for name, inst := range map[string]*app.Installation{"a new process": fresh, "the running one": running} {
		if got := grant(inst); got != finance.NewSecret("next") {
			t.Errorf("%s reads another grant", name)
		}
	}
	if text, code := c.keys("list"); code != 0 || strings.Contains(text, "opens") || strings.Contains(text, "missing") {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

// aged makes the rotation an hour old.
func (c *club) aged(t *testing.T, ago time.Duration) {
	t.Helper()
	path := filepath.Join(c.dir, "syncer.keys")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Now().UTC().Add(-ago).Format(time.RFC3339)
	data = regexp.MustCompile(`"rotated": "[^"]*"`).ReplaceAll(data, []byte(`"rotated": "`+hour+`"`))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
