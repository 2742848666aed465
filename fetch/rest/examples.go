package rest

import (
	"embed"
	"io/fs"
)

//go:embed examples/*.yaml
var examples embed.FS

// Examples are whole descriptions of two invented APIs, each a file <name>.yaml: fjordbank, a bank, and nordvik, a debt
// collector. What they describe is in docs/providers/rest.md.
func Examples() fs.FS {
	sub, err := fs.Sub(examples, "examples")
	if err != nil {
		panic("rest: the examples are not there: " + err.Error()) // can't be: they are part of the program
	}
	return sub
}
