package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"syncer/strictyaml"
)

// others are the variables that are read, and override no key of the file.
var others = []string{EnvPath, "SYNCER_PG_BIN"}

// byKubernetes matches what Kubernetes gives every container for a Service that is called syncer or syncer-something
// ("Discovering services" in its documentation).
var byKubernetes = regexp.MustCompile(`^SYNCER(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// CheckEnvironment reports every variable that begins with SYNCER_ and that nobody reads, with the nearest name that is
// read: SYNCER_WORKER_LEESE would otherwise change nothing, without a word. The environment is as os.Environ gives it.
// What a secret of the file refers to is read, and what begins with SYNCER_TEST_ belongs to tests.
func (c *Config) CheckEnvironment(environ []string) error {
	known := c.variables()
	var problems Problems
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		mine := strings.HasPrefix(name, envPrefix) && !strings.HasPrefix(name, envPrefix+"TEST_")
		if !mine || value == "" || slices.Contains(known, name) || byKubernetes.MatchString(name) {
			continue
		}
		problems = append(problems, Problem{
			Env:     name,
			Message: fmt.Sprintf("no setting has this name%s", strictyaml.DidYouMean(name, known)),
		})
	}
	return problems.Err()
}

// variables are the names that are read from the environment.
func (c *Config) variables() []string {
	known := slices.Clone(others)
	for _, path := range overridable() {
		known = append(known, envNames(path)...)
	}
	for _, use := range c.Secrets() {
		if name, ok := strings.CutPrefix(use.Secret.Ref(), "env:"); ok {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}
