package config

import (
	"slices"
	"strings"

	"syncer/strictyaml"
)

// Problem is one thing that is wrong with a config, and where.
type Problem = strictyaml.Problem

// Problems are all the things that are wrong with a config, in the order of the file.
type Problems = strictyaml.Problems

// Problemf makes an error about the value at path (such as "connections.ng.environment") that names its
// place in the file, for those who know more about a value than this package does.
func (c *Config) Problemf(path, format string, args ...any) error {
	return c.src.Problem(path, format, args...)
}

// CheckProviders reports every connection whose provider isn't in known, with the nearest name that is.
func (c *Config) CheckProviders(known []string) error {
	var problems Problems
	for name, conn := range c.Connections {
		if !slices.Contains(known, conn.Provider) {
			problems = append(problems, c.src.Problem(strictyaml.Join("connections", name, "provider"), "no provider %q%s (there are: %s)",
				conn.Provider, strictyaml.DidYouMean(conn.Provider, known), strings.Join(known, ", ")))
		}
	}
	return problems.Err()
}
