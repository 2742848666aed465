package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"syncer/files"
)

// Env looks up an environment variable; os.LookupEnv is one.
type Env = func(name string) (value string, ok bool)

// redacted is what every printed form of a Secret shows.
const redacted = "[redacted]"

// plain is the scheme of a text that is no secret; only DatabaseURL makes one.
const plain = "plain"

// maxSecret bounds a secret file; what is larger is certainly another file.
const maxSecret = 64 << 10

// Secret is a reference to a secret, env:NAME or file:PATH. The secret itself is never held: Reveal reads it
// anew each time. All ways of printing, formatting or marshalling a Secret give [redacted]; Ref gives the reference.
type Secret struct {
	scheme string // "env", "file", plain, or "" for none
	target string // the variable's name, the file's path, or the plain text
}

// errInline is deliberately silent about the value.
var errInline = errors.New("a secret must not stand in this file: write env:NAME or file:PATH and put the value there")

// ParseSecret reads a reference. Its errors never repeat the text, which may be a secret written in the wrong place.
func ParseSecret(text string) (Secret, error) {
	scheme, target, found := strings.Cut(text, ":")
	switch {
	case !found, scheme != "env" && scheme != "file":
		return Secret{}, errInline
	case target == "", strings.ContainsRune(target, 0):
		return Secret{}, fmt.Errorf("%s: names nothing: write env:NAME or file:PATH", scheme)
	case scheme == "env" && !isEnvName(target):
		return Secret{}, errors.New("env: must be followed by the name of an environment variable (letters, digits and _)")
	}
	return Secret{scheme: scheme, target: target}, nil
}

func isEnvName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// IsZero reports whether nothing is referred to.
func (s Secret) IsZero() bool { return s.scheme == "" }

// Ref returns the reference (env:NAME or file:PATH), which is no secret; "" for none, and the
// URL itself for a DatabaseURL without a password.
func (s Secret) Ref() string {
	if s.IsZero() || s.scheme == plain {
		return s.target
	}
	return s.scheme + ":" + s.target
}

// Reveal reads the secret now, so that a rotated file is seen. Newlines at the end are cut off. It fails, naming the variable or
// the file, when there is none, when it holds what no secret holds, and when a file may be read by everybody.
func (s Secret) Reveal(env Env) (string, error) {
	switch s.scheme {
	case "env":
		text, ok := env(s.target)
		if strings.TrimRight(text, "\r\n") == "" || !ok {
			return "", fmt.Errorf("environment variable %s is not set or empty", s.target)
		}
		value, err := oneSecret(text)
		if err != nil {
			return "", fmt.Errorf("environment variable %s %w", s.target, err)
		}
		return value, nil
	case "file":
		return readSecret(s.target)
	case plain:
		return s.target, nil
	}
	return "", errors.New("no secret is configured")
}

func readSecret(path string) (string, error) {
	data, info, err := files.ReadWithInfo(path, maxSecret)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("secret file %s does not exist", path)
	case err != nil:
		return "", fmt.Errorf("secret file: %w", err)
	}
	if perm := info.Mode().Perm(); runtime.GOOS != "windows" && perm&0o027 != 0 {
		return "", fmt.Errorf("secret file %s has mode %04o, so that others may read or change it: run chmod 0640 %s%s",
			path, perm, path, OnMount)
	}
	if strings.TrimRight(string(data), "\r\n") == "" {
		return "", fmt.Errorf("secret file %s is empty", path)
	}
	value, err := oneSecret(string(data))
	if err != nil {
		return "", fmt.Errorf("secret file %s %w", path, err)
	}
	return value, nil
}

// OnMount is what can be done where a file's mode can't be changed, as the end of a sentence.
const OnMount = "; where that is refused because it is mounted, its mode is set where it is mounted from: defaultMode: 0440 " +
	"and fsGroup for a secret of Kubernetes, mode: 0440 and gid for one of Docker"

// oneSecret is the secret in a text. What editors and other programs put around it without anybody seeing it is refused by name:
// with it the provider would only say that the secret is wrong.
func oneSecret(text string) (string, error) {
	value := strings.TrimRight(text, "\r\n")
	switch {
	case strings.HasPrefix(value, "\ufeff"):
		return "", errors.New("begins with a byte order mark, which would be sent too: save it as UTF-8 without one")
	case strings.ContainsRune(value, 0):
		return "", errors.New("holds a NUL character: is it UTF-16, or the wrong file? A secret is one line of UTF-8")
	case strings.HasPrefix(value, "\n"), strings.HasPrefix(value, "\r"):
		return "", errors.New("begins with an empty line: the secret must be the first line, and the only one")
	case strings.ContainsAny(value, "\r\n"):
		return "", errors.New("has a second line: the secret must be the only one")
	case value != strings.TrimRight(value, " \t\u00a0"):
		return "", errors.New("has a blank at its end, which would be sent too: take it out")
	case value != strings.TrimLeft(value, " \t\u00a0"):
		return "", errors.New("begins with a blank, which would be sent too: take it out")
	}
	return value, nil
}

// within makes a relative file reference relative to dir.
func (s *Secret) within(dir string) {
	if s.scheme == "file" && !filepath.IsAbs(s.target) {
		s.target = filepath.Join(dir, s.target)
	}
}

// UnmarshalText reads a reference as ParseSecret does.
func (s *Secret) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSecret(string(text))
	return err
}

// String returns [redacted], or nothing where nothing is referred to.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// Format is String under every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText writes String; a written config is for reading, not for loading.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON writes String as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalYAML writes String.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// DatabaseURL is a Secret that may also be a postgres:// URL which needs no hiding because it carries no password.
type DatabaseURL struct{ Secret }

// UnmarshalText reads a reference or a URL without a password. Its errors never repeat the text.
func (u *DatabaseURL) UnmarshalText(text []byte) error {
	s := string(text)
	if strings.HasPrefix(s, "env:") || strings.HasPrefix(s, "file:") {
		return u.Secret.UnmarshalText(text)
	}
	parsed, err := url.Parse(s)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return errors.New("want env:NAME, file:PATH or a postgres:// URL without a password")
	}
	if _, has := parsed.User.Password(); has || parsed.Query().Has("password") || parsed.Query().Has("sslpassword") {
		return errors.New("a password must not stand in this file: put the whole URL into an environment variable or a file and write env:NAME or file:PATH")
	}
	u.Secret = Secret{scheme: plain, target: s}
	return nil
}

// overrideDatabaseURL is the environment's way of setting the URL: there a password is welcome, so only the
// variable's name is kept.
func overrideDatabaseURL(variable, value string) (DatabaseURL, error) {
	if strings.HasPrefix(value, "env:") || strings.HasPrefix(value, "file:") {
		s, err := ParseSecret(value)
		return DatabaseURL{Secret: s}, err
	}
	return DatabaseURL{Secret: Secret{scheme: "env", target: variable}}, nil
}
