package schemas

import (
	"encoding"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"syncer/config"
	"syncer/strictyaml"
)

const (
	durationPattern = `^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d|w))+)$`
	sizePattern     = `^[0-9]+ ?(B|KiB|MiB|GiB)?$`
	secretPattern   = `^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$`
	databasePattern = `^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|postgres(ql)?://.*)$`
)

// Config returns the JSON schema (draft 2020-12) of a config file, for editors. source is the Go file that declares its
// types, whose comments are the descriptions. providers are the known providers
// by name, each with a pointer to its settings struct (the defaults filled in), or nil if it has none; without
// any, every provider and every setting is allowed. Fields of settings are described by jsonschema tags.
func Config(source []byte, providers map[string]any) ([]byte, error) {
	r, err := reflector(configType, source)
	if err != nil {
		return nil, err
	}
	root := r.Reflect(config.Config{})
	root.Title = "syncer configuration"
	defs := root.Definitions
	constrain(root, defs)
	setDefault(root, defs, reflect.ValueOf(*config.Default()))
	setDefault(defs["Connection"], defs, withDefaults[config.Connection]())
	setDefault(defs["Job"], defs, withDefaults[config.Job]())
	describeSettings(*r, defs["Connection"], providers)
	allowEmpty(root)
	return textOf(root)
}

// configType gives the types that are one text in the file their own schema; nil leaves a type to the reflector.
func configType(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: pattern} }
	either := func(s ...*jsonschema.Schema) *jsonschema.Schema { return &jsonschema.Schema{AnyOf: s} }
	switch t {
	case reflect.TypeFor[config.Duration](), reflect.TypeFor[time.Duration]():
		return either(text(durationPattern), &jsonschema.Schema{Const: 0})
	case reflect.TypeFor[config.Size]():
		return either(text(sizePattern), &jsonschema.Schema{Type: "integer", Minimum: "0"})
	case reflect.TypeFor[config.Secret]():
		return text(secretPattern)
	case reflect.TypeFor[config.DatabaseURL]():
		return text(databasePattern)
	case reflect.TypeFor[config.WallTime]():
		return text(config.WallTimePattern)
	case reflect.TypeFor[config.Settings]():
		return &jsonschema.Schema{Type: "object"}
	}
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

// constrain adds what validate demands and the types don't say. What only makes sense across keys stays with
// validate: an editor is told enough, not everything.
func constrain(root *jsonschema.Schema, defs jsonschema.Definitions) {
	property := func(s *jsonschema.Schema, key string) *jsonschema.Schema {
		p, _ := s.Properties.Get(key)
		return p
	}
	names := &jsonschema.Schema{Pattern: config.NamePattern}
	property(root, "connections").PropertyNames = names
	property(root, "jobs").PropertyNames = names
	property(defs["Database"], "migrate").Enum = anys(config.Migrations())
	property(defs["Log"], "level").Enum = anys(config.LogLevels())

	connection := defs["Connection"]
	job := defs["Job"]
	connection.Required = []string{"provider"}
	property(connection, "credentials").PropertyNames = names
	job.Required = []string{"connection", "datasets"}
	job.DependentRequired = map[string][]string{"schedule": {"time_zone"}}
	datasets := property(job, "datasets")
	datasets.Items.Enum, datasets.UniqueItems, datasets.MinItems = anys(config.Datasets()), true, new(uint64(1))
	purposes := property(job, "purposes")
	purposes.UniqueItems, purposes.Items.MinLength = true, new(uint64(1))
	property(job, "catch_up").Enum = anys(config.CatchUps())

	rate := defs["Rate"]
	rate.DependentRequired = map[string][]string{"resets": {"per_day"}}
	rate.Not = &jsonschema.Schema{AnyOf: pairs("per_second", "per_minute", "unlimited")}
	property(rate, "per_day").Minimum = "1"
	property(rate, "per_second").ExclusiveMinimum = "0"
	property(rate, "per_minute").ExclusiveMinimum = "0"
	for key, s := range map[string]*jsonschema.Schema{
		"batches": defs["Worker"], "concurrency": connection, "attempts": defs["Retry"], "batch_size": job,
		"accounts": defs["Limits"], "answer_records": defs["Limits"], "pass_hours": defs["Limits"],
	} {
		property(s, key).Minimum = "1"
	}
	property(connection, "reads_per_day").Minimum = "0"
}

// pairs are met by whoever has two of the keys.
func pairs(keys ...string) (two []*jsonschema.Schema) {
	for i, key := range keys {
		for _, other := range keys[:i] {
			two = append(two, &jsonschema.Schema{Required: []string{other, key}})
		}
	}
	return two
}

func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

func withDefaults[T any, P interface {
	*T
	strictyaml.Defaulter
}]() reflect.Value {
	v := P(new(T))
	v.SetDefaults()
	return reflect.ValueOf(*v)
}

// setDefault writes the scalar defaults that v holds into the schema s of its type, and into those of the structs in it.
func setDefault(s *jsonschema.Schema, defs jsonschema.Definitions, v reflect.Value) {
	for key, field := range strictyaml.Fields(v.Type()) {
		p, ok := s.Properties.Get(key)
		f := v.FieldByIndex(field.Index)
		switch {
		case !ok, f.IsZero():
		case strictyaml.IsScalar(f.Type()):
			p.Default = f.Interface()
			if d, ok := p.Default.(time.Duration); ok {
				p.Default = config.Duration(d) // as text
			}
		case f.Kind() == reflect.Struct:
			inner := p
			if ref := defs[strings.TrimPrefix(p.Ref, "#/$defs/")]; ref != nil {
				inner = ref
			}
			if inner.Properties != nil {
				setDefault(inner, defs, f)
			}
		}
	}
}

// allowEmpty lets a section stand there with nothing below it but comments, which YAML reads as null.
func allowEmpty(root *jsonschema.Schema) {
	for pair := root.Properties.Oldest(); pair != nil; pair = pair.Next() {
		section := *pair.Value
		description := section.Description
		section.Description = ""
		pair.Value = &jsonschema.Schema{Description: description, AnyOf: []*jsonschema.Schema{&section, {Type: "null"}}}
	}
}

// describeSettings makes the schema of a connection's settings depend on its provider.
func describeSettings(r jsonschema.Reflector, connection *jsonschema.Schema, providers map[string]any) {
	if len(providers) == 0 {
		return
	}
	names := slices.Sorted(maps.Keys(providers))
	provider, _ := connection.Properties.Get("provider")
	provider.Enum = anys(names)
	for _, name := range names {
		when := &jsonschema.Schema{Properties: jsonschema.NewProperties(), Required: []string{"provider"}}
		when.Properties.Set("provider", &jsonschema.Schema{Const: name})
		then := &jsonschema.Schema{Properties: jsonschema.NewProperties()}
		then.Properties.Set("settings", settingsSchema(r, providers[name]))
		connection.AllOf = append(connection.AllOf, &jsonschema.Schema{If: when, Then: then})
	}
}

func settingsSchema(r jsonschema.Reflector, settings any) *jsonschema.Schema {
	v := reflect.Indirect(reflect.ValueOf(settings))
	if !v.IsValid() || v.Kind() != reflect.Struct {
		return &jsonschema.Schema{Type: "object", AdditionalProperties: jsonschema.FalseSchema}
	}
	r.ExpandedStruct = false
	r.DoNotReference = true
	r.LookupComment = nil
	s := r.ReflectFromType(v.Type())
	s.Version = ""
	setDefault(s, nil, v)
	return s
}
