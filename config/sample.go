package config

import (
	_ "embed"
	"slices"
	"strings"
)

// sampleFile is a whole config with every key explained. Lines #@NAME and #@end around a part say that it is
// for one provider only; Sample takes them out.
//
//go:embed sample.yaml
var sampleFile string

// Sample returns the commented config file that `syncer init` writes, with the connections and jobs of the given
// providers; of two that show every key when none is given. It parses and validates as it is, and loads once the
// environment variables it names are set.
func Sample(providers ...string) []byte {
	if !slices.ContainsFunc(providers, func(p string) bool { return p != "" }) {
		providers = []string{"norskgjeld", "sbanken"}
	}
	var out strings.Builder
	keep := true
	for line := range strings.Lines(sampleFile) {
		marker, isMarker := strings.CutPrefix(strings.TrimSpace(line), "#@")
		switch {
		case isMarker:
			keep = marker == "end" || slices.Contains(providers, marker)
		case keep:
			out.WriteString(line)
		}
	}
	return []byte(out.String())
}
