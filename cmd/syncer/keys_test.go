package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"syncer/finance"
	"syncer/persist"
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
	code = newApp(nil, &stdout, &stderr, os.LookupEnv).run(c.t.Context(), append([]string{"keys", "--config", path}, args...))
	return stdout.String() + stderr.String(), code
}

// The key changes while a process runs: it opens what was sealed anew at once, its grants rotate on, and when the old key
// is gone everything still opens.
func TestTheKeyChangesUnderARunningProcess(t *testing.T) {
	c := newClub(t)
	c.give("anna")
	running := c.house()
	defer running.Close()
	grant := func(h *house) finance.Secret {
		t.Helper()
		kept, err := h.Store.LoadGrant(t.Context(), 1, c.texts("SELECT holder FROM grants")[0])
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
	if saved, err := running.Store.SaveGrant(t.Context(), 1, before, finance.NewSecret("next")); !saved || err != nil {
		t.Errorf("saved %v, %v", saved, err)
	}
	if text, code := c.keys("rotate", "--retire"); code != 1 || !strings.Contains(text, "not dropped yet") {
		t.Errorf("exit code %d\n%s", code, text)
	}

	c.aged(t)
	if text, code := c.keys("rotate", "--retire"); code != 0 || !strings.Contains(text, "Dropped: ") {
		t.Fatalf("exit code %d\n%s", code, text)
	}
	fresh := c.house()
	defer fresh.Close()
	for name, h := range map[string]*house{"a new process": fresh, "the running one": running} {
		if got := grant(h); got != finance.NewSecret("next") {
			t.Errorf("%s reads another grant", name)
		}
	}
	if text, code := c.keys("list"); code != 0 || strings.Contains(text, "opens") || strings.Contains(text, "missing") {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

// aged makes the rotation an hour old.
func (c *club) aged(t *testing.T) {
	t.Helper()
	path := filepath.Join(c.dir, "syncer.keys")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
	data = regexp.MustCompile(`"rotated": "[^"]*"`).ReplaceAll(data, []byte(`"rotated": "`+hour+`"`))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A change that is based on what was seen a while ago is refused: it would throw the key away that somebody else has
// added and sealed with meanwhile.
func TestAKeyFileIsNotChangedBehindSomebodysBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "syncer.keys")
	keys, err := persist.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, keys, 0o640); err != nil {
		t.Fatal(err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	seen, err := readKeyInfo(link)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := changeKeyFile(link, seen, persist.Rotate)
	if err != nil || theirs.Primary == seen.Primary {
		t.Fatalf("%+v, %v", theirs, err)
	}
	if _, err := changeKeyFile(link, seen, persist.Rotate); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("got %v", err)
	}
	now, err := readKeyInfo(path)
	if err != nil || now.Primary != theirs.Primary {
		t.Errorf("%+v, %v", now, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode: %v, %v", info, err)
	}
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("the half-made file is left behind")
	}
}
