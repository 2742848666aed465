package fetchtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"syncer/calls"
	"syncer/fetch"
	"syncer/finance"
)

// Run proves that a connector keeps the promises of fetch.Connector that a store and an operator rely on.
func Run(t *testing.T, h Harness) {
	t.Run("reading twice gives the same", h.twice)
	t.Run("a pass resumes from every cursor", h.resumes)
	t.Run("a second pass changes nothing", h.again)
	t.Run("a kept page is not decoded", h.kept)
	t.Run("a pause in the middle loses nothing", h.paused)
	t.Run("a token that ends in the middle is replaced", h.expired)
	t.Run("a token that is refused again is given up", h.denied)
	t.Run("a token that is refused twice to many callers", h.deniedMany)
	t.Run("one consent refused with each status", h.refusedAlone)
	t.Run("a broken record is refused alone", h.spoilt)
	t.Run("a record that was broken once comes with the next pass", h.healed)
	t.Run("a record that stays broken is left behind", h.holdsNothingBack)
	t.Run("a record that can't be stored costs itself alone", h.unstorable)
	t.Run("one id twice overwrites nothing", h.doubled)
	t.Run("an answer that is older than the last one overwrites nothing", h.older)
	t.Run("an answer that is not the whole one stores nothing", h.unfinished)
	t.Run("another person's answer stores nothing", h.impostor)
	t.Run("a cancelled pass ends", h.cancelled)
	t.Run("a foreign cursor is refused", h.foreignCursor)
	t.Run("calls stay below the base and give nobody away", h.discreet)
	t.Run("the check passes", func(t *testing.T) {
		if err := h.bench(t).Connector().Probe(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a consent that was taken back ends", h.withdrawn) // the last: there is no way back
}

func (h Harness) each(t *testing.T, f func(*testing.T, *Client, fetch.Stream)) {
	for i, s := range h.streams() {
		t.Run(fmt.Sprintf("%s %d", s.Dataset, i), func(t *testing.T) { f(t, h.bench(t), s) })
	}
}

func (h Harness) twice(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		first := b.MustRead(t, s, "")
		second := h.bench(t).MustRead(t, s, "")
		if len(tableOf(first...)) == 0 {
			t.Fatal("the harness has no records: nothing is proven")
		}
		if diff := gocmp.Diff(tableOf(first...), tableOf(second...)); diff != "" {
			t.Error(diff)
		}
		seen := map[string]bool{}
		for i := range first {
			if first[i].Key == (finance.PageKey{}) || first[i].Answer == nil || first[i].Answer.Call.ID.IsZero() {
				t.Errorf("page %d has no key or no call", i)
			}
			if first[i].Done != (i == len(first)-1) {
				t.Errorf("page %d of %d: done is %t", i, len(first), first[i].Done)
			}
			h.records(t, &first[i].Records, seen)
		}
	})
}

// records checks what every record promises, and that no key comes twice in a pass.
func (h Harness) records(t *testing.T, r *finance.Records, seen map[string]bool) {
	t.Helper()
	all := lines(r)
	if len(all) != r.Len() {
		t.Errorf("a page of %d records has %d keys", r.Len(), len(all))
	}
	for key := range all {
		if seen[key] || strings.HasSuffix(key, " ") {
			t.Errorf("key %q is empty or came before", key)
		}
		seen[key] = true
	}
	var extras [][]byte
	for i := range r.Accounts {
		extras = append(extras, r.Accounts[i].Extra)
	}
	for i := range r.Transactions {
		extras = append(extras, r.Transactions[i].Extra)
	}
	for i := range r.Debts {
		extras = append(extras, r.Debts[i].Extra)
	}
	for _, extra := range extras {
		var object map[string]any
		if extra != nil && (json.Unmarshal(extra, &object) != nil || len(object) == 0) {
			t.Errorf("extra %q is no JSON object with members", extra)
		}
	}
}

func (h Harness) resumes(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		whole := b.MustRead(t, s, "")
		want := tableOf(whole...)
		for i := range whole[:len(whole)-1] {
			rest := h.bench(t).MustRead(t, s, whole[i].Next)
			got := tableOf(append(append([]fetch.Page{}, whole[:i+1]...), rest...)...)
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("resumed behind page %d:\n%s", i, diff)
			}
		}
	})
}

