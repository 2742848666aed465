package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	stdDuration     = reflect.TypeFor[time.Duration]()
)

// IsScalar reports whether values of type t are one text in the file: those with UnmarshalText, strings, booleans and
// numbers.
func IsScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return true
	}
	switch k := t.Kind(); k {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64:
		return true
	default:
		return reflect.Int <= k && k <= reflect.Uint64
	}
}

// SetText sets the scalar that into points at to the value that text stands for. An error says what was wanted.
func (s *Source) SetText(into any, text string) error {
	if u, ok := into.(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	v := reflect.ValueOf(into).Elem()
	if v.Type() == stdDuration {
		read := s.Durations
		if read == nil {
			read = time.ParseDuration
		}
		d, err := read(text)
		v.SetInt(int64(d))
		return err
	}
	switch k := v.Kind(); {
	case k == reflect.String:
		v.SetString(text)
	case k == reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("want true or false, got %q", text)
		}
		v.SetBool(text == "true")
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a number, got %q", text)
		}
		v.SetFloat(f)
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a whole number, got %q", text)
		}
		v.SetInt(i)
	default:
		u, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("want a whole number that isn't negative, got %q", text)
		}
		v.SetUint(u)
	}
	return nil
}

// Field is a key of a struct.
type Field struct {
	// Index leads to the field; see reflect.Value.FieldByIndex.
	Index    []int
	required bool
	words    []string // that it may be, if not all
}

// Fields returns the keys of a struct: the yaml tags of its fields, or their names in lower case. Fields of inlined
// structs are among them, those tagged "-" are not.
func Fields(t reflect.Type) map[string]Field {
	fields := map[string]Field{}
	for i := range t.NumField() {
		f := t.Field(i)
		key, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported(), key == "-":
			continue
		case f.Anonymous && rest == "inline":
			for key, inner := range Fields(f.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				fields[key] = inner
			}
			continue
		case key == "":
			key = strings.ToLower(f.Name)
		}
		field := Field{Index: []int{i}}
		for tag := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
			if word, isEnum := strings.CutPrefix(tag, "enum="); isEnum {
				field.words = append(field.words, word)
			}
			field.required = field.required || tag == "required"
		}
		fields[key] = field
	}
	return fields
}
