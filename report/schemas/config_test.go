package schemas

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"syncer/config"
	"syncer/strictyaml/schematest"
)

func compiled(t *testing.T, providers map[string]any) *jsonschema.Schema {
	t.Helper()
	text, err := Config(read(t, "../../config/config.go"), providers)
	return schematest.Compile(t, text, err)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// settings are those of a provider.
type settings struct {
	Window   time.Duration `yaml:"window" jsonschema_description:"How far one request reaches."`
	Version  int           `yaml:"version"`
	Feed     *feed         `yaml:"feed"`
	Untagged string
	Internal string `yaml:"-"`
}

type feed struct {
	Page int `yaml:"page"`
}

func TestSchemaAcceptsWhatParses(t *testing.T) {
	schema := compiled(t, map[string]any{"norskgjeld": &settings{}, "sbanken": nil})
	whole := string(read(t, "../../config/testdata/whole.yaml"))
	for _, doc := range []string{string(config.Sample()), strings.Replace(whole, "id: 007", "id: w7", 1), "{}",
		"connections: {a: {provider: norskgjeld, settings: {window: 2d, version: 1, feed: {page: 1}, untagged: x}}}",
		"connections: {a: {provider: sbanken, rate: {}}, b: {provider: sbanken, rate: {per_second: 1}}}",
		"connections: {a: {provider: sbanken, rate: {per_day: 5000}}, b: {provider: sbanken, rate: {per_day: 1, resets: '23:59'}}}",
		"connections: {a: {provider: sbanken, rate: {unlimited: true, per_day: 1, resets: '06:00'}}}",
		"database: {url: 'postgres://u@h/d'}\nworker: {drain: 1.5h}"} {
		if err := schematest.Validate(t, schema, []byte(doc)); err != nil {
			t.Errorf("%.60s: %v", doc, err)
		}
	}
}

func TestSchemaRefusesWhatDoesNot(t *testing.T) {
	schema := compiled(t, map[string]any{"norskgjeld": &settings{}, "sbanken": nil})
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
		"connections: {a: {provider: sbanken, rate: {per_minute: 1, unlimited: true, per_day: 1}}}",
		"connections: {a: {provider: sbanken, rate: {per_second: 1, per_minute: 1}}}",
		"connections: {a: {provider: sbanken, rate: {per_day: 0}}}",
		"connections: {a: {provider: sbanken, rate: {per_day: 1.5}}}",
		"connections: {a: {provider: sbanken, rate: {resets: '00:00'}}}",
		"connections: {a: {provider: sbanken, rate: {per_day: 1, resets: '24:00'}}}",
		"connections: {a: {provider: sbanken, rate: {per_day: 1, resets: 6}}}",
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
	schema := compiled(t, map[string]any{"x": &settings{Window: 3 * time.Hour}})
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
	text, err := Config(read(t, "../../config/config.go"), map[string]any{"x": &settings{Window: 3 * time.Hour}})
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
