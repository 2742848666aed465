package schemas

import (
	"io/fs"
	"strings"
	"testing"

	"syncer/fetch/rest"
	"syncer/strictyaml/schematest"
)

// described is the schema of descriptions.
func described(t *testing.T) []byte {
	t.Helper()
	text, err := Description(read(t, "../../fetch/rest/description.go"), read(t, "../../fetch/rest/fields.go"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheExamplesFitTheSchema(t *testing.T) {
	schema := schematest.Compile(t, described(t), nil)
	files, err := fs.Glob(rest.Examples(), "*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(rest.Examples(), file)
		if err != nil {
			t.Fatal(err)
		}
		if err := schematest.Validate(t, schema, text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := rest.Parse(text, file); err != nil {
			t.Error(err)
		}
	}
	if err := schematest.Validate(t, schema, read(t, "../../fetch/rest/testdata/minimal.yaml")); err != nil {
		t.Error(err)
	}
}

func TestTheSchemaRefusesWhatParseRefuses(t *testing.T) {
	schema := schematest.Compile(t, described(t), nil)
	minimal := string(read(t, "../../fetch/rest/testdata/minimal.yaml"))
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
		if schematest.Validate(t, schema, []byte(text)) == nil {
			t.Errorf("the schema accepts %q", c.broken)
		}
		if _, err := rest.Parse([]byte(text), "x.yaml"); err == nil {
			t.Errorf("Parse accepts %q", c.broken)
		}
	}
}

func TestTheSchemaExplainsEveryKey(t *testing.T) {
	text := described(t)
	if n := strings.Count(string(text), `"description":`); n < 120 {
		t.Errorf("only %d keys are explained", n)
	}
	for _, want := range []string{`"whole_pending"`, `"record_subject"`, `"windows"`, "a server may give less than it was asked for"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the schema has no %s", want)
		}
	}
}
