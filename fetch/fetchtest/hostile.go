package fetchtest

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"syncer/fetch"
)

// unstorable proves that a record which can't be stored costs itself alone: it is refused, or kept without
// what can't be stored, and all others are there.
func (h Harness) unstorable(t *testing.T) {
	for name, value := range map[string]string{
		"a raw line feed":                "\"a\nb\"",
		"a raw control character":        "\"a\x01b\"",
		"NUL":                            `"\u0000"`,
		"100,000 levels":                 strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"100,000 levels of objects":      strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000),
		"a number beyond jsonb":          `1e400000`,
		"a number that is far too small": `1e-400000`,
	} {
		t.Run(name, func(t *testing.T) {
			h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
				whole := tableOf(b.MustRead(t, s, "")...)
				defer h.Insert(s, `"odd":`+value+`,`)()
				pages := h.bench(t).MustRead(t, s, "")
				got := tableOf(pages...)
				for key, line := range got {
					if whole[key] != line {
						t.Errorf("%s changed from %s to %s", key, whole[key], line)
					}
				}
				rejects := rejected(pages)
				if lost := len(whole) - len(got); rejects > 1 || (lost > 0) != (rejects > 0) || lost > 4 {
					t.Errorf("%d records were refused, and %d keys were lost", rejects, lost)
				}
				for i := range pages {
					for _, r := range pages[i].Rejects {
						h.silent(t, r.Reason)
					}
				}
			})
		})
	}
}

func rejected(pages []fetch.Page) (n int) {
	for i := range pages {
		n += len(pages[i].Rejects)
	}
	return n
}

// doubled proves that one id twice in an answer does not let one record overwrite another in silence.
func (h Harness) doubled(t *testing.T) {
	if h.Double == nil {
		t.Log("the provider's records have no ids of their own")
		return
	}
	proven := 0
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		st := newStore()
		for _, page := range b.MustRead(t, s, "") {
			st.take(&page)
		}
		whole := st.table()
		undo := h.Double(s, false)
		if undo == nil {
			t.Log("the stream's records have no ids of their own")
			return
		}
		proven++
		same := h.bench(t).MustRead(t, s, "")
		undo()
		if diff := gocmp.Diff(whole, tableOf(same...)); diff != "" || rejected(same) > 0 {
			t.Errorf("the very same record twice: %d were refused\n%s", rejected(same), diff)
		}

		undo = h.Double(s, true)
		other := h.bench(t).MustRead(t, s, "")
		undo()
		if n := rejected(other); n != 2 {
			t.Errorf("of two records with one key and other content %d were refused", n)
		}
		removed := 0
		for i := range other {
			removed += len(st.take(&other[i]))
			for _, r := range other[i].Rejects {
				if r.Key == "" {
					t.Errorf("the key of the record at place %d was not kept", r.Place)
				}
				h.silent(t, r.Reason)
			}
		}
		if diff := gocmp.Diff(whole, st.table()); diff != "" || removed > 0 {
			t.Errorf("after one key with two contents, %d were removed:\n%s", removed, diff)
		}
	})
	if proven == 0 {
		t.Error("no stream has shown a record twice: nothing is proven")
	}
}

// holdsNothingBack proves that a record which comes a second time as it was holds no position back: the pass
// behind reads no more than it would without it.
func (h Harness) holdsNothingBack(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		first := b.MustRead(t, s, "")
		quiet := len(h.bench(t).MustRead(t, s, first[len(first)-1].Next))
		st := newStore()
		s.Rows = st
		from := ""
		read := ""
		for n := range 3 {
			undo := func() {}
			if n < 2 {
				undo = h.Spoil(s)
			}
			pages := h.bench(t).MustRead(t, s, from)
			undo()
			for i := range pages {
				st.take(&pages[i])
			}
			from = pages[len(pages)-1].Next
			read += fmt.Sprintf(" %d pages with %d rejects;", len(pages), rejected(pages))
			if n < 2 && rejected(pages) == 0 {
				t.Errorf("pass %d does not come by the broken record:%s", n+1, read)
			}
			if n == 2 && len(pages) > quiet {
				t.Errorf("the third pass reads more than the %d pages of a quiet one:%s", quiet, read)
			}
		}
	})
}