func (h Harness) again(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		first := b.MustRead(t, s, "")
		second := b.MustRead(t, s, first[len(first)-1].Next)
		if diff := gocmp.Diff(tableOf(first...), tableOf(append(first, second...)...)); diff != "" {
			t.Error(diff)
		}
	})
}

func (h Harness) kept(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		first := b.MustRead(t, s, "")
		store := map[finance.PageKey]finance.Kept{}
		for i := range first {
			p := &first[i]
			if p.Plain() {
				store[p.Key] = finance.Kept{Body: p.Answer.Hash, Call: p.Answer.Call.ID, Facts: finance.Facts{Next: p.Next, Done: p.Done, Records: p.Records.Len()}}
			}
		}
		s.Kept = func(k finance.PageKey) (finance.Kept, bool) { kept, ok := store[k]; return kept, ok }
		second := b.MustRead(t, s, "")
		unchanged := 0
		for i := range second {
			if second[i].Unchanged {
				unchanged++
			}
			if i < len(first) && (second[i].Next != first[i].Next || second[i].Done != first[i].Done) {
				t.Errorf("page %d leads elsewhere when it is known", i)
			}
		}
		if unchanged == 0 || len(second) != len(first) {
			t.Errorf("%d of %d pages unchanged, %d before", unchanged, len(second), len(first))
		}
		if diff := gocmp.Diff(tableOf(first...), tableOf(append(first, second...)...)); diff != "" {
			t.Error(diff)
		}
	})
}

func (h Harness) paused(t *testing.T) {
	// Each form takes a second. Those that only the parser tells apart are in fetch's TestPausesAgainstAGrammar.
	forms := []string{"", "imf", "fraction", "unix", "iso", "sentence", "words", "reset", "body"}
	if testing.Short() {
		forms = forms[:1] // each takes a second
	}
	for _, form := range forms {
		t.Run("told as "+cmp.Or(form, "seconds"), func(t *testing.T) {
			h := h
			if form != "" || testing.Short() { // each takes a second, and the form is no matter of the stream
				h.Streams = h.Streams[len(h.Streams)-1:]
			}
			h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
				whole := b.MustRead(t, s, "")
				defer h.Pause(len(whole)/2, form)()
				other := h.bench(t)
				got := other.MustRead(t, s, "")
				if pauses := other.Store.Pauses(); len(pauses) != 1 || pauses[0].For <= 0 || pauses[0].For > 2*time.Second {
					t.Errorf("the store was told of the pauses %v", pauses)
				}
				if diff := gocmp.Diff(tableOf(whole...), tableOf(got...)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func (h Harness) withdrawn(t *testing.T) {
	if h.Withdraw == nil {
		t.Log("nobody can take a consent back at this provider")
		return
	}
	class := h.Withdraw()
	refused := 0
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		pages, err := b.Read(t.Context(), s, "")
		if len(pages) > 0 || fetch.ClassOf(err) != class {
			t.Errorf("%d pages, error %v; want class %s", len(pages), err, class)
		}
		if n := b.calls(calls.ForData, class); n != 1 {
			t.Errorf("%d data calls of class %s, want one", n, class)
		}
		refused++
		h.silent(t, fmt.Sprint(err), b.Log.String())
	})
	if refused == 0 {
		t.Error("no stream was read: nothing is proven")
	}
}

func (h Harness) spoilt(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		whole := tableOf(b.MustRead(t, s, "")...)
		undo := h.Spoil(s)
		pages, err := h.bench(t).Read(t.Context(), s, "")
		undo()
		if err != nil {
			t.Fatal(err)
		}
		rejects := 0
		for i := range pages {
			rejects += len(pages[i].Rejects)
			if pages[i].Hidden() && pages[i].Whole != nil {
				t.Error("a page with a record whose key is not known was declared whole: it would look as if it had vanished")
			}
			for _, r := range pages[i].Rejects {
				h.silent(t, r.Reason)
			}
		}
		if rejects != 1 {
			t.Errorf("%d records were refused", rejects)
		}
		got := tableOf(pages...)
		for key, line := range got {
			if whole[key] != line {
				t.Errorf("%s changed from %s to %s", key, whole[key], line)
			}
		}
		// An account takes its three figures with it.
		if lost := len(whole) - len(got); lost < 1 || lost > 4 {
			t.Errorf("%d keys were lost with one record", lost)
		}
	})
}

// healed proves that no position passes a record that could not be read: the next pass begins where it stood, however
// far back that is, or the record would never be had and nothing would say so.
func (h Harness) healed(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		whole := tableOf(b.MustRead(t, s, "")...)
		undo := h.Spoil(s)
		first := h.bench(t).MustRead(t, s, "")
		undo()
		second := h.bench(t).MustRead(t, s, first[len(first)-1].Next)
		if diff := gocmp.Diff(whole, tableOf(append(first, second...)...)); diff != "" {
			t.Errorf("after the pass behind the one with the broken record:\n%s", diff)
		}
		third := h.bench(t).MustRead(t, s, second[len(second)-1].Next)
		if len(third) > len(second) {
			t.Errorf("the pass behind the good one reads %d pages, and that read %d: it goes back without need", len(third), len(second))
		}
		h.stillBroken(t, s)
	})
}

