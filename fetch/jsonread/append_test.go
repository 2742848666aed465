package jsonread

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"syncer/finance"
)

// TestAListOfManyRecordsLiesInMemoryOnce reads lists of many records and counts the bytes that are allocated for them.
func TestAListOfManyRecordsLiesInMemoryOnce(t *testing.T) {
	const size = int64(unsafe.Sizeof(finance.Transaction{}))
	var rows strings.Builder
	for n := range 30_000 {
		fmt.Fprintf(&rows, `,"tx-%d-%d"`, n, n%997*n) // they grow and shrink
	}
	long := `"` + strings.Repeat("x", 300<<10) + `"`
	for name, c := range map[string]struct {
		body string
		most float64 // times what the list and the text need
	}{
		"a list":                   {"[" + rows.String()[1:] + "]", 4. / 3},
		"a list behind long words": {"[" + long + rows.String() + "]", 2.5},
		"long words in its middle": {"[" + rows.String()[1:] + "," + long + rows.String() + "]", 2.5},
	} {
		want := strings.Count(c.body, `"tx-`)
		list, allocated := readRows(t, c.body)
		if len(list) != want {
			t.Fatalf("%s: %d records, want %d", name, len(list), want)
		}
		need := int64(want)*size + int64(len(c.body))
		if most := int64(c.most * float64(need)); allocated > most {
			t.Errorf("%s: %d bytes were allocated for it, which should be at most %d", name, allocated, most)
		}
	}
}

func readRows(t *testing.T, body string) (list []finance.Transaction, allocated int64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := Scan([]byte(body))
	for a := s.Array(); a.Next(); {
		if id := s.Text(); strings.HasPrefix(id, "tx-") {
			list = Append(s, list, finance.Transaction{ID: id})
		}
	}
	runtime.ReadMemStats(&after)
	if err := s.End(); err != nil {
		t.Fatal(err)
	}
	return list, int64(after.TotalAlloc - before.TotalAlloc)
}
