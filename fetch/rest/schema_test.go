package rest

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if schema.DraftVersion != 2020 {
		t.Fatalf("draft %d", schema.DraftVersion)
	}
	return schema
}

// against validates YAML the way an editor does: as the JSON it stands for.
func against(t *testing.T, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}

func TestTheExamplesFitTheSchema(t *testing.T) {
	schema := compiledSchema(t)
	files, err := fs.Glob(Examples(), "*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(Examples(), file)
		if err != nil {
			t.Fatal(err)
		}
		if err := against(t, schema, text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := Parse(text, file); err != nil {
			t.Error(err)
		}
	}
	if err := against(t, schema, []byte(minimal)); err != nil {
		t.Error(err)
	}
}

func TestTheSchemaRefusesWhatParseRefuses(t *testing.T) {
	schema := compiledSchema(t)
	for _, c := range []struct{ old, broken string }{
		{"title: Test", "titel: Test"},
		{"dialect: none", "dialect: basic"},
		{"path: \"claims/{consent}\"", "pth: claims"},
		{"id: id", "id: {pth: id}"},
		{"id: id", "id: {path: id, hash: {a: b}}"},
		{"records: rows", "records: {optional: true}"},
		{"records: rows", "records: [rows, {path: more, status: maybe}]"},
		{"check: { path: ping }", "check: { path: ping, accept: [99] }"},
		{"creditor: name", "creditor: {path: name, negate_when: {path: a}}"},
		{"creditor: name", "creditr: name"},
	} {
		text := strings.Replace(minimal, c.old, c.broken, 1)
		if text == minimal {
			t.Fatalf("%q is not in the description", c.old)
		}
		if against(t, schema, []byte(text)) == nil {
			t.Errorf("the schema accepts %q", c.broken)
		}
		if _, err := Parse([]byte(text), "x.yaml"); err == nil {
			t.Errorf("Parse accepts %q", c.broken)
		}
	}
}

func TestTheSchemaExplainsEveryKey(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), `"description":`); n < 120 {
		t.Errorf("only %d keys are explained", n)
	}
	for _, want := range []string{`"whole_pending"`, `"record_subject"`, `"windows"`, "a server may give less than it was asked for"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the schema has no %s", want)
		}
	}
}
