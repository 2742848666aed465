package config

import (
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"syncer/strictyaml/schematest"
)

func compiled(t *testing.T, providers map[string]any) *jsonschema.Schema {
	t.Helper()
	text, err := Schema(providers)
	return schematest.Compile(t, text, err)
}

func TestSchemaAcceptsWhatParses(t *testing.T) {
	schema := compiled(t, map[string]any{"norskgjeld": &testSettings{}, "sbanken": nil})
	for _, doc := range []string{string(Sample()), strings.Replace(whole, "id: 007", "id: w7", 1), "{}",
		"connections: {a: {provider: norskgjeld, settings: {window: 2d, version: 1, feed: {page: 1}, untagged: x}}}",
		"database: {url: 'postgres://u@h/d'}\nworker: {drain: 1.5h}"} {
		if err := schematest.Validate(t, schema, []byte(doc)); err != nil {
			t.Errorf("%.60s: %v", doc, err)
		}
	}
}

func TestSchemaRefusesWhatDoesNot(t *testing.T) {
	schema := compiled(t, map[string]any{"norskgjeld": &testSettings{}, "sbanken": nil})
	for _, doc := range []string{
		"wroker: {}",
		"worker: {leese: 1s}",
		"worker: {lease: 30}",
		"worker: {lease: 3 days}",
		"worker: {batches: 0}",
		"log: {level: loud}",
		"connections: {a: {}}",
		"connections: {A: {provider: sbanken}}",
		"connections: {a: {provider: sbank}}",
		"connections: {a: {provider: sbanken, credentials: {client_secret: inline}}}",
		"connections: {a: {provider: sbanken, rate: {per_second: 0}}}",
		"connections: {a: {provider: sbanken, rate: {per_second: 1, unlimited: true}}}",
		"connections: {a: {provider: sbanken, max_body: 32MB}}",
		"connections: {a: {provider: sbanken, limits: {answer_records: 0}}}",
		"connections: {a: {provider: sbanken, limits: {pass_hours: 6h}}}",
		"connections: {a: {provider: sbanken, limits: {pass_bytes: 10GB}}}",
		"connections: {a: {provider: sbanken, settings: {window: 1d}}}",
		"connections: {a: {provider: norskgjeld, settings: {windw: 1d}}}",
		"connections: {a: {provider: norskgjeld, settings: {window: soon}}}",
		"connections: {a: {provider: norskgjeld, settings: {internal: x}}}",
		"jobs: {j: {connection: a}}",
		"jobs: {j: {connection: a, datasets: []}}",
		"jobs: {j: {connection: a, datasets: [debts]}}",
		"jobs: {j: {connection: a, datasets: [debt, debt]}}",
		"jobs: {j: {connection: a, datasets: [debt], schedule: '0 0 * * *'}}",
		"jobs: {j: {connection: a, datasets: [debt], catch_up: some}}",
	} {
		if schematest.Validate(t, schema, []byte(doc)) == nil {
			t.Errorf("the schema accepts %s", doc)
		}
	}
}

func TestSchemaWithoutProviders(t *testing.T) {
	if err := schematest.Validate(t, compiled(t, nil), []byte("connections: {a: {provider: any, settings: {thing: 1}}}")); err != nil {
		t.Error(err)
	}
}

// TestSchemaDescribesEverything walks the schema: every property has a description and most have their default.
func TestSchemaDescribesEverything(t *testing.T) {
	schema := compiled(t, map[string]any{"x": &testSettings{Window: 3 * time.Hour}})
	seen := map[*jsonschema.Schema]bool{}
	var walk func(path string, s *jsonschema.Schema)
	walk = func(path string, s *jsonschema.Schema) {
		for s != nil && s.Ref != nil {
			s = s.Ref
		}
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		for key, p := range s.Properties {
			if p.Description == "" && (p.Ref == nil || p.Ref.Description == "") {
				t.Errorf("%s.%s has no description", path, key)
			}
			walk(path+"."+key, p)
		}
		for _, option := range s.AnyOf {
			walk(path, option)
		}
		if extra, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
			walk(path+".*", extra)
		}
	}
	walk("", schema)
	if len(seen) < 30 {
		t.Errorf("only %d schemas were reached", len(seen))
	}
	text, err := Schema(map[string]any{"x": &testSettings{Window: 3 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"default": "30s"`, `"default": "32MiB"`, `"default": "latest"`, `"default": "90d"`, `"default": "127.0.0.1:8080"`, `"default": "3h"`,
		`"How far one request reaches."`, "2020-12", "Less than half of lease"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in the schema", want)
		}
	}
}
