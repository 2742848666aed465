package fetch_test

import (
	"bytes"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
	"syncer/sandbox/sandboxtest"
)

// Of an answer no more is read than the limit allows, and a buffer: whether it is plain, bursts when it is unpacked, or
// yields nothing for ever; of the data, of an error and of the token endpoint. That holds of the bytes that are taken from
// the wire and of the memory that they cost.
func TestWhatIsReadOfAnAnswerIsBounded(t *testing.T) {
	const limit = 1 << 20
	allocations := uint64(8 * limit)
	if sandboxtest.Race {
		allocations *= 4 // pools give their buffers away at random then
	}
	blanks := strings.Repeat(" ", 1<<20)
	pieces := map[string]struct {
		piece  []byte
		most   int // so often
		coding string
	}{
		"plain":                 {[]byte(blanks[:64<<10]), 1 << 10, ""},
		"a gzip bomb":           {zipped(blanks), 64, "gzip"},
		"empty members of gzip": {bytes.Repeat(zipped(""), 1<<10), 1 << 10, "gzip"},
		"tiny members of gzip":  {bytes.Repeat(zipped(" "), 1<<10), 1 << 10, "x-gzip"},
	}
	for name, sent := range pieces {
		for _, of := range []string{"data", "an error", "the token endpoint"} {
			t.Run(name+" of "+of, func(t *testing.T) {
				var taken atomic.Int64
				p := &provider{handler: func(_ int, w http.ResponseWriter, _ *http.Request) {
					if sent.coding != "" {
						w.Header().Set("Content-Encoding", sent.coding)
					}
					if of == "an error" {
						w.WriteHeader(http.StatusBadRequest)
					}
					for range sent.most {
						n, err := w.Write(sent.piece)
						taken.Add(int64(n))
						if err != nil {
							return
						}
					}
				}}
				pipe := fetchtest.NewPipe() // no buffers of the system's in between
				server := &http.Server{Handler: p}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_ = server.Serve(pipe)
				}()
				defer func() {
					_ = server.Close()
					<-ended
				}()
				o := options(t, "http://api.example/v1", fetchtest.NewCallStore())
				o.Dial = pipe.Dial
				o.MaxBody = limit
				o.Retry = fetch.Retry{Attempts: 1, Base: time.Millisecond}
				if of == "the token endpoint" {
					withToken(&o)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err := client(t, o).Do(t.Context(), get("x"))
				if err == nil {
					t.Error("an answer without an end was taken")
				}
				runtime.ReadMemStats(&after)
				allowed := int64(limit)
				if of == "an error" {
					allowed = 256 << 10 // its first lines say what is wrong, and the rest is not read
				}
				if of == "an error" && name == "plain" {
					wantClass(t, err, finance.Rejected) // what is not read of it does not make it unreadable
				}
				if got := taken.Load(); got > allowed+256<<10 {
					t.Errorf("%d bytes were read where %d are allowed", got, allowed)
				}
				if got := after.TotalAlloc - before.TotalAlloc; got > allocations {
					t.Errorf("%d bytes were allocated where %d are allowed", got, allocations)
				}
			})
		}
	}
}
