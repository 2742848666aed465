package rest

import (
	"bytes"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/finance"
)

// An answer of ten million empty records is refused for not much more memory than its bytes. To read it took three hundred
// times as much in all: each of them is a record that can't be read. Not parallel, since it measures what the process allocates.
func TestAnAnswerOfTooManyRecordsIsCheap(t *testing.T) {
	const size = 30 << 20
	body := append([]byte(`{"rows":[{}`), bytes.Repeat([]byte(`,{}`), size/3)...)
	body = append(body, "]}"...)
	c := described(t, minimal, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := c.Read(t.Context(), stream(), "")
	runtime.ReadMemStats(&after)
	if fetch.ClassOf(err) != finance.Malformed || len(got) > 0 {
		t.Fatalf("%d pages, %v", len(got), err)
	}
	if !strings.Contains(err.Error(), "more than 1000000 records, more than limits.answer_records allows") {
		t.Error(err)
	}
	const most = 6 // times the body: the buffer that receives it grows by doubling
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%.1f times the body", float64(allocated)/size)
	if allocated > most*size {
		t.Errorf("%d MB for an answer of %d MB", allocated>>20, size>>20)
	}
}
