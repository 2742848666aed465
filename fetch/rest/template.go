package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"syncer/strictyaml"
)

// The placeholders.
const (
	forConsent = "consent"
	forAccount = "account"
	forSubject = "subject"
	forSince   = "since"
	forUntil   = "until"
)

var placeholders = []string{forAccount, forConsent, forSince, forSubject, forUntil}

// template is a text with placeholders: its parts in turn are a text and a name.
type template []string

// parseTemplate reads a text with {names}. There is no way to send a brace, since no API seen so far wants one.
func parseTemplate(text string) (template, error) {
	var t template
	for {
		before, rest, found := strings.Cut(text, "{")
		if strings.Contains(before, "}") {
			return nil, fmt.Errorf("a } without a {")
		}
		t = append(t, before)
		if !found {
			return t, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("a { without a }")
		}
		if !slices.Contains(placeholders, name) {
			return nil, fmt.Errorf("no placeholder {%s}%s (there are: %s)", name, strictyaml.DidYouMean(name, placeholders), strings.Join(placeholders, ", "))
		}
		t = append(t, name)
		text = after
	}
}

// names are the placeholders used.
func (t template) names() (names []string) {
	for i := 1; i < len(t); i += 2 {
		names = append(names, t[i])
	}
	return names
}

// fill puts the values in, each passed through escape.
func (t template) fill(values map[string]string, escape func(string) string) string {
	var b strings.Builder
	for i, part := range t {
		if i%2 == 1 {
			part = escape(values[part])
		}
		b.WriteString(part)
	}
	return b.String()
}

func asItIs(s string) string { return s }

// templates are parsed texts by name, sorted by it.
type templates []named

type named struct {
	name string
	template
}

func parseTemplates(texts map[string]string) (ts templates, err error) {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		t, err := parseTemplate(texts[name])
		if err != nil {
			return nil, err
		}
		ts = append(ts, named{name, t})
	}
	return ts, nil
}

// eachText calls f with every text in a body's value and puts what it gives in its place.
func eachText(v any, path string, f func(path, text string) string) any {
	switch v := v.(type) {
	case string:
		return f(path, v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out[key] = eachText(v[key], join(path, key), f)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = eachText(v[i], join(path, itoa(i)), f)
		}
		return out
	}
	return v
}

// encode gives the body as JSON with the values in its texts.
func encode(body Body, values map[string]string) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	filled := eachText(body, "", func(_, text string) string {
		t, err := parseTemplate(text)
		if err != nil {
			return text // can't be: the description was checked
		}
		return t.fill(values, asItIs)
	})
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(filled); err != nil {
		return nil, fmt.Errorf("the body can't be written as JSON")
	}
	return bytes.TrimSpace(out.Bytes()), nil
}
