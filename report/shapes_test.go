package report

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shapes are the documents and lines that programs read, each with what it holds.
func shapes() []any {
	return []any{
		AcceptedRecord{}, Act{}, Backfill{}, Build{}, Call{}, CheckResult{}, Connection{}, Consent{}, FeedResult{}, GivenConsent{},
		ImportResult{}, Item{}, LikelyRenewal{}, MovedConnection{}, QuarantinedRecord{}, RefusedLine{}, RemovalChange{},
		RenamedConnection{}, Report{}, RerunCost{}, ResumedConnection{}, Run{}, SealingKey{}, Status{}, Stream{},
		StreamReset{}, Violation{}, WithheldRemovals{},
	}
}

// TestKeysOfTheJSON holds the keys and their types against testdata/keys.txt: scripts read them, so a key that is there
// neither goes nor changes. UPDATE_GOLDEN=1 writes the file anew.
func TestKeysOfTheJSON(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]string{}
	for _, shape := range shapes() {
		describe(reflect.TypeOf(shape), seen)
	}
	var all []string
	for _, text := range seen {
		all = append(all, text)
	}
	slices.Sort(all)
	got := strings.Join(all, "\n")
	const golden = "testdata/keys.txt"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the keys have changed (-want +got):\n%s", diff)
	}
}

// describe writes a shape with a line for each key, and the shapes that it holds.
func describe(shape reflect.Type, seen map[reflect.Type]string) {
	if seen[shape] != "" {
		return
	}
	seen[shape] = shape.Name()
	text := shape.Name() + "\n"
	for _, field := range reflect.VisibleFields(shape) {
		if field.Anonymous || !field.IsExported() {
			continue
		}
		text += fmt.Sprintf("  %s %s\n", field.Tag.Get("json"), field.Type)
		for held := field.Type; ; held = held.Elem() {
			if held.Kind() == reflect.Struct && held.PkgPath() == shape.PkgPath() {
				describe(held, seen)
			}
			if held.Kind() != reflect.Pointer && held.Kind() != reflect.Slice {
				break
			}
		}
	}
	seen[shape] = text
}
