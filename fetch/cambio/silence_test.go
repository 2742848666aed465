package cambio

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/fetch/fetchtest"
	"syncer/finance"
)

// known is what is stored: other invoices than those shown, or a store that can't be asked.
type known struct {
	others bool
	err    error
}

func (k known) Stored(context.Context, *finance.Records) (bool, error) { return true, nil }

func (k known) Quarantined(context.Context, []finance.Hash) (map[finance.Hash]finance.Met, error) {
	return nil, nil
}

func (k known) Others(_ context.Context, set finance.Extent, _ []string) (bool, error) {
	return k.others && set.Prefix == invoicePrefix, k.err
}

// FHIR leaves out what is empty, so that an answer whose members have moved looks like an empty one. Only a total proves
// that it is.
func TestAnAnswerThatSaysNothing(t *testing.T) {
	const link = `"link":[{"relation":"self","url":"x"}]`
	for name, c := range map[string]struct {
		body    string
		known   known
		partial bool
		whole   bool
	}{
		"no entries, and none are counted":      {`{"resourceType":"Bundle","total":0,` + link + `}`, known{others: true}, false, true},
		"no entries, and some are counted":      {`{"resourceType":"Bundle","total":2,` + link + `}`, known{others: true}, true, false},
		"no entries and no total, some known":   {`{"resourceType":"Bundle",` + link + `}`, known{others: true}, true, false},
		"null entries and no total, some known": {`{"resourceType":"Bundle","entry":null,` + link + `}`, known{others: true}, true, false},
		"no entries and no total, none known":   {`{"resourceType":"Bundle",` + link + `}`, known{}, false, false},
		"no links and no total, others known":   {`{"resourceType":"Bundle","entry":[]}`, known{others: true}, true, false},
		"no links and no total, none known":     {`{"resourceType":"Bundle","entry":[]}`, known{}, false, false},
		"links and entries":                     {`{"resourceType":"Bundle","entry":[],` + link + `}`, known{others: true}, false, true},
	} {
		w := serve(t, cos(func(out http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(out, c.body) }))
		s := fetchtest.StreamOf(aConsent(), finance.Debts)
		s.Rows = c.known
		pages, err := dial(t, connection(w.base)).Read(t.Context(), s, "")
		if err != nil || len(pages) != 3 {
			t.Fatalf("%s: %d pages, %v", name, len(pages), err)
		}
		if got := pages[1]; (got.Partial != "") != c.partial || (got.Whole != nil) != c.whole {
			t.Errorf("%s: partial %q, whole %v", name, got.Partial, got.Whole)
		}
	}
}

func TestAStoreThatCantBeAskedIsNoDefectOfTheAnswer(t *testing.T) {
	w := serve(t, cos(func(out http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(out, `{"resourceType":"Bundle"}`)
	}))
	s := fetchtest.StreamOf(aConsent(), finance.Debts)
	s.Rows = known{err: errors.New("the connection is closed")}
	_, err := dial(t, connection(w.base)).Read(t.Context(), s, "")
	if fetch.ClassOf(err) != finance.Interrupted || !strings.Contains(err.Error(), "could not be asked") {
		t.Error(err)
	}
}
