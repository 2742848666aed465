package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds the config file; a larger one is another file.
const maxFile = 1 << 20

// Load reads the file at path, applies the environment and proves everything that can be proven without
// asking anyone: names, ranges, schedules, and that every secret can be read now. Its error is a Problems
// when the content is to blame; it wraps fs.ErrNotExist when there is no file.
func Load(path string, env Env) (*Config, error) {
	c, err := LoadUnresolved(path, env)
	if err != nil {
		return nil, err
	}
	if err := c.CheckSecrets(env); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadUnresolved is Load without reading any secret, for commands that need none of them or report on each.
func LoadUnresolved(path string, env Env) (*Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("config file %s does not exist; make one with `syncer init`, or name yours with --config or %s: %w", path, EnvPath, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(data, path, env)
}

// Parse is LoadUnresolved for data that was read already; filename is used in messages, and relative paths
// inside the file are taken to be relative to its directory. Empty data gives the defaults.
func Parse(data []byte, filename string, env Env) (*Config, error) {
	c := Default()
	c.src.file = filename
	b := &binder{src: c.src, anchors: map[string]ast.Node{}}
	body, err := parse(data, filename)
	if err != nil {
		return nil, err
	}
	if body != nil {
		ast.Walk(b, body)
		b.bind(body, reflect.ValueOf(c).Elem(), "")
	}
	c.anchor(filepath.Dir(filename))
	b.override(c, env)
	c.validate(&b.problems)
	if err := b.problems.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// parse returns the body of the one document in data, nil if there is none. The library quotes the lines around a
// mistake, which may hold a secret, so only its message and position are passed on; and it has been seen to panic.
func parse(data []byte, filename string) (body ast.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			body, err = nil, Problems{{File: filename, Message: "this is not YAML that can be read"}}
		}
	}()
	if len(data) > maxFile {
		return nil, Problems{{File: filename, Message: fmt.Sprintf("larger than %d bytes: is it the right file?", maxFile)}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))                        // editors on Windows put one there
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // we report duplicates ourselves, all of them
	if err != nil {
		return nil, Problems{syntaxProblem(err, filename)}
	}
	docs := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	switch {
	case len(docs) == 0:
		return nil, nil
	case len(docs) > 1:
		return nil, Problems{{File: filename, Message: "more than one YAML document (---) in the file; put everything into one"}}
	}
	return docs[0].Body, nil
}

func syntaxProblem(err error, filename string) Problem {
	p := Problem{File: filename, Message: "not valid YAML"}
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		p.Message += ": " + syntax.GetMessage()
		if tk := syntax.GetToken(); tk != nil && tk.Position != nil {
			p.Line, p.Column = tk.Position.Line, tk.Position.Column
		}
	}
	return p
}

// Dir is the folder of the file that the config was read from: relative paths in it begin there.
func (c *Config) Dir() string { return filepath.Dir(c.src.file) }

// anchor makes the relative paths in the file relative to its directory, so that a service finds its keys
// whatever directory it is started in.
func (c *Config) anchor(dir string) {
	for _, path := range []*string{&c.Database.StateDir, &c.Keys.File} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	c.Database.URL.within(dir)
	for _, conn := range c.Connections {
		for name, secret := range conn.Credentials {
			secret.within(dir)
			conn.Credentials[name] = secret
		}
	}
}

// envPrefix begins every environment variable that overrides the file.
const envPrefix = "SYNCER_"

// overridden are the sections of which every single value may be set by SYNCER_<SECTION>_<KEY>.
var overridden = []string{"database", "keys", "log", "worker", "server"}

// override applies the environment: SYNCER_WORKER_LEASE=1m is worker.lease, and SYNCER_STATE_DIR is a shorter
// name for SYNCER_DATABASE_STATE_DIR. An empty variable counts as not set.
func (b *binder) override(c *Config, env Env) {
	root := reflect.ValueOf(c).Elem()
	sections := fieldsOf(root.Type())
	for _, section := range overridden {
		v := root.Field(sections[section])
		fields := fieldsOf(v.Type())
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			b.overrideField(v.Field(fields[key]), join(section, key), env)
		}
	}
}

func (b *binder) overrideField(v reflect.Value, path string, env Env) {
	for _, name := range envNames(path) {
		value, _ := env(name)
		if value == "" {
			continue
		}
		b.src.at[path] = origin{env: name}
		var err error
		if u, ok := v.Addr().Interface().(*DatabaseURL); ok {
			*u, err = overrideDatabaseURL(name, value)
		} else {
			err = setText(v, value)
		}
		if err != nil {
			b.fail(path, "%s", err)
		}
		return
	}
}

// envNames returns the variables that set the value at path, the strongest first.
func envNames(path string) []string {
	name := envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
	if path == "database.state_dir" {
		return []string{name, envPrefix + "STATE_DIR"}
	}
	return []string{name}
}

// SecretUse is a place of the config that refers to a secret.
type SecretUse struct {
	Path   string // such as connections.ng.credentials.client_secret
	Secret Secret
}

// Secrets lists every reference to a secret in the config, sorted by path.
func (c *Config) Secrets() []SecretUse {
	var uses []SecretUse
	if !c.Database.URL.IsZero() {
		uses = append(uses, SecretUse{"database.url", c.Database.URL.Secret})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Connections)) {
		credentials := c.Connections[name].Credentials
		for _, key := range slices.Sorted(maps.Keys(credentials)) {
			uses = append(uses, SecretUse{join("connections", name, "credentials", key), credentials[key]})
		}
	}
	return uses
}

// CheckSecrets reads every secret once and reports all that can't be read, each with its place. Nothing is kept.
func (c *Config) CheckSecrets(env Env) error {
	var problems Problems
	for _, use := range c.Secrets() {
		if _, err := use.Secret.Reveal(env); err != nil {
			problems = append(problems, c.src.problem(use.Path, "%s", err))
		}
	}
	return problems.err()
}
