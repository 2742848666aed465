package fetch_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/fetch/resume"
	"syncer/finance"
)

// A position that no longer fits names the command that clears it, with our own numbers and nothing of a person's.
func TestAMisfitNamesTheCommand(t *testing.T) {
	t.Parallel()
	c, p, _ := leads(t, func(string) string { return "end" })
	s := fetch.Stream{Stream: finance.Stream{Consent: 17, Dataset: finance.Transactions, Account: "14842249091"}}
	_, err := drain(t, c, s, "old", func(fetch.At) (fetch.Step, error) {
		return fetch.Step{}, resume.Misfit("the stored cursor is of another version")
	})
	wantClass(t, err, finance.Malformed)
	const want = "the stored cursor is of another version: `syncer streams reset --connection bank --consent 17 " +
		"--dataset transactions` lets it be read from the beginning"
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "14842249091") || len(p.journal()) > 0 {
		t.Error(err)
	}
}

// A stored link that may not be followed any more leads to the beginning of its list, once and said once. One that was
// not stored is a fault of the answer that it stood in.
func TestAStoredLinkThatIsRefusedBeginsTheListAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, from string
		refused    string // the position whose link is refused
		pages      int
		fails      bool
	}{
		{"a stored one", "c", "c", 3, false},
		{"a fresh one", "a", "b", 0, true}, // the page with the link is not given either
		{"stored, and fresh again", "b", "b", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			p := &provider{handler: answers(answer(200, "b"), answer(200, "d"), answer(200, "end"))}
			o := options(t, served(t, p), fetchtest.NewCallStore())
			o.Log = zerolog.New(&log)
			step := follow(false, nil)
			pages, err := drain(t, client(t, o), fetch.Stream{}, c.from, func(at fetch.At) (fetch.Step, error) {
				if at.Position == c.refused {
					return fetch.Step{}, &resume.StrayError{Anew: "a", Err: errors.New("it leads to another list")}
				}
				st, err := step(at)
				st.PositionName = at.Position // so that a fresh link is looked at with the page that it stands on
				return st, err
			})
			if c.fails {
				wantClass(t, err, finance.Malformed)
				if !strings.Contains(err.Error(), "it leads to another list") {
					t.Error(err)
				}
			} else if err != nil {
				t.Error(err)
			}
			said := strings.Count(log.String(), "the list is read from its beginning once more")
			wantSaid := 0
			if c.from == c.refused {
				wantSaid = 1
			}
			if len(pages) != c.pages || said != wantSaid {
				t.Errorf("%d pages, want %d; said %d times, want %d", len(pages), c.pages, said, wantSaid)
			}
		})
	}
}

func TestThroughDay(t *testing.T) {
	t.Parallel()
	day := func(s string) finance.Date {
		d, err := finance.ParseDate(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for position, want := range map[string]finance.Date{
		"":                               0,
		"not JSON":                       0,
		`{"v":1}`:                        0,
		`["a"]`:                          0,
		`{"v":1,"through":"2026-11-20"}`: day("2026-11-20"),
		`{"v":1,"through":"2026-11-20","pass":{"list":"recent","from":"2026-11-01"}}`:                 day("2026-11-20"),
		`{"v":1,"by":"dates","funds":{"through":"2026-11-20"},"fees":{"through":"2026-11-18"}}`:       day("2026-11-18"),
		`{"v":1,"by":"dates","funds":{"through":"2026-11-20","doubt":{"through":"2026-01-01"}}}`:      day("2026-11-20"),
		`{"v":1,"by":"feed","since":"2024-11-20","funds":{"feed":"ZmVlZDoy"},"fees":{"feed":"ZmVl"}}`: 0,
		`{"through":17}`: 0,
	} {
		if got := resume.ThroughDay(position); got != want {
			t.Errorf("%s: %s, want %s", position, got, want)
		}
		dated := want != 0 || strings.Contains(position, "since")
		if got := resume.Dated(position); got != dated {
			t.Errorf("%s: asked for by days: %v", position, got)
		}
	}
}
