package dbnordics

import (
	"context"
	"strings"
	"testing"

	"syncer/fetch"
	"syncer/finance"
)

// known is what the ids of the stored records that an answer does not show begin with.
type known string

func (known) Stored(context.Context, *finance.Records) (bool, error) { return true, nil }

func (k known) Quarantined(context.Context, []finance.Hash) (map[finance.Hash]finance.Met, error) {
	return nil, nil
}

func (k known) Others(_ context.Context, set finance.Extent, _ []string) (bool, error) {
	return k != "" && strings.HasPrefix(string(k), set.Prefix), nil
}

// A section that is not there has nothing in it, and so has one that counts none. One that is there and says nothing proves
// nothing: what is known of it stays.
func TestASectionThatSaysNothing(t *testing.T) {
	for name, c := range map[string]struct {
		sections string
		known    known
		partial  string
	}{
		"null, some known":             {`"paymentRemarks":null`, "remark:1", "the answer says nothing of payment remarks, and some are known"},
		"null, none known":             {`"paymentRemarks":null`, "", ""},
		"null, others known":           {`"paymentRemarks":null`, "petition:1", ""},
		"without a count and a list":   {`"petitions":{}`, "petition:1", "the answer says nothing of petitions, and some are known"},
		"both null":                    {`"petitions":{"count":null,"petitions":null}`, "petition:1", "the answer says nothing of petitions, and some are known"},
		"it counts none":               {`"petitions":{"count":0}`, "petition:1", ""},
		"an empty list":                {`"petitions":{"petitions":[]}`, "petition:1", ""},
		"not there":                    {`"petitions":{"count":0}`, "remark:1", ""},
		"no rating, and one was known": {`"creditRatings":null`, "rating", "the answer says nothing of the credit rating, and some are known"},
	} {
		page, silent, err := decodeDebt([]byte(report(swedish, c.sections)), swedish, false)
		if err != nil {
			t.Fatal(name, err)
		}
		s := fetch.Stream{Rows: c.known}
		if err := unsaid(t.Context(), &s, &page, silent); err != nil || page.Partial != c.partial || (page.Whole == nil) != (c.partial != "") {
			t.Errorf("%s: partial %q, whole %v, %v", name, page.Partial, page.Whole, err)
		}
	}
}
