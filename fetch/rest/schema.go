package rest

import (
	_ "embed"
	"reflect"

	"github.com/invopop/jsonschema"

	"syncer/strictyaml"
)

// The files that declare the types of a description.
var (
	//go:embed description.go
	descriptionSource []byte
	//go:embed fields.go
	fieldsSource []byte
)

// Schema returns the JSON schema (draft 2020-12) of a description, for editors. What only makes sense across keys stays
// with Parse: an editor is told enough, not everything.
func Schema() ([]byte, error) {
	r, err := strictyaml.Reflector(mapType, descriptionSource, fieldsSource)
	if err != nil {
		return nil, err
	}
	root := r.Reflect(Description{})
	root.Title = "syncer: a REST API by description"
	lists := r.Reflect(List{})
	lists.Version = ""
	root.Definitions["List"] = lists
	for name, also := range map[string]*jsonschema.Schema{"Header": text(), "List": text(),
		"Wait": oneOrMore(text()), "Field": oneOrMore(text()), "ID": oneOrMore(text())} {
		group := root.Definitions[name]
		root.Definitions[name] = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{group, also}}
	}
	return strictyaml.SchemaText(root)
}

// text is a scalar: YAML reads 404 as a number and true as a boolean, and here they are texts like others.
func text() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
}

func oneOrMore(one *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one, {Type: "array", Items: one}}}
}

// mapType gives the types that may be written in a short way their own schema; nil leaves a type to the reflector.
func mapType(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[Paths](), reflect.TypeFor[Words]():
		return oneOrMore(text())
	case reflect.TypeFor[Statuses]():
		return oneOrMore(&jsonschema.Schema{Type: "integer", Minimum: "200", Maximum: "599"})
	case reflect.TypeFor[Lists]():
		return oneOrMore(&jsonschema.Schema{Ref: "#/$defs/List"})
	case reflect.TypeFor[Body]():
		return &jsonschema.Schema{}
	case reflect.TypeFor[map[string]string]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: text()}
	}
	return nil
}
