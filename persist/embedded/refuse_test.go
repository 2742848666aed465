//go:build linux || darwin || freebsd

package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v\nwant an error with %q", err, want)
	}
}

func TestForeignFolderIsLeftAlone(t *testing.T) {
	dir := place(t)
	theirs := filepath.Join(dir, "data", "PG_VERSION")
	write(t, theirs, "15\n", 0o600)
	_, err := Start(t.Context(), Options{Dir: dir})
	wantError(t, err, "syncer did not make it")
	wantError(t, Remove(t.Context(), dir), "syncer did not make it")
	wantError(t, Stop(t.Context(), dir), "syncer did not make it")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder was touched: %v, %v", entries, err)
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Error(err)
	}
}

// fakePostgres makes a folder whose postgres says that it is some version.
func fakePostgres(t *testing.T, version string) string {
	t.Helper()
	bin := filepath.Join(filepath.Dir(place(t)), "bin")
	write(t, filepath.Join(bin, "initdb"), "#!/bin/sh\nexit 1\n", 0o755)
	write(t, filepath.Join(bin, "postgres"), "#!/bin/sh\necho 'postgres (PostgreSQL) "+version+"'\n", 0o755)
	return bin
}

func TestVersionsAreChecked(t *testing.T) {
	for _, tc := range []struct{ name, cluster, binaries, want string }{
		{"too old", "", "13.9", "it is PostgreSQL 13, and syncer works with 14 to 18"},
		{"too new", "", "19beta1 (Debian)", "it is PostgreSQL 19, and syncer works with 14 to 18"},
		{"another version's files", "15", "17.2", "the existing database was made by PostgreSQL 15"},
		{"an ancient cluster", "9.6", "17.2", "was made by PostgreSQL 9.6, and syncer works with 14 to 18"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := place(t)
			if tc.cluster != "" {
				write(t, filepath.Join(dir, markerName), "ours", 0o600)
				write(t, filepath.Join(dir, dataName, "PG_VERSION"), tc.cluster+"\n", 0o600)
			}
			_, err := Start(t.Context(), Options{Dir: dir, Binaries: fakePostgres(t, tc.binaries)})
			wantError(t, err, tc.want)
		})
	}
}

func TestNamedBinariesAreTheOnlyOnes(t *testing.T) {
	t.Setenv("SYNCER_PG_BIN", filepath.Dir(place(t)))
	_, err := Start(t.Context(), Options{Dir: place(t)})
	wantError(t, err, "no program initdb")
}

func TestFailuresShowTheirCause(t *testing.T) {
	t.Parallel()
	dir, bin := place(t), fakePostgres(t, "17.0")
	write(t, filepath.Join(bin, "initdb"), "#!/bin/sh\necho 'no space left' >&2\nexit 3\n", 0o755)
	_, err := Start(t.Context(), Options{Dir: dir, Binaries: bin})
	wantError(t, err, "no space left")

	s := start(t, dir)
	if !s.Started() {
		t.Error("the half-made cluster was taken for a server")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, dataName, "postgresql.conf"), "no_such_setting = 1\n", 0o644)
	_, err = Start(t.Context(), Options{Dir: dir})
	wantError(t, err, "no_such_setting")
}

func TestFolderThatTheServerCannotEnter(t *testing.T) {
	if os.Geteuid() != 0 {
		return // an ordinary user's server runs as that user
	}
	closed := filepath.Join(filepath.Dir(place(t)), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: filepath.Join(closed, "postgres")})
	wantError(t, err, "can't enter "+closed)
	wantError(t, err, "SYNCER_STATE_DIR")
}

func TestDefaultDirFollowsTheEnvironment(t *testing.T) {
	t.Setenv("SYNCER_STATE_DIR", "/srv/state")
	if dir, err := DefaultDir(); err != nil || dir != "/srv/state/postgres" {
		t.Errorf("DefaultDir = %q, %v", dir, err)
	}
}

// tarball makes an npm package and its SHA-512.
func tarball(t *testing.T, files map[string]string) (path, sum string) {
	t.Helper()
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	tw := tar.NewWriter(gz)
	for name, content := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "package.tgz")
	write(t, path, out.String(), 0o600)
	hash := sha512.Sum512(out.Bytes())
	return path, base64.StdEncoding.EncodeToString(hash[:])
}

func TestUnpack(t *testing.T) {
	path, sum := tarball(t, map[string]string{
		"package/native/bin/postgres":     "program",
		"package/native/lib/libicu.so.60": "library",
		"package/native/pg-symlinks.json": `[{"source":"native/lib/libicu.so.60","target":"native/lib/libicu.so"}]`,
	})
	dir := t.TempDir()
	if err := unpack(path, sum, dir); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "package/native/lib/libicu.so")); err != nil || string(data) != "library" {
		t.Errorf("through the link: %q, %v", data, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "package/native/bin/postgres")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the program can't be run: %v, %v", info, err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	good, sum := tarball(t, map[string]string{"package/a": "a"})
	outside, outsideSum := tarball(t, map[string]string{"../escaped": "a"})
	linked, linkedSum := tarball(t, map[string]string{
		"package/native/pg-symlinks.json": `[{"source":"x","target":"../../escaped"}]`})
	dir := filepath.Join(t.TempDir(), "inside")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	wantError(t, unpack(good, sum[:80]+"AAAAAAA=", dir), "SHA-512")
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Error("something was unpacked before the sum was checked")
	}
	wantError(t, unpack(outside, outsideSum, dir), "escape")
	wantError(t, unpack(linked, linkedSum, dir), "escape")
}

// A folder without a cluster is left as it was by whoever may not make one.
func TestNothingIsMadeWhereACommandOnlyLooks(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mistyped")
	_, err := Start(t.Context(), Options{Dir: dir, Existing: true})
	if !errors.Is(err, ErrNoCluster) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Start = %v", err)
	}
	if there(dir) {
		t.Error("the folder was made")
	}
}
