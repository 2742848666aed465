package cli

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestImage reads the Dockerfile: what runs is one static binary, without a shell, not as root, with certificates and
// a health check that is a command of the binary itself.
func TestImage(t *testing.T) {
	stages := dockerStages(t)
	build, last := stages[0], stages[len(stages)-1]
	if last["FROM"][0] != "scratch" {
		t.Errorf("the image is FROM %s, want scratch", last["FROM"][0])
	}
	user, _, _ := strings.Cut(last["USER"][0], ":")
	if user == "" || user == "root" || strings.Trim(user, "0") == "" || strings.Trim(user, "0123456789") != "" {
		t.Errorf("USER %s is root, or a name that scratch does not know", user)
	}
	if !strings.Contains(strings.Join(last["COPY"], "\n"), "/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt") {
		t.Error("the CA certificates are not where Go looks for them")
	}
	built := strings.Join(build["RUN"], "\n")
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "./cmd/syncer"} {
		if !strings.Contains(built, want) {
			t.Errorf("the build does not have %s", want)
		}
	}
	_, check, _ := strings.Cut(last["HEALTHCHECK"][0], "CMD ")
	entry := append(words(t, last["ENTRYPOINT"][0]), words(t, last["CMD"][0])...)
	for _, command := range [][]string{words(t, check), entry} {
		if command[0] != "/syncer" {
			t.Errorf("%v does not run the binary", command)
		}
		p := New(nil, io.Discard, io.Discard, os.LookupEnv, Setup{})
		if c, _, err := p.root().Find(command[1:]); err != nil || c.Name() != command[1] {
			t.Errorf("%v is no command of syncer", command)
		}
	}
}

// dockerStages gives each stage's instructions by name; there are at least two.
func dockerStages(t *testing.T) []map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var stages []map[string][]string
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "" || word[0] == '#':
			continue
		case word == "FROM":
			stages = append(stages, map[string][]string{})
		}
		stage := stages[len(stages)-1]
		stage[word] = append(stage[word], rest)
	}
	if len(stages) < 2 {
		t.Fatalf("%d stages: the compiler would be in the image", len(stages))
	}
	for _, must := range []string{"USER", "HEALTHCHECK", "ENTRYPOINT", "CMD"} {
		if len(stages[len(stages)-1][must]) != 1 {
			t.Fatalf("the image needs one %s", must)
		}
	}
	return stages
}

// words reads the exec form, the only one that works without a shell.
func words(t *testing.T, form string) []string {
	t.Helper()
	var command []string
	if err := json.Unmarshal([]byte(form), &command); err != nil || len(command) < 1 {
		t.Fatalf("%q is not in exec form: %v", form, err)
	}
	return command
}

// TestCompose reads compose.yaml: the service can't write to its image, has no capability and gains none, and its
// secrets are files.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile("../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			ReadOnly    bool              `yaml:"read_only"`
			CapDrop     []string          `yaml:"cap_drop"`
			SecurityOpt []string          `yaml:"security_opt"`
			Environment map[string]string `yaml:"environment"`
			Secrets     []string          `yaml:"secrets"`
		}
		Secrets map[string]struct{ File string }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	s := file.Services["syncer"]
	if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("the service is not locked down: %+v", s)
	}
	if !strings.HasPrefix(s.Environment["SYNCER_DATABASE_URL"], "file:/run/secrets/") {
		t.Errorf("the database's URL is not a secret file: %s", s.Environment["SYNCER_DATABASE_URL"])
	}
	if s.Environment["SYNCER_DATABASE_PLAINTEXT"] != "true" {
		t.Error("the next release refuses the database, which another host has and speaks no TLS")
	}
	for _, name := range s.Secrets {
		if file.Secrets[name].File == "" {
			t.Errorf("secret %s is not a file", name)
		}
	}
}
