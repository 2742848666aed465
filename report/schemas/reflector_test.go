package schemas

import (
	"strings"
	"testing"

	"syncer/strictyaml"
	"syncer/strictyaml/schematest"
)

const declared = `package x
// Lamp is a lamp
// on a desk.
type lamp struct {
	// Watt is how much it takes.
	Watt int
}`

type lamp struct {
	Watt int    `jsonschema:"required"`
	Kind string `yaml:"sort" jsonschema:"enum=led,enum=bulb"`
}

// What the schema of a struct takes, Bind takes, and what it refuses, Bind refuses.
func TestSchemaAndBindAgree(t *testing.T) {
	r, err := reflector(nil, []byte(declared))
	if err != nil {
		t.Fatal(err)
	}
	text, err := textOf(r.Reflect(lamp{}))
	schema := schematest.Compile(t, text, err)
	for _, want := range []string{`"Lamp is a lamp on a desk."`, `"Watt is how much it takes."`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	for doc, good := range map[string]bool{
		"watt: 3": true, "{watt: 3, sort: led}": true, "sort: led": false, "{watt: 3, sort: gas}": false, "{watt: 3, kind: led}": false, "watt: x": false,
	} {
		s, err := strictyaml.Read([]byte(doc), "")
		if err != nil {
			t.Fatal(err)
		}
		s.Bind(&lamp{})
		if fits := schematest.Validate(t, schema, []byte(doc)); (fits == nil) != good || (len(s.Problems) == 0) != good {
			t.Errorf("%s: the schema says %v, Bind says %v", doc, fits, s.Problems)
		}
	}
	if _, err := reflector(nil, []byte("no Go")); err == nil {
		t.Error("a source that isn't Go was taken")
	}
}
