package main

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"syncer/report"
	"syncer/report/schemas"
)

var update = flag.Bool("update", false, "write the schemas anew")

// The schemas that the program holds are those of its types.
func TestSchemasAreCurrent(t *testing.T) {
	settings := map[string]any{}
	for _, p := range providers() {
		settings[p.Name] = p.Settings()
	}
	config, err := schemas.Config(source(t, "../../config/config.go"), settings)
	if err != nil {
		t.Fatal(err)
	}
	description, err := schemas.Description(
		source(t, "../../fetch/rest/description.go"), source(t, "../../fetch/rest/fields.go"))
	if err != nil {
		t.Fatal(err)
	}
	for file, schema := range map[string]struct{ held, made []byte }{
		"../../report/schemas/config.json":      {report.ConfigSchema(), config},
		"../../report/schemas/description.json": {report.DescriptionSchema(), description},
	} {
		if bytes.Equal(schema.held, schema.made) {
			continue
		}
		if !*update {
			t.Errorf("%s is out of date: `go generate ./report` makes it anew", file)
			continue
		}
		if err := os.WriteFile(file, schema.made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func source(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
