package rest

import (
	"embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// sources declare the types of a description. Their doc comments are the descriptions in the schema, so that there is
// one text for the reader of the code and for the writer of a description.
//
//go:embed description.go fields.go
var sources embed.FS

// Schema returns the JSON schema (draft 2020-12) of a description, for editors. What only makes sense across keys stays
// with Parse: an editor is told enough, not everything.
func Schema() ([]byte, error) {
	comments, err := typeComments()
	if err != nil {
		return nil, err
	}
	r := &jsonschema.Reflector{
		Anonymous:                  true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
		FieldNameTag:               "yaml",
		Mapper:                     mapType,
		LookupComment: func(t reflect.Type, field string) string {
			return comments[strings.TrimSuffix(t.Name()+"."+field, ".")]
		},
	}
	root := r.Reflect(Description{})
	root.Title = "syncer: a REST API by description"
	lists := r.Reflect(List{})
	lists.Version = ""
	root.Definitions["List"] = lists
	for name, also := range map[string]*jsonschema.Schema{"Header": text(), "List": text(), "Field": oneOrMore(text()), "ID": oneOrMore(text())} {
		group := root.Definitions[name]
		root.Definitions[name] = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{group, also}}
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("description schema: %w", err)
	}
	return append(out, '\n'), nil
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

// typeComments returns the doc comments of the types and of their fields, by Type.Field, each on one line.
func typeComments() (map[string]string, error) {
	comments := map[string]string{}
	for _, name := range []string{"description.go", "fields.go"} {
		source, err := sources.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("description schema: %w", err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("description schema: %w", err)
		}
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				commentsOf(gen, comments)
			}
		}
	}
	return comments, nil
}

func commentsOf(gen *ast.GenDecl, into map[string]string) {
	oneLine := func(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }
	for _, spec := range gen.Specs {
		typ := spec.(*ast.TypeSpec)
		into[typ.Name.Name] = oneLine(gen.Doc)
		if fields, ok := typ.Type.(*ast.StructType); ok {
			for _, f := range fields.Fields.List {
				for _, name := range f.Names {
					into[typ.Name.Name+"."+name.Name] = oneLine(f.Doc)
				}
			}
		}
	}
}
