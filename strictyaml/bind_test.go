package strictyaml

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type menu struct {
	Kitchen `yaml:",inline"`
	Title   string          `yaml:"title" jsonschema:"required"`
	Dishes  map[string]dish `yaml:"dishes"`
	Course  string          `yaml:"course" jsonschema:"enum=starter,enum=main"`
	Wait    time.Duration   `yaml:"wait"`
	Seats   uint8           `yaml:"seats"`
	Chef    *struct{ Name string }
	Rules   Later          `yaml:"rules"`
	Note    any            `yaml:"note"`
	Count   map[int]string `yaml:"count"`
	Hidden  string         `yaml:"-"`
}

// Kitchen is inlined: its keys stand among those of the menu.
type Kitchen struct {
	// Heat is how hot it is.
	Heat float32 `yaml:"heat" jsonschema:"required"`
}

type dish struct {
	Price int   `yaml:"price"`
	With  words `yaml:"with"`
}

type words []string

func (d *dish) SetDefaults() { d.Price = 100 }

func (d *dish) Short() any { return &d.Price }

func (w *words) Short() any {
	*w = make(words, 1)
	return &(*w)[0]
}

func bound(t *testing.T, text string, plain bool) (menu, *Source) {
	t.Helper()
	s, err := Read([]byte(text), "m.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s.Plain = plain
	m := menu{Course: "main"}
	s.Bind(&m)
	return m, s
}

func TestBind(t *testing.T) {
	got, s := bound(t, `
title: 007
heat: 0.5
wait: 90s
chef: {name: &n Ada}
dishes:
  soup: {with: salt}
  stew: {price: 0, with: [*n, pepper]}
  cake: 30
  none: ~
`, false)
	want := menu{Kitchen: Kitchen{0.5}, Title: "007", Course: "main", Wait: 90 * time.Second, Chef: &struct{ Name string }{"Ada"},
		Dishes: map[string]dish{"soup": {100, words{"salt"}}, "stew": {0, words{"Ada", "pepper"}}, "cake": {Price: 30}, "none": {Price: 100}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Later{})); diff != "" || s.Problems.Err() != nil {
		t.Errorf("%v; want -, got +:\n%s", s.Problems.Err(), diff)
	}
}

func TestAllProblemsInTheOrderOfTheFile(t *testing.T) {
	_, s := bound(t, `titel: x
course: desert
wait: soon
seats: 256
chef: [a]
dishes:
  soup: {prise: 1, with: {a: b}}
  soup: 2
  "": 3
count: {1: a}
hidden: x
note: 1
heat: {}
`, false)
	s.SaidBy("MENU_TITLE", "title")
	s.Fail("title.first", "is short")
	want := []string{
		`m.yaml: title: missing`,
		`environment MENU_TITLE: title.first: is short`,
		`m.yaml:1:1: titel: no such key; did you mean "title"?`,
		`m.yaml:2:9: course: "desert" is not known (there are: starter, main)`,
		`m.yaml:3:7: wait: time: invalid duration "soon"`,
		`m.yaml:4:8: seats: want a whole number that isn't negative, got "256"`,
		`m.yaml:5:7: chef: want keys and values here`,
		`m.yaml:7:10: dishes.soup.prise: no such key; did you mean "price"?`,
		`m.yaml:7:26: dishes.soup.with: want one value, got a list or a group of keys`,
		`m.yaml:8:3: dishes.soup: this key is already on line 7`,
		`m.yaml:9:3: dishes: want a plain word as key`,
		`m.yaml:10:1: count: a setting of type map[int]string can't be read from a file`,
		`m.yaml:11:1: hidden: no such key`,
		`m.yaml:12:1: note: a setting of type interface {} can't be read from a file`,
		`m.yaml:13:7: heat: want one value, got a list or a group of keys`,
	}
	err := s.Problems.Err()
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if p, ok := errors.AsType[Problem](err); !ok || p.Path != "title" {
		t.Errorf("%+v", p)
	}
}

func TestPlain(t *testing.T) {
	m, s := bound(t, `title: a
heat: 1
note: {n: [1.50, -2, true, ~, 007x, "x"]}
`, true)
	if text, err := json.Marshal(m.Note); string(text) != `{"n":[1.50,-2,true,null,"007x","x"]}` || err != nil || len(s.Problems) > 0 {
		t.Errorf("%s, %v, %v", text, err, s.Problems)
	}
	for text, want := range map[string]string{
		"title: &a x":              "m.yaml:1:8: title: anchors, aliases and tags are not read here",
		"title: *a":                "m.yaml:1:8: title: anchors, aliases and tags",
		"title: !!str x":           "m.yaml:1:8: title: anchors, aliases and tags",
		"note: &a [*a]":            "m.yaml:1:7: note: anchors, aliases and tags",
		"note: [{a: &b c}]":        "note.0.a: anchors, aliases and tags",
		"<<: {title: x}":           "m.yaml:1:1: merged keys (<<) are not read here",
		"note: {a: 1, <<: {b: 2}}": "note: merged keys (<<) are not read here",
		"note: 0x1F":               "m.yaml:1:7: note: not a number as JSON knows it",
		"note: {a: 1, a: 2}":       "note.a: this key is already on line 1",
	} {
		if _, s := bound(t, text, true); !strings.Contains(s.Problems.Error(), want) {
			t.Errorf("%s: %v; want %q in it", text, s.Problems, want)
		}
	}
}

func TestLaterIsAsStrict(t *testing.T) {
	m, s := bound(t, "title: &t 3m\nheat: 1\nrules: {wait: *t, seat: 2}", false)
	s.Durations = func(string) (time.Duration, error) { return time.Hour, nil }
	var rules struct {
		Wait  time.Duration
		Seats int `yaml:"seats" jsonschema:"enum=1,enum=2"`
	}
	err := m.Rules.Bind(&rules)
	if want := `m.yaml:3:19: rules.seat: no such key; did you mean "seats"?`; err == nil || err.Error() != want || rules.Wait != time.Hour {
		t.Errorf("%v, %+v; want %s", err, rules, want)
	}
	if len(s.Problems) > 0 || s.Said("rules.wait") || !s.Said("rules") {
		t.Errorf("what was read later came back: %+v", s)
	}
}

func TestWhatIsNoYAMLRepeatsNothing(t *testing.T) {
	for _, text := range []string{"a: [hunter2\n", "b: hunter2: x: y", "a: 'hunter2", "hunter2: *\n", strings.Repeat("#hunter2\n", 1<<17)} {
		_, err := Read([]byte(text), "m.yaml")
		if err == nil || !strings.HasPrefix(err.Error(), "m.yaml") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// FuzzBind shows that no file makes the reader panic, that every problem has words and a place inside of the file, and
// that reading twice tells the same.
func FuzzBind(f *testing.F) {
	for _, text := range []string{"title: a\nheat: 1", "dishes: {a: &a {with: *a}, <<: *a}", "note: &a [*a, {<<: *b}]", "rules: {a: b}\n---\n", "? [a]\n: b", "a: !!x |\n y"} {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, plain bool) {
		s, err := Read([]byte(text), "m.yaml")
		if err != nil {
			return
		}
		s.Plain = plain
		var m, later menu
		s.Bind(&m)
		_ = m.Rules.Bind(&later)
		for _, p := range s.Problems {
			if p.Message == "" || p.File != "m.yaml" || p.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+1 {
				t.Errorf("%+v", p)
			}
		}
		again, err := Read([]byte(text), "m.yaml")
		if err != nil {
			t.Fatal(err)
		}
		again.Plain = plain
		again.Bind(&menu{})
		if diff := cmp.Diff(s.Problems, again.Problems); diff != "" {
			t.Error(diff)
		}
	})
}
