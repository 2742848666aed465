package rest

import (
	"io/fs"
	"strings"
	"testing"

	"syncer/strictyaml/schematest"
)

func TestTheExamplesFitTheSchema(t *testing.T) {
	text, err := Schema()
	schema := schematest.Compile(t, text, err)
	files, err := fs.Glob(Examples(), "*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(Examples(), file)
		if err != nil {
			t.Fatal(err)
		}
		if err := schematest.Validate(t, schema, text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := Parse(text, file); err != nil {
			t.Error(err)
		}
	}
	if err := schematest.Validate(t, schema, []byte(minimal)); err != nil {
		t.Error(err)
	}
}

func TestTheSchemaRefusesWhatParseRefuses(t *testing.T) {
	text, err := Schema()
	schema := schematest.Compile(t, text, err)
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
