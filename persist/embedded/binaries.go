//go:build linux || darwin || freebsd

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// The Postgres versions this program is tested with: .ci/run runs the tests with the first and the last. An older one
// does not have what the statements need; a newer one is refused until somebody has run the tests with it.
const (
	oldestMajor = 14
	newestMajor = 18
)

// binaries is a folder with initdb and postgres of one version.
type binaries struct {
	dir   string
	major int
}

// Provide returns a folder with the programs of PostgreSQL's given major version, or for 0 of the one that [Start] would
// make a new database with. It looks where Start looks, and fetches them once where the machine has none. opt.Dir does
// not matter.
func Provide(ctx context.Context, opt Options, major int) (string, error) {
	if major != 0 && !supported(major) {
		return "", fmt.Errorf("syncer works with PostgreSQL %d to %d, not with %d", oldestMajor, newestMajor, major)
	}
	who, err := serverAccount()
	if err != nil {
		return "", err
	}
	b, err := findBinaries(ctx, opt, who, major)
	return b.dir, err
}

// findBinaries chooses the binaries to run: those the user named, else the first that fit in the order PATH, pg_config,
// the package managers' folders newest first, what an earlier command fetched, and at last a fetch. major is the version
// that is needed, or 0.
func findBinaries(ctx context.Context, opt Options, who account, major int) (binaries, error) {
	named := opt.Binaries
	if named == "" {
		named = os.Getenv("SYNCER_PG_BIN")
	}
	if named != "" {
		b, err := inspect(ctx, named, who)
		if err == nil {
			err = b.fits(major)
		}
		if err != nil {
			return binaries{}, fmt.Errorf("the Postgres binaries in %s (SYNCER_PG_BIN) can't be used: %w", named, err)
		}
		return b, nil
	}
	var seen []string
	for _, dir := range candidates(ctx) {
		b, err := inspect(ctx, dir, who)
		if err == nil {
			err = b.fits(major)
		}
		if err == nil {
			return b, nil
		}
		seen = append(seen, fmt.Sprintf("%s: %v", dir, err))
	}
	b, err := fetch(ctx, opt, who, major)
	if err != nil {
		return binaries{}, noBinaries(major, append(seen, err.Error()))
	}
	return b, nil
}

// candidates lists folders that may hold a Postgres. Packagers keep the server's programs off PATH, hence the globs.
func candidates(ctx context.Context) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	patterns := []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // the Postgres project's RPMs
		"/usr/libexec/postgresql*",  // Alpine
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // the patterns are constants: they are well formed
		slices.SortFunc(found, func(a, b string) int { return numberIn(b) - numberIn(a) })
		dirs = append(dirs, found...)
	}
	for _, b := range builds() {
		if fetched, err := b.dir(); err == nil && there(fetched) {
			dirs = append(dirs, filepath.Join(fetched, "native", "bin"))
		}
	}
	return slices.Compact(dirs)
}

// inspect asks the binaries in dir for their version. It fails if they are not there, do not run, or the account that
// will run them can't reach them.
func inspect(ctx context.Context, dir string, who account) (binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return binaries{}, err
	}
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return binaries{}, fmt.Errorf("no program %s in it", name)
		}
	}
	if err := who.canReach(dir); err != nil {
		return binaries{}, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "-V").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("ask for its version: %w", err)
	}
	_, version, _ := strings.Cut(string(out), "(PostgreSQL) ")
	major := numberIn(version)
	if major == 0 {
		return binaries{}, fmt.Errorf("its version is unreadable: %q", strings.TrimSpace(string(out)))
	}
	return binaries{dir: dir, major: major}, nil
}

// fits tells whether these binaries will do where the major version is needed, or any for 0.
func (b binaries) fits(major int) error {
	switch {
	case !supported(b.major):
		return fmt.Errorf("it is PostgreSQL %d, and syncer works with %d to %d", b.major, oldestMajor, newestMajor)
	case major != 0 && b.major != major:
		return fmt.Errorf("it is PostgreSQL %d, and PostgreSQL %d is needed", b.major, major)
	}
	return nil
}

func supported(major int) bool { return major >= oldestMajor && major <= newestMajor }

// numberIn is the first number in s, or 0.
func numberIn(s string) int {
	n, _ := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(s))
	return n
}

// noBinaries says what was looked at and what to type next.
func noBinaries(major int, seen []string) error {
	headline := fmt.Sprintf("no usable %s was found on this machine", called(major))
	if major == 0 {
		major = 17 // packaged nearly everywhere
	}
	install := map[string]string{
		"linux":   fmt.Sprintf("apt-get install postgresql  (or: dnf install postgresql-server, apk add postgresql%d)", major),
		"darwin":  fmt.Sprintf("brew install postgresql@%d", major),
		"freebsd": fmt.Sprintf("pkg install postgresql%d-server", major),
	}[runtime.GOOS]
	return errors.New(headline + ". Looked at:\n  " + strings.Join(seen, "\n  ") +
		"\nEither install one:  " + install +
		"\nor name its folder:  SYNCER_PG_BIN=/path/to/postgres/bin" +
		"\nor use a database you have:  set database.url")
}

// called is how a message names the version that is needed.
func called(major int) string {
	if major == 0 {
		return "Postgres"
	}
	return fmt.Sprintf("PostgreSQL %d", major)
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
