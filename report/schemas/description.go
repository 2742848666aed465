package schemas

import (
	"reflect"

	"github.com/invopop/jsonschema"

	"syncer/fetch/rest"
)

// Description returns the JSON schema (draft 2020-12) of a description, for editors. sources are the Go files that declare
// its types. What only makes sense across keys stays
// with Parse: an editor is told enough, not everything.
func Description(sources ...[]byte) ([]byte, error) {
	r, err := reflector(descriptionType, sources...)
	if err != nil {
		return nil, err
	}
	root := r.Reflect(rest.Description{})
	root.Title = "syncer: a REST API by description"
	lists := r.Reflect(rest.List{})
	lists.Version = ""
	root.Definitions["List"] = lists
	for name, also := range map[string]*jsonschema.Schema{"Header": text(), "List": text(),
		"Wait": oneOrMore(text()), "Field": oneOrMore(text()), "ID": oneOrMore(text())} {
		group := root.Definitions[name]
		root.Definitions[name] = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{group, also}}
	}
	return textOf(root)
}

// text is a scalar: YAML reads 404 as a number and true as a boolean, and here they are texts like others.
func text() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
}

func oneOrMore(one *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one, {Type: "array", Items: one}}}
}

// descriptionType gives the types that may be written in a short way their own schema; nil leaves a type to the reflector.
func descriptionType(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[rest.Paths](), reflect.TypeFor[rest.Words]():
		return oneOrMore(text())
	case reflect.TypeFor[rest.Statuses]():
		return oneOrMore(&jsonschema.Schema{Type: "integer", Minimum: "200", Maximum: "599"})
	case reflect.TypeFor[rest.Lists]():
		return oneOrMore(&jsonschema.Schema{Ref: "#/$defs/List"})
	case reflect.TypeFor[rest.Body]():
		return &jsonschema.Schema{}
	case reflect.TypeFor[map[string]string]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: text()}
	}
	return nil
}
