package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"syncer/files"
	"syncer/strictyaml"
)

// maxFile bounds a config file; what is larger is certainly another file.
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
	data, err := files.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noFileError(path)
	}
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(data, path, env)
}

// noFileError says that there is no file at a path. It is fs.ErrNotExist, whose own words would say it twice.
type noFileError string

// Error names both ways out.
func (path noFileError) Error() string {
	return fmt.Sprintf("config file %s does not exist; make one with `syncer init`, or name yours with --config or %s",
		string(path), EnvPath)
}

// Is implements errors.Is.
func (noFileError) Is(target error) bool { return target == fs.ErrNotExist }

// Parse is LoadUnresolved for data that was read already; filename is used in messages, and relative paths
// inside the file are taken to be relative to its directory. Empty data gives the defaults.
func Parse(data []byte, filename string, env Env) (*Config, error) {
	src, err := strictyaml.Read(data, filename)
	if err != nil {
		return nil, err
	}
	if src.Documents() > 1 {
		return nil, Problems{src.Problem("", "more than one YAML document (---) in the file; put everything into one")}
	}
	src.Durations = ParseDuration
	c := Default()
	c.src = src
	src.Bind(c)
	c.anchor(filepath.Dir(filename))
	c.override(env)
	c.validate()
	if err := src.Problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Dir is the folder of the file that the config was read from: relative paths in it begin there.
func (c *Config) Dir() string { return filepath.Dir(c.src.File) }

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
func (c *Config) override(env Env) {
	root := reflect.ValueOf(c).Elem()
	sections := strictyaml.Fields(root.Type())
	for _, section := range overridden {
		v := root.FieldByIndex(sections[section].Index)
		for key, field := range strictyaml.Fields(v.Type()) {
			c.overrideField(v.FieldByIndex(field.Index), strictyaml.Join(section, key), env)
		}
	}
}

func (c *Config) overrideField(v reflect.Value, path string, env Env) {
	for _, name := range envNames(path) {
		value, _ := env(name)
		if value == "" {
			continue
		}
		c.src.SaidBy(name, path)
		var err error
		if u, ok := v.Addr().Interface().(*DatabaseURL); ok {
			*u, err = overrideDatabaseURL(name, value)
		} else {
			err = c.src.SetText(v.Addr().Interface(), value)
		}
		if err != nil {
			c.src.Fail(path, "%s", err)
		}
		return
	}
}

// overridable are the paths of all values that a variable of the environment may set.
func overridable() []string {
	var paths []string
	root := reflect.TypeFor[Config]()
	sections := strictyaml.Fields(root)
	for _, section := range overridden {
		for key := range strictyaml.Fields(root.FieldByIndex(sections[section].Index).Type) {
			paths = append(paths, strictyaml.Join(section, key))
		}
	}
	return paths
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
			uses = append(uses, SecretUse{strictyaml.Join("connections", name, "credentials", key), credentials[key]})
		}
	}
	return uses
}

// CheckSecrets reads every secret once and reports all that can't be read, each with its place. Nothing is kept.
func (c *Config) CheckSecrets(env Env) error {
	var problems Problems
	for _, use := range c.Secrets() {
		if _, err := use.Secret.Reveal(env); err != nil {
			problems = append(problems, c.src.Problem(use.Path, "%s", err))
		}
	}
	return problems.Err()
}
