package fetchtest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

// unwhole is an answer of 2xx that is not the whole of what was asked for.
type unwhole struct {
	name   string
	status int
	body   func(whole []byte) []byte // of the true body
	says   string                    // what the reason has to name
}

// unwholes are the forms in which such answers are met.
func unwholes() []unwhole {
	const page = "<!DOCTYPE html>\n<html><body>We are back at 06:00</body></html>"
	same := func(whole []byte) []byte { return whole }
	always := func(text string) func([]byte) []byte { return func([]byte) []byte { return []byte(text) } }
	return []unwhole{
		{"202 with the whole of it", 202, same, ""},
		{"202 with a word", 202, always(`{"status":"PROCESSING"}`), ""},
		{"206 with the whole of it", 206, same, ""},
		{"207 with the whole of it", 207, same, ""},
		{"cut behind a bracket", 200, cut, "cut off"},
		{"an HTML page", 200, always(page), "an HTML page"},
		{"CSV", 200, always("id;amount\n1;2,50\n"), "CSV"},
		{"UTF-16", 200, always("\xff\xfe{\x00}\x00"), "UTF-16"},
		{"nothing", 200, always(" "), "an empty body"},
		{"304", 304, always(" "), "304"},
	}
}

// cut is a body that ends behind a bracket, as a list does, and before its end.
func cut(whole []byte) []byte {
	text := bytes.TrimRight(whole, " \n\r\t")
	if len(text) == 0 {
		return nil
	}
	return text[:bytes.LastIndexAny(text[:len(text)-1], "]}")+1]
}

// mayBeRead says that pages were read from an answer that a connector knows to be one of parts, and that
// something of them is missing.
func (u unwhole) mayBeRead(pages []fetch.Page) bool {
	lacking := 0
	for i := range pages {
		if pages[i].Answer.Status == u.status && pages[i].Partial != "" && pages[i].Whole == nil {
			lacking++
		}
	}
	return u.status == http.StatusMultiStatus && lacking > 0
}

// unfinished proves that an answer of 2xx which is not the whole one is tried again, and then fails its
// stream: it stores nothing, and shows nothing to be gone.
func (h Harness) unfinished(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		whole := b.MustRead(t, s, "")
		before := tableOf(whole...)
		for after := range map[int]bool{0: true, len(whole) - 1: true} {
			for _, u := range unwholes() {
				body := u.body(whole[after].Answer.Body)
				if len(body) == 0 {
					continue // there is no bracket to cut behind
				}
				t.Run(fmt.Sprintf("%s, after %d", u.name, after), func(t *testing.T) {
					defer h.Instead(after, u.status, string(body))()
					other := h.bench(t)
					pages, err := other.Read(t.Context(), s, "")
					if diff := gocmp.Diff(before, tableOf(append(whole[:len(whole):len(whole)], pages...)...)); diff != "" {
						t.Error(diff)
					}
					if err == nil && u.mayBeRead(pages) {
						return
					}
					if fetch.ClassOf(err) != finance.Transient {
						t.Fatalf("%d pages, error %v; want class transient", len(pages), err)
					}
					if n := other.calls(calls.ForData, finance.Transient); n != 3 {
						t.Errorf("it was asked for %d times, want three", n)
					}
					if !strings.Contains(err.Error(), u.says) {
						t.Errorf("%v; want %q in it", err, u.says)
					}
					h.silent(t, err.Error(), other.Log.String())
				})
			}
		}
	})
}
