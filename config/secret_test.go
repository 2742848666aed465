package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const planted = "hunter2-do-not-print"

func envOf(vars map[string]string) Env {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestSecretNeverPrints(t *testing.T) {
	c, err := Parse([]byte("database: {url: env:DB}\nconnections: {a: {provider: x, credentials: {s: env:S}}}"), "c.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Connections["a"].Credentials["s"]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%10s", "%T-%v"} {
		args := []any{s}
		if verb == "%T-%v" {
			args = []any{s, s}
		}
		if got := fmt.Sprintf(verb, args...); !strings.Contains(got, redacted) || strings.Contains(got, "env:") {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": yaml.Marshal} {
		for _, v := range []any{s, &s, map[string]Secret{"k": s}, c.Database, c.Connections["a"].Credentials} {
			got, err := marshal(v)
			if err != nil || !strings.Contains(string(got), redacted) {
				t.Errorf("%s of %T gives %q, %v", name, v, got, err)
			}
		}
	}
	if text, err := s.MarshalText(); err != nil || string(text) != redacted {
		t.Errorf("MarshalText gives %q, %v", text, err)
	}
	if s.Ref() != "env:S" {
		t.Errorf("Ref gives %q", s.Ref())
	}
	if (Secret{}).String() != "" || (Secret{}).Ref() != "" {
		t.Error("an empty secret prints something")
	}
}

func TestInlineSecretIsRefusedUnprinted(t *testing.T) {
	for _, text := range []string{planted, "'" + planted + "'", "|\n      " + planted, "[" + planted + "]", "{" + planted + ": " + planted + "}",
		"ENV:" + planted, "env:a-" + planted, "'env:'", "'file:'", "vault:" + planted, "!!binary " + planted} {
		doc := "connections:\n  a:\n    provider: x\n    credentials:\n     client_secret: " + text + "\n"
		_, err := Parse([]byte(doc), "c.yaml", noEnv)
		if err == nil {
			t.Errorf("%q was taken as a secret", text)
			continue
		}
		if msg := err.Error(); strings.Contains(msg, planted) || !strings.Contains(msg, "client_secret") || !strings.Contains(msg, "env:NAME") && !strings.Contains(msg, "want one value") && !strings.Contains(msg, "env:") {
			t.Errorf("for %q: %s", text, msg)
		}
	}
}

func TestSyntaxErrorQuotesNothing(t *testing.T) {
	for _, doc := range []string{
		"connections:\n  a:\n    credentials:\n      s: " + planted + "\n   b: x\n",
		"credentials: {s: " + planted + "\n",
		"credentials: " + planted + "\n",
		"connections: {a: {credentials: " + planted + "}}",
		"connections: {a: {base_url: 'https://user:" + planted + "@api.example.com', provider: x}}",
		"connections: {a: {base_url: 'https://user:" + planted + "@[', provider: x}}",
		"database: {url: 'postgres://u:" + planted + "@h/d'}",
		"database: {url: 'postgres://u@h/d?password=" + planted + "'}",
		"database: {url: 'host=h password=" + planted + "'}",
		"database: {url: 'postgres://u:" + planted + "%zz@h/d'}",
	} {
		if _, err := Parse([]byte(doc), "c.yaml", noEnv); err == nil || strings.Contains(err.Error(), planted) {
			t.Errorf("for %q: %v", doc, err)
		}
	}
}

func TestRevealEnv(t *testing.T) {
	env := envOf(map[string]string{"SET": "value\n", "EMPTY": ""})
	s, _ := ParseSecret("env:SET")
	if got, err := s.Reveal(env); got != "value" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, ref := range []string{"env:EMPTY", "env:MISSING"} {
		s, _ := ParseSecret(ref)
		if _, err := s.Reveal(env); err == nil || !strings.Contains(err.Error(), s.target) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if _, err := (Secret{}).Reveal(env); err == nil {
		t.Error("an empty secret was revealed")
	}
}

func TestRevealFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // past the umask
			t.Fatal(err)
		}
		return path
	}
	for _, mode := range []os.FileMode{0o400, 0o600, 0o440, 0o640} {
		path := write("good", planted+"\r\n\n", mode)
		if got, err := (Secret{"file", path}).Reveal(noEnv); got != planted || err != nil {
			t.Errorf("mode %04o: %q, %v", mode, got, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ path, want string }{
		"world":   {write("world", planted, 0o644), "chmod 0640"},
		"mounted": {write("mounted", planted, 0o444), "defaultMode: 0440"},
		"writing": {write("writing", planted, 0o660), "chmod 0640"},
		"empty":   {write("empty", "\n", 0o600), "is empty"},
		"large":   {write("large", strings.Repeat(planted, 4096), 0o600), "larger"},
		"missing": {filepath.Join(dir, "missing"), "does not exist"},
		"dir":     {dir, "not a regular file"},
	} {
		_, err := Secret{"file", c.path}.Reveal(noEnv)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What an editor, a template or another encoding has put around a secret without anybody seeing it is named, wherever it comes from.
func TestWhatIsSentWithASecretIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for text, want := range map[string]string{
		"\ufeff" + planted:           "byte order mark",
		planted + "\x00":             "NUL",
		"h\x00u\x00n\x00t\x00":       "NUL",
		"\n" + planted:               "begins with an empty line",
		"\r\n" + planted:             "begins with an empty line",
		planted + "\n" + "a comment": "second line",
		planted + "\r" + "old Mac":   "second line",
		planted + " ":                "blank at its end",
		planted + "\t\n":             "blank at its end",
		planted + "\u00a0":           "blank at its end",
		" " + planted:                "begins with a blank",
		"\u00a0" + planted:           "begins with a blank",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, ofFile := Secret{"file", path}.Reveal(noEnv)
		_, ofVariable := Secret{"env", "S"}.Reveal(envOf(map[string]string{"S": text}))
		for from, err := range map[string]error{path: ofFile, "environment variable S": ofVariable} {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), from) || strings.Contains(err.Error(), planted) {
				t.Errorf("%q of %s: %v, want %q", text, from, err, want)
			}
		}
	}
}

func TestCheckSecretsReportsAll(t *testing.T) {
	doc := "database: {url: env:DB}\nconnections:\n  a:\n    provider: x\n    credentials:\n      id: env:GOOD\n      one: env:MISSING\n      two: file:none\n"
	c, err := Parse([]byte(doc), "/etc/syncer/c.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	err = c.CheckSecrets(envOf(map[string]string{"GOOD": planted}))
	want := `/etc/syncer/c.yaml:1:17: database.url: environment variable DB is not set or empty
/etc/syncer/c.yaml:7:12: connections.a.credentials.one: environment variable MISSING is not set or empty
/etc/syncer/c.yaml:8:12: connections.a.credentials.two: secret file /etc/syncer/none does not exist`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestDatabaseURL(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://u@h:5432/d?sslmode=disable": "postgres://u@h:5432/d?sslmode=disable",
		"postgresql:///d?host=/tmp":             "postgresql:///d?host=/tmp",
		"env:DB":                                "postgres://u:p@h/d",
	} {
		c, err := Parse([]byte("database: {url: '"+text+"'}"), "c.yaml", noEnv)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := c.Database.URL.Reveal(envOf(map[string]string{"DB": "postgres://u:p@h/d"})); got != want || err != nil {
			t.Errorf("%s reveals %q, %v", text, got, err)
		}
		if c.Database.URL.Ref() != text {
			t.Errorf("Ref of %s is %s", text, c.Database.URL.Ref())
		}
	}
	if !Default().Database.URL.IsZero() {
		t.Error("no URL is not the embedded default")
	}
}
