package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"syncer/sandbox/sandboxtest"
)

// StepEnv makes a process of the lab act at a step: "kill commit.ready 3" kills it at the third time it gets there, "stop"
// stops it.
const StepEnv = "SYNCER_TEST_STEP"

// The exit codes of syncer run and rerun that the proofs tell apart.
const (
	ExitPartial = 3
	ExitFailed  = 4
)

// What [Main] puts on the PATH: the program, the name under which it only plans runs (see [Lab.Plan]), and what it was
// built from.
const (
	program = "syncer"
	planner = "syncer-plan"
	sources = "sources"
)

// Main is the TestMain of a package of proofs: it builds the program, puts it on the PATH, and runs the tests. With -short
// nothing is built, because proofs are left out then.
func Main(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		m.Run()
		return
	}
	code, err := onPath(func() int { return Races(m.Run) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the program to be proven:", err)
		code = 1
	}
	os.Exit(code)
}

// onPath runs what runs the program.
func onPath(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "syncer-proof-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := build(context.Background(), dir); err != nil {
		return 0, err
	}
	if err := os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		return 0, err
	}
	return run(), nil
}

// Long leaves the test out where -short asks for what is quick.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("a long proof, left out by -short")
	}
}

// build puts the program into a folder. It is the test binary of cmd/syncer, which is the program where it has that
// name (TestMain there). One build serves all packages of proofs on this machine: it lies in a folder of its own, where
// the go command finds it up to date. Each package then has its own link to it, so that a build that comes while it
// runs changes nothing under it.
func build(ctx context.Context, dir string) error {
	root, err := goTool(ctx, "list", "-m", "-f", "{{.Dir}}", "syncer")
	if err != nil {
		return err
	}
	from, err := folders(ctx, root)
	if err != nil {
		return err
	}
	args := []string{"test", "-c"}
	if sandboxtest.Race {
		args = append(args, "-race")
	}
	key := sha256.Sum256([]byte(root + strings.Join(args, " ")))
	shared := filepath.Join(os.TempDir(), fmt.Sprintf("syncer-proof-of-%d", os.Getuid()), hex.EncodeToString(key[:6]))
	if err := os.MkdirAll(shared, 0o700); err != nil {
		return err
	}
	lock, err := os.Create(filepath.Join(shared, "lock"))
	if err != nil {
		return err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("wait for another build in %s: %w", shared, err)
	}
	built := filepath.Join(shared, program)
	if _, err := goTool(ctx, append(args, "-o", built, "syncer/cmd/syncer")...); err != nil {
		return err
	}
	return errors.Join(
		os.Link(built, filepath.Join(dir, program)),
		os.Link(built, filepath.Join(dir, planner)),
		os.WriteFile(filepath.Join(dir, sources), []byte(strings.Join(from, "\n")), 0o600),
	)
}

// Shipped builds the program as it is shipped, for what is measured of it: without the race detector and without steps.
func Shipped(t testing.TB) (path string) {
	t.Helper()
	root, err := goTool(t.Context(), "list", "-m", "-f", "{{.Dir}}", "syncer")
	if err != nil {
		t.Fatal(err)
	}
	from, err := folders(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	openAll(t, from)
	path = filepath.Join(t.TempDir(), program)
	if _, err := goTool(t.Context(), "build", "-o", path, "syncer/cmd/syncer"); err != nil {
		t.Fatal(err)
	}
	return path
}

// folders are those in the module that the program is built from, and go.mod.
func folders(ctx context.Context, root string) (all []string, err error) {
	dirs, err := goTool(ctx, "list", "-deps", "-test", "-f", "{{.Dir}}", "syncer/cmd/syncer")
	if err != nil {
		return nil, err
	}
	for dir := range strings.Lines(dirs) {
		dir = strings.TrimSpace(dir)
		if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) {
			all = append(all, dir) // the others are the standard library's, and modules whose versions are in go.mod
		}
	}
	if len(all) < 10 {
		return nil, fmt.Errorf("go list names only %d folders of %s that the program is built from", len(all), root)
	}
	return append(all, filepath.Join(root, "go.mod")), nil
}

// look looks into the folders that the program was built from. Go keeps the result of a test until a file changes that
// the test itself has looked at, or a package that it imports. A proof imports little of the program, so without this
// look it would pass by what it found in yesterday's. Where [Main] has not built the program there is nothing to look at:
// the test is one of the program's own.
func look(t testing.TB) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: the package needs a TestMain that calls lab.Main", err)
	}
	list, err := os.ReadFile(filepath.Join(filepath.Dir(path), sources))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	openAll(t, strings.Fields(string(list)))
}

func openAll(t testing.TB, paths []string) {
	t.Helper()
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
	}
}

// goTool runs the go command and gives what it prints.
func goTool(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w\n%s", err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
