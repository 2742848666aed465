// Package schemas makes the JSON schemas that editors check a config file and a description with. They lie beside it, and the
// program holds them as they are: a test of cmd/syncer makes them anew and says when they are out of date. So what makes
// them, a parser of Go and a reflector, is no part of the program.
package schemas

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"syncer/strictyaml"
)

// reflector makes JSON schemas (draft 2020-12), for editors, of the structs that strictyaml.Bind fills. sources are the Go files that
// declare them: their doc comments are the descriptions in the schema, so that there is one text for the reader of the
// code and for the writer of the file. mapType gives a type its own schema; nil leaves it to the reflector.
func reflector(mapType func(reflect.Type) *jsonschema.Schema, sources ...[]byte) (*jsonschema.Reflector, error) {
	comments := map[string]string{}
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				commentsOf(gen, comments)
			}
		}
	}
	return &jsonschema.Reflector{
		Anonymous:                  true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
		FieldNameTag:               "yaml",
		KeyNamer:                   strings.ToLower, // as strictyaml.Fields names a field without a tag
		Mapper:                     mapType,
		LookupComment:              func(t reflect.Type, field string) string { return comments[strictyaml.Join(t.Name(), field)] },
	}, nil
}

// commentsOf collects the doc comments of types and of their fields, by Type.Field, each on one line.
func commentsOf(gen *ast.GenDecl, into map[string]string) {
	oneLine := func(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }
	for _, spec := range gen.Specs {
		typ := spec.(*ast.TypeSpec)
		into[typ.Name.Name] = oneLine(gen.Doc)
		if fields, ok := typ.Type.(*ast.StructType); ok {
			for _, f := range fields.Fields.List {
				for _, name := range f.Names {
					into[strictyaml.Join(typ.Name.Name, name.Name)] = oneLine(f.Doc)
				}
			}
		}
	}
}

// textOf writes a schema as a file.
func textOf(schema *jsonschema.Schema) ([]byte, error) {
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return append(out, '\n'), nil
}