// stillBroken proves the same of a record that is broken for several passes: each must go back to it, but none further
// than the one before.
func (h Harness) stillBroken(t *testing.T, s fetch.Stream) {
	from := ""
	pages := 0
	for n := range 3 {
		undo := h.Spoil(s)
		got := h.bench(t).MustRead(t, s, from)
		undo()
		rejects := 0
		for i := range got {
			rejects += len(got[i].Rejects)
		}
		if rejects == 0 {
			t.Errorf("pass %d no longer comes by the broken record", n+1)
		}
		if n > 0 && len(got) > pages {
			t.Errorf("pass %d reads %d pages, the one before it %d", n+1, len(got), pages)
		}
		from = got[len(got)-1].Next
		pages = len(got)
	}
}

func (h Harness) impostor(t *testing.T) {
	if h.Impostor == nil {
		t.Log("answers of this provider name no subject")
		return
	}
	defer h.Impostor()()
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		if h.Impersonal != nil && h.Impersonal(s) {
			return
		}
		pages, err := b.Read(t.Context(), s, "")
		if len(pages) != 0 || fetch.ClassOf(err) != finance.Malformed {
			t.Fatalf("%d pages, error %v", len(pages), err)
		}
		h.silent(t, err.Error(), b.Log.String())
	})
}

func (h Harness) cancelled(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		pages, err := b.Read(ctx, s, "")
		if len(pages) > 0 || fetch.ClassOf(err) != finance.Interrupted || time.Since(begun) > 5*time.Second {
			t.Errorf("%d pages after %s, error %v", len(pages), time.Since(begun), err)
		}
	})
}

func (h Harness) foreignCursor(t *testing.T) {
	h.each(t, func(t *testing.T, b *Client, s fetch.Stream) {
		for _, from := range []string{"\x00", "{", `{"v":99}`, `{"v":1,"through":"2999-01-01"}`} {
			if pages, err := b.Read(t.Context(), s, from); len(pages) > 0 || err == nil {
				t.Errorf("%q: %d pages, error %v", from, len(pages), err)
			}
		}
		if len(b.Store.Calls()) > 0 {
			t.Error("a call was made from a cursor that can't be right")
		}
	})
}

func (h Harness) discreet(t *testing.T) {
	b := h.bench(t)
	before := len(h.Arrivals())
	for _, s := range h.streams() {
		var text strings.Builder
		for _, page := range b.MustRead(t, s, "") {
			for key, line := range lines(&page.Records) {
				fmt.Fprintln(&text, key, line)
			}
			fmt.Fprintf(&text, "%s %v %v", page.Next, page.Partial, page.Rejects)
		}
		h.silent(t, text.String())
	}
	driver, err := h.Provider.Open(h.Connection)
	if err != nil {
		t.Fatal(err)
	}
	token, err := driver.Token(fetch.TokenKey{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range h.Arrivals()[before:] {
		if !strings.HasPrefix(path, driver.Base.Path) && !strings.HasSuffix(token.URL, path) {
			t.Errorf("a call went to %s, outside %s", path, driver.Base)
		}
		h.silent(t, path)
	}
	calls, err := json.Marshal(b.Store.Calls())
	if err != nil {
		t.Fatal(err)
	}
	h.silent(t, b.Log.String(), string(calls), fmt.Sprintf("%+v %#v", b.Store.Calls(), h.Consent))
}

// silent fails if one of the texts holds a secret.
func (h Harness) silent(t *testing.T, texts ...string) {
	t.Helper()
	for _, secret := range h.Secrets() {
		for _, text := range texts {
			if secret != "" && strings.Contains(text, secret) {
				t.Errorf("a secret stands in %.60q...", text)
			}
		}
	}
}
